//! The diagnosis for a terminal or a log: the verdict first, then causes, fixes, what is fine, what is unseen.

use std::fmt::Write as _;

use crate::detect::diagnosis::{Diagnosis, Status, UnknownRow};
use crate::detect::finding::{Class, Finding, Fix, Known, Phase, Severity};
use crate::detect::headline::whose;
use crate::diagnose::chart::{resource, resources};
use crate::model::unit::{seconds, short};

/// The verdict with its sign.
#[must_use]
pub fn verdict(diagnosis: &Diagnosis) -> String {
    let sign = match diagnosis.verdict.status {
        Status::Healthy => "✓",
        Status::Unknown => "?",
        Status::Warning => glyph(Severity::Warning),
        Status::Critical => glyph(Severity::Critical),
    };
    format!("{sign} {}", diagnosis.verdict.text())
}

/// One line of a finding: cost, share, title.
#[must_use]
pub fn headline(f: &Finding) -> String {
    let ended = if f.ended { " (ended)" } else { "" };
    match (f.impact.benefit_s_per_s, f.impact.share) {
        // What gives nothing back to anybody says in its title what it costs.
        (Some(benefit), Some(share)) if benefit >= 0.005 => {
            format!("{} waiting ({:.0} % of all request time)  {}", short(benefit), (share * 100.0).max(0.0).abs(), f.title)
        }
        _ => match f.impact.eta_s {
            Some(eta) => format!("in {}  {}", seconds(eta), f.title),
            None => format!("{}{ended}", f.title),
        },
    }
}

/// The sign of a severity; the word stands beside it where there is room.
#[must_use]
pub const fn glyph(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "i",
    }
}

/// "since 03:09:40" or "at least since …".
#[must_use]
pub fn since(f: &Finding) -> String {
    let least = if f.since.known == Known::AtLeast { "at least " } else { "" };
    format!("{least}since {}", f.since.at)
}

/// The whole diagnosis; `verbose`: with each check that found nothing, else they are counted by resource.
#[must_use]
pub fn render(d: &Diagnosis, verbose: bool) -> String {
    let mut out = String::new();
    let (word, score) = d.standing();
    let score = score.map_or_else(String::new, |s| format!(", score {s:.0}"));
    let provisional = if d.provisional { ", provisional" } else { "" };
    _ = writeln!(out, "{} {}  {}{score}  (window {} s{provisional})", d.host.name, d.at, word, short(d.window_s));
    _ = writeln!(out, "{}\n", verdict(d));
    for f in &d.findings {
        finding(&mut out, f, d);
    }
    _ = writeln!(
        out,
        "time     foreground {} s/s = productive {} + lost to causes {} + unexplained {}",
        short(d.time.foreground_s_per_s),
        short(d.time.productive_s_per_s),
        short((d.time.foreground_s_per_s - d.time.productive_s_per_s - d.time.unexplained_s_per_s).max(0.0)),
        short(d.time.unexplained_s_per_s)
    );
    if verbose {
        for c in &d.cleared {
            _ = writeln!(out, "cleared  {:<24} {}{}", c.id, whose(&d.sources, &c.source), c.because);
        }
    } else {
        counted(&mut out, d);
    }
    for (at, u) in d.unknown.iter().enumerate() {
        let same = |o: &&UnknownRow| (&o.source, &o.because, &o.lift) == (&u.source, &u.because, &u.lift);
        if d.unknown[..at].iter().any(|o| same(&o)) {
            continue;
        }
        let lift = u.lift.as_ref().map_or_else(String::new, |l| format!("  -> {l}"));
        let more = match d.unknown.iter().filter(same).count() {
            1 => String::new(),
            n => format!(" (and {} more)", n - 1),
        };
        _ = writeln!(out, "unknown  {:<24} {}{}{lift}", format!("{}{more}", u.id), whose(&d.sources, &u.source), u.because);
    }
    for r in &d.resolved {
        _ = writeln!(out, "gone     {}  {} -> {} s/s ({:?})", r.key, short(r.before), short(r.after), r.outcome.word());
    }
    out
}

/// How many checks of each resource found nothing.
fn counted(out: &mut String, d: &Diagnosis) {
    let of = |name: &str| d.checks().filter(|c| resource(&c.id) == name).count();
    let counts = resources().map(|name| (name, of(name))).filter(|(_, n)| *n > 0);
    let counts: Vec<String> = counts.map(|(name, n)| format!("{name} {n}")).collect();
    if !counts.is_empty() {
        _ = writeln!(out, "cleared  {} checks found nothing (-v lists them): {}", d.checks().count(), counts.join(" · "));
    }
}

fn finding(out: &mut String, f: &Finding, d: &Diagnosis) {
    let rank = f.rank.map_or_else(|| "-".to_owned(), |r| r.to_string());
    _ = writeln!(out, "{rank:>2}. {} {:<8} {}", glyph(f.severity), f.severity.word(), headline(f));
    _ = writeln!(out, "      {}  subject {}  {}  confidence {:.1}", f.id, f.subject.typed_key(), since(f), f.confidence);
    related(out, f, d);
    for e in &f.evidence {
        let limit = Some(e.held_against()).filter(|l| !l.is_empty()).map_or_else(String::new, |l| format!("  {l}"));
        _ = writeln!(out, "      + {}: {}{limit}  [{}]", e.claim, e.unit.show(e.value), e.origin);
    }
    for e in &f.against {
        _ = writeln!(out, "      - against? {}: {}  [{}]", e.claim, e.unit.show(e.value), e.origin);
    }
    if f.class != Class::Hygiene || f.severity != Severity::Info {
        f.fixes.iter().for_each(|fix| one_fix(out, fix));
    } else if let Some(fix) = f.fixes.first() {
        _ = writeln!(out, "      $ {}", fix.command);
    }
    out.push('\n');
}

/// What explains it, what it explains and when that came up, and what costs as much.
fn related(out: &mut String, f: &Finding, d: &Diagnosis) {
    let by_key = |key: &str| d.findings.iter().find(|o| o.key == key);
    if let Some(cause) = f.explained_by.as_deref().and_then(by_key) {
        _ = writeln!(out, "      explained by: {}", cause.title);
    }
    for (e, symptom) in f.explains.iter().filter_map(|e| Some((e, by_key(&e.key)?))) {
        let came = f.came(symptom).map_or_else(String::new, |came| format!(" (began {came})"));
        _ = writeln!(out, "      explains {} s/s of: {}{came}", short(e.s_per_s), symptom.title);
    }
    for other in d.findings.iter().filter(|o| f.tied(o)) {
        _ = writeln!(out, "      costs as much, within what can be measured: {}", other.title);
    }
}

fn one_fix(out: &mut String, fix: &Fix) {
    let phase = if fix.phase == Phase::Relief { "RELIEF" } else { "CURE  " };
    _ = writeln!(out, "      {phase} {}", fix.title);
    _ = writeln!(out, "        $ {}", fix.command);
    let then = fix.verify_in().map_or_else(|| "then".to_owned(), |language| format!("then, {language}"));
    for (what, said) in [("where", &*fix.target), ("needs", &fix.needs), ("risk", &fix.risk), (&then, &fix.verify)] {
        if !said.is_empty() {
            _ = writeln!(out, "        {what}: {said}");
        }
    }
    if let Some(undo) = &fix.undo {
        _ = writeln!(out, "        undo: {undo}");
    }
    for p in &fix.preflight {
        _ = writeln!(out, "        {} {}", if p.ok { "✔" } else { "✖" }, p.what);
    }
}
