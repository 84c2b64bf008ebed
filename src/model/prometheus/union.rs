//! One query for many signals of many hosts; and the host of a series.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::signals::Signal;

/// One query for these signals, each labelled by its name; of one host, or of all; rates over that window; at the time before, or now.
#[must_use]
pub fn union(signals: &[Signal], host: Option<&str>, window: &str, before: &str) -> String {
    let chosen =
        host.map_or_else(String::new, |host| format!("instance=~{}", quoted(&format!("\\[?{}\\]?(:[0-9]+)?", literal(host)))));
    let past = if before.is_empty() { String::new() } else { format!(" offset {before}") };
    let one = |s: &Signal| {
        let query = s.query.replace("$h", &chosen).replace("$w", window).replace("$o", &past);
        format!("label_replace({query}, \"k\", \"{}\", \"\", \"\")", s.k)
    };
    signals.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// Any of exactly these texts, as a string of PromQL that holds a regular expression.
#[must_use]
pub fn alternatives(all: &BTreeSet<&str>) -> String {
    let texts: Vec<String> = all.iter().map(|i| literal(i)).collect();
    quoted(&texts.join("|"))
}

/// A string of PromQL, whose escapes are those of Go.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A text as a regular expression that matches nothing else.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The host of an instance: without its port.
#[must_use]
pub fn host_of(instance: &str) -> &str {
    match instance.rsplit_once(':') {
        // An address of version 6 without brackets has no port.
        Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.starts_with('[')) => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::prometheus::signals::GROUPS;

    #[test]
    fn every_union_is_a_query() {
        for group in GROUPS {
            for (host, before) in [(None, ""), (Some("db-3.example"), ""), (None, "1d")] {
                let query = union(group.signals, host, "1m", before);
                assert!(
                    promql_parser::parser::parse(&query).is_ok(),
                    "{}: {query}: {:?}",
                    group.name,
                    promql_parser::parser::parse(&query).err()
                );
            }
        }
        let all: Vec<&str> = GROUPS.iter().flat_map(|g| g.signals).map(|s| s.k).collect();
        for k in &all {
            assert_eq!(all.iter().filter(|o| *o == k).count(), 1, "{k} twice");
        }
    }

    #[test]
    fn a_host_is_an_instance_without_its_port() {
        assert_eq!(
            ["db3:9100", "db3", "10.0.0.5:9100", "[fd00::1]:9100", "a:b"].map(host_of),
            ["db3", "db3", "10.0.0.5", "fd00::1", "a:b"]
        );
        assert_eq!(literal("db-3.example"), "db-3\\.example");
        assert_eq!(quoted("a\u{2013}\n\0\"\\"), "\"a\u{2013}\\u000a\\u0000\\\"\\\\\"");
    }
}
