//! What a series is called.

use crate::model::foreign::tamed;

/// `{{job}} at {{instance}}` with the labels of a series; without a pattern the series itself.
#[must_use]
pub fn legend(pattern: &str, labels: &[(String, String)]) -> String {
    let value = |name: &str| labels.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v.as_str());
    if pattern.is_empty() || pattern == "__auto" {
        let rows: Vec<String> = labels.iter().filter(|(n, _)| n != "__name__").map(|(n, v)| format!("{n}={v:?}")).collect();
        let all = if rows.is_empty() { String::new() } else { format!("{{{}}}", rows.join(", ")) };
        return tamed(&format!("{}{all}", value("__name__")));
    }
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = behind.split_once("}}") else {
            out.push_str("{{");
            rest = behind;
            break;
        };
        out.push_str(value(name.trim()));
        rest = after;
    }
    out.push_str(rest);
    tamed(&out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_labels_and_nothing_else() {
        let labels = [("__name__", "up"), ("job", "a"), ("instance", "b:1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(legend("{{job}} at {{ instance }}", &labels), "a at b:1");
        assert_eq!(legend("", &labels), "up{job=\"a\", instance=\"b:1\"}");
        assert_eq!(legend("{{nosuch}} {{open", &labels), " {{open");
        assert_eq!(legend("{{job}}\u{1b}[2J", &labels), "a\u{fffd}[2J");
        assert_eq!(legend("plain", &[]), "plain");
    }
}
