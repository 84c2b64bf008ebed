//! The house rules: layers, registries, sizes. What a reader may rely on is checked here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

#[path = "tidy/circles.rs"]
mod circles;

use std::fs;
use std::path::{Path, PathBuf};

use perftop::app::keymap::bindings;
use perftop::config::{Meaning, ThemeFile, builtin_themes, example};
use perftop::detect::rules::RULES;
use perftop::model::origin;

/// DESIGN: aim at 400 lines a file; at 700 the design is wrong.
const FILE_LINES: usize = 420;

/// Which layers each layer may use; those that are not listed may use all.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("detect", &["model"]),
    ("diagnose", &["model", "detect"]),
    ("config", &["model", "detect"]),
    ("collect", &["model", "config"]),
    ("record", &["model", "config"]),
    ("app", &["model", "detect", "diagnose", "config"]),
    ("view", &["app", "detect", "diagnose", "model", "config"]),
    ("report", &["detect", "diagnose", "model"]),
    ("engine", &["model", "config", "collect", "record", "detect", "diagnose"]),
];

/// Layers that must not touch the world, and what would.
const PURE: &[&str] = &["model", "detect", "diagnose", "app", "view", "report"];
const WORLD: &[&str] = &[
    "std::fs",
    // Addresses are data; sockets and name look-ups are the world.
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "std::process",
    "std::env",
    "std::thread",
    "tokio::",
    "rustix::",
    "Instant::now",
    "SystemTime::now",
    "crossterm::",
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut out);
    assert!(out.len() > 50, "the sources were found");
    out
}

fn layer(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without its tests and comments.
fn code(text: &str) -> String {
    let body = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    body.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn word_after<'a>(text: &'a str, marker: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(marker).map(move |(at, _)| {
        let rest = &text[at + marker.len()..];
        rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("")
    })
}

/// The folders of the kinds of servers, by their table.
fn folders_of_kinds() -> Vec<String> {
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/kinds.rs")).unwrap();
    let row = |line: &str| line.trim().strip_suffix(',')?.split(' ').nth(1).map(str::to_owned);
    let kinds: Vec<String> = table.lines().filter(|l| l.trim_end().ends_with("\",")).filter_map(row).collect();
    assert!(kinds.iter().any(|kind| kind == "postgres"));
    kinds
}

#[test]
fn nothing_imports_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let sources: Vec<_> = sources().into_iter().map(|(path, text)| (path, code(&text))).collect();
    let kinds = folders_of_kinds();
    let found = circles::circles(&root, &sources, &kinds.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(found.is_empty(), "these imports are in a circle:\n{}", found.join("\n"));
}

#[test]
fn layers_use_only_what_is_below_them() {
    for (path, text) in sources() {
        let own = layer(&path);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == own) else { continue };
        for used in word_after(&code(&text), "crate::") {
            let fine = used == own || allowed.contains(&used);
            assert!(fine, "{} uses crate::{used}; {own} may use {allowed:?}", path.display());
        }
    }
}

#[test]
fn pure_layers_do_not_touch_the_world() {
    for (path, text) in sources().iter().filter(|(p, _)| PURE.contains(&layer(p).as_str())) {
        // Helpers of tests stand in files of their own.
        for word in WORLD {
            assert!(!code(text).contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn files_say_what_lives_in_them_and_stay_small() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} opens without //!", path.display());
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES, "{} has {lines} lines", path.display());
        for word in ["todo!(", "unimplemented!(", "TODO", "FIXME", "dbg!("] {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn nothing_unwraps_outside_of_tests() {
    for (path, text) in sources().iter().filter(|(p, _)| !p.ends_with("tempdir.rs")) {
        for word in [".unwrap()", ".expect("] {
            assert!(!code(text).contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn every_rule_file_is_in_the_list_and_complete() {
    let files = sources()
        .into_iter()
        .filter(|(p, t)| p.components().any(|c| c.as_os_str() == "rules") && t.contains("pub const RULE: Rule"));
    let mut count = 0;
    for (path, text) in files {
        count += 1;
        let id = text.split("id: \"").nth(1).unwrap().split('"').next().unwrap();
        let rule = RULES.iter().find(|r| r.id == id).unwrap_or_else(|| panic!("{} is in no list", path.display()));
        assert!(rule.page.len() > 80 && !rule.says.is_empty(), "{id} has no page");
        assert!(rule.origins.iter().all(|o| origin::find(o).is_some()), "{id} names an origin that is not there");
        // Every threshold that the file makes is one that can be set, and one that is used; a name that is not there does not compile.
        let list = text.split("params: &[").nth(1).unwrap().split(']').next().unwrap();
        let declared: Vec<&str> =
            list.split(',').map(|p| p.trim().trim_end_matches(".param")).filter(|p| !p.is_empty()).collect();
        for made in word_after(&text, "const ").filter(|name| text.contains(&format!("const {name}: Param"))) {
            assert!(declared.contains(&made), "{id} makes the threshold {made} and does not declare it");
        }
        // Several rules may share how they judge: the file beside them whose `judge` they call.
        let beside = |name: &str| fs::read_to_string(path.with_file_name(format!("{name}.rs"))).unwrap_or_default();
        let shared: String = ["roots", "query_rule", "late", "commands"]
            .iter()
            .filter(|s| text.contains(&format!("{s}::")))
            .map(|s| beside(s))
            .collect();
        for name in &declared {
            let used = ["get(", "limit(", "least(", "most("].map(|way| format!("{way}{name}"));
            let anywhere = [&text, &shared].map(|text| used.iter().any(|way| text.contains(way.as_str())));
            assert!(anywhere.contains(&true), "{id} declares {name} and does not use it");
        }
        assert_eq!(declared.len(), rule.params.len());
        for p in rule.params {
            assert!(p.min <= p.default && p.default <= p.max && !p.what.is_empty(), "{id} {}", p.name);
        }
    }
    assert_eq!(count, RULES.len());
}

/// A limit that is shown is the one that was judged by: it comes from its threshold, or is a capacity that was read.
#[test]
fn no_limit_of_evidence_is_a_literal() {
    for (path, text) in sources().iter().filter(|(p, _)| p.components().any(|c| c.as_os_str() == "detect")) {
        let code = code(text);
        for (at, _) in code.match_indices("evidence(") {
            let call = &code[at..code[at..].find(';').map_or(code.len(), |end| at + end)];
            let literal = call.match_indices("Some(").find(|(at, _)| call[at + 5..].starts_with(|c: char| c.is_ascii_digit()));
            let own = literal.is_none_or(|(at, _)| call[9..at].contains("evidence("));
            assert!(own, "{}: {call}", path.display());
        }
    }
}

#[test]
fn every_origin_that_is_named_exists_once() {
    let named: Vec<String> = sources()
        .iter()
        .filter(|(p, _)| p.components().any(|c| c.as_os_str() == "rules"))
        .flat_map(|(_, text)| {
            let strings = code(text);
            strings.split('"').skip(1).step_by(2).map(ToOwned::to_owned).collect::<Vec<_>>()
        })
        .filter(|s| {
            (s.starts_with("host.") || s.starts_with("postgres."))
                && !s.contains(' ')
                && !s.contains('*')
                && !RULES.iter().any(|r| r.id == s)
        })
        .collect();
    for name in &named {
        assert!(origin::find(name).is_some(), "evidence names {name}, which is not an origin");
    }
    for o in origin::all() {
        assert!(!o.from.is_empty() && !o.formula.is_empty() && !o.command.is_empty(), "{}", o.id);
    }
    let mut ids: Vec<&str> = origin::all().map(|o| o.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), origin::all().count(), "an origin stands twice");
}

#[test]
fn panels_and_screens_are_drawn() {
    let all: String = sources().iter().filter(|(p, _)| layer(p) == "view").map(|(_, t)| t.as_str()).collect();
    for dir in ["panels", "screens"] {
        for (path, _) in sources().iter().filter(|(p, _)| p.parent().is_some_and(|d| d.ends_with(dir))) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(name == "mod" || all.contains(&format!("{dir}::{name}::draw(")), "{dir}/{name} is never drawn");
        }
    }
}

#[test]
fn keys_and_themes_are_complete() {
    for b in bindings() {
        assert!(!b.keys.is_empty() && !b.shown.is_empty() && !b.what.is_empty());
    }
    for (name, text) in builtin_themes() {
        assert_eq!(ThemeFile::parse(name, text).unwrap().colours.len(), Meaning::ALL.len());
    }
}

/// Files outside of the folders of a kind of server that may name one, each with its reason.
const NAMES_A_KIND: &[(&str, &str)] = &[
    ("detect/edges.rs", "joins findings of two sources"),
    ("detect/bench/mod.rs", "the bench of rules in tests"),
    ("detect/rules/app/pool_queueing.rs", "joins a pooler and its server"),
    ("model/facts/mod.rs", "names of facts, for those who read them"),
    ("model/demand.rs", "demands of old recordings"),
    ("view/overlays/mod.rs", "the card of a query"),
    ("commands/mod.rs", "check --fleet"),
    ("app/boards.rs", "the screen of dashboards, which Prometheus alone has"),
    ("view/screens/dashboard.rs", "the screen of dashboards"),
];

#[test]
fn a_kind_of_server_is_named_in_its_folders_and_the_tables() {
    let words = [
        "postgres::",
        ".postgres",
        "redis::",
        ".redis",
        "prometheus::",
        ".prometheus",
        "SourceKind::Postgres",
        "SourceKind::Redis",
        "SourceKind::Prometheus",
        " Pg",
        "(Pg",
        "<Pg",
        "&Pg",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds = folders_of_kinds();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let mut named = Vec::new();
    for (path, text) in sources() {
        let own = path.strip_prefix(&root).unwrap().display().to_string();
        let folder = own.split('/').any(|part| kinds.contains(&part.trim_end_matches(".rs")));
        // Words in quotes are text, and `mod postgres;` is how a folder is found.
        let code: String = code(&text)
            .lines()
            .filter(|l| !kinds.iter().any(|kind| l.contains(&format!("mod {kind};"))))
            .map(|l| l.split('"').step_by(2).collect::<String>() + "\n")
            .collect();
        if !folder && words.iter().any(|word| code.contains(word)) {
            named.push(own);
        }
    }
    let listed = |file: &&String| NAMES_A_KIND.iter().any(|(name, _)| name == *file);
    let more: Vec<&String> = named.iter().filter(|file| !listed(file)).collect();
    let gone: Vec<_> = NAMES_A_KIND.iter().filter(|(file, _)| !named.iter().any(|name| name == file)).collect();
    assert!(
        more.is_empty() && gone.is_empty(),
        "these name a kind of server, and belong into a folder of it or behind a table: {more:?}; these do not any more: {gone:?}"
    );
}

/// docs/findings.md: what each rule says, and how it is judged.
fn findings() -> String {
    let mut text = "# Findings\n\nWhat perftop can say, by stable id. `perftop explain ID` prints the page of one, with its thresholds and where its \
                    figures come from.\n"
        .to_owned();
    let mut domain = "";
    for rule in RULES {
        let own = rule.id.split('.').next().unwrap();
        if own != domain {
            domain = own;
            text.push_str(&format!("\n## {own}\n\n| finding | it says |\n|---|---|\n"));
        }
        text.push_str(&format!("| {} | {} |\n", rule.id, rule.says));
    }
    text
}

#[test]
fn the_list_of_findings_is_that_of_the_rules() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    if std::env::var_os("PERFTOP_BLESS").is_some() {
        fs::write(&path, findings()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), findings(), "PERFTOP_BLESS=1 cargo test --test tidy rewrites it");
}

#[test]
fn the_example_configuration_is_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    if std::env::var_os("PERFTOP_BLESS").is_some() {
        fs::write(&path, example()).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), example(), "PERFTOP_BLESS=1 cargo test --test tidy rewrites it");
}
