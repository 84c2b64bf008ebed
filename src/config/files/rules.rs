//! Rule files of Prometheus: groups, also within a PrometheusRule of Kubernetes.

use serde_json::Value;

use crate::model::alerting::RuleText;

use super::{at, documents, seconds, text};

/// The rules of a file.
///
/// # Errors
/// That it is no YAML, or holds no groups of rules.
pub fn rules(name: &str, file: &str) -> Result<Vec<RuleText>, String> {
    let mut found = Vec::new();
    let mut known = false;
    for document in documents(file).map_err(|why| format!("{name}: {why}"))? {
        let groups = at(&document, &["groups"]).or_else(|| at(&document, &["spec", "groups"])).and_then(Value::as_array);
        let Some(groups) = groups else { continue };
        known = true;
        for group in groups {
            let rows = group.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let own = text(group, &["name"]).unwrap_or_default();
            if rows.is_empty() && group.get("rules").is_none() {
                return Err(format!("{name}: group {own:?} has no `rules`"));
            }
            for (at, row) in rows.iter().enumerate() {
                found.push(rule(own, row).map_err(|why| format!("{name}: group {own:?}, rule {}: {why}", at + 1))?);
            }
        }
    }
    if known { Ok(found) } else { Err(format!("{name}: no groups of rules in it")) }
}

fn rule(group: &str, row: &Value) -> Result<RuleText, String> {
    let alert = text(row, &["alert"]);
    // A number is an expression too: `vector(1)` is often written `1`.
    let expr = row.get("expr").map(|e| e.as_str().map_or_else(|| e.to_string(), |t| t.trim().to_owned()));
    let expr = expr.filter(|e| !e.is_empty()).ok_or("it has no `expr`")?;
    let for_s = match text(row, &["for"]) {
        None => 0,
        Some(written) => seconds(written).ok_or_else(|| format!("for: {written:?} is not a duration such as 5m"))?,
    };
    let pairs = |key: &str| {
        let all = row.get(key).and_then(Value::as_object);
        all.into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), ToOwned::to_owned))).collect()
    };
    Ok(RuleText {
        group: group.to_owned(),
        name: alert.or_else(|| text(row, &["record"])).ok_or("it has neither `alert` nor `record`")?.to_owned(),
        alert: alert.is_some(),
        expr,
        for_s,
        labels: pairs("labels"),
        annotations: pairs("annotations"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_wherever_they_stand() {
        let plain = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n    for: 2m\n    labels: {severity: page}\n  - record: r\n    expr: 1\n";
        let all = rules("f", plain).unwrap();
        assert_eq!((all[0].name.as_str(), all[0].for_s, all[0].alert), ("A", 120, true));
        assert_eq!((all[1].expr.as_str(), all[1].alert), ("1", false));
        let object = format!("kind: PrometheusRule\nspec:\n  {}", plain.replace('\n', "\n  "));
        assert_eq!(rules("f", &object).unwrap(), all);
        assert!(rules("f", "a: 1").is_err());
        let wrong = |text: &str, what: &str| assert!(rules("f", text).unwrap_err().contains(what), "{text}");
        wrong("groups:\n- name: g\n  rule: []\n", "has no `rules`");
        wrong("groups:\n- name: g\n  rules: [{alert: A, exp: up}]\n", "rule 1: it has no `expr`");
        wrong("groups:\n- name: g\n  rules: [{alert: A, expr: up, for: soon}]\n", "is not a duration");
    }
}
