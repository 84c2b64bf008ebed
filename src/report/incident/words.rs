//! The sentences of a report. Pure.

use crate::detect::diagnosis::rfc3339;
use crate::detect::finding::{Known, Severity};
use crate::detect::memory::Outcome;
use crate::model::unit::{seconds, short};

use super::story::{Story, Told};

/// `03:12:07`, or with the day where the span has several.
pub fn moment(story: &Story, at_ms: i64) -> String {
    let (whole, first) = (rfc3339(at_ms), rfc3339(story.span_ms.0));
    if whole.get(..10) == first.get(..10) {
        whole.get(11..19).unwrap_or(&whole).to_owned()
    } else {
        whole.replace('T', " ").replace('Z', "")
    }
}

/// The summary: what was wrong, since when, whom it hurt, whether it is over.
pub fn summary(story: &Story) -> Vec<String> {
    let causes = story.causes();
    let mut out = Vec::new();
    let Some(first) = causes.first() else {
        let suffered: Vec<&str> = story.outcomes().iter().map(|t| t.finding.title.as_str()).collect();
        let span = seconds(story.seconds().round());
        out.push(match suffered.is_empty() {
            true => format!("Nothing that perftop could see was wrong on {} in these {span}.", story.host.name),
            false => format!("Clients suffered, and no cause was found on {}: {}.", story.host.name, suffered.join("; ")),
        });
        if story.spent.2 > 0.1 * story.spent.0 && story.spent.2 >= 1.0 {
            out.push(format!(
                "But {} s of {} s of foreground time waited for something that no finding explains.",
                short(story.spent.2),
                short(story.spent.0)
            ));
        }
        out.extend(by_itself(story, 0.0));
        return out;
    };
    let began = if first.finding.since.known == Known::AtLeast { "was there at least since" } else { "began at" };
    out.push(format!(
        "{} It {began} {} UTC and {}.",
        sentence(&first.finding.title),
        clock(story, &first.finding.since.at),
        over(story, first)
    ));
    let all: f64 = causes.iter().map(|t| t.lost).sum();
    let share = if story.spent.0 > 0.0 { 100.0 * all / story.spent.0 } else { 0.0 };
    if first.lost > 0.0 {
        out.push(format!(
            "It cost {} s of foreground time, {} s/s at its peak ({}); all causes together cost {} s, {share:.0} % of the {} s in which anyone \
             worked or waited.",
            short(first.lost),
            short(first.finding.impact.lost_s_per_s.unwrap_or(0.0)),
            moment(story, first.peak_ms),
            short(all),
            short(story.spent.0)
        ));
    }
    let hurt = story.outcomes();
    if !hurt.is_empty() {
        let titles: Vec<&str> = hurt.iter().map(|t| t.finding.title.as_str()).collect();
        out.push(format!("Who suffered: {}.", titles.join("; ")));
    }
    match causes.len() {
        0 | 1 => {}
        2 => out.push("One more cause was found beside it.".to_owned()),
        n => out.push(format!("{} more causes were found beside it.", n - 1)),
    }
    out.extend(by_itself(story, all));
    if story.spent.2 > 0.1 * story.spent.0 {
        out.push(format!("{} s of foreground time have no cause.", short(story.spent.2)));
    }
    out
}

/// What went into findings that are no warning: a program that waits for its own work is none, and whoever asks who had the CPU asks for it.
fn by_itself(story: &Story, to_causes: f64) -> Option<String> {
    let more = story.spent.1 - to_causes;
    if more <= 0.1 * story.spent.0 || more < 1.0 {
        return None;
    }
    let rest = story.told.values().filter(|t| t.worst == Severity::Info && !t.symptom());
    let most = rest.max_by(|a, b| a.lost.total_cmp(&b.lost)).filter(|t| t.lost > 0.0);
    let named = most.map_or_else(String::new, |t| format!(", most of it to this: {}", t.finding.title));
    let word = if to_causes > 0.0 { " more" } else { "" };
    Some(format!("{} s{word} went to what is no warning by itself{named}.", short(more)))
}

/// A time of day, with its day where the span has several.
fn clock(story: &Story, rfc: &str) -> String {
    let day = |ms: i64| rfc3339(ms).get(..10).map(ToOwned::to_owned);
    let same = day(story.span_ms.0) == day(story.span_ms.1) && rfc.get(..10) == day(story.span_ms.0).as_deref();
    if same { rfc.get(11..19).unwrap_or(rfc).to_owned() } else { rfc.replace('T', " ").replace('Z', "") }
}

/// It ends like one.
fn sentence(title: &str) -> String {
    let title = title.trim_end_matches('.');
    format!("{title}.")
}

/// Whether it was over at the end of the span.
fn over(story: &Story, told: &Told) -> String {
    if story.span_ms.1 - told.seen_ms.1 > 2 * story.step_ms() {
        return format!("was over at {}", moment(story, told.seen_ms.1));
    }
    "was still there at the end".to_owned()
}

/// How long it was there, and how bad.
pub fn lasted(told: &Told) -> String {
    let whole = |s: f64| seconds(s.round().max(1.0));
    let critical = if told.seconds.1 > 0.0 { format!(", critical for {}", whole(told.seconds.1)) } else { String::new() };
    format!("{}{critical}", whole(told.seconds.0))
}

/// What it cost, in its own terms.
pub fn impact(story: &Story, told: &Told) -> String {
    let i = &told.finding.impact;
    match (i.lost_s_per_s, i.failed_per_s, i.eta_s) {
        (Some(peak), ..) if told.lost > 0.0 || peak > 0.0 => {
            let share = if story.spent.0 > 0.0 { 100.0 * told.lost / story.spent.0 } else { 0.0 };
            format!("{} s of foreground time ({share:.0} %), {} s/s at its peak", short(told.lost), short(peak))
        }
        (_, Some(failed), _) => format!("{} failures a second at its peak", short(failed)),
        (_, _, Some(eta)) => format!("runs out in {}", seconds(eta)),
        _ => "costs no time by itself".to_owned(),
    }
}

/// What became of what was done, in words.
pub const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Resolved => "resolved",
        Outcome::WentAway => "went away by itself",
        Outcome::LoadWentAway => "the load went away",
        Outcome::NotResolved => "not resolved",
    }
}

/// What was gained, where a fix was taken; what ends by itself gains nothing.
pub fn gained(resolved: &crate::detect::memory::Resolved) -> String {
    match resolved.outcome {
        Outcome::Resolved | Outcome::NotResolved => short(resolved.before - resolved.after),
        Outcome::WentAway | Outcome::LoadWentAway => "-".to_owned(),
    }
}

/// The sign of a status.
pub const fn sign(worst: Option<Severity>) -> &'static str {
    match worst {
        Some(Severity::Critical) => "✖",
        Some(Severity::Warning) => "▲",
        _ => "✓",
    }
}
