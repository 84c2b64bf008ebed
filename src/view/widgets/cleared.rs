//! What was looked at and is not to blame, and what could not be looked at: counted by resource, and whole.

use ratatui::text::{Line, Span};

use crate::config::Meaning;
use crate::detect::diagnosis::Diagnosis;
use crate::detect::rule::brief;
use crate::diagnose::chart::{resource, resources};
use crate::view::theme::Theme;
use crate::view::widgets::text::{cut, wrap};

/// Cells of a resource's name.
const NAME: usize = 17;

/// A line for each resource; in so few rows that they do not fit, one for all.
pub fn counted(d: &Diagnosis, (width, rows): (usize, usize), key: &str, theme: &Theme) -> Vec<Line<'static>> {
    let mut all = Vec::new();
    for name in resources() {
        let fine: Vec<&str> = of(d, name).map(|c| c.because.as_str()).collect();
        let unknown: Vec<&str> = d.unknown.iter().filter(|u| resource(&u.id) == name).map(|u| u.because.as_str()).collect();
        let said = |n: usize, text: Option<&&str>| format!("{name:<NAME$}{n:>3}  {}", text.copied().unwrap_or_default());
        if !fine.is_empty() {
            all.push(line(theme.pick("✓", "+"), &said(fine.len(), fine.first()), Meaning::Good, width, theme));
        }
        if !unknown.is_empty() {
            all.push(line("?", &said(unknown.len(), unknown.first()), Meaning::Unknown, width, theme));
        }
    }
    if all.len() <= rows {
        return all;
    }
    let unknown = if d.unknown.is_empty() { String::new() } else { format!(", {} could not be made", d.unknown.len()) };
    let text = format!("{} other checks found nothing{unknown}; {key} lists them", d.checks().count());
    vec![line(theme.pick("✓", "+"), &text, Meaning::Muted, width, theme)]
}

fn of<'a>(d: &'a Diagnosis, name: &'a str) -> impl Iterator<Item = &'a crate::detect::diagnosis::Cleared> {
    d.checks().filter(move |c| resource(&c.id) == name)
}

fn line(sign: &str, text: &str, meaning: Meaning, width: usize, theme: &Theme) -> Line<'static> {
    // The sign carries the colour: what is fine must not shine.
    let text = cut(&theme.text(text), width.saturating_sub(2), theme);
    Line::from(vec![Span::styled(format!("{sign} "), theme.style(meaning)), Span::styled(text, theme.style(Meaning::Muted))])
}

/// Each check with what clears it, by resource, then what could not be checked and how to lift that.
pub fn all(d: &Diagnosis, width: usize, theme: &Theme) -> Vec<Line<'static>> {
    const ID: usize = 26;
    let mut rows = Vec::new();
    let mut row = |id: &str, because: &str, meaning| {
        for (n, text) in wrap(because, width.saturating_sub(ID + 1)).into_iter().enumerate() {
            let id = if n == 0 { cut(brief(id), ID, theme) } else { String::new() };
            rows.push(Line::from(vec![
                Span::styled(format!("{id:<ID$} "), theme.style(Meaning::Muted)),
                Span::styled(theme.text(&text), theme.style(meaning)),
            ]));
        }
    };
    // At the first look most of what is not known only needs the next one.
    let soon = |because: &str| d.provisional && because.ends_with("(not yet)");
    let waiting = d.unknown.iter().filter(|u| soon(&u.because)).count();
    if waiting > 0 {
        let checks = if waiting == 1 { "check needs" } else { "checks need" };
        row("", &format!("{waiting} {checks} a second sample"), Meaning::Muted);
    }
    for u in d.unknown.iter().filter(|u| !soon(&u.because)) {
        let lift = u.lift.as_ref().map_or_else(String::new, |lift| format!("; {lift}"));
        row(&u.id, &format!("not checked: {}{lift}", u.because), Meaning::Unknown);
    }
    for name in resources() {
        of(d, name).for_each(|c| row(&c.id, &c.because, Meaning::Text));
    }
    rows
}
