//! What is in force: the layers merged over the defaults, each value with the place it comes from.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeTable;

use crate::detect::params::ParamOverrides;
use crate::detect::rules::RULES;
use crate::model::source::SourceKind;

use super::keys::{KEYS, Key};
use super::value::{Layer, Origin, Value, convert, path_of};

/// What is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    values: BTreeMap<String, (Value, Origin)>,
}

/// A text, and where it stands.
pub type Placed<'a> = (&'a str, &'a Origin);

impl Settings {
    /// Merges layers over the defaults; later ones win.
    #[must_use]
    pub fn merge(layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut values = BTreeMap::new();
        for key in KEYS {
            if let Ok(value) = default(key) {
                values.insert(path_of(key), (value, Origin::Default));
            }
        }
        for rule in RULES {
            for p in rule.params {
                let key = format!("rules.\"{}\".{}", rule.id, p.name);
                values.insert(key, (Value::Number(p.default), Origin::Default));
            }
        }
        for layer in layers {
            values.extend(layer.0);
        }
        Self { values }
    }

    /// All values with their origins.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Value, &Origin)> {
        self.values.iter().map(|(key, (value, origin))| (key.as_str(), value, origin))
    }

    /// A text; empty when it is not text.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        match self.values.get(key) {
            Some((Value::Text(text), _)) => text,
            _ => "",
        }
    }

    /// A switch.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some((Value::Bool(true), _)))
    }

    /// A duration.
    #[must_use]
    pub fn duration(&self, key: &str) -> std::time::Duration {
        match self.values.get(key) {
            Some((Value::Milliseconds(ms), _)) => std::time::Duration::from_millis(*ms),
            _ => std::time::Duration::from_secs(1),
        }
    }

    /// A list of texts, and where it stands.
    #[must_use]
    pub fn words(&self, key: &str) -> (&[String], Option<&Origin>) {
        match self.values.get(key) {
            Some((Value::Words(words), origin)) => (words, Some(origin)),
            _ => (&[], None),
        }
    }

    /// A number.
    #[must_use]
    pub fn number(&self, key: &str) -> f64 {
        match self.values.get(key) {
            Some((Value::Number(number), _)) => *number,
            _ => 0.0,
        }
    }

    /// Keys that are replaced: action, keys, and where that stands. What they mean only the screen knows.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &[String], &Origin)> {
        self.values.iter().filter_map(|(key, (value, origin))| match (key.strip_prefix("keys."), value) {
            (Some(name), Value::Words(keys)) => Some((name, keys.as_slice(), origin)),
            _ => None,
        })
    }

    /// Servers of a section: name, URL, password file, and where each of the two stands.
    pub fn servers<'a>(&'a self, section: &str) -> Vec<(&'a str, Placed<'a>, Option<Placed<'a>>)> {
        let mut found = Vec::new();
        for (key, (value, origin)) in &self.values {
            let name = key.strip_prefix(section).and_then(|k| k.strip_prefix('.')?.strip_suffix(".url"));
            if let (Some(name), Value::Text(url)) = (name, value) {
                let file = match self.values.get(&format!("{section}.{name}.password_file")) {
                    Some((Value::Text(file), origin)) => Some((file.as_str(), origin)),
                    _ => None,
                };
                found.push((name, (url.as_str(), origin), file));
            }
        }
        found
    }

    /// The other texts of a server, by their keys.
    #[must_use]
    pub fn more(&self, kind: SourceKind, name: &str) -> BTreeMap<&str, &str> {
        let text = |key: &&'static str| match self.values.get(&format!("{}.{name}.{key}", kind.word())) {
            Some((Value::Text(text), _)) => Some((*key, text.as_str())),
            _ => None,
        };
        kind.settings().iter().filter_map(text).collect()
    }

    /// A named entry of a section: its values by their keys, each with its place.
    #[must_use]
    pub fn entry(&self, section: &str, name: &str) -> BTreeMap<&str, (&Value, &Origin)> {
        let prefix = format!("{section}.{name}.");
        let rows = self.values.iter().filter_map(|(key, (value, at))| Some((key.strip_prefix(&prefix)?, (value, at))));
        rows.collect()
    }

    /// The names of the entries of a section.
    #[must_use]
    pub fn entries(&self, section: &str) -> BTreeSet<&str> {
        self.values
            .keys()
            .filter_map(|key| key.strip_prefix(section)?.strip_prefix('.')?.rsplit_once('.'))
            .map(|(n, _)| n)
            .collect()
    }

    /// The thresholds that are overridden.
    #[must_use]
    pub fn params(&self) -> ParamOverrides {
        let mut overrides = ParamOverrides::default();
        for rule in RULES {
            for param in rule.params {
                let key = format!("rules.\"{}\".{}", rule.id, param.name);
                if let Some((Value::Number(value), origin)) = self.values.get(&key)
                    && *origin != Origin::Default
                {
                    overrides.0.insert((rule.id.to_owned(), param.name.to_owned()), *value);
                }
            }
        }
        overrides
    }
}

fn default(key: &Key) -> Result<Value, String> {
    let text = format!("v = {}", key.default);
    let table = DeTable::parse(&text).map_err(|e| e.to_string())?;
    let value = table.get_ref().values().next().ok_or("no default")?;
    convert(value.get_ref(), key.kind)
}
