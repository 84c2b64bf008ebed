//! An objective and an alert, closely.

use crate::app::tables::Card;
use crate::model::facts::PrometheusFacts;
use crate::model::objective::{Sli, pairs, promql_duration};
use crate::model::unit::{count, seconds, short};

use super::rows::state;

/// An objective: its budget, each pair of windows, its quantiles, what is counted.
pub fn objective(p: &PrometheusFacts, key: &str) -> Option<Card> {
    let c = p.counted.iter().find(|c| c.objective.name == key)?;
    let o = &c.objective;
    let mut lines = vec![("state".to_owned(), state(c).0)];
    let row = |label: &str, text: String| (label.to_owned(), text);
    lines.push(row("target", format!("{} % over {}", o.percent(), seconds(o.period_s as f64))));
    if let Some((left, covered_s)) = c.left() {
        let reach = if covered_s + 7_200.0 < o.period_s as f64 {
            format!(", as far as the storage reaches back ({})", seconds(covered_s))
        } else {
            String::new()
        };
        lines.push(row("budget left", format!("{} %{reach}", short(left * 100.0))));
    }
    if let Some(s) = c.spent_in() {
        lines.push(row("gone in", format!("{} at the pace of the last hour", seconds(s))));
    }
    for pair in pairs(o.period_s) {
        let factor = pair.factor(o.period_s);
        let pace = |w: u64| c.burn(w).map_or_else(|| "?".to_owned(), |b| format!("{}x", short(b)));
        let both = [pair.long_s, pair.short_s].into_iter().all(|w| c.burn(w).is_some_and(|b| b >= factor));
        let verdict = match (o.reachable(factor), both) {
            (false, _) => "cannot be reached at this target",
            (true, true) => "both exceeded",
            (true, false) => "",
        };
        let windows = format!("{} / {}", promql_duration(pair.long_s), promql_duration(pair.short_s));
        lines.push(row(&windows, format!("{} / {}, limit {}x  {verdict}", pace(pair.long_s), pace(pair.short_s), short(factor))));
    }
    for (window, seen) in &c.windows {
        let text = match seen {
            Ok(s) => {
                let all = s.requests.map_or_else(String::new, |n| format!("{} requests, ", count(n)));
                let most = if s.failed_most > s.failed * 1.01 {
                    format!(" to {} % (the limit lies within a bucket)", short(s.failed_most * 100.0))
                } else {
                    String::new()
                };
                format!("{all}{} % failed{most}", short(s.failed * 100.0))
            }
            Err(lack) => format!("? {lack}"),
        };
        lines.push(row(&format!("last {}", promql_duration(*window)), text));
    }
    for q in &c.quantiles {
        let end =
            if q.high_s.is_finite() { format!("to {}", seconds(q.high_s)) } else { "and more: beyond the last bucket".into() };
        lines.push(row(&format!("p{}", short(q.of * 100.0)), format!("{} {end}", seconds(q.low_s))));
    }
    let counted = match &o.sli {
        Sli::Ratio { errors, total } | Sli::Rates { errors, total } => vec![("failed", errors.clone()), ("of", total.clone())],
        Sli::Good { good, total } => vec![("good", good.clone()), ("of", total.clone())],
        Sli::Latency { histogram, within_s } => vec![("within", format!("{} of {histogram}", seconds(*within_s)))],
        Sli::Share { errors } => vec![("failed", errors.clone())],
    };
    lines.extend(counted.into_iter().map(|(label, text)| row(label, crate::model::foreign::tamed(&text))));
    Some(Card { title: format!("objective {}", o.name), lines })
}

/// An alert with all its labels.
pub fn alert(p: &PrometheusFacts, key: &str) -> Option<Card> {
    let alerts = p.alerts.as_ref().ok()?;
    let a = alerts.iter().find(|a| format!("{} {}", a.name.shown(), a.all_labels()) == key)?;
    let mut lines = vec![("state".to_owned(), if a.firing { "firing" } else { "pending" }.to_owned())];
    lines.push(("says".to_owned(), a.says.shown().to_owned()));
    lines.extend(a.value.map(|v| ("value".to_owned(), short(v))));
    lines.extend(a.labels.iter().map(|(name, value)| (name.shown().to_owned(), value.shown().to_owned())));
    Some(Card { title: format!("alert {}", a.name.shown()), lines })
}

/// A rule of a file.
pub fn rule(p: &PrometheusFacts, key: &str, now_ms: i64) -> Option<Card> {
    let own = |r: &crate::model::alerting::Evaluated| format!("{} {} {}", r.group.shown(), r.name.shown(), r.expr.shown()) == key;
    let r = p.rules.iter().find(|r| own(r))?;
    let mut lines = vec![("expression".to_owned(), r.expr.shown().to_owned()), ("group".to_owned(), r.group.shown().to_owned())];
    let row = |label: &str, text: String| (label.to_owned(), text);
    match &r.holds {
        Ok(n) => lines.push(row("series", n.to_string())),
        Err(lack) => lines.push(row("series", format!("? {lack}"))),
    }
    if let Some((about, value)) = &r.first {
        lines.push(row("first", format!("{} {}", about.shown(), short(*value))));
    }
    if let Some(since) = r.since_ms {
        let held = ((now_ms - since) as f64 / 1e3).max(0.0);
        let verdict = if r.fires(now_ms) { "would fire" } else { "pending" };
        lines.push(row("true for", format!("{} (needs {}): {verdict}", seconds(held), seconds(r.for_s as f64))));
    }
    lines.extend(r.defects.iter().map(|d| row("problem", d.shown().to_owned())));
    Some(Card { title: format!("rule {}", r.name.shown()), lines })
}
