//! The report as one HTML page: nothing is fetched, no script runs, it reads in light and dark. Text from outside is escaped for it.

use std::fmt::Write as _;

use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::Severity;
use crate::diagnose::chart::{ByHand, Chart};
use crate::model::history::Group;
use crate::model::unit::short;
use crate::report::chart;

use super::figures::{Stands, Target, figures};
use super::plan::{self, HORIZONS, Item};
use super::story::{Story, Told};
use super::words;

/// What stands above the page: no source of anything is allowed.
const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n";

const STYLE: &str = include_str!("page.css");

/// What each group of waits is called, in the order of the stack.
const GROUPS: [(Group, &str); 7] = [
    (Group::Servers, "servers"),
    (Group::Io, "IO"),
    (Group::Cpu, "CPU"),
    (Group::Quota, "quota"),
    (Group::Memory, "memory"),
    (Group::Peers, "peers"),
    (Group::Other, "other"),
];

/// Escapes what HTML would take for markup, in text and in attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The same, with what stands between backticks as code; an odd one stays what it is.
fn inline(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let part = |(n, part): (usize, &&str)| if n % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) };
    parts.iter().enumerate().map(part).collect()
}

/// The whole page.
#[must_use]
pub fn render(story: &Story, targets: &[Target]) -> String {
    let title = format!("{}, {} UTC", story.host.name, rfc3339(story.span_ms.0).replace('T', " ").replace('Z', ""));
    let mut out =
        format!("{HEAD}<title>perftop: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n", escape(&title));
    _ = writeln!(out, "<h1>Performance report: {} to {}</h1>", escape(&title), words::moment(story, story.span_ms.1));
    let worst = story.told.values().map(|t| t.worst).min();
    _ = writeln!(out, "<section class=\"summary {}\">", severity(worst));
    for sentence in words::summary(story) {
        _ = writeln!(out, "<p>{}</p>", inline(&sentence));
    }
    _ = writeln!(out, "</section>\n<h2>Where the time went</h2>");
    waits(&mut out, story);
    host(&mut out, story, targets);
    _ = writeln!(out, "<h2>Bottlenecks</h2>");
    for (n, told) in story.causes().into_iter().enumerate() {
        bottleneck(&mut out, story, n + 1, told);
    }
    if story.causes().is_empty() {
        _ = writeln!(out, "<p>None was found.</p>");
    }
    steps(&mut out, story);
    time_line(&mut out, story);
    _ = writeln!(out, "<h2>The way to the cause</h2>\n<p>At the worst moment, {}:</p>", story.worst.at);
    _ = writeln!(out, "<pre>{}</pre>", escape(&chart::text(&Chart::of(&story.worst, &ByHand::new()))));
    _ = writeln!(out, "</main>\n</body>\n</html>");
    out
}

const fn severity(worst: Option<Severity>) -> &'static str {
    match worst {
        Some(Severity::Critical) => "critical",
        Some(Severity::Warning) => "warning",
        _ => "good",
    }
}

/// The plot's place within its picture.
const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 44.0;

/// Where a moment stands.
fn across(story: &Story, at_ms: i64) -> f64 {
    let whole = (story.span_ms.1 - story.span_ms.0).max(1) as f64;
    LEFT + (at_ms - story.span_ms.0) as f64 / whole * WIDTH
}

/// A round figure at or above the highest.
fn ceiling(peak: f64) -> f64 {
    let step = 10_f64.powf(peak.max(1e-3).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * step).find(|top| *top >= peak).unwrap_or(peak)
}

fn frame(out: &mut String, story: &Story, (top, unit): (f64, &str), label: &str) {
    _ = writeln!(
        out,
        "<svg viewBox=\"0 0 {:.0} {:.0}\" role=\"img\" aria-label=\"{}\">",
        LEFT + WIDTH + 8.0,
        HEIGHT + 34.0,
        escape(label)
    );
    for part in [0.0, 0.5, 1.0] {
        let y = 8.0 + HEIGHT * (1.0 - part);
        _ = writeln!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>", LEFT + WIDTH);
        let figure = short(top * part);
        _ = writeln!(out, "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{figure}{unit}</text>", LEFT - 6.0, y + 4.0);
    }
    for part in 0..=4 {
        let at_ms = story.span_ms.0 + (story.span_ms.1 - story.span_ms.0) * part / 4;
        let anchor = match part {
            0 => "start",
            4 => "end",
            _ => "middle",
        };
        let x = across(story, at_ms);
        let y = HEIGHT + 26.0;
        _ = writeln!(out, "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{}</text>", words::moment(story, at_ms));
    }
}

/// Waiting over time, stacked by what is waited for; what has no cause is drawn over it as a line.
fn waits(out: &mut String, story: &Story) {
    let points = &story.points;
    let sum = |p: &super::story::Point| p.waits.values().sum::<f64>();
    let top = ceiling(points.iter().map(sum).fold(0.0, f64::max));
    frame(out, story, (top, ""), "Seconds per second that the foreground waits, by what for");
    let y = |s: f64| 8.0 + HEIGHT * (1.0 - (s / top).min(1.0));
    let mut below = vec![0.0; points.len()];
    for (group, name) in GROUPS {
        let of = |p: &super::story::Point| p.waits.get(&group).copied().unwrap_or(0.0);
        if points.iter().all(|p| of(p) < 0.005) {
            continue;
        }
        let above: Vec<f64> = points.iter().zip(&below).map(|(p, b)| b + of(p)).collect();
        // Where nobody looked nothing is drawn.
        let mut begin = 0;
        let ends = (1..points.len()).filter(|at| points[*at].gap).chain([points.len()]).collect::<Vec<_>>();
        for end in ends {
            let mut path = String::new();
            for (p, s) in points[begin..end].iter().zip(&above[begin..end]) {
                let step = if path.is_empty() { "M" } else { "L" };
                _ = write!(path, "{step}{:.1} {:.1}", across(story, p.at_ms), y(*s));
            }
            for (p, s) in points[begin..end].iter().zip(&below[begin..end]).rev() {
                _ = write!(path, "L{:.1} {:.1}", across(story, p.at_ms), y(*s));
            }
            _ = writeln!(out, "<path class=\"{}\" d=\"{path}Z\"><title>{name}</title></path>", name.to_lowercase());
            begin = end;
        }
        below = above;
    }
    line(out, story, "unexplained", &|p| Some(p.unexplained), &y);
    _ = writeln!(out, "</svg>\n<p class=\"legend\">");
    for (group, name) in GROUPS {
        if points.iter().any(|p| p.waits.get(&group).is_some_and(|s| *s >= 0.005)) {
            _ = writeln!(out, "<span><i class=\"{}\"></i>{name}</span>", name.to_lowercase());
        }
    }
    _ = writeln!(out, "<span><i class=\"unexplained\"></i>without a cause (line)</span> seconds per second</p>");
}

/// A line, broken where nobody looked.
fn line(out: &mut String, story: &Story, class: &str, of: &dyn Fn(&super::story::Point) -> Option<f64>, y: &dyn Fn(f64) -> f64) {
    let mut path = String::new();
    let mut open = false;
    for p in &story.points {
        let Some(value) = of(p) else {
            open = false;
            continue;
        };
        let joined = open && !p.gap;
        _ = write!(path, "{}{:.1} {:.1}", if joined { "L" } else { "M" }, across(story, p.at_ms), y(value));
        open = true;
    }
    _ = writeln!(out, "<path class=\"line {class}\" d=\"{path}\"/>");
}

/// The host's figures against their targets.
fn host(out: &mut String, story: &Story, targets: &[Target]) {
    let y = |percent: f64| 8.0 + HEIGHT * (1.0 - (percent / 100.0).clamp(0.0, 1.0));
    frame(out, story, (100.0, " %"), "Figures of the host in percent");
    for target in targets {
        line(out, story, &format!("host{}", target.at), &|p| p.host[target.at], &y);
    }
    _ = writeln!(out, "</svg>\n<p class=\"legend\">");
    for target in targets {
        _ = writeln!(out, "<span><i class=\"host{}\"></i>{}</span>", target.at, escape(target.name));
    }
    _ = writeln!(
        out,
        "</p>\n<table><thead><tr><th>figure</th><th>mean</th><th>peak</th><th>target</th><th></th></tr></thead><tbody>"
    );
    for figure in figures(story, targets) {
        let (mean, peak) = figure.values.unwrap_or_else(|| ("unknown".into(), String::new()));
        let (class, sign) = match figure.stands {
            Stands::FarAbove => ("critical", "✖ above"),
            Stands::Above => ("warning", "▲ above"),
            Stands::Below => ("good", "✓"),
            Stands::Unknown => ("", "?"),
            Stands::Free => ("", ""),
        };
        let target = escape(&figure.target.unwrap_or_default());
        _ = writeln!(
            out,
            "<tr><td>{}</td><td>{mean}</td><td>{peak}</td><td>{target}</td><td class=\"{class}\">{sign}</td></tr>",
            escape(&figure.name)
        );
    }
    _ = writeln!(out, "</tbody></table>");
}

fn bottleneck(out: &mut String, story: &Story, n: usize, told: &Told) {
    let f = &told.finding;
    let class = severity(Some(told.worst));
    _ = writeln!(
        out,
        "<section class=\"cause\">\n<h3><b class=\"{class}\">{} {}</b> {n}. {}</h3>",
        words::sign(Some(told.worst)),
        told.worst.word(),
        inline(&f.title)
    );
    _ = writeln!(
        out,
        "<p>{}; there for {}. {} (<code>{}</code> on {}). Confidence {:.1}.</p>",
        inline(&words::impact(story, told)),
        words::lasted(told),
        escape(&f.subject.label),
        f.id,
        escape(&f.source),
        f.confidence
    );
    _ = writeln!(
        out,
        "<table><thead><tr><th>evidence ({})</th><th>value</th><th>against</th><th>from</th></tr></thead><tbody>",
        words::moment(story, told.peak_ms)
    );
    for e in f.evidence.iter().chain(&f.against) {
        let (claim, value) = (inline(&e.claim), escape(&e.unit.show(e.value)));
        _ = writeln!(
            out,
            "<tr><td>{claim}</td><td>{value}</td><td>{}</td><td>{}</td></tr>",
            escape(&e.held_against()),
            escape(&e.origin)
        );
    }
    _ = writeln!(out, "</tbody></table>");
    let symptoms = story.symptoms(told);
    if !symptoms.is_empty() {
        _ = writeln!(out, "<p>It explains:</p>\n<ul>");
        for s in symptoms {
            _ = writeln!(out, "<li>{}</li>", inline(&s.finding.title));
        }
        _ = writeln!(out, "</ul>");
    }
    _ = writeln!(out, "</section>");
}

fn steps(out: &mut String, story: &Story) {
    _ = writeln!(out, "<h2>The plan</h2>");
    for (horizon, title) in HORIZONS {
        let items = plan::at(story, horizon);
        if !items.is_empty() {
            _ = writeln!(out, "<h3>{title}</h3>");
            items.iter().for_each(|item| step(out, item));
        }
    }
    let watch = plan::watch(story);
    if !watch.is_empty() {
        _ = writeln!(out, "<h3>What to watch</h3>");
        for (n, cause, fix) in watch {
            _ = writeln!(out, "<p>For {n}, <code>{}</code>:</p><pre>{}</pre>", cause.finding.id, escape(&fix.verify));
        }
    }
}

fn step(out: &mut String, item: &Item<'_>) {
    let fix = item.fix;
    let gain = item.gain().map_or_else(String::new, |s| format!("; expected gain {} s/s", short(s)));
    _ = writeln!(
        out,
        "<p><b>{}</b> (for {}; effort: {}{gain})</p>\n<pre>{}</pre>",
        inline(&fix.title),
        item.number,
        escape(&item.effort()),
        escape(&fix.command)
    );
    for check in fix.preflight.iter().filter(|c| !c.ok) {
        _ = writeln!(out, "<p class=\"warning\">▲ before: {}</p>", inline(&check.what));
    }
    _ = writeln!(
        out,
        "<p class=\"muted\">on: {}; needs: {}; risk: {}</p>",
        inline(&fix.target),
        inline(&fix.needs),
        inline(&fix.risk)
    );
    if let Some(undo) = &fix.undo {
        _ = writeln!(out, "<p class=\"muted\">to take it back:</p><pre>{}</pre>", escape(undo));
    }
}

fn time_line(out: &mut String, story: &Story) {
    _ = writeln!(out, "<h2>Time line</h2>\n<table><thead><tr><th>from</th><th>to</th><th></th><th>what</th></tr></thead><tbody>");
    for told in story.raised() {
        let symptom = if told.symptom() { " (symptom)" } else { "" };
        let (from, to) = told.seen_ms;
        _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"{}\">{} {}</td><td>{}{symptom}</td></tr>",
            words::moment(story, from),
            words::moment(story, to),
            severity(Some(told.worst)),
            words::sign(Some(told.worst)),
            told.worst.word(),
            inline(&told.finding.title)
        );
    }
    _ = writeln!(out, "</tbody></table>");
    if story.resolved.is_empty() {
        return;
    }
    _ = writeln!(
        out,
        "<table><thead><tr><th>at</th><th>what</th><th>before</th><th>after</th><th>expected gain</th><th>gained</th><th></th></tr></thead><tbody>"
    );
    for r in &story.resolved {
        let row =
            [short(r.before), short(r.after), short(r.predicted), words::gained(r)].map(|s| format!("<td>{s}</td>")).concat();
        _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td>{row}<td>{}</td></tr>",
            escape(&r.at),
            escape(&r.key),
            words::outcome(r.outcome)
        );
    }
    _ = writeln!(out, "</tbody></table>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text() {
        assert_eq!(inline("`a < b` blocks `c`"), "<code>a &lt; b</code> blocks <code>c</code>");
        assert_eq!(inline("one ` only"), "one ` only");
        assert_eq!(escape("<img src=x onerror='a(\"b\")'>&"), "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;");
    }

    #[test]
    fn an_axis_ends_at_a_round_figure() {
        for (peak, top) in [(0.3, 0.5), (1.0, 1.0), (3.2, 5.0), (7.0, 10.0), (120.0, 200.0)] {
            assert!((ceiling(peak) - top).abs() < 1e-9, "{peak}");
        }
    }
}
