//! Expressions of PromQL, read: their selectors, and what is wrong with them whatever the series are.

use promql_parser::parser::{BinaryExpr, Call, Expr, VectorSelector, parse};

/// What is wrong with an expression, as far as it can be told without its series.
#[must_use]
pub fn defects(expr: &str) -> Vec<String> {
    let parsed = match parse(expr) {
        Ok(parsed) => parsed,
        // A function of another flavour: its server knows.
        Err(why) if why.contains("unknown function") => return Vec::new(),
        Err(why) => return vec![format!("not PromQL: {}", why.lines().next().unwrap_or_default())],
    };
    let mut found = Vec::new();
    walk(&parsed, &mut |e, above| look(e, above, &mut found));
    if let Some(why) = never(&parsed) {
        found.push(why);
    }
    found.dedup();
    found
}

/// The selectors of an expression, as they are written, without what is asked for its absence.
#[must_use]
pub fn selectors(expr: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    walk(expr, &mut |e, above| {
        let absent = above.iter().any(|a| matches!(a, Expr::Call(c) if c.func.name.starts_with("absent")));
        // What stands behind `or` and `unless` may be missing.
        let spare = above.iter().zip(above.iter().skip(1).chain([&e])).any(|(a, below)| match a {
            Expr::Binary(b) => {
                ["or", "unless"].contains(&b.op.to_string().as_str())
                    && std::ptr::eq(&raw const *b.rhs, std::ptr::from_ref(*below))
            }
            _ => false,
        });
        let selector = match e {
            Expr::VectorSelector(s) => Some(s),
            Expr::MatrixSelector(m) => Some(&m.vs),
            _ => None,
        };
        found.extend(selector.filter(|_| !absent && !spare).map(plain));
    });
    found.sort();
    found.dedup();
    found
}

/// The metrics that must be there, by their bare names; a selector without a name as it is written.
#[must_use]
pub fn metrics(expr: &Expr) -> Vec<String> {
    let bare = |s: String| match s.split_once('{') {
        Some((name, _)) if !name.is_empty() => name.to_owned(),
        _ => s,
    };
    let mut all: Vec<String> = selectors(expr).into_iter().map(bare).collect();
    all.dedup();
    all
}

/// A selector without its offset.
fn plain(selector: &VectorSelector) -> String {
    VectorSelector { offset: None, at: None, ..selector.clone() }.to_string()
}

/// Goes through an expression; each part with what it is in, outermost first.
fn walk<'e>(expr: &'e Expr, each: &mut impl FnMut(&'e Expr, &[&'e Expr])) {
    fn go<'e>(expr: &'e Expr, above: &mut Vec<&'e Expr>, each: &mut impl FnMut(&'e Expr, &[&'e Expr])) {
        const DEEP: usize = 64;
        each(expr, above);
        if above.len() >= DEEP {
            return;
        }
        above.push(expr);
        match expr {
            Expr::Aggregate(a) => go(&a.expr, above, each),
            Expr::Unary(u) => go(&u.expr, above, each),
            Expr::Binary(b) => {
                go(&b.lhs, above, each);
                go(&b.rhs, above, each);
            }
            Expr::Paren(p) => go(&p.expr, above, each),
            Expr::Subquery(s) => go(&s.expr, above, each),
            Expr::Call(c) => c.args.args.iter().for_each(|arg| go(arg, above, each)),
            Expr::NumberLiteral(_)
            | Expr::StringLiteral(_)
            | Expr::VectorSelector(_)
            | Expr::MatrixSelector(_)
            | Expr::Extension(_) => {}
        }
        above.pop();
    }
    go(expr, &mut Vec::new(), each);
}

const RATES: [&str; 5] = ["rate", "irate", "increase", "resets", "changes"];

fn look(expr: &Expr, above: &[&Expr], found: &mut Vec<String>) {
    match expr {
        Expr::Call(call) if call.func.name == "histogram_quantile" => since_ever(call, found),
        Expr::VectorSelector(selector) => without_rate(selector, above, found),
        Expr::Call(call) if RATES[..3].contains(&call.func.name) => of_gauge(call, found),
        Expr::Binary(binary) => over_itself(binary, found),
        _ => {}
    }
}

/// `histogram_quantile(0.95, x_bucket)`: of all requests since the process began.
fn since_ever(call: &Call, found: &mut Vec<String>) {
    let Some(buckets) = call.args.args.last() else { return };
    let mut rated = false;
    let mut name = None;
    walk(buckets, &mut |e, above| {
        rated |= above
            .iter()
            .chain([&e])
            .any(|a| matches!(a, Expr::Call(c) if RATES.contains(&c.func.name) || c.func.name.ends_with("_over_time")));
        let own = match e {
            Expr::VectorSelector(s) => s.name.clone(),
            Expr::MatrixSelector(m) => m.vs.name.clone(),
            _ => None,
        };
        name = name.take().or(own);
    });
    if let Some(name) = name.filter(|name| !rated && name.ends_with("_bucket")) {
        found.push(format!("a quantile of {name} without rate: of all requests since its process began"));
    }
}

/// A counter that is compared as it is: it only ever grows.
fn without_rate(selector: &VectorSelector, above: &[&Expr], found: &mut Vec<String>) {
    let Some(name) = selector.name.as_deref().filter(|name| name.ends_with("_total")) else { return };
    let call = |a: &&Expr| matches!(a, Expr::Call(_) | Expr::Subquery(_));
    let counted = |a: &&Expr| matches!(a, Expr::Aggregate(agg) if ["count", "group"].contains(&agg.op.to_string().as_str()));
    let compared = above.iter().any(|a| matches!(a, Expr::Binary(b) if b.op.is_comparison_operator()));
    let divided = above.iter().any(|a| matches!(a, Expr::Binary(b) if ["/", "-"].contains(&b.op.to_string().as_str())));
    if compared && !divided && !above.iter().any(call) && !above.iter().any(counted) {
        found.push(format!("{name} is a counter and is compared without rate: it only ever grows"));
    }
}

/// A rate of what is no counter by its name.
fn of_gauge(call: &Call, found: &mut Vec<String>) {
    const GAUGES: [&str; 5] = ["_ratio", "_percent", "_celsius", "_timestamp_seconds", "_info"];
    let Some(arg) = call.args.args.first() else { return };
    if let Expr::MatrixSelector(m) = &**arg
        && let Some(name) = m.vs.name.as_deref()
        && (GAUGES.iter().any(|end| name.ends_with(end)) || name.starts_with("node_memory_"))
    {
        found.push(format!("{} of {name}, which is a gauge by its name: delta or deriv", call.func.name));
    }
}

/// `rate(a{code="500"}[5m]) / rate(a[5m])`: each series is divided by itself, for both sides have its labels.
fn over_itself(binary: &BinaryExpr, found: &mut Vec<String>) {
    let rated = |e: &Expr| match e {
        Expr::Call(c) if RATES[..3].contains(&c.func.name) => match c.args.args.first().map(|a| &**a) {
            Some(Expr::MatrixSelector(m)) => m.vs.name.clone(),
            _ => None,
        },
        _ => None,
    };
    let side = |e: &Expr| match e {
        Expr::Paren(p) => rated(&p.expr),
        e => rated(e),
    };
    if binary.op.to_string() != "/" || binary.modifier.as_ref().is_some_and(|m| m.matching.is_some()) {
        return;
    }
    if let (Some(a), Some(b)) = (side(&binary.lhs), side(&binary.rhs))
        && a == b
        && binary.lhs.to_string() != binary.rhs.to_string()
    {
        found.push(format!("each series of {a} is divided by itself: sum both sides"));
    }
}

/// A comparison that nothing can meet.
fn never(expr: &Expr) -> Option<String> {
    let expr = match expr {
        Expr::Paren(p) => return never(&p.expr),
        expr => expr,
    };
    let Expr::Binary(b) = expr else { return None };
    let Expr::NumberLiteral(n) = &*b.rhs else { return None };
    // With `bool` it gives 0 or 1, and so always a series.
    if b.return_bool() {
        return None;
    }
    let op = b.op.to_string();
    let (least, most) = bounds(&b.lhs)?;
    let cannot = match op.as_str() {
        ">" => n.val >= most,
        ">=" => n.val > most,
        "<" => n.val <= least,
        "<=" => n.val < least,
        "==" => n.val > most || n.val < least,
        _ => false,
    };
    cannot.then(|| format!("it can never hold: what is compared lies between {least} and {most}"))
}

/// Between which figures an expression must lie, where that is plain.
fn bounds(expr: &Expr) -> Option<(f64, f64)> {
    match expr {
        Expr::Paren(p) => bounds(&p.expr),
        Expr::VectorSelector(s) if s.name.as_deref() == Some("up") => Some((0.0, 1.0)),
        Expr::Call(c) if RATES.contains(&c.func.name) => Some((0.0, f64::INFINITY)),
        Expr::Call(c) if c.func.name.starts_with("absent") => Some((1.0, 1.0)),
        Expr::Aggregate(a) if ["avg", "min", "max"].contains(&a.op.to_string().as_str()) => bounds(&a.expr),
        Expr::Aggregate(a) if a.op.to_string() == "count" => Some((1.0, f64::INFINITY)),
        Expr::Aggregate(a) if a.op.to_string() == "sum" => {
            bounds(&a.expr).filter(|(least, _)| *least >= 0.0).map(|(least, _)| (least, f64::INFINITY))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_what_is_right_is_not() {
        let says = |expr: &str, what: &str| {
            let found = defects(expr);
            assert!(found.iter().any(|d| d.contains(what)), "{expr}: {found:?}");
        };
        says("p99 > 1000ms latency", "not PromQL");
        says("error_rate > 1%", "not PromQL");
        says("histogram_quantile(0.95, http_request_duration_seconds_bucket) > 0.5", "without rate");
        says("http_requests_total > 100", "only ever grows");
        says("rate(node_memory_MemFree_bytes[5m]) > 1", "gauge");
        says("rate(a_total{code=~\"5..\"}[5m]) / rate(a_total[5m]) > 0.01", "divided by itself");
        says("up > 1", "can never hold");
        says("sum(rate(a_total[5m])) < 0", "can never hold");
        says("(up == 2)", "can never hold");
        for fine in [
            "histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m]))) > 0.5",
            "sum(rate(a_total{code=\"5\"}[5m])) / sum(rate(a_total[5m])) > 0.01",
            "rate(a_total{code=\"5\"}[5m]) / ignoring(code) rate(a_total[5m]) > 0.01",
            "count(a_total) > 5",
            "rate(x_bytes_total[5m]) > 1",
            "increase(node_vmstat_oom_kill[1h]) > 0",
            "up == 0",
            "absent(up{job=\"a\"}) == 1",
            "a_total - a_total offset 5m > 3",
            "histogram_share(0.5, x_bucket) > 1",
            "up == bool 2",
            "rate(pg_stat_database_temp_bytes[5m]) > 1e8",
        ] {
            assert_eq!(defects(fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn selectors_are_those_that_must_be_there() {
        let of = |expr: &str| selectors(&parse(expr).unwrap());
        assert_eq!(of("rate(a{x=\"1\"}[5m] offset 1h) > 3 and b"), ["a{x=\"1\"}", "b"]);
        assert_eq!(of("absent(a) or b"), Vec::<String>::new());
        assert_eq!(of("a or b"), ["a"]);
    }
}
