//! What is in force: the layers merged over the defaults, each value with the place it comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeTable;

use crate::detect::params::ParamOverrides;
use crate::detect::rules::RULES;

use super::keys::{KEYS, Key};
use super::layers::convert;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of a file.
    File {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// An option of the command line or a variable of the environment.
    Option(&'static str),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Option(name) => f.write_str(name),
        }
    }
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "named by their types")]
pub enum Value {
    Bool(bool),
    Text(String),
    Milliseconds(u64),
    Number(f64),
    Words(Vec<String>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Text(v) => write!(f, "{v:?}"),
            Self::Milliseconds(v) => {
                let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
                let whole = units.iter().find(|(ms, _)| *v > 0 && v.is_multiple_of(*ms));
                let (value, unit) = whole.map_or((*v, "ms"), |(ms, unit)| (v / ms, unit));
                write!(f, "\"{value}{unit}\"")
            }
            Self::Number(v) => write!(f, "{v:?}"),
            Self::Words(v) => write!(f, "{v:?}"),
        }
    }
}

/// One layer: keys as `section.name`, thresholds as `rules."id".name`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer(pub BTreeMap<String, (Value, Origin)>);

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

pub(super) fn path_of(key: &Key) -> String {
    if key.section.is_empty() { key.name.to_owned() } else { format!("{}.{}", key.section, key.name) }
}

fn default(key: &Key) -> Result<Value, String> {
    let text = format!("v = {}", key.default);
    let table = DeTable::parse(&text).map_err(|e| e.to_string())?;
    let value = table.get_ref().values().next().ok_or("no default")?;
    convert(value.get_ref(), key.kind)
}
