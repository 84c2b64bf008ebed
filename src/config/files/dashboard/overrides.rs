//! What holds for single series and columns, in the words of the classic model.

use serde_json::Value;

use crate::model::dashboard::{Override, Which, pattern};

use super::super::{at, clean, text};

/// What holds for single series and columns; what is chosen in another way than by name or by query is noted.
pub(super) fn overrides(value: &Value, because: &mut Vec<String>) -> Vec<Override> {
    let mut all = Vec::new();
    for row in at(value, &["fieldConfig", "overrides"]).and_then(Value::as_array).into_iter().flatten() {
        let (id, options) = (text(row, &["matcher", "id"]).unwrap_or_default(), text(row, &["matcher", "options"]));
        let which = match (id, options) {
            ("byName", Some(name)) => Some(Which::Name(clean(name))),
            ("byFrameRefID", Some(letter)) => Some(Which::Letter(clean(letter))),
            ("byRegexp", Some(written)) => pattern(written).map(Which::Pattern),
            _ => None,
        };
        let mut own = Override::of(Which::Name(String::new()));
        let properties: Vec<&Value> = row.get("properties").and_then(Value::as_array).into_iter().flatten().collect();
        for p in &properties {
            let said = || text(p, &["value"]).map(clean);
            match text(p, &["id"]).unwrap_or_default() {
                "unit" => own.unit = said(),
                "displayName" => own.name = said().filter(|n| !n.is_empty() && !n.contains("${")),
                "custom.hidden" => {
                    own.hidden = p.get("value").is_some_and(|v| v.as_bool() == Some(true) || v.as_str() == Some("true"));
                }
                "custom.hideFrom" => own.hidden = at(p, &["value", "viz"]).and_then(Value::as_bool) == Some(true),
                "custom.transform" => own.below = text(p, &["value"]) == Some("negative-Y"),
                "custom.stacking" => {
                    let group = at(p, &["value", "group"]);
                    let none = text(p, &["value", "mode"]) == Some("none");
                    own.apart = none || group.is_some_and(|g| g.as_bool() == Some(false) || g.as_str().is_some_and(|g| g != "A"));
                }
                _ => {}
            }
        }
        if Override::of(own.which.clone()) == own {
            continue;
        }
        match which {
            Some(which) => all.push(Override { which, ..own }),
            None => because
                .push(format!("what is set {} is not applied", clean(if id.is_empty() { "in an unknown way" } else { id }))),
        }
    }
    because.dedup();
    all
}
