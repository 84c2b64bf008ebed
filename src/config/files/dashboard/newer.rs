//! The newer model of dashboards: elements and layouts, put into the words of the classic one.

use serde_json::Value;

use crate::model::dashboard::{Dashboard, Drawn, Note, Panel, PanelKind};

use super::super::{at, clean, number, seconds, text};
use super::panel::{panel, variable};

/// Elements and a layout: rows and tabs become headings, a grid stays one, what flows by itself flows three beside each other.
pub(super) fn newer(spec: &Value, found: &mut Dashboard) {
    if let Some(title) = text(spec, &["title"]) {
        found.title = clean(title);
    }
    if let Some(span) = text(spec, &["timeSettings", "from"]).and_then(|from| seconds(from.strip_prefix("now-")?)) {
        found.span_s = span.clamp(300, 92 * 86_400);
    }
    found.variables = spec.get("variables").and_then(Value::as_array).into_iter().flatten().filter_map(variable).collect();
    let mut y = 0;
    layout(spec, spec.get("layout").unwrap_or(&Value::Null), found, &mut y, 0);
}

fn layout(spec: &Value, layout_: &Value, found: &mut Dashboard, y: &mut u16, depth: usize) {
    const DEEP: usize = 4;
    if depth > DEEP {
        return;
    }
    let inner = layout_.get("spec").unwrap_or(layout_);
    for key in ["rows", "tabs"] {
        for row in inner.get(key).and_then(Value::as_array).into_iter().flatten() {
            let own = row.get("spec").unwrap_or(row);
            let title = clean(text(own, &["title"]).unwrap_or_default());
            found.panels.push(Panel {
                title: title.clone(),
                kind: PanelKind::Row,
                place: (0, *y, 24, 1),
                repeat: repeat(own),
                ..Panel::default()
            });
            found.notes.push(Note { panel: title, kind: "row".into(), drawn: Drawn::Whole, because: Vec::new() });
            *y = y.saturating_add(1);
            layout(spec, own.get("layout").unwrap_or(&Value::Null), found, y, depth + 1);
        }
    }
    let grid = text(layout_, &["kind"]) == Some("GridLayout");
    let (begin, mut tallest) = (*y, 0);
    for (n, item) in inner.get("items").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let own = item.get("spec").unwrap_or(item);
        let Some(element) = text(own, &["element", "name"]).and_then(|name| at(spec, &["elements", name, "spec"])) else {
            continue;
        };
        let figure = |key: &str| own.get(key).and_then(number).map_or(0, |v| v.clamp(0.0, 10_000.0) as u16);
        let place = match grid {
            true => (
                figure("x").min(23),
                begin.saturating_add(figure("y")),
                figure("width").clamp(1, 24),
                figure("height").clamp(1, 100),
            ),
            false => ((n as u16 % 3) * 8, begin.saturating_add((n as u16 / 3) * 8), 8, 8),
        };
        tallest = tallest.max(place.1.saturating_add(place.3));
        let (mut panel, note) = panel(&as_classic(element), place);
        panel.repeat = repeat(own);
        found.panels.push(panel);
        found.notes.push(note);
    }
    *y = (*y).max(tallest);
}

/// The variable that a row or an item of a layout is repeated for.
fn repeat(own: &Value) -> Option<String> {
    text(own, &["repeat", "value"]).filter(|name| !name.is_empty()).map(ToOwned::to_owned)
}

/// An element of the newer model in the words of the classic one.
fn as_classic(element: &Value) -> Value {
    let viz = element.get("vizConfig").cloned().unwrap_or_default();
    let kind = text(&viz, &["group"]).or_else(|| text(&viz, &["kind"])).unwrap_or_default();
    let data = at(element, &["data", "spec"]).cloned().unwrap_or_default();
    let flat = |t: &Value| {
        let mut spec = t.get("spec").cloned().unwrap_or_default();
        if spec.get("id").is_none() {
            spec["id"] = t.get("kind").cloned().unwrap_or_default();
        }
        spec
    };
    let transformations: Vec<Value> =
        data.get("transformations").and_then(Value::as_array).into_iter().flatten().map(flat).collect();
    let hidden = |q: &&Value| q.get("spec").and_then(|s| s.get("hidden")).and_then(Value::as_bool) != Some(true);
    let queries: Vec<Value> =
        data.get("queries").and_then(Value::as_array).into_iter().flatten().filter(hidden).cloned().collect();
    serde_json::json!({
        "title": element.get("title"),
        "type": kind,
        "targets": queries,
        "transformations": transformations,
        "fieldConfig": viz.get("spec").and_then(|s| s.get("fieldConfig")),
        "options": viz.get("spec").and_then(|s| s.get("options")),
    })
}
