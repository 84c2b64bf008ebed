//! Variables in queries: `$job`, `${job:pipe}`, `[[job]]`, and those that Grafana brings.

use std::collections::BTreeMap;

use super::{Dashboard, Interval, Source, Variable};

/// What is chosen of each variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Values by the variable's name; none: all of its options.
    pub values: BTreeMap<String, Vec<String>>,
    /// All options by the variable's name, as far as they are known.
    pub options: BTreeMap<String, Vec<String>>,
}

impl Chosen {
    /// What is chosen at first.
    #[must_use]
    pub fn first(dashboard: &Dashboard) -> Self {
        let mut chosen = Self::default();
        for v in &dashboard.variables {
            if let Source::Fixed(all) = &v.source {
                chosen.options.insert(v.name.clone(), all.clone());
            }
            let all = |c: &String| c == "$__all" || c == "All";
            if !v.current.is_empty() && !v.current.iter().any(all) && !matches!(v.source, Source::Query(_)) {
                chosen.values.insert(v.name.clone(), v.current.clone());
            }
        }
        chosen
    }

    /// The value of a variable as it stands in a query: one as it is, several as alternatives.
    fn value(&self, variable: &Variable) -> Vec<String> {
        let options = self.options.get(&variable.name).cloned().unwrap_or_default();
        if let Some(values) = self.values.get(&variable.name).filter(|v| !v.is_empty()) {
            return values.clone();
        }
        if variable.include_all {
            return variable.all.clone().map_or(options, |all| vec![all]);
        }
        options.into_iter().take(1).collect()
    }
}

/// A text with its variables in place. A variable whose values are not known yet stands for everything.
#[must_use]
pub fn expand(text: &str, dashboard: &Dashboard, chosen: &Chosen, interval: &Interval) -> String {
    const MOST: usize = 200;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '[']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((name, format, length)) = reference(rest) else {
            let first = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..first]);
            rest = &rest[first..];
            continue;
        };
        match built_in(name, interval).or_else(|| {
            let variable = dashboard.variables.iter().find(|v| v.name == name)?;
            let own = variable.all.as_ref().filter(|_| !chosen.values.contains_key(name));
            let mut values = chosen.value(variable);
            let known = !values.is_empty();
            if values.len() > MOST {
                values = vec![".*".into()];
            }
            Some(match (known, own) {
                (false, _) => ".*".to_owned(),
                // What stands for all is written as an expression already.
                (true, Some(all)) => all.clone(),
                (true, None) => joined(&values, format),
            })
        }) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// The name of the variable that a text begins with, its format, and the length of it all.
fn reference(text: &str) -> Option<(&str, &str, usize)> {
    let word = |t: &str| t.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(t.len());
    if let Some(inner) = text.strip_prefix("${") {
        let end = inner.find('}')?;
        let (name, format) = inner[..end].split_once(':').unwrap_or((&inner[..end], ""));
        let name = name.split('.').next().unwrap_or(name);
        return (word(name) == name.len() && !name.is_empty()).then_some((name, format, end + 3));
    }
    if let Some(inner) = text.strip_prefix("[[") {
        let end = inner.find("]]")?;
        let (name, format) = inner[..end].split_once(':').unwrap_or((&inner[..end], ""));
        return (word(name) == name.len() && !name.is_empty()).then_some((name, format, end + 4));
    }
    let inner = text.strip_prefix('$')?;
    let end = word(inner);
    (end > 0 && !inner.starts_with(|c: char| c.is_ascii_digit())).then(|| (&inner[..end], "", end + 1))
}

fn built_in(name: &str, i: &Interval) -> Option<String> {
    Some(match name {
        "__interval" | "__auto" | "__auto_interval_interval" => format!("{}s", i.step_s),
        "__interval_ms" => format!("{}", i.step_s * 1000),
        "__rate_interval" => format!("{}s", i.rate_s()),
        "__rate_interval_ms" => format!("{}", i.rate_s() * 1000),
        "__range" => format!("{}s", i.span_s),
        "__range_s" => format!("{}", i.span_s),
        "__range_ms" => format!("{}", i.span_s * 1000),
        _ => return None,
    })
}

fn joined(values: &[String], format: &str) -> String {
    let escaped = |v: &String| {
        let mut out = String::new();
        for c in v.chars() {
            match c {
                // Within a text of PromQL a quote ends it, and a backslash is written twice: once for the text, once for the expression.
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\\\\\"),
                c if ".+*?()|[]{}^$".contains(c) => out.extend(["\\\\", c.encode_utf8(&mut [0; 4])]),
                c => out.push(c),
            }
        }
        out
    };
    match (format, values) {
        ("csv" | "raw", _) => values.join(","),
        ("pipe", _) => values.join("|"),
        ("text", _) => values.join(" + "),
        ("doublequote", _) => values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(","),
        ("glob", [_, _, ..]) => format!("{{{}}}", values.join(",")),
        ("regex", _) => values.iter().map(escaped).collect::<Vec<_>>().join("|"),
        // One value is a text between quotes: its own quotes and backslashes must not end it.
        (_, [one]) => one.replace('\\', "\\\\").replace('"', "\\\""),
        _ => format!("({})", values.iter().map(escaped).collect::<Vec<_>>().join("|")),
    }
}

/// `label_values(metric, label)`: the selector, and the label; a metric alone, or a label alone, are told by what is missing.
#[must_use]
pub fn options_of(query: &str) -> Option<(String, String)> {
    let inner = query.trim().strip_prefix("label_values(")?.trim_end().strip_suffix(')')?;
    // The last comma outside of braces and quotes.
    let (mut depth, mut quoted, mut comma) = (0i32, false, None);
    for (at, c) in inner.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '{' | '(' if !quoted => depth += 1,
            '}' | ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => comma = Some(at),
            _ => {}
        }
    }
    let (selector, label) = comma.map_or(("", inner), |at| (&inner[..at], &inner[at + 1..]));
    Some((selector.trim().to_owned(), label.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dashboard() -> Dashboard {
        let variable = |name: &str, multi| Variable {
            name: name.into(),
            multi,
            include_all: multi,
            source: Source::Query(String::new()),
            ..Variable::default()
        };
        let own = Variable { all: Some(".+".into()), ..variable("own", true) };
        Dashboard { variables: vec![variable("job", false), variable("host", true), own], ..Dashboard::default() }
    }

    #[test]
    fn variables_are_put_where_they_stand() {
        let dashboard = dashboard();
        let mut chosen = Chosen::default();
        chosen.options.insert("job".into(), vec!["a".into(), "b".into()]);
        chosen.options.insert("host".into(), vec!["x.1:9".into(), "y".into()]);
        let i = Interval::of(3_600, 200, 0, 15);
        let of = |text: &str| expand(text, &dashboard, &chosen, &i);
        assert_eq!(of("rate(a{job=\"$job\",h=~\"${host}\"}[$__rate_interval])"), "rate(a{job=\"a\",h=~\"(x\\\\.1:9|y)\"}[60s])");
        assert_eq!(of("${host:pipe} ${host:csv} [[job]] $__range_s $own"), "x.1:9|y x.1:9,y a 3600 .+");
        assert_eq!(of("$nosuch [5m] a[$__interval] $"), "$nosuch [5m] a[20s] $");
        chosen.values.insert("host".into(), vec!["q\"}".into()]);
        assert_eq!(expand("{h=\"$host\"}", &dashboard, &chosen, &i), "{h=\"q\\\"}\"}", "a value ends no string");
        let unknown = expand("{j=~\"$job\"}", &dashboard, &Chosen::default(), &i);
        assert_eq!(unknown, "{j=~\".*\"}", "not known yet");
    }

    #[test]
    fn label_values_are_taken_apart() {
        let of = |q: &str| options_of(q);
        assert_eq!(of("label_values(up{job=\"a,b\"}, instance)"), Some(("up{job=\"a,b\"}".into(), "instance".into())));
        assert_eq!(of("label_values(job)"), Some((String::new(), "job".into())));
        assert_eq!(of("query_result(up)"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            _ = (expand(&text, &dashboard(), &Chosen::default(), &Interval::of(60, 10, 0, 15)), options_of(&text));
        }
    }
}
