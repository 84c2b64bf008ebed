//! Values of the configuration: what they are, where they come from, and how a file writes them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::de::DeValue;

use super::keys::{Key, Kind};

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

pub(super) fn path_of(key: &Key) -> String {
    if key.section.is_empty() { key.name.to_owned() } else { format!("{}.{}", key.section, key.name) }
}

/// "; did you mean `x`?" where one of the known names is near, else nothing.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known.map(|k| (strsim::damerau_levenshtein(name, k), k)).min();
    match near {
        Some((distance, near)) if distance <= 3.max(near.len() / 2) => format!("; did you mean `{near}`?"),
        _ => String::new(),
    }
}

/// A duration: a number and `ms`, `s`, `m`, `h` or `d`. Milliseconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    let ms = number.parse::<f64>().ok()? * factor;
    (0.0..1e15).contains(&ms).then_some(ms as u64)
}

/// One text, or a list of texts; none of them empty.
pub(super) fn words(value: &DeValue<'_>) -> Option<Vec<String>> {
    let word = |value: &DeValue<'_>| match value {
        DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    match value {
        DeValue::Array(list) if !list.is_empty() => list.iter().map(|v| word(v.get_ref())).collect(),
        value => word(value).map(|w| vec![w]),
    }
}

pub(super) fn convert(value: &DeValue<'_>, kind: Kind) -> Result<Value, String> {
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(v)) => Ok(Value::Bool(*v)),
        (Kind::Bool, _) => Err("true or false is needed".into()),
        (Kind::Text, DeValue::String(v)) if !v.is_empty() => Ok(Value::Text(v.to_string())),
        (Kind::Text, _) => Err("text in quotes is needed".into()),
        (Kind::Choice(words), DeValue::String(v)) if words.contains(&v.as_ref()) => Ok(Value::Text(v.to_string())),
        (Kind::Choice(words), _) => Err(format!("one of {} is needed", words.join(", "))),
        (Kind::Duration(min, max), DeValue::String(v)) => match parse_duration(v) {
            Some(ms) if (min..=max).contains(&ms) => Ok(Value::Milliseconds(ms)),
            Some(_) => Err(format!("it must lie between {min} ms and {max} ms")),
            None => Err("a duration such as \"250ms\", \"5s\" or \"7d\" is needed".into()),
        },
        (Kind::Duration(..), _) => Err("a duration in quotes such as \"5s\" is needed".into()),
        (Kind::Words, DeValue::Array(list)) if list.is_empty() => Ok(Value::Words(Vec::new())),
        (Kind::Words, value) => words(value).map(Value::Words).ok_or_else(|| "text in quotes, or a list of it, is needed".into()),
        (Kind::Number(min, max), value) => {
            let number = match value {
                DeValue::Integer(v) => i64::from_str_radix(v.as_str(), v.radix()).ok().map(|v| v as f64),
                DeValue::Float(v) => v.as_str().parse::<f64>().ok(),
                _ => None,
            };
            let number = number.ok_or("a number is needed")?;
            if !number.is_finite() || number < min || number > max {
                return Err(format!("it must lie between {min} and {max}"));
            }
            Ok(Value::Number(number))
        }
    }
}
