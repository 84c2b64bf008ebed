//! Objectives of sloth (its own form, its object of Kubernetes, OpenSLO) and of pyrra.

use promql_parser::parser::parse;
use serde_json::Value;

use crate::model::foreign::Foreign;
use crate::model::objective::{Objective, Sli};

use super::{at, documents, number, seconds, text};

const THIRTY_DAYS_S: u64 = 30 * 86_400;

/// The objectives of a file; and those that are left out, with the reason.
///
/// # Errors
/// That it is no YAML, or holds no objectives of any kind that is known.
pub fn objectives(name: &str, file: &str) -> Result<(Vec<Objective>, Vec<String>), String> {
    let (mut found, mut left) = (Vec::new(), Vec::new());
    let mut known = false;
    for document in documents(file).map_err(|why| format!("{name}: {why}"))? {
        let all = match (text(&document, &["apiVersion"]).unwrap_or_default(), text(&document, &["kind"])) {
            (api, Some("ServiceLevelObjective")) if api.starts_with("pyrra.dev/") => vec![pyrra(&document)],
            (api, Some("SLO")) if api.starts_with("openslo/") => openslo(&document),
            (api, Some("PrometheusServiceLevel")) if api.starts_with("sloth.slok.dev/") => {
                at(&document, &["spec"]).map_or_else(Vec::new, sloth)
            }
            _ if document.get("slos").is_some() => sloth(&document),
            _ => continue,
        };
        known = true;
        for one in all {
            match one {
                Ok(objective) => found.push(objective),
                Err(why) => left.push(format!("{name}: {why}")),
            }
        }
    }
    if !known || found.is_empty() && left.is_empty() {
        return Err(format!("{name}: no objectives in it: a file of sloth, pyrra or OpenSLO is needed"));
    }
    Ok((found, left))
}

fn sloth(spec: &Value) -> Vec<Result<Objective, String>> {
    let service = text(spec, &["service"]).unwrap_or("service");
    let all = spec.get("slos").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .map(|slo| {
            let own = text(slo, &["name"]).unwrap_or("slo");
            let name = format!("{service}-{own}");
            let target = slo.get("objective").and_then(number).ok_or_else(|| format!("{name}: no objective"))?;
            let sli = slo.get("sli").ok_or_else(|| format!("{name}: no sli"))?;
            let events = |snake: &str, camel: &str| text(sli, &["events", snake]).or_else(|| text(sli, &["events", camel]));
            let raw = text(sli, &["raw", "error_ratio_query"]).or_else(|| text(sli, &["raw", "errorRatioQuery"]));
            let sli = match (events("error_query", "errorQuery"), events("total_query", "totalQuery"), raw) {
                (Some(errors), Some(total), _) => Sli::Rates { errors: query(&name, errors)?, total: query(&name, total)? },
                (_, _, Some(errors)) => Sli::Share { errors: query(&name, errors)? },
                _ if sli.get("plugin").is_some() => {
                    return Err(format!(
                        "{name}: its queries come from a plugin of sloth, and stand in the rules that sloth makes of it"
                    ));
                }
                _ => return Err(format!("{name}: neither events nor raw")),
            };
            objective(name, target / 100.0, THIRTY_DAYS_S, sli)
        })
        .collect()
}

fn openslo(document: &Value) -> Vec<Result<Objective, String>> {
    let name = text(document, &["metadata", "name"]).unwrap_or("slo");
    let service = text(document, &["spec", "service"]).unwrap_or("service");
    let window = at(document, &["spec", "timeWindows"]).or_else(|| at(document, &["spec", "timeWindow"])).and_then(|w| w.get(0));
    let written = window.is_some();
    let period_s = window.and_then(|w| {
        if let Some(duration) = text(w, &["duration"]) {
            return seconds(duration);
        }
        let unit_s = match text(w, &["unit"])?.to_lowercase().as_str() {
            "day" => 86_400,
            "week" => 604_800,
            "hour" => 3_600,
            _ => return None,
        };
        w.get("count").and_then(Value::as_u64)?.checked_mul(unit_s)
    });
    let all = at(document, &["spec", "objectives"]).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .enumerate()
        .map(|(n, row)| {
            let name = format!("{service}-{name}-{n}");
            let target = row.get("target").and_then(number).ok_or_else(|| format!("{name}: no target"))?;
            let part = |which: &str| {
                text(row, &["ratioMetrics", which, "query"])
                    .or_else(|| text(row, &["ratioMetrics", which, "metricSource", "spec", "query"]))
            };
            let (Some(good), Some(total)) = (part("good"), part("total")) else {
                return Err(format!("{name}: no ratioMetrics with a good and a total query"));
            };
            if written && period_s.is_none() {
                return Err(format!("{name}: the length of its time window cannot be read"));
            }
            let (good, total) = (query(&name, good)?, query(&name, total)?);
            objective(
                name,
                target,
                period_s.unwrap_or(THIRTY_DAYS_S),
                Sli::Share { errors: format!("1 - (({good}) / ({total}))") },
            )
        })
        .collect()
}

fn pyrra(document: &Value) -> Result<Objective, String> {
    let name = text(document, &["metadata", "name"]).unwrap_or("slo").to_owned();
    let spec = document.get("spec").ok_or_else(|| format!("{name}: no spec"))?;
    let target = spec.get("target").and_then(number).ok_or_else(|| format!("{name}: no target"))?;
    let window = text(spec, &["window"]).and_then(seconds).unwrap_or(4 * 604_800);
    let metric = |path: &[&str]| text(spec, &[&["indicator"], path].concat()).map(str::trim).map(ToOwned::to_owned);
    let sli = if let (Some(errors), Some(total)) = (metric(&["ratio", "errors", "metric"]), metric(&["ratio", "total", "metric"]))
    {
        Sli::Ratio { errors, total }
    } else if let (Some(good), Some(total)) = (metric(&["latency", "success", "metric"]), metric(&["latency", "total", "metric"]))
    {
        Sli::Good { good, total }
    } else if let Some(gauge) = metric(&["bool_gauge", "metric"]).or_else(|| metric(&["boolGauge", "metric"])) {
        Sli::Share { errors: format!("1 - avg(avg_over_time({gauge}[{{{{.window}}}}]))") }
    } else {
        return Err(format!("{name}: of its indicators ratio, latency and bool_gauge are known"));
    };
    if let Sli::Ratio { errors: one, total } | Sli::Good { good: one, total } = &sli {
        for selector in [one, total] {
            parse(selector).map_err(|why| format!("{name}: {selector}: {why}"))?;
        }
    }
    objective(name, target / 100.0, window, sli)
}

fn objective(name: String, target: f64, period_s: u64, sli: Sli) -> Result<Objective, String> {
    if target <= 0.0 || target >= 1.0 {
        return Err(format!("{name}: a target of {} %: it must lie above 0 and below 100", target * 100.0));
    }
    if period_s < 3_600 {
        return Err(format!("{name}: a period of less than an hour"));
    }
    // It comes from a file: nothing of it may move the cursor.
    let name = Foreign::from(name.as_str()).shown().to_owned();
    Ok(Objective { name, target, period_s, sli, at: None })
}

/// A query as it is written: only the server knows whether it speaks PromQL or more than that.
fn query(name: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if !["{{.window}}", "{{ .window }}"].iter().any(|place| text.contains(place)) {
        return Err(format!("{name}: a query without {{{{.window}}}}: it would say the same of every window"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_objectives() {
        let sloth = "version: prometheus/v1\nservice: shop\nslos:\n- name: ok\n  objective: 99.9\n  sli:\n    events:\n\
                     \x20     error_query: sum(rate(a{code=\"500\"}[{{.window}}]))\n      total_query: sum(rate(a[{{.window}}]))\n\
                     - name: raw\n  objective: 99\n  sli: {raw: {error_ratio_query: 'avg_over_time(b[{{.window}}])'}}\n\
                     - name: made\n  objective: 99\n  sli: {plugin: {id: x}}\n- name: bad\n  objective: 100\n  sli: {raw: {error_ratio_query: 'c'}}\n";
        let (found, left) = objectives("f.yml", sloth).unwrap();
        assert_eq!(found.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["shop-ok", "shop-raw"]);
        assert_eq!(left.len(), 2, "{left:?}");
        let pyrra = "apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\nmetadata: {name: api}\nspec:\n  target: \"99.5\"\n  window: 2w\n\
                     \x20 indicator: {latency: {success: {metric: 'h_bucket{le=\"1\"}'}, total: {metric: h_count}}}\n";
        let (found, left) = objectives("f.yml", pyrra).unwrap();
        assert!(left.is_empty() && (found[0].allowance() - 0.005).abs() < 1e-9 && found[0].period_s == 1_209_600);
        let openslo = "apiVersion: openslo/v1alpha\nkind: SLO\nmetadata: {name: x}\nspec:\n  service: s\n  objectives:\n  - target: 0.99\n\
                       \x20   ratioMetrics: {good: {query: 'sum(rate(g[{{.window}}]))'}, total: {query: 'sum(rate(t[{{.window}}]))'}}\n  timeWindows: [{count: 7, unit: Day}]\n";
        let (found, _) = objectives("f.yml", openslo).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].period_s), ("s-x-0", 604_800));
        assert!(objectives("f.yml", "groups: []").unwrap_err().contains("no objectives in it"));
    }
}
