//! The verdict in a line, for prompts and status bars, and in three, for whoever asks why.

use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::finding::{Finding, Fix, Severity};
use crate::model::unit::short;

use super::text::{glyph, since};

/// In one line: sign, what it costs, what it is. `columns`: cut to so many, by a mark; signs and words are ASCII where that is asked for.
#[must_use]
pub fn line(d: &Diagnosis, columns: Option<usize>, ascii: bool) -> String {
    let sign = sign(d.verdict.status, ascii);
    let cost = d.verdict.cost.as_ref().map_or_else(String::new, |cost| format!("{} ", cost.split(" (").next().unwrap_or(cost)));
    let text = match cause(d) {
        Some(_) => format!("{sign} {cost}{}", d.verdict.says),
        None => format!("{sign} {}", d.standing().0),
    };
    cut(&if ascii { plain(&text) } else { text }, columns, ascii)
}

/// In three lines: what, what it costs and since when, what to do; `seen` says when and by whom it was seen.
#[must_use]
pub fn three(d: &Diagnosis, seen: &str, ascii: bool) -> String {
    let sign = sign(d.verdict.status, ascii);
    let time = &d.time;
    let text = match cause(d) {
        Some(f) => {
            let cost = d.verdict.cost.as_ref().map_or_else(String::new, |cost| format!("{cost}, "));
            let symptoms = match f.explains.len() {
                0 => String::new(),
                1 => "; explains one symptom".to_owned(),
                n => format!("; explains {n} symptoms"),
            };
            let pasted = |fix: &Fix| match fix.preflight.iter().find(|check| !check.ok) {
                // Not to be pasted as it is: something stands in the way, or it is spelled in letters that are lost here.
                Some(check) => format!("{}; but first: {}", fix.title, check.what),
                None if fix.command.only_notes() => fix.title.clone(),
                None if ascii && !fix.command.is_ascii() => format!("{} (perftop shows it)", fix.title),
                None => fix.command.to_string(),
            };
            let fix = f.fixes.first().map_or_else(|| format!("perftop explain {}", f.id), pasted);
            format!("{sign} {}\n  {}: {cost}{}{symptoms} ({seen})\n  do: {fix}\n", d.verdict.says, f.severity.word(), since(f))
        }
        None => {
            let share = 100.0 * time.productive_s_per_s / time.foreground_s_per_s.max(f64::MIN_POSITIVE);
            let works = if time.foreground_s_per_s > 0.0 { format!(", {share:.0} % of it productive") } else { String::new() };
            let unknown = match d.unknown.len() {
                0 => String::new(),
                n => format!(", {n} could not be made: perftop doctor"),
            };
            format!(
                "{sign} {}\n  {} s/s of foreground time{works} ({seen})\n  {} checks found nothing{unknown}\n",
                d.verdict.says,
                short(time.foreground_s_per_s),
                d.checks().count()
            )
        }
    };
    if ascii { plain(&text) } else { text }
}

fn cause(d: &Diagnosis) -> Option<&Finding> {
    let key = d.verdict.key.as_ref()?;
    d.findings.iter().find(|f| f.key == *key)
}

const fn sign(status: Status, ascii: bool) -> &'static str {
    match (status, ascii) {
        (Status::Healthy, false) => "✓",
        (Status::Healthy, true) => "ok",
        (Status::Unknown, _) => "?",
        (Status::Warning, false) => glyph(Severity::Warning),
        (Status::Warning, true) => "!",
        (Status::Critical, false) => glyph(Severity::Critical),
        (Status::Critical, true) => "X",
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii() {
                c
            } else if c == '…' {
                '~'
            } else {
                '?'
            }
        })
        .collect()
}

/// By characters: a prompt that is one cell too long is no harm.
fn cut(text: &str, columns: Option<usize>, ascii: bool) -> String {
    match columns {
        Some(columns) if text.chars().count() > columns => {
            let mark = if ascii { '~' } else { '…' };
            text.chars().take(columns.saturating_sub(1)).chain([mark]).collect()
        }
        _ => text.to_owned(),
    }
}
