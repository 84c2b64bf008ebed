//! Files that import each other in a circle. Read as text: `use` trees, re-exports followed to where a name is defined, paths within the code.
//! What is only built for tests, and what a macro writes, but for its `$folder`, is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module, as a path of names below the crate.
type Module = Vec<String>;

/// `use` of a path by a name.
struct Use {
    public: bool,
    path: Vec<String>,
    name: String,
}

#[derive(Default)]
struct House {
    uses: BTreeMap<Module, Vec<Use>>,
    /// What else stands in a file.
    words: BTreeMap<Module, Vec<String>>,
}

/// Each import within a circle: who, from whom, which names.
pub fn circles(root: &Path, sources: &[(PathBuf, String)], folders: &[&str]) -> Vec<String> {
    let mut house = House::default();
    for (path, code) in sources {
        let inside = path.strip_prefix(root).unwrap().with_extension("");
        let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if ["mod", "main", "lib"].contains(&module.last().unwrap().as_str()) {
            module.pop();
        }
        // What a table writes for each kind.
        let written: String = folders.iter().map(|folder| code.replace("$folder", folder) + "\n").collect();
        let code = if code.contains("$folder") { written } else { code.clone() };
        let (uses, words) = read(&words(&code));
        house.uses.insert(module.clone(), uses);
        house.words.insert(module, words);
    }
    let edges: BTreeMap<&Module, BTreeMap<Module, BTreeSet<String>>> =
        house.uses.keys().map(|module| (module, house.imports(module))).collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|from| (*from, reach(&edges, from))).collect();
    let mut found = Vec::new();
    for (from, imports) in &edges {
        for (to, names) in imports.iter().filter(|(to, _)| reached.get(to).is_some_and(|back| back.contains(from))) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            found.push(format!("{} -> {}: {}", from.join("::"), to.join("::"), names.join(", ")));
        }
    }
    found
}

fn reach<'a>(edges: &'a BTreeMap<&Module, BTreeMap<Module, BTreeSet<String>>>, from: &Module) -> BTreeSet<&'a Module> {
    let mut seen: BTreeSet<&Module> = BTreeSet::new();
    let mut next: Vec<&Module> = edges[from].keys().collect();
    while let Some(at) = next.pop() {
        if seen.insert(at) {
            next.extend(edges.get(at).into_iter().flat_map(|imports| imports.keys()));
        }
    }
    seen
}

/// Words, `::`, and signs; texts in quotes are left out.
fn words(code: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => _ = chars.next(),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            // A quote as a sign; a lifetime is a word behind one.
            '\'' if chars.peek() == Some(&'"') || chars.peek() == Some(&'\\') => _ = (chars.next(), chars.next()),
            ':' if chars.peek() == Some(&':') => {
                chars.next();
                words.push("::".into());
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(c) = chars.peek().filter(|c| c.is_alphanumeric() || **c == '_') {
                    word.push(*c);
                    chars.next();
                }
                words.push(word);
            }
            c if c.is_whitespace() => {}
            c => words.push(c.into()),
        }
    }
    words
}

/// The `use` declarations, and all other words.
fn read(words: &[String]) -> (Vec<Use>, Vec<String>) {
    let (mut uses, mut rest) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < words.len() {
        let before = at.checked_sub(1).map_or(";", |before| words[before].as_str());
        if words[at] == "use" && [";", "}", "{", "]", "pub", ")"].contains(&before) {
            let end = at + words[at..].iter().position(|word| word == ";").expect("a use ends");
            tree(&words[at + 1..end], &[], before == "pub" || before == ")", &mut uses);
            at = end;
        } else {
            rest.push(words[at].clone());
        }
        at += 1;
    }
    (uses, rest)
}

/// One tree of a `use`: `a::b`, `a::{b, c::d}`, `a as b`, `a::*`.
fn tree(words: &[String], before: &[String], public: bool, uses: &mut Vec<Use>) {
    let open = words.iter().position(|word| word == "{");
    let path = |words: &[String]| -> Vec<String> {
        before.iter().cloned().chain(words.iter().filter(|word| *word != "::").cloned()).collect()
    };
    let Some(open) = open else {
        let (words, name) = match words {
            [path @ .., r#as, name] if r#as == "as" => (path, Some(name.clone())),
            _ => (words, None),
        };
        let mut path = path(words);
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.or_else(|| path.last().cloned()).unwrap_or_default();
        return uses.push(Use { public, path, name });
    };
    let before = path(&words[..open]);
    let (mut depth, mut from) = (0, open + 1);
    for (at, word) in words.iter().enumerate().skip(open + 1) {
        match word.as_str() {
            "{" => depth += 1,
            "}" if depth > 0 => depth -= 1,
            "," | "}" if depth == 0 => {
                if from < at {
                    tree(&words[from..at], &before, public, uses);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

impl House {
    /// What a file takes from others: names, by the file that defines them.
    fn imports(&self, module: &Module) -> BTreeMap<Module, BTreeSet<String>> {
        let mut imports: BTreeMap<Module, BTreeSet<String>> = BTreeMap::new();
        let mut add = |(file, rest): (Module, Vec<String>)| {
            if let Some(name) = rest.first().filter(|_| file != *module) {
                imports.entry(file).or_default().insert(name.clone());
            }
        };
        // Modules by the names that they have here.
        let mut here: BTreeMap<&str, Module> = BTreeMap::new();
        for used in self.uses[module].iter().filter(|used| !used.public) {
            let Some(path) = self.absolute(module, &used.path) else { continue };
            match self.resolve(&path, &mut Vec::new()) {
                (file, rest) if rest.is_empty() => _ = here.insert(&used.name, file),
                found => add(found),
            }
        }
        let words = &self.words[module];
        for pair in words.windows(3).filter(|w| w[0] == "mod" && w[2] == ";") {
            here.insert(&pair[1], module.iter().chain([&pair[1]]).cloned().collect());
        }
        for (at, word) in words.iter().enumerate() {
            let begins = at == 0 || words[at - 1] != "::";
            if !begins || words.get(at + 1).is_none_or(|next| next != "::") {
                continue;
            }
            let tail = words[at..].chunks(2).take_while(|pair| pair.len() == 2 && pair[1] == "::").count();
            let path: Vec<String> = words[at..].iter().step_by(2).take(tail + 1).cloned().collect();
            let path = match here.get(word.as_str()) {
                Some(module) => Some(module.iter().chain(&path[1..]).cloned().collect()),
                None if ["crate", "super", "self"].contains(&word.as_str()) => self.absolute(module, &path),
                None => None,
            };
            if let Some(path) = path {
                add(self.resolve(&path, &mut Vec::new()));
            }
        }
        imports
    }

    /// A path from the crate on; `None`: it is of another crate.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Vec<String>> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let (base, rest) = match path.first()?.as_str() {
            "crate" => (&[][..], &path[1..]),
            "self" => (&module[..], &path[1..]),
            "super" => (&module[..module.len().checked_sub(ups)?], &path[ups..]),
            _ => {
                let below: Module = module.iter().chain(path.first()).cloned().collect();
                self.uses.contains_key(&below).then_some((&module[..], path))?
            }
        };
        Some(base.iter().chain(rest).cloned().collect())
    }

    /// The file that a path leads to, re-exports followed, and what is left of the path there.
    fn resolve(&self, path: &[String], seen: &mut Vec<(Module, String)>) -> (Module, Vec<String>) {
        let known = (0..=path.len()).rev().find(|n| self.uses.contains_key(&path[..*n])).unwrap_or(0);
        let (file, rest) = (path[..known].to_vec(), path[known..].to_vec());
        let Some(name) = rest.first() else { return (file, rest) };
        if seen.contains(&(file.clone(), name.clone())) {
            return (file, rest);
        }
        seen.push((file.clone(), name.clone()));
        for used in self.uses.get(&file).into_iter().flatten().filter(|used| used.public) {
            let all = used.path.last().is_some_and(|last| last == "*");
            if !all && used.name != *name {
                continue;
            }
            let from = if all { &used.path[..used.path.len() - 1] } else { &used.path[..] };
            let Some(mut path) = self.absolute(&file, from) else { continue };
            path.extend_from_slice(if all { &rest } else { &rest[1..] });
            let found = self.resolve(&path, seen);
            if found.0 != file || !all {
                return found;
            }
        }
        (file, rest)
    }
}

#[test]
fn a_circle_is_seen_whatever_way_it_takes() {
    let house = |files: &[(&str, &str)]| {
        let sources: Vec<(PathBuf, String)> = files.iter().map(|(path, code)| (path.into(), (*code).to_owned())).collect();
        circles(Path::new(""), &sources, &["kind"])
    };
    let quiet = house(&[("a.rs", "use crate::b::{self, B};"), ("b.rs", "use std::a::A;\nconst T: &str = \"crate::a::A\";")]);
    assert!(quiet.is_empty(), "{quiet:?}");
    assert_eq!(house(&[("a.rs", "use super::b::{B, C as D};"), ("b.rs", "fn f() { crate::a::g() }")]).len(), 2);
    // By a re-export, and by a module that is named.
    let found = house(&[
        ("a/mod.rs", "mod x;\npub use x::X;"),
        ("a/x.rs", "use crate::b;\nfn f() { b::g() }"),
        ("b.rs", "use crate::a::X;"),
    ]);
    assert_eq!(found, ["a::x -> b: g", "b -> a::x: X"]);
    // A parent that holds what its child needs, and a table that is made for each kind.
    assert_eq!(house(&[("a/mod.rs", "mod x;\nfn f() { x::g() }"), ("a/x.rs", "use super::f;")]).len(), 2);
    assert_eq!(house(&[("t.rs", "m!(super::$folder::A)"), ("kind.rs", "use super::t::B;")]).len(), 2);
}
