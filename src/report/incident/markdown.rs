//! The report as Markdown. Text from outside is escaped for it.

use std::fmt::Write as _;

use crate::detect::diagnosis::rfc3339;
use crate::model::unit::{seconds, short};
use crate::report::chart;
use crate::report::markdown::{code, escape};

use super::figures::{Stands, Target, figures};
use super::plan::{self, HORIZONS, Item};
use super::story::{Story, Told};
use super::words;
use crate::diagnose::chart::{ByHand, Chart};

/// The whole report.
#[must_use]
pub fn render(story: &Story, targets: &[Target]) -> String {
    let mut out = String::new();
    _ = writeln!(
        out,
        "# Performance report: {}, {} to {} UTC\n",
        escape(&story.host.name),
        rfc3339(story.span_ms.0).replace('T', " ").replace('Z', ""),
        words::moment(story, story.span_ms.1)
    );
    _ = writeln!(out, "## Summary\n");
    for sentence in words::summary(story) {
        _ = writeln!(out, "{}", escape(&sentence));
    }
    current(&mut out, story, targets);
    _ = writeln!(out, "\n## Bottlenecks\n");
    for (n, cause) in story.causes().into_iter().enumerate() {
        bottleneck(&mut out, story, n + 1, cause);
    }
    if story.causes().is_empty() {
        _ = writeln!(out, "None was found.\n");
    }
    steps(&mut out, story);
    time_line(&mut out, story);
    _ = writeln!(out, "## The way to the cause\n\nAt the worst moment, {}:\n", story.worst.at);
    code(&mut out, "text", &chart::text(&Chart::of(&story.worst, &ByHand::new())));
    seen(&mut out, story);
    out
}

fn current(out: &mut String, story: &Story, targets: &[Target]) {
    _ = writeln!(out, "\n## Current performance\n\n| figure | mean | peak | target | |\n|---|---|---|---|---|");
    for figure in figures(story, targets) {
        let (mean, peak) = figure.values.unwrap_or_else(|| ("unknown".into(), String::new()));
        let sign = match figure.stands {
            Stands::FarAbove => "✖",
            Stands::Above => "▲",
            Stands::Below => "✓",
            Stands::Unknown => "?",
            Stands::Free => "",
        };
        let target = figure.target.unwrap_or_default();
        // An empty cell has one space.
        let cells =
            [figure.name.as_str(), &mean, &peak, &target, sign].map(|c| if c.is_empty() { " ".into() } else { format!(" {c} ") });
        _ = writeln!(out, "|{}|", cells.join("|"));
    }
}

fn bottleneck(out: &mut String, story: &Story, n: usize, told: &Told) {
    let f = &told.finding;
    _ = writeln!(out, "### {n}. {}\n", escape(&f.title));
    _ = writeln!(out, "**Location:** {} (`{}` on {})  ", escape(&f.subject.label), f.id, escape(&f.source));
    _ = writeln!(out, "**Impact:** {}; there for {}  ", escape(&words::impact(story, told)), words::lasted(told));
    _ = writeln!(out, "**Confidence:** {:.1}\n", f.confidence);
    _ = writeln!(out, "| evidence ({}) | value | against | from |\n|---|---|---|---|", words::moment(story, told.peak_ms));
    for e in f.evidence.iter().chain(&f.against) {
        _ = writeln!(out, "| {} | {} | {} | {} |", escape(&e.claim), e.unit.show(e.value), e.held_against(), e.origin);
    }
    out.push('\n');
    let symptoms = story.symptoms(told);
    if !symptoms.is_empty() {
        _ = writeln!(out, "It explains:\n");
        for s in symptoms {
            _ = writeln!(out, "* {}", escape(&s.finding.title));
        }
        out.push('\n');
    }
}

fn steps(out: &mut String, story: &Story) {
    _ = writeln!(out, "## The plan\n");
    for (horizon, title) in HORIZONS {
        let items = plan::at(story, horizon);
        if items.is_empty() {
            continue;
        }
        _ = writeln!(out, "### {title}\n");
        items.iter().for_each(|item| step(out, item));
    }
    let watch = plan::watch(story);
    if !watch.is_empty() {
        _ = writeln!(out, "### What to watch\n");
        for (n, cause, fix) in watch {
            _ = writeln!(out, "For {n} (`{}`):\n", cause.finding.id);
            code(out, fix.verify.language().word(), &fix.verify);
        }
    }
}

fn step(out: &mut String, item: &Item<'_>) {
    let fix = item.fix;
    let gain = item.gain().map_or_else(String::new, |s| format!("; expected gain {} s/s", short(s)));
    _ = writeln!(out, "**{}** (for {}; effort: {}{gain})\n", escape(&fix.title), item.number, item.effort());
    code(out, fix.command.language().word(), &fix.command);
    for check in fix.preflight.iter().filter(|c| !c.ok) {
        _ = writeln!(out, "* before: {}", escape(&check.what));
    }
    _ = writeln!(out, "* on: {}; needs: {}; risk: {}\n", escape(&fix.target), escape(&fix.needs), escape(&fix.risk));
    if let Some(undo) = &fix.undo {
        _ = writeln!(out, "To take it back:\n");
        code(out, undo.language().word(), undo);
    }
}

/// When what came and went, and what became of what was done.
fn time_line(out: &mut String, story: &Story) {
    _ = writeln!(out, "## Time line\n\n| from | to | severity | what |\n|---|---|---|---|");
    for told in story.raised() {
        let (from, to) = told.seen_ms;
        let symptom = if told.symptom() { " (symptom)" } else { "" };
        _ = writeln!(
            out,
            "| {} | {} | {} | {}{symptom} |",
            words::moment(story, from),
            words::moment(story, to),
            told.worst.word(),
            escape(&told.finding.title)
        );
    }
    out.push('\n');
    if !story.resolved.is_empty() {
        _ = writeln!(out, "What became of them:\n");
        _ = writeln!(out, "| at | what | before, s/s | after, s/s | expected gain | gained | |\n|---|---|---|---|---|---|---|");
        for r in &story.resolved {
            let gained = words::gained(r);
            let what = words::outcome(r.outcome);
            _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {what} |",
                r.at,
                escape(&r.key),
                short(r.before),
                short(r.after),
                short(r.predicted),
                gained
            );
        }
        out.push('\n');
    }
}

/// What was looked at, and what could not be.
fn seen(out: &mut String, story: &Story) {
    let d = &story.worst;
    _ = writeln!(out, "## What was looked at\n");
    _ = writeln!(out, "{} diagnoses in {} on {} CPUs.\n", story.looks, seconds(story.seconds()), story.host.cpus);
    for source in &d.sources {
        _ = writeln!(out, "* {}: {}", escape(&source.id), source.state.word());
    }
    out.push('\n');
    if !d.unknown.is_empty() {
        _ = writeln!(out, "Unknown:\n");
        for u in &d.unknown {
            _ = writeln!(out, "* `{}`: {}", u.id, escape(&u.because));
        }
    }
}
