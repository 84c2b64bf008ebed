//! The layers: each file is checked by itself, key by key; what is wrong is said with its line and a way out.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::detect::rules::{self, RULES};
use crate::model::foreign::Foreign;
use crate::model::source::SourceKind;

use super::capacity;
use super::keys::{KEYS, Kind, Named};
use super::kpi;
use super::objective;
use super::value::{Layer, Origin, Value, convert, nearest, path_of, words};

/// The sections that hold things by their names, beside those of servers.
const NAMED: &[Named] = &[objective::NAMED, capacity::RESOURCES, capacity::NEEDS, capacity::TRIGGERS, kpi::NAMED];

/// What is wrong in a file, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Problem {
    /// File and line.
    pub place: String,
    /// What is wrong, and the nearest valid name or range.
    pub what: String,
}

/// Reads and checks one file.
///
/// # Errors
/// Every problem in it, not only the first.
pub fn load(path: &Path, text: &str) -> Result<Layer, Vec<Problem>> {
    let mut check = Check { path, text, layer: Layer::default(), problems: Vec::new() };
    match DeTable::parse(text) {
        Ok(table) => check.table(table.get_ref()),
        Err(error) => {
            let at = error.span().map_or(0, |s| s.start);
            check.problem(at, format!("not valid TOML: {}", error.message()));
        }
    }
    if check.problems.is_empty() {
        return Ok(check.layer);
    }
    check.problems.sort_by_key(|(at, _)| *at);
    Err(check.problems.into_iter().map(|(_, problem)| problem).collect())
}

struct Check<'a> {
    path: &'a Path,
    text: &'a str,
    layer: Layer,
    /// With the place in the text, because tables come sorted by name.
    problems: Vec<(usize, Problem)>,
}

impl Check<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
    }

    fn problem(&mut self, at: usize, what: String) {
        let place = format!("{}:{}", self.path.display(), self.line(at));
        // Names in a file may hold anything.
        let what = Foreign::from(what.as_str()).shown().to_owned();
        self.problems.push((at, Problem { place, what }));
    }

    fn set(&mut self, key: String, value: Value, at: usize) {
        let origin = Origin::File { path: self.path.to_path_buf(), line: self.line(at) };
        self.layer.0.insert(key, (value, origin));
    }

    fn table(&mut self, table: &DeTable<'_>) {
        let sections: Vec<&str> = KEYS.iter().map(|k| k.section).filter(|s| !s.is_empty()).collect();
        for (name, value) in table {
            let text: &str = name.get_ref();
            let at = name.span().start;
            match value.get_ref() {
                DeValue::Table(inner) if text == "rules" => self.rules(inner),
                DeValue::Table(inner) if text == "keys" => self.keys(inner),
                DeValue::Table(inner) if NAMED.iter().any(|named| named.section == text) => {
                    NAMED.iter().filter(|n| n.section == text).for_each(|n| self.named(text, n.must, n.keys, inner));
                }
                DeValue::Table(inner) if SourceKind::READ.iter().any(|kind| kind.word() == text) => {
                    let kind = SourceKind::READ.iter().find(|kind| kind.word() == text);
                    let keys: Vec<(&str, Kind)> =
                        kind.map_or(&[][..], |k| k.settings()).iter().map(|k| (*k, Kind::Text)).collect();
                    self.named(text, keys.first().map_or("", |(first, _)| first), &keys, inner);
                }
                DeValue::Table(inner) if sections.contains(&text) => self.section(text, inner),
                DeValue::Table(_) => {
                    let servers = SourceKind::READ.iter().map(|kind| kind.word());
                    let known =
                        sections.iter().copied().chain(["rules", "keys"]).chain(NAMED.iter().map(|n| n.section)).chain(servers);
                    let near = nearest(text, known);
                    self.problem(at, format!("unknown section [{text}]{near}"));
                }
                _ => self.one("", name, value),
            }
        }
    }

    fn section(&mut self, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            self.one(section, name, value);
        }
    }

    fn keys(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            if !name.get_ref().chars().all(plain) {
                let text = format!("`{}` in [keys] is not an action: names are lower-case letters and _", name.get_ref());
                self.problem(name.span().start, text);
                continue;
            }
            match words(value.get_ref()) {
                Some(words) => self.set(format!("keys.{}", name.get_ref()), Value::Words(words), name.span().start),
                None => self.problem(
                    value.span().start,
                    format!("`{}` in [keys]: a key such as \"c\" or a list such as [\"c\", \"F5\"] is needed", name.get_ref()),
                ),
            }
        }
    }

    /// `[postgres.NAME]`, `[objectives.NAME]`: things by their names, with these keys, of which one must be there.
    fn named(&mut self, section: &str, must: &str, known: &[(&str, Kind)], table: &DeTable<'_>) {
        for (name, value) in table {
            let own: &str = name.get_ref();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            let DeValue::Table(inner) = value.get_ref() else {
                let text = format!("[{section}] holds its entries by their names: write [{section}.NAME]{}", with(must));
                self.problem(name.span().start, text);
                continue;
            };
            if own.is_empty() || !own.chars().all(plain) {
                self.problem(name.span().start, format!("[{section}.{own}]: a name is letters, digits, _ and -"));
                continue;
            }
            let mut complete = must.is_empty();
            for (key, value) in inner {
                let key_text: &str = key.get_ref();
                let Some((_, kind)) = known.iter().find(|(name, _)| *name == key_text) else {
                    let near = nearest(key_text, known.iter().map(|(name, _)| *name));
                    self.problem(key.span().start, format!("unknown key `{key_text}` in [{section}.{own}]{near}"));
                    continue;
                };
                complete |= key_text == must;
                match convert(value.get_ref(), *kind) {
                    Ok(value) => self.set(format!("{section}.{own}.{key_text}"), value, key.span().start),
                    Err(why) => self.problem(value.span().start, format!("`{key_text}` in [{section}.{own}]: {why}")),
                }
            }
            if !complete {
                self.problem(name.span().start, format!("[{section}.{own}] has no {must}"));
            }
        }
    }

    fn one(&mut self, section: &str, name: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let text: &str = name.get_ref();
        let place = if section.is_empty() { String::new() } else { format!(" in [{section}]") };
        let Some(key) = KEYS.iter().find(|k| k.section == section && k.name == text) else {
            let known = KEYS.iter().filter(|k| k.section == section).map(|k| k.name);
            let near = nearest(text, known);
            return self.problem(name.span().start, format!("unknown key `{text}`{place}{near}"));
        };
        match convert(value.get_ref(), key.kind) {
            Ok(converted) => self.set(path_of(key), converted, name.span().start),
            Err(why) => self.problem(value.span().start, format!("`{text}`{place}: {why}; the default is {}", key.default)),
        }
    }

    fn rules(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let id: &str = name.get_ref();
            let at = name.span().start;
            let Some(rule) = rules::find(id) else {
                let near = nearest(id, RULES.iter().map(|r| r.id));
                self.problem(at, format!("unknown rule \"{id}\"{near}"));
                continue;
            };
            let DeValue::Table(params) = value.get_ref() else {
                self.problem(at, format!("write [rules.\"{id}\"] and its thresholds below it"));
                continue;
            };
            for (name, value) in params {
                self.threshold(rule, name, value);
            }
        }
    }

    fn threshold(
        &mut self,
        rule: &crate::detect::rule::Rule,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let text: &str = name.get_ref();
        let Some(param) = rule.params.iter().find(|p| p.name == text) else {
            let near = nearest(text, rule.params.iter().map(|p| p.name));
            return self.problem(name.span().start, format!("rule \"{}\" has no threshold `{text}`{near}", rule.id));
        };
        match convert(value.get_ref(), Kind::Number(param.min, param.max)) {
            Ok(converted) => {
                let key = format!("rules.\"{}\".{}", rule.id, param.name);
                self.set(key, converted, name.span().start);
            }
            Err(why) => {
                let unit = param.unit.word();
                self.problem(value.span().start, format!("`{text}` ({unit}): {why}; the default is {}", param.default));
            }
        }
    }
}

fn with(must: &str) -> String {
    if must.is_empty() { String::new() } else { format!(" with {must}") }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        load(Path::new("c.toml"), text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn problems_name_file_line_and_the_nearest_name() {
        let text = "theme = \"dark\"\nevry = \"1s\"\n[targets]\ncpu_warning = 700\n[rules.\"host.cpu.contentoin\"]\nlost = 1\n\
                    [rules.\"host.cpu.contention\"]\nlots = 1\n";
        let all = problems(text);
        assert_eq!(all.len(), 4, "{all:?}");
        assert!(all[0].starts_with("c.toml:2: unknown key `evry`; did you mean `every`?"), "{all:?}");
        assert!(all[1].contains("c.toml:4") && all[1].contains("between 0 and 100"), "{all:?}");
        assert!(all[2].contains("did you mean `host.cpu.contention`?"), "{all:?}");
        assert!(all[3].contains("c.toml:8") && all[3].contains("did you mean `lost`?"), "{all:?}");
        assert!(problems("every = 5")[0].contains("a duration in quotes"));
        assert!(problems("= 5")[0].contains("c.toml:1: not valid TOML"));
    }

    #[test]
    fn later_layers_win_key_by_key_and_origins_are_kept() {
        let a = load(Path::new("a.toml"), "theme = \"light\"\nascii = true\n").unwrap();
        let b = load(Path::new("b.toml"), "\n[rules.\"host.cpu.contention\"]\nlost = 0.5\n[record]\nkeep = \"2d\"\n").unwrap();
        let s = Settings::merge([a, b]);
        assert_eq!((s.text("theme"), s.flag("ascii")), ("light", true));
        assert_eq!(s.duration("record.keep").as_secs(), 172_800);
        assert_eq!(s.params().0.values().copied().collect::<Vec<_>>(), [0.5]);
        let origin = s.all().find(|(k, _, _)| *k == "record.keep").unwrap().2.to_string();
        assert_eq!(origin, "b.toml:5");
    }

    #[test]
    fn the_example_is_valid_and_equal_to_the_defaults() {
        let example = super::super::example();
        let layer = load(Path::new("config.example.toml"), &example).unwrap();
        let (with, without) = (Settings::merge([layer]), Settings::merge([]));
        for (key, value, _) in without.all() {
            assert_eq!(with.all().find(|(k, _, _)| *k == key).unwrap().1, value);
        }
        for rule in RULES {
            for p in rule.params {
                let key = (rule.id.to_owned(), p.name.to_owned());
                assert_eq!(with.params().0.get(&key), Some(&p.default));
            }
        }
    }
}
