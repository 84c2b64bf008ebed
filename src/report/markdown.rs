//! The diagnosis for a ticket or a chat, as Markdown; text from outside is escaped for it.

use std::fmt::Write as _;

use crate::detect::diagnosis::Diagnosis;
use crate::detect::finding::{Finding, Phase};
use crate::model::unit::short;

use super::text::{headline, since, verdict};

/// Escapes what Markdown would take for markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]<>#|~&!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A code block whose fence is longer than any run of backticks within.
pub(super) fn code(out: &mut String, language: &str, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    _ = writeln!(out, "{fence}{language}\n{}\n{fence}\n", text.trim_end());
}

/// The whole diagnosis.
#[must_use]
pub fn render(d: &Diagnosis) -> String {
    let mut out = String::new();
    _ = writeln!(out, "## perftop: {} on {} at {}\n", d.standing().0, escape(&d.host.name), d.at);
    _ = writeln!(out, "**{}**\n", escape(&verdict(d)));
    for f in &d.findings {
        finding(&mut out, f);
    }
    _ = writeln!(out, "| state | s/s |\n|---|---|");
    for row in &d.time.states {
        _ = writeln!(out, "| {} | {} |", row.state.id(), short(row.s_per_s));
    }
    if !d.cleared.is_empty() {
        _ = writeln!(out, "\nCleared:\n");
    }
    for c in &d.cleared {
        _ = writeln!(out, "* `{}`: {}", c.id, escape(&c.because));
    }
    if !d.unknown.is_empty() {
        _ = writeln!(out, "\nUnknown:\n");
    }
    for u in &d.unknown {
        _ = writeln!(out, "* `{}`: {}", u.id, escape(&u.because));
    }
    out
}

fn finding(out: &mut String, f: &Finding) {
    let rank = f.rank.map_or_else(|| "-".to_owned(), |r| r.to_string());
    _ = writeln!(out, "### {rank}. {}: {}\n", f.severity.word(), escape(&headline(f)));
    _ = writeln!(out, "`{}`, {}, confidence {:.1}\n", f.id, since(f), f.confidence);
    _ = writeln!(out, "| evidence | value | against | from |\n|---|---|---|---|");
    for e in f.evidence.iter().chain(&f.against) {
        let limit = e.held_against();
        _ = writeln!(out, "| {} | {} | {limit} | {} |", escape(&e.claim), e.unit.show(e.value), e.origin);
    }
    out.push('\n');
    for fix in &f.fixes {
        let phase = if fix.phase == Phase::Relief { "Relief" } else { "Cure" };
        _ = writeln!(out, "{phase}: {}\n", escape(&fix.title));
        code(out, "sh", &fix.command);
        for check in &fix.preflight {
            let sign = if check.ok { "✔" } else { "✖" };
            _ = writeln!(out, "* check: {sign} {}", escape(&check.what));
        }
        _ = writeln!(out, "* needs: {}; risk: {}\n", escape(&fix.needs), escape(&fix.risk));
        if let Some(undo) = &fix.undo {
            _ = writeln!(out, "To take it back:\n");
            code(out, "sh", undo);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_from_outside_is_inert() {
        assert_eq!(escape("a`b|c<img>"), "a\\`b\\|c\\<img\\>");
        let mut out = String::new();
        code(&mut out, "sh", "echo ```");
        assert!(out.starts_with("````sh\n"));
    }
}
