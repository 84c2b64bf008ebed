//! Two spans of time beside each other: what changed in the time ledger, in causes, in what servers do, in settings. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::detect::diagnosis::{Diagnosis, rfc3339};
use crate::detect::finding::Severity;
use crate::detect::kinds::KINDS;
use crate::model::facts::Facts;
use crate::model::unit::{seconds, short};

use super::incident::Story;
use super::incident::story::Told;
use super::markdown::escape;

/// Sorts of work and states that are listed.
const MOST: usize = 12;
/// A change below this is none: part of the larger of the two, and s/s.
const SAME: (f64, f64) = (0.1, 0.005);

/// One of the two spans.
#[derive(Debug, Clone)]
pub struct Side {
    /// What happened in it.
    pub story: Story,
    /// Foreground seconds by state.
    states: BTreeMap<&'static str, f64>,
    /// What servers do: calls and seconds.
    work: BTreeMap<(String, String), (f64, f64)>,
    /// Seconds in which a server told what it does.
    told: BTreeMap<String, f64>,
    /// The newest settings, by server and name.
    settings: BTreeMap<(String, String), String>,
    /// Seconds that its diagnoses stand for.
    stands_s: f64,
    /// Foreground seconds: all; and of them lost to causes, to what is only info, without a cause, productive: these add up.
    spent: [f64; 5],
}

impl Side {
    /// Begins with its first diagnosis.
    #[must_use]
    pub fn begin(d: &Diagnosis, facts: &Facts) -> Self {
        let story = Story::begin(d, facts);
        let mut side = Self {
            story,
            states: BTreeMap::new(),
            work: BTreeMap::new(),
            told: BTreeMap::new(),
            settings: BTreeMap::new(),
            stands_s: 0.0,
            spent: [0.0; 5],
        };
        side.count(d, facts);
        side
    }

    /// The next one.
    pub fn add(&mut self, d: &Diagnosis, facts: &Facts) {
        self.story.add(d, facts);
        self.count(d, facts);
    }

    fn count(&mut self, d: &Diagnosis, facts: &Facts) {
        let stands_s = self.story.stands_s;
        self.stands_s += stands_s;
        let lost = |info: bool| -> f64 {
            let roots = d.findings.iter().filter(|f| f.explained_by.is_none() && (f.severity == Severity::Info) == info);
            roots.filter_map(|f| f.impact.lost_s_per_s).sum()
        };
        let now = [d.time.foreground_s_per_s, lost(false), lost(true), d.time.unexplained_s_per_s, d.time.productive_s_per_s];
        self.spent.iter_mut().zip(now).for_each(|(sum, s)| *sum += s * stands_s);
        for row in &d.time.states {
            *self.states.entry(row.state.id()).or_default() += row.s_per_s * stands_s;
        }
        for kind in KINDS {
            for id in (kind.servers)(facts) {
                let all = (kind.work)(facts, id);
                if !all.is_empty() {
                    *self.told.entry(id.to_owned()).or_default() += stands_s;
                }
                for work in all {
                    let sum = self.work.entry((id.to_owned(), work.name)).or_default();
                    *sum = (sum.0 + work.per_s * stands_s, sum.1 + work.busy * stands_s);
                }
                let settings = (kind.settings)(facts, id);
                self.settings.extend(settings.into_iter().map(|(name, value)| ((id.to_owned(), name), value)));
            }
        }
    }

    fn span(&self) -> String {
        format!("{}, {}", rfc3339(self.story.span_ms.0), seconds(self.story.seconds()))
    }

    fn mean(&self, sum: Option<&f64>) -> f64 {
        sum.copied().unwrap_or(0.0) / self.stands_s.max(1e-9)
    }
}

/// Both differ by enough to be told.
fn changed(a: f64, b: f64) -> bool {
    (a - b).abs() > (SAME.0 * a.max(b)).max(SAME.1)
}

/// `+1.2`, `-0.3`.
fn signed(change: f64) -> String {
    if change < 0.0 { format!("-{}", short(-change)) } else { format!("+{}", short(change)) }
}

/// Before and after, as Markdown.
#[must_use]
pub fn render(a: &Side, b: &Side) -> String {
    let mut out = "# Before and after\n\n".to_owned();
    _ = writeln!(
        out,
        "Before: {} ({})  \nAfter: {} ({})\n",
        escape(&a.story.host.name),
        a.span(),
        escape(&b.story.host.name),
        b.span()
    );
    if a.story.host.name != b.story.host.name {
        _ = writeln!(out, "These are two hosts: what is gone on the one was never there on the other.\n");
    }
    time(&mut out, a, b);
    causes(&mut out, a, b);
    work(&mut out, a, b);
    settings(&mut out, a, b);
    out
}

/// All of the foreground's time, and its parts, which add up. A query's own work is lost to what makes it needless.
const PARTS: [&str; 5] =
    ["all of the foreground", "lost to causes", "lost to what is only info", "without a cause", "productive"];

fn time(out: &mut String, a: &Side, b: &Side) {
    _ = writeln!(out, "## Where the time goes, seconds per second\n\n| | before | after | change |\n|---|---|---|---|");
    let row = |out: &mut String, name: &str, before: f64, after: f64| {
        _ = writeln!(out, "| {name} | {} | {} | {} |", short(before), short(after), signed(after - before));
    };
    for (at, name) in PARTS.iter().enumerate() {
        row(out, name, a.mean(a.spent.get(at)), b.mean(b.spent.get(at)));
    }
    let names: BTreeSet<&str> = a.states.keys().chain(b.states.keys()).copied().collect();
    let mut states: Vec<(&str, f64, f64)> =
        names.into_iter().map(|id| (id, a.mean(a.states.get(id)), b.mean(b.states.get(id)))).collect();
    states.retain(|(_, before, after)| changed(*before, *after));
    states.sort_by(|x, y| (y.2 - y.1).abs().total_cmp(&(x.2 - x.1).abs()).then(x.0.cmp(y.0)));
    states.truncate(MOST);
    if !states.is_empty() {
        _ = writeln!(out, "\nBy what it does or waits for:\n\n| | before | after | change |\n|---|---|---|---|");
    }
    states.iter().for_each(|(id, before, after)| row(out, &format!("`{id}`"), *before, *after));
    out.push('\n');
}

/// What a cause is from one time to the next: its rule, its source, whom it blames without a pid.
fn same(told: &Told) -> (String, String, String) {
    let label = told.finding.subject.label.split(" (pid").next().unwrap_or_default();
    (told.finding.id.clone(), told.finding.source.clone(), label.to_owned())
}

/// What a cause cost on average over a whole span, s/s.
fn cost(side: &Side, cause: &(String, String, String)) -> Option<f64> {
    let of = side.story.told.values().filter(|t| same(t) == *cause);
    let lost: Vec<f64> = of.map(|t| t.lost).collect();
    (!lost.is_empty()).then(|| lost.iter().sum::<f64>() / side.story.watched.max(1.0))
}

fn causes(out: &mut String, a: &Side, b: &Side) {
    let before = a.story.causes().into_iter().map(|t| (t, true));
    let after = b.story.causes().into_iter().map(|t| (t, false));
    let mut seen = BTreeSet::new();
    let all: Vec<(&Told, bool)> = before.chain(after).filter(|(t, _)| seen.insert(same(t))).collect();
    if all.is_empty() {
        _ = writeln!(out, "No cause was found in either.\n");
        return;
    }
    _ = writeln!(out, "## Causes\n\n| | before, s/s | after, s/s | expected gain | gained | what |\n|---|---|---|---|---|---|");
    for (told, was) in all {
        let cause = same(told);
        let (x, y) = (cost(a, &cause), cost(b, &cause));
        let raised = |side: &Side| side.story.causes().iter().any(|t| same(t) == cause);
        let word = match (raised(a), raised(b)) {
            (true, false) => "gone",
            (false, true) => "new",
            _ => "still there",
        };
        let shown = |s: Option<f64>| s.map_or_else(|| "-".to_owned(), short);
        // Of what it cost on average as much as its fix promised of its peak.
        let i = &told.finding.impact;
        let promised =
            i.benefit_s_per_s.zip(i.lost_s_per_s).filter(|(_, lost)| *lost > 0.0).map(|(benefit, lost)| benefit / lost);
        let expected = x.zip(promised).filter(|_| was).map(|(x, promised)| x * promised);
        let gained = x.filter(|_| was).map_or_else(|| "-".to_owned(), |x| signed(x - y.unwrap_or(0.0)));
        let title = escape(&told.finding.title);
        _ = writeln!(out, "| {word} | {} | {} | {} | {gained} | {title} |", shown(x), shown(y), shown(expected));
    }
    out.push('\n');
}

fn work(out: &mut String, a: &Side, b: &Side) {
    let names: BTreeSet<&(String, String)> = a.work.keys().chain(b.work.keys()).collect();
    let mean = |side: &Side, key: &(String, String)| {
        let (per_s, busy) = side.work.get(key).copied().unwrap_or_default();
        let seconds = side.told.get(&key.0).copied().unwrap_or(1.0);
        (per_s / seconds, busy / seconds)
    };
    let mut all: Vec<_> = names.into_iter().map(|key| (key, mean(a, key), mean(b, key))).collect();
    all.retain(|(_, x, y)| changed(x.1, y.1));
    all.sort_by(|p, q| (q.2.1 - q.1.1).abs().total_cmp(&(p.2.1 - p.1.1).abs()).then(p.0.cmp(q.0)));
    all.truncate(MOST);
    if all.is_empty() {
        return;
    }
    _ = writeln!(out, "## What servers do\n\n| server | what | calls/s | ms each | s/s | change |\n|---|---|---|---|---|---|");
    for ((source, name), x, y) in all {
        let each = |(per_s, busy): (f64, f64)| if per_s > 0.0 { short(busy / per_s * 1e3) } else { "-".to_owned() };
        _ = writeln!(
            out,
            "| {} | {} | {} → {} | {} → {} | {} → {} | {} |",
            escape(source),
            escape(name),
            short(x.0),
            short(y.0),
            each(x),
            each(y),
            short(x.1),
            short(y.1),
            signed(y.1 - x.1)
        );
    }
    out.push('\n');
}

fn settings(out: &mut String, a: &Side, b: &Side) {
    let both = a.settings.iter().filter_map(|(key, value)| Some((key, value, b.settings.get(key)?)));
    let changed: Vec<_> = both.filter(|(_, before, after)| before != after).collect();
    let new = b
        .settings
        .iter()
        .filter(|(key, _)| !a.settings.contains_key(*key) && a.settings.keys().any(|(source, _)| *source == key.0));
    let gone = a
        .settings
        .iter()
        .filter(|(key, _)| !b.settings.contains_key(*key) && b.settings.keys().any(|(source, _)| *source == key.0));
    let rows: Vec<(&(String, String), String, String)> = changed
        .into_iter()
        .map(|(key, before, after)| (key, before.clone(), after.clone()))
        .chain(new.map(|(key, value)| (key, "-".to_owned(), value.clone())))
        .chain(gone.map(|(key, value)| (key, value.clone(), "-".to_owned())))
        .collect();
    if rows.is_empty() {
        return;
    }
    _ = writeln!(out, "## Settings\n\n| server | setting | before | after |\n|---|---|---|---|");
    for ((source, name), before, after) in rows {
        _ = writeln!(out, "| {} | {} | {} | {} |", escape(source), escape(name), escape(&before), escape(&after));
    }
    out.push('\n');
}
