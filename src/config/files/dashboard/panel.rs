//! One panel and one variable, in the words of the classic model.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::dashboard::{Columns, Drawn, Note, Panel, PanelKind, Source, Target, Variable};
use crate::model::foreign::tamed;

use super::super::{at, clean, number, text};
use super::overrides::overrides;

/// How a type is drawn, and what is missing then.
fn kind_of(kind: &str) -> (PanelKind, Option<&'static str>) {
    match kind {
        "timeseries" | "graph" | "graph2" | "trend" => (PanelKind::Lines, None),
        "stat" | "singlestat" => (PanelKind::Stat, None),
        "gauge" => (PanelKind::Gauge, None),
        "bargauge" => (PanelKind::Bars, None),
        "table" | "table-old" => (PanelKind::Table, None),
        "heatmap" => (PanelKind::Heatmap, None),
        "text" => (PanelKind::Text, None),
        "row" => (PanelKind::Row, None),
        "barchart" | "histogram" => (PanelKind::Bars, Some("drawn as bars of the newest values")),
        "piechart" | "grafana-piechart-panel" => (PanelKind::Bars, Some("drawn as bars")),
        "state-timeline" | "status-history" => (PanelKind::Lines, Some("drawn as lines")),
        _ => (PanelKind::LeftOut, None),
    }
}

/// A panel at that place, and what became of it.
pub(super) fn panel(value: &Value, place: (u16, u16, u16, u16)) -> (Panel, Note) {
    let title = clean(text(value, &["title"]).unwrap_or_default());
    let written = text(value, &["type"]);
    let mut because: Vec<String> = Vec::new();
    let own = value.get("expr").and_then(Value::as_str);
    // One without a type that has a query is a line over time.
    let (kind, missing) = written.map_or((if own.is_some() { PanelKind::Lines } else { PanelKind::LeftOut }, None), kind_of);
    because.extend(missing.map(ToOwned::to_owned));
    let defaults = at(value, &["fieldConfig", "defaults"]).cloned().unwrap_or_default();
    let mut targets = targets_of(value, own, &mut because);
    let instant = matches!(kind, PanelKind::Table);
    targets.iter_mut().for_each(|t| t.instant |= instant);
    because.extend(transformations(value));
    let overrides = overrides(value, &mut because);
    if text(value, &["timeFrom"]).is_some_and(|t| !t.is_empty()) {
        because.push("its own time (timeFrom) is not used".into());
    }
    let kind = match kind {
        PanelKind::LeftOut => {
            let why = written
                .map_or_else(|| "it has no type and no query".to_owned(), |w| format!("{} panels are not supported", clean(w)));
            because.insert(0, why);
            PanelKind::LeftOut
        }
        PanelKind::Text | PanelKind::Row => kind,
        kind if targets.is_empty() => {
            because.insert(0, "it has no query for Prometheus".into());
            _ = kind;
            PanelKind::LeftOut
        }
        kind => kind,
    };
    let drawn = match (kind, because.is_empty()) {
        (PanelKind::LeftOut, _) => Drawn::LeftOut,
        (_, true) => Drawn::Whole,
        (_, false) => Drawn::Degraded,
    };
    let left_out = (kind == PanelKind::LeftOut).then(|| because.join("; "));
    let note = Note { panel: title.clone(), kind: written.map_or_else(|| "none".into(), clean), drawn, because };
    let (thresholds, thresholds_of_scale) = colours(value, &defaults, kind);
    let unit = text(&defaults, &["unit"]).or_else(|| text(value, &["format"])).or_else(|| {
        let axes = value.get("yaxes").or_else(|| value.get("yAxes"));
        axes.and_then(|a| text(a.get(0)?, &["format"]))
    });
    let calc = at(value, &["options", "reduceOptions", "calcs"]).and_then(|c| c.get(0)).and_then(Value::as_str);
    let stacking = text(&defaults, &["custom", "stacking", "mode"]).is_some_and(|m| m != "none");
    let panel = Panel {
        title,
        kind,
        place,
        targets,
        unit: clean(unit.unwrap_or_default()),
        overrides,
        calcs: legend_calcs(value),
        decimals: defaults.get("decimals").or_else(|| value.get("decimals")).and_then(Value::as_u64).map(|d| d.min(9) as usize),
        scale: (end(value, &defaults, "min"), end(value, &defaults, "max")),
        thresholds,
        thresholds_of_scale,
        words: words(&defaults),
        calc: calc.or_else(|| text(value, &["valueName"])).unwrap_or("lastNotNull").to_owned(),
        text: left_out.unwrap_or_else(|| {
            clean_lines(text(value, &["options", "content"]).or_else(|| text(value, &["content"])).unwrap_or_default())
        }),
        stacked: stacking || value.get("stack").and_then(Value::as_bool).unwrap_or(false),
        columns: columns(value),
        scoped: Vec::new(),
        repeat: text(value, &["repeat"]).map(ToOwned::to_owned),
    };
    (panel, note)
}

/// An end of the scale, where it has one.
fn end(value: &Value, defaults: &Value, key: &str) -> Option<f64> {
    let before = || at(value, &["gauge", if key == "min" { "minValue" } else { "maxValue" }]);
    defaults.get(key).and_then(number).or_else(|| value.get(key).and_then(number)).or_else(|| before().and_then(number))
}

/// The queries of a panel; why others are not asked.
fn targets_of(value: &Value, own: Option<&str>, because: &mut Vec<String>) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for row in value.get("targets").and_then(Value::as_array).into_iter().flatten() {
        match target(row) {
            Some(Ok(target)) => targets.push(target),
            Some(Err(why)) => because.push(why),
            None => {}
        }
    }
    if targets.is_empty() {
        targets.extend(own.map(|expr| Target { expr: expr.to_owned(), id: "A".into(), ..Target::default() }));
    }
    // Dashboards of old may leave the letters out.
    let unnamed = targets.iter_mut().zip('A'..='Z').filter(|(t, _)| t.id.is_empty());
    unnamed.for_each(|(t, letter)| t.id.push(letter));
    targets
}

/// A query; `Err`: why it is not asked; `None`: it is hidden.
fn target(row: &Value) -> Option<Result<Target, String>> {
    if row.get("hide").and_then(Value::as_bool).unwrap_or(false) {
        return None;
    }
    let query = at(row, &["spec", "query", "spec"]).unwrap_or(row);
    let id = clean(text(row, &["refId"]).or_else(|| text(row, &["spec", "refId"])).unwrap_or_default());
    // Others write their queries in `expr` as well.
    let other = text(row, &["datasource", "type"]).or_else(|| text(row, &["spec", "query", "group"]));
    let prometheus = |t: &str| t.is_empty() || t.starts_with('$') || t.contains("prometheus") || t == "datasource";
    if let Some(other) = other.filter(|t| !prometheus(t)) {
        return Some(Err(format!("query {id} is for {}, not PromQL", clean(other))));
    }
    let Some(expr) = text(query, &["expr"]).map(str::trim).filter(|e| !e.is_empty()) else {
        return Some(Err(format!("query {id} is empty")));
    };
    let instant = query.get("instant").and_then(Value::as_bool).unwrap_or(false);
    let step = text(query, &["interval"]).filter(|s| !s.is_empty()).or_else(|| text(query, &["step"])).unwrap_or_default();
    let legend = text(query, &["legendFormat"]).unwrap_or_default();
    Some(Ok(Target { expr: expr.to_owned(), legend: legend.to_owned(), instant, step: step.to_owned(), id }))
}

/// Transformations that are not carried out.
fn transformations(value: &Value) -> Vec<String> {
    const DONE: [&str; 4] = ["organize", "merge", "joinByField", "sortBy"];
    let all = value.get("transformations").and_then(Value::as_array).into_iter().flatten();
    let ids = all.filter_map(|t| text(t, &["id"]).or_else(|| text(t, &["kind"])));
    ids.filter(|id| !DONE.contains(id)).map(|id| format!("its transformation {} is not carried out", clean(id))).collect()
}

fn columns(value: &Value) -> Columns {
    let mut columns = Columns::default();
    let all = value.get("transformations").and_then(Value::as_array).into_iter().flatten();
    for options in all.filter(|t| text(t, &["id"]) == Some("organize")).filter_map(|t| t.get("options")) {
        let hidden = options.get("excludeByName").and_then(Value::as_object).into_iter().flatten();
        columns.hidden.extend(hidden.filter(|(_, v)| v.as_bool() == Some(true)).map(|(k, _)| clean(k)));
        let renamed = options.get("renameByName").and_then(Value::as_object).into_iter().flatten();
        columns.renamed.extend(renamed.filter_map(|(k, v)| Some((clean(k), clean(v.as_str().filter(|v| !v.is_empty())?)))));
    }
    columns
}

/// Thresholds as far as they colour anything: steps may be written and count for nothing.
fn colours(value: &Value, defaults: &Value, kind: PanelKind) -> (Vec<(f64, String)>, bool) {
    let fixed = text(defaults, &["color", "mode"]) == Some("fixed");
    let plain = kind == PanelKind::Stat && text(value, &["options", "colorMode"]) == Some("none");
    if fixed || plain { (Vec::new(), false) } else { thresholds(value, defaults) }
}

fn thresholds(value: &Value, defaults: &Value) -> (Vec<(f64, String)>, bool) {
    let steps = at(defaults, &["thresholds", "steps"]).or_else(|| at(value, &["thresholds", "steps"]));
    let step = |s: &Value| Some((s.get("value").and_then(number).unwrap_or(f64::NEG_INFINITY), clean(text(s, &["color"])?)));
    if let Some(steps) = steps.and_then(Value::as_array) {
        let mut all: Vec<(f64, String)> = steps.iter().filter_map(step).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        return (all, text(defaults, &["thresholds", "mode"]) == Some("percentage"));
    }
    const COLOURS: [&str; 4] = ["green", "yellow", "orange", "red"];
    let figures: Vec<f64> = match value.get("thresholds") {
        // "50,80" of old, with the colours beside it.
        Some(Value::String(text)) => text.split(',').filter_map(|t| t.trim().parse().ok()).collect(),
        // A list of figures, or of objects with a value and a colour.
        Some(Value::Array(all)) if all.iter().all(|v| v.get("color").is_some()) => {
            let mut all: Vec<(f64, String)> = all.iter().filter_map(step).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            return (all, false);
        }
        Some(Value::Array(all)) => all.iter().filter_map(number).collect(),
        _ => return (Vec::new(), false),
    };
    // What was left empty says nothing of what is well.
    if figures.is_empty() {
        return (Vec::new(), false);
    }
    let own: Vec<String> = value
        .get("colors")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |all| all.iter().filter_map(|c| c.as_str().map(clean)).collect());
    let ends = |n: usize| if n <= 2 { [COLOURS[0], COLOURS[2], COLOURS[3], COLOURS[3]] } else { COLOURS };
    let colours = ends(figures.len());
    let colour = |n: usize| own.get(n).cloned().unwrap_or_else(|| colours[n.min(3)].to_owned());
    let first = [(f64::NEG_INFINITY, colour(0))];
    let rest = figures.iter().enumerate().map(|(n, v)| (*v, colour(n + 1)));
    (first.into_iter().chain(rest).collect(), false)
}

/// Figures of all points that the list of series shows.
fn legend_calcs(value: &Value) -> Vec<String> {
    let newer = at(value, &["options", "legend", "calcs"]).and_then(Value::as_array);
    let newer = newer.into_iter().flatten().filter_map(Value::as_str).map(ToOwned::to_owned);
    let before = ["min", "max", "avg", "total"]
        .into_iter()
        .filter(|key| at(value, &["legend", key]).and_then(Value::as_bool) == Some(true));
    newer.chain(before.map(ToOwned::to_owned)).filter(|c| !c.starts_with("last")).collect()
}

/// Figures that stand for words.
fn words(defaults: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for mapping in defaults.get("mappings").and_then(Value::as_array).into_iter().flatten() {
        if let Some(options) = mapping.get("options").and_then(Value::as_object) {
            all.extend(options.iter().filter_map(|(k, v)| Some((k.clone(), clean(text(v, &["text"])?)))));
        }
        if let (Some(value), Some(word)) = (text(mapping, &["value"]), text(mapping, &["text"])) {
            all.insert(value.to_owned(), clean(word));
        }
    }
    all
}

/// Text without its markup.
fn clean_lines(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars().take(4_000) {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            '#' | '*' | '`' => {}
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.lines().map(|l| tamed(l).trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A variable.
pub(super) fn variable(value: &Value) -> Option<Variable> {
    let spec = value.get("spec").unwrap_or(value);
    let name = text(spec, &["name"])?.to_owned();
    let kind = text(value, &["type"]).or_else(|| text(value, &["kind"])).unwrap_or_default().to_lowercase();
    let query = text(spec, &["query"])
        .or_else(|| text(spec, &["query", "query"]))
        .or_else(|| text(spec, &["query", "spec", "query"]))
        .or_else(|| text(spec, &["definition"]));
    let listed = || {
        query
            .unwrap_or_default()
            .split(',')
            .map(|t| t.rsplit_once(" : ").map_or(t, |(_, v)| v).trim().to_owned())
            .filter(|t| !t.is_empty())
            .collect::<Vec<_>>()
    };
    let source = match kind.trim_end_matches("variable") {
        "query" => Source::Query(query.unwrap_or_default().to_owned()),
        "datasource" => Source::Datasource,
        "constant" | "textbox" | "text" => Source::Fixed(vec![query.unwrap_or_default().to_owned()]),
        _ => Source::Fixed(listed()),
    };
    let flag = |key: &str| spec.get(key).and_then(Value::as_bool).unwrap_or(false);
    let current = match at(spec, &["current", "value"]) {
        Some(Value::String(one)) if !one.is_empty() => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(|v| v.as_str().map(ToOwned::to_owned)).collect(),
        _ => Vec::new(),
    };
    Some(Variable {
        name,
        source,
        all: text(spec, &["allValue"]).filter(|a| !a.is_empty()).map(ToOwned::to_owned),
        include_all: flag("includeAll"),
        multi: flag("multi"),
        filter: text(spec, &["regex"]).unwrap_or_default().to_owned(),
        current,
        hidden: spec.get("hide").is_some_and(|h| h.as_u64() == Some(2) || h.as_str() == Some("hideVariable")),
    })
}
