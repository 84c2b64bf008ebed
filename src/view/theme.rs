//! A theme in force: meanings to styles at the terminal's colour depth, and the glyphs it can draw.

use ratatui::style::{Color, Modifier, Style};

use crate::config::{Colour, Meaning, ThemeFile};
use crate::detect::finding::Severity;

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by their number")]
pub enum Depth {
    None,
    Sixteen,
    Palette,
    True,
}

impl Depth {
    /// By the setting and the environment: `NO_COLOR`, `TERM`, `COLORTERM`.
    #[must_use]
    pub fn detect(setting: &str, term: &str, colorterm: &str) -> Self {
        match setting {
            "never" => Self::None,
            _ if matches!(colorterm, "truecolor" | "24bit") => Self::True,
            _ if term.contains("direct") => Self::True,
            _ if term.contains("256color") => Self::Palette,
            "always" => Self::Sixteen,
            _ if term.is_empty() || term == "dumb" => Self::None,
            _ => Self::Sixteen,
        }
    }
}

/// A theme in force.
#[derive(Debug, Clone)]
pub struct Theme {
    file: ThemeFile,
    depth: Depth,
    /// Draw with ASCII only.
    pub ascii: bool,
    /// Gauge limits in percent: warning, critical, for CPU, memory and disk space.
    pub targets: Targets,
}

/// From where on gauges change colour. They raise nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "warning and critical in percent")]
pub struct Targets {
    pub cpu: (f64, f64),
    pub memory: (f64, f64),
    pub disk: (f64, f64),
}

impl Theme {
    /// A theme at a depth.
    #[must_use]
    pub const fn new(file: ThemeFile, depth: Depth, ascii: bool, targets: Targets) -> Self {
        Self { file, depth, ascii, targets }
    }

    /// The style of a meaning.
    #[must_use]
    pub fn style(&self, meaning: Meaning) -> Style {
        let style = Style::new();
        if self.depth == Depth::None {
            return match meaning {
                Meaning::Selected => style.add_modifier(Modifier::REVERSED),
                Meaning::Title | Meaning::Critical => style.add_modifier(Modifier::BOLD),
                Meaning::Muted | Meaning::Border => style.add_modifier(Modifier::DIM),
                _ => style,
            };
        }
        let colour = self.colour(meaning);
        match meaning {
            // The terminal's own colours, whichever they are: what stands out from them, and what stands back.
            Meaning::Selected if colour == Color::Reset => style.add_modifier(Modifier::REVERSED),
            Meaning::Muted | Meaning::Border if colour == Color::Reset => style.add_modifier(Modifier::DIM),
            Meaning::Selected => style.bg(colour),
            Meaning::Title => style.fg(colour).add_modifier(Modifier::BOLD),
            _ => style.fg(colour),
        }
    }

    /// The colour of a meaning at the terminal's depth.
    #[must_use]
    pub fn colour(&self, meaning: Meaning) -> Color {
        match (self.file.colours.get(&meaning).copied().unwrap_or(Colour::Default), self.depth) {
            (_, Depth::None) | (Colour::Default, _) => Color::Reset,
            (Colour::Ansi(index), _) => Color::Indexed(index),
            (Colour::Rgb(r, g, b), Depth::True) => Color::Rgb(r, g, b),
            (Colour::Rgb(r, g, b), Depth::Palette) => Color::Indexed(palette(r, g, b)),
            (Colour::Rgb(r, g, b), Depth::Sixteen) => Color::Indexed(sixteen(r, g, b)),
        }
    }

    /// Style of a severity.
    #[must_use]
    pub fn severity(&self, severity: Severity) -> Style {
        self.style(match severity {
            Severity::Critical => Meaning::Critical,
            Severity::Warning => Meaning::Warning,
            Severity::Info => Meaning::Info,
        })
    }

    /// Style of a percentage against two limits.
    #[must_use]
    pub fn level(&self, percent: f64, (warning, critical): (f64, f64)) -> Style {
        self.style(match percent {
            p if p >= critical => Meaning::Critical,
            p if p >= warning => Meaning::Warning,
            _ => Meaning::Good,
        })
    }

    /// The sign of a severity.
    #[must_use]
    pub fn sign(&self, severity: Severity) -> &'static str {
        match (severity, self.ascii) {
            (Severity::Critical, false) => "✖",
            (Severity::Critical, true) => "X",
            (Severity::Warning, false) => "▲",
            (Severity::Warning, true) => "!",
            (Severity::Info, _) => "i",
        }
    }

    /// `unicode` where the terminal draws it, else `ascii`.
    #[must_use]
    pub const fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// Text as this terminal can draw it: with `--ascii` what is not ASCII is spelled.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if !self.ascii || text.is_ascii() {
            return text.to_owned();
        }
        text.chars().map(|c| if c.is_ascii() { c.to_string() } else { spelled(c) }).collect()
    }
}

fn spelled(c: char) -> String {
    match c {
        '✖' => "X".into(),
        '▲' => "!".into(),
        '✓' | '✔' => "ok".into(),
        '→' => "->".into(),
        '←' => "<-".into(),
        '↑' => "up".into(),
        '↓' => "down".into(),
        '⏎' => "Enter".into(),
        '·' => "-".into(),
        '…' => "...".into(),
        'Δ' => "d".into(),
        'µ' => "u".into(),
        '│' => "|".into(),
        '▓' | '█' | '▇' => "#".into(),
        '▅' | '▆' => "+".into(),
        '▃' | '▄' => ":".into(),
        '░' | '▁' | '▂' => ".".into(),
        '─' => "-".into(),
        '└' | '┼' | '├' | '╰' | '┘' | '┐' | '┌' => "+".into(),
        '■' | '▸' => ">".into(),
        c => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

/// Nearest of the 6x6x6 cube or the grey ramp.
fn palette(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |v: u8| {
        let distance = |i: &usize| STEPS[*i].abs_diff(v);
        (0..6).min_by_key(distance).unwrap_or(0)
    };
    let (cr, cg, cb) = (nearest(r), nearest(g), nearest(b));
    let cube = (16 + 36 * cr + 6 * cg + cb) as u8;
    let mean = (u32::from(r) + u32::from(g) + u32::from(b)) / 3;
    let grey = (mean.saturating_sub(8) / 10).min(23) as u8;
    let grey_value = 8 + 10 * grey;
    let far = |x: [u8; 3]| -> u32 { [r, g, b].iter().zip(x).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    if far([grey_value; 3]) < far([STEPS[cr], STEPS[cg], STEPS[cb]]) { 232 + grey } else { cube }
}

/// Nearest of the sixteen, as most terminals draw them.
fn sixteen(r: u8, g: u8, b: u8) -> u8 {
    const RGB: [(u8, u8, u8); 16] = [
        (0, 0, 0),
        (170, 0, 0),
        (0, 170, 0),
        (170, 85, 0),
        (0, 0, 170),
        (170, 0, 170),
        (0, 170, 170),
        (170, 170, 170),
        (85, 85, 85),
        (255, 85, 85),
        (85, 255, 85),
        (255, 255, 85),
        (85, 85, 255),
        (255, 85, 255),
        (85, 255, 255),
        (255, 255, 255),
    ];
    let far = |(x, y, z): (u8, u8, u8)| -> u32 {
        u32::from(r.abs_diff(x)).pow(2) + u32::from(g.abs_diff(y)).pow(2) + u32::from(b.abs_diff(z)).pow(2)
    };
    (0..16u8).min_by_key(|i| far(RGB[usize::from(*i)])).unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_follows_the_environment() {
        assert_eq!(Depth::detect("never", "xterm-256color", "truecolor"), Depth::None);
        assert_eq!(Depth::detect("auto", "xterm-256color", "truecolor"), Depth::True);
        assert_eq!(Depth::detect("auto", "screen-256color", ""), Depth::Palette);
        assert_eq!(Depth::detect("auto", "linux", ""), Depth::Sixteen);
        assert_eq!(Depth::detect("auto", "dumb", ""), Depth::None);
    }

    #[test]
    fn colours_fall_to_the_nearest() {
        assert_eq!(palette(255, 0, 0), 196);
        assert_eq!(palette(128, 128, 128), 244);
        assert_eq!(sixteen(250, 80, 90), 9);
    }
}
