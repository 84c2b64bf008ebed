//! Files of others: objectives of sloth, pyrra and OpenSLO, and rule files of Prometheus. Read as YAML of any kind; keys that nobody here
//! knows are left alone.

mod dashboard;
mod objectives;
mod rules;

pub use dashboard::dashboard;
pub use objectives::objectives;
pub use rules::rules;

use serde_json::Value;

use crate::model::foreign::tamed;

/// The documents of a file.
///
/// # Errors
/// That it is no YAML, with the line.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    let read = serde_saphyr::from_multiple::<Value>(text);
    let first = |e: String| e.lines().next().unwrap_or_default().to_owned();
    read.map_err(|e| format!("not valid YAML: {}", first(e.to_string())))
}

/// The text at a place in a document.
fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path)?.as_str()
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |v, key| v.get(key))
}

/// A number, also one that is written as text: `"99.5"`.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().trim_end_matches('%').parse().ok())
}

/// A duration of Prometheus: `5m`, `1h30m`, `4w`. Seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(factor_ms)?)?;
        rest = tail;
    }
    Some(sum / 1000)
}

/// Text without what a terminal would obey.
fn clean(text: &str) -> String {
    tamed(text).chars().take(200).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        assert_eq!(
            [seconds("5m"), seconds("1h30m"), seconds("4w"), seconds("0m")],
            [Some(300), Some(5_400), Some(2_419_200), Some(0)]
        );
        assert_eq!([seconds("5"), seconds("5 minutes"), seconds("m")], [None, None, None]);
        assert_eq!(seconds("99999999999999999999y"), None);
    }

    #[test]
    fn what_is_no_yaml_is_said_with_its_line() {
        assert!(documents("a: [1\nb: }").unwrap_err().contains("not valid YAML"));
        assert_eq!(documents("a: 1\n---\nb: 2\n").unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,200}") {
            _ = (objectives("f", &text), rules("f", &text), seconds(&text));
        }
    }
}
