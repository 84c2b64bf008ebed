//! Dashboards of Grafana: the classic model, its old rows, the wrapper of its API, and the newer model of elements and layouts. What cannot be
//! drawn is noted with its reason.

use serde_json::Value;

use crate::model::dashboard::{Dashboard, Drawn, Note, Panel, PanelKind, Source, Variable, options_of, pattern};

use super::{at, clean, number, seconds, text};

mod newer;
mod overrides;
mod panel;

use newer::newer;
use panel::{panel, variable};

const PANELS: usize = 400;
const EXPRESSION: usize = 10_000;
/// Unless a dashboard says its own.
const SPAN_S: u64 = 6 * 3_600;

/// A dashboard, from its JSON; or from YAML of the same form.
///
/// # Errors
/// That it is no dashboard.
pub fn dashboard(name: &str, file: &str) -> Result<Dashboard, String> {
    let read: Value = match serde_json::from_str(file) {
        Ok(read) => read,
        Err(json) => super::documents(file)
            .ok()
            .and_then(|all| all.into_iter().next())
            .filter(Value::is_object)
            .ok_or_else(|| format!("{name}: not valid JSON: {json}"))?,
    };
    let root = read.get("dashboard").filter(|d| d.is_object()).unwrap_or(&read);
    let mut found = Dashboard { title: clean(text(root, &["title"]).unwrap_or(name)), span_s: SPAN_S, ..Dashboard::default() };
    if root.get("spec").and_then(|s| s.get("elements")).is_some() {
        newer(&root["spec"], &mut found);
    } else if root.get("elements").is_some() {
        newer(root, &mut found);
    } else {
        classic(root, &mut found)
            .ok_or_else(|| format!("{name}: not a dashboard of Grafana: it has neither panels nor rows nor elements"))?;
    }
    if found.panels.len() > PANELS {
        return Err(format!("{name}: {} panels; the limit is {PANELS}", found.panels.len()));
    }
    found.notes.extend(found.variables.iter().filter_map(unread));
    for panel in &found.panels {
        if panel.targets.iter().any(|t| t.expr.len() > EXPRESSION) {
            return Err(format!("{name}: {}: an expression of more than {EXPRESSION} characters", panel.title));
        }
    }
    Ok(found)
}

/// What of a variable is not carried out: queries with it may find nothing.
fn unread(variable: &Variable) -> Option<Note> {
    let Source::Query(query) = &variable.source else { return None };
    let because = match (variable.filter.is_empty(), options_of(query)) {
        (_, None) => "its query is not supported",
        (false, _) if pattern(&variable.filter).is_none() => "its regex cannot be read here: all values count",
        (false, Some(_)) => return None,
        (true, Some(_)) => return None,
    };
    let panel = format!("${}", clean(&variable.name));
    Some(Note { panel, kind: "variable".into(), drawn: Drawn::Degraded, because: vec![because.into()] })
}

fn classic(root: &Value, found: &mut Dashboard) -> Option<()> {
    let panels = root.get("panels").and_then(Value::as_array);
    let rows = root.get("rows").and_then(Value::as_array);
    if let Some(span) = text(root, &["time", "from"]).and_then(|from| seconds(from.strip_prefix("now-")?)) {
        found.span_s = span.clamp(300, 92 * 86_400);
    }
    let list = at(root, &["templating", "list"]).and_then(Value::as_array);
    found.variables = list.into_iter().flatten().filter_map(variable).collect();
    match (panels, rows) {
        (Some(panels), _) => {
            let (mut y, mut down) = (0, 0);
            for value in panels {
                take(value, found, &mut y, &mut down);
            }
        }
        (None, Some(rows)) => {
            let mut y = 0;
            for row in rows {
                row_before(row, found, &mut y);
            }
        }
        (None, None) => return None,
    }
    let place = |p: &Panel| (p.place.1, p.place.0);
    found.panels.sort_by_key(place);
    Some(())
}

/// A row of old: its panels stand in it, a span of twelve wide.
fn row_before(row: &Value, found: &mut Dashboard, y: &mut u16) {
    let title = text(row, &["title"]).unwrap_or_default();
    let repeat = text(row, &["repeat"]).filter(|name| !name.is_empty()).map(ToOwned::to_owned);
    if row.get("showTitle").and_then(Value::as_bool).unwrap_or(false) || !title.is_empty() || repeat.is_some() {
        found.panels.push(Panel { title: clean(title), kind: PanelKind::Row, place: (0, *y, 24, 1), repeat, ..Panel::default() });
        found.notes.push(Note { panel: clean(title), kind: "row".into(), drawn: Drawn::Whole, because: Vec::new() });
        *y += 1;
    }
    let (mut x, mut tallest) = (0, 0);
    for value in row.get("panels").and_then(Value::as_array).into_iter().flatten() {
        let wide = value.get("span").and_then(number).map_or(12, |s| (s * 2.0).clamp(2.0, 24.0) as u16);
        if x + wide > 24 {
            (x, *y) = (0, *y + tallest);
            tallest = 0;
        }
        let (panel, note) = panel(value, (x, *y, wide, 8));
        (x, tallest) = (x + wide, tallest.max(panel.place.3));
        found.panels.push(panel);
        found.notes.push(note);
    }
    *y += tallest;
}

/// A panel, or a row with the panels that are folded in it: these are unfolded below it, and push all that follows down. `y`: where the next
/// one without a place stands; `down`: by how much what follows was pushed so far.
fn take(value: &Value, found: &mut Dashboard, y: &mut u16, down: &mut i32) {
    let grid = at(value, &["gridPos"]).or_else(|| at(value, &["position"]));
    let figure = |key: &str| {
        grid.and_then(|g| g.get(key)).and_then(number).map(|v| v.clamp(0.0, if key == "y" { 10_000.0 } else { 100.0 }) as u16)
    };
    let is_row = text(value, &["type"]) == Some("row");
    let place = match (figure("x"), figure("y"), figure("w"), figure("h")) {
        (Some(x), Some(at), Some(w), Some(h)) => {
            let moved = i32::from(at).saturating_add(*down).clamp(0, 60_000);
            (x.min(23), moved as u16, w.clamp(1, 24), h.max(1))
        }
        // Without a place one stands below the other.
        _ => (0, *y, 24, if is_row { 1 } else { 8 }),
    };
    *y = (*y).max(place.1.saturating_add(place.3));
    let (panel, note) = panel(value, place);
    found.panels.push(panel);
    found.notes.push(note);
    let inner: Vec<&Value> = value.get("panels").and_then(Value::as_array).into_iter().flatten().filter(|_| is_row).collect();
    let top = |v: &&Value| at(v, &["gridPos", "y"]).and_then(number).map(|y| y as u16);
    let first = inner.iter().filter_map(top).min();
    let (row_y, before) = (place.1, found.panels.len());
    for value in inner {
        // Their places are those of when the row was folded.
        let mut own = first.map_or(*down, |first| i32::from(row_y) + 1 - i32::from(first));
        take(value, found, y, &mut own);
    }
    let bottom = found.panels[before..].iter().map(|p| p.place.1 + p.place.3).max();
    if let Some(bottom) = bottom {
        *down = down.saturating_add(i32::from(bottom.saturating_sub(row_y + 1)));
        *y = (*y).max(bottom);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dashboard::Source;
    use proptest::prelude::*;

    #[test]
    fn rows_of_old_and_elements_of_late_are_one() {
        let old = r#"{"title":"old","rows":[{"title":"CPU","panels":[{"type":"graph","span":6,"title":"a","targets":[{"expr":"up"}],"yaxes":[{"format":"percent"}],"stack":true},{"type":"singlestat","span":6,"title":"b","targets":[{"expr":"up","intervalFactor":2}],"thresholds":"50,80","valueName":"avg"}]}]}"#;
        let d = dashboard("f", old).unwrap();
        assert_eq!(
            d.panels.iter().map(|p| (p.kind, p.place.0, p.place.2)).collect::<Vec<_>>(),
            [(PanelKind::Row, 0, 24), (PanelKind::Lines, 0, 12), (PanelKind::Stat, 12, 12)]
        );
        assert_eq!((d.panels[1].unit.as_str(), d.panels[1].stacked, d.panels[2].calc.as_str()), ("percent", true, "avg"));
        assert_eq!(
            (d.panels[2].colour(60.0), d.panels[2].colour(90.0), d.panels[2].colour(1.0)),
            (Some("orange"), Some("red"), Some("green"))
        );
        let new = r#"{"apiVersion":"dashboard.grafana.app/v2beta1","kind":"Dashboard","spec":{"title":"new","elements":{"panel-1":{"kind":"Panel","spec":{"title":"a","data":{"kind":"QueryGroup","spec":{"queries":[{"kind":"PanelQuery","spec":{"refId":"A","query":{"kind":"DataQuery","group":"prometheus","spec":{"expr":"up","legendFormat":"{{job}}"}}}}],"transformations":[]}},"vizConfig":{"kind":"VizConfig","group":"timeseries","spec":{"fieldConfig":{"defaults":{"unit":"s"}}}}}}},"layout":{"kind":"RowsLayout","spec":{"rows":[{"kind":"RowsLayoutRow","spec":{"title":"r","repeat":{"mode":"variable","value":"job"},"layout":{"kind":"GridLayout","spec":{"items":[{"kind":"GridLayoutItem","spec":{"x":12,"y":0,"width":12,"height":8,"repeat":{"mode":"variable","value":"job"},"element":{"kind":"ElementReference","name":"panel-1"}}}]}}}}]}},"variables":[{"kind":"QueryVariable","spec":{"name":"job","query":{"kind":"DataQuery","spec":{"query":"label_values(up, job)"}},"multi":true}}]}}"#;
        let d = dashboard("f", new).unwrap();
        assert_eq!((d.title.as_str(), d.panels.len(), d.panels[1].place), ("new", 2, (12, 1, 12, 8)));
        assert_eq!((d.panels[1].targets[0].legend.as_str(), d.panels[1].unit.as_str()), ("{{job}}", "s"));
        assert_eq!(d.variables[0].source, Source::Query("label_values(up, job)".into()));
        assert!(d.panels.iter().all(|p| p.repeat.as_deref() == Some("job")), "the row and the panel");
        let row = r#"{"rows":[{"repeat":"job","panels":[{"type":"graph","targets":[{"expr":"up"}]}]}]}"#;
        let old = dashboard("f", row).unwrap();
        assert_eq!((old.panels[0].repeat.as_deref(), old.panels[1].targets[0].id.as_str()), (Some("job"), "A"));
    }

    #[test]
    fn folded_rows_are_unfolded_and_push_the_rest_down() {
        let text = r#"{"panels":[{"type":"row","title":"a","collapsed":true,"gridPos":{"x":0,"y":0,"w":24,"h":1},"panels":[
            {"type":"stat","title":"p","targets":[{"expr":"up"}],"gridPos":{"x":0,"y":20,"w":12,"h":8}},{"type":"stat","title":"q","targets":[{"expr":"up"}],"gridPos":{"x":0,"y":28,"w":12,"h":8}}]},
            {"type":"row","title":"b","collapsed":true,"gridPos":{"x":0,"y":1,"w":24,"h":1},"panels":[{"type":"stat","title":"r","targets":[{"expr":"up"}],"gridPos":{"x":0,"y":2,"w":12,"h":8}}]}]}"#;
        let places: Vec<_> = dashboard("f", text).unwrap().panels.iter().map(|p| (p.title.clone(), p.place.1)).collect();
        let expected = [("a", 0), ("p", 1), ("q", 9), ("b", 17), ("r", 18)];
        assert_eq!(places, expected.map(|(t, y)| (t.to_owned(), y)));
    }

    #[test]
    fn a_series_may_have_a_unit_of_its_own() {
        let text = r#"{"panels":[{"type":"timeseries","title":"a","targets":[{"expr":"up","refId":"A"},{"expr":"down","refId":"B"}],"fieldConfig":{"defaults":{"unit":"bytes"},
            "overrides":[{"matcher":{"id":"byName","options":"share"},"properties":[{"id":"unit","value":"percentunit"}]},{"matcher":{"id":"byFrameRefID","options":"B"},"properties":[{"id":"unit","value":"s"}]},
            {"matcher":{"id":"byRegexp","options":"x.*"},"properties":[{"id":"color"}]},{"matcher":{"id":"byRegexp","options":"y.*"},"properties":[{"id":"unit","value":"ms"}]}]}}]}"#;
        let d = dashboard("f", text).unwrap();
        let panel = &d.panels[0];
        assert_eq!(
            [panel.unit_of("x", "A"), panel.unit_of("share", "A"), panel.unit_of("y", "B")],
            ["bytes", "percentunit", "ms"],
            "the last that fits counts"
        );
        assert!(d.notes[0].because.is_empty(), "{:?}", d.notes);
    }

    #[test]
    fn what_is_set_for_single_series_is_read_and_colours_that_colour_nothing_are_none() {
        let text = r#"{"panels":[{"type":"timeseries","title":"a","targets":[{"expr":"up","refId":"A"}],"options":{"legend":{"calcs":["mean","last","max"]}},"fieldConfig":{"overrides":[
            {"matcher":{"id":"byRegexp","options":"/.*Tx.*/"},"properties":[{"id":"custom.transform","value":"negative-Y"}]},
            {"matcher":{"id":"byName","options":"Total"},"properties":[{"id":"custom.stacking","value":{"group":false,"mode":"normal"}},{"id":"displayName","value":"All"}]},
            {"matcher":{"id":"byName","options":"x"},"properties":[{"id":"custom.hidden","value":"true"}]},
            {"matcher":{"id":"byValue","options":{"op":"gte"}},"properties":[{"id":"custom.hideFrom","value":{"viz":true}}]}]}},
            {"type":"stat","title":"b","targets":[{"expr":"up"}],"options":{"colorMode":"none"},"fieldConfig":{"defaults":{"thresholds":{"steps":[{"color":"red","value":80}]}}}},
            {"type":"gauge","title":"c","targets":[{"expr":"up"}],"fieldConfig":{"defaults":{"color":{"mode":"fixed"},"thresholds":{"steps":[{"color":"red","value":80}]}}}}],
            "templating":{"list":[{"name":"c","type":"query","hide":2,"query":"label_values(up, job)","regex":"/(.*)-prod/"}]}}"#;
        let d = dashboard("f", text).unwrap();
        let a = &d.panels[0];
        assert!(a.has("eth0 Tx", "A", |o| o.below) && !a.has("eth0 Rx", "A", |o| o.below));
        assert!(a.has("Total", "A", |o| o.apart) && a.called("Total", "A") == Some("All") && a.has("x", "A", |o| o.hidden));
        assert_eq!((a.calcs.as_slice(), d.notes[0].because.len()), (&["mean".to_owned(), "max".to_owned()][..], 1));
        assert!(d.panels[1].thresholds.is_empty() && d.panels[2].thresholds.is_empty());
        assert!(d.variables[0].hidden && d.span_s == 6 * 3_600);
        let values = ["a-prod", "b-test", "c-prod", "a-prod"].map(ToOwned::to_owned);
        assert_eq!(d.variables[0].filtered(&values), ["a", "c"]);
        assert_eq!(a.name_of("", &[], "A"), "up", "one without a name is its query");
    }

    #[test]
    fn what_hurts_is_never_drawn_as_well() {
        let of = |json: &str| dashboard("f", &format!(r#"{{"panels":[{json}]}}"#)).unwrap();
        let inverted = of(
            r##"{"type":"singlestat","thresholds":"1,2","colors":["#d44a3a","rgba(237, 129, 40, 0.89)","#299c46"],"targets":[{"expr":"up"}]}"##,
        );
        assert_eq!([0.0, 2.0].map(|v| inverted.panels[0].colour(v).unwrap()), ["#d44a3a", "#299c46"]);
        let none = of(r#"{"type":"singlestat","thresholds":"","targets":[{"expr":"up"}]}"#);
        assert_eq!(none.panels[0].colour(5.0), None);
        let share = of(
            r#"{"type":"gauge","targets":[{"expr":"up"}],"fieldConfig":{"defaults":{"unit":"percentunit","thresholds":{"mode":"percentage","steps":[{"color":"green"},{"color":"red","value":80}]}}}}"#,
        );
        assert_eq!((share.panels[0].colour(0.7), share.panels[0].colour(0.99)), (Some("green"), Some("red")));
        let logs = of(
            r#"{"type":"timeseries","targets":[{"expr":"{job=\"x\"}","refId":"A","datasource":{"type":"loki"}}],"gridPos":{"x":0,"y":9e9,"w":24,"h":9e9}}"#,
        );
        assert_eq!((logs.panels[0].kind, logs.panels[0].targets.len()), (PanelKind::LeftOut, 0));
        assert!(logs.notes[0].because.iter().any(|b| b == "query A is for loki, not PromQL"), "{:?}", logs.notes);
    }

    #[test]
    fn what_is_left_out_says_why() {
        let text = r#"{"panels":[{"type":"geomap","title":"m"},{"type":"timeseries","title":"l","targets":[{"datasource":{"type":"loki"},"query":"{}"}]},
            {"type":"timeseries","title":"t","targets":[{"expr":"up"}],"transformations":[{"id":"calculateField"}]},{"type":"text","title":"x","options":{"content":"**a** <b>b</b>"}}]}"#;
        let d = dashboard("f", text).unwrap();
        assert_eq!(d.tally(), (1, 1, 2));
        assert!(
            d.notes[0].because[0].contains("geomap")
                && d.notes[1].because[0].contains("no query")
                && d.notes[2].because[0].contains("calculateField")
        );
        assert_eq!(d.panels.iter().find(|p| p.title == "x").map(|p| p.text.as_str()), Some("a b"));
        assert!(dashboard("f", "{}").is_err() && dashboard("f", "nothing").is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,120}") {
            _ = dashboard("f", &text);
            _ = dashboard("f", &format!(r#"{{"panels":[{text}]}}"#));
        }
    }
}
