//! A drawn screen as SVG: deterministic pictures for the README, without a browser.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

const CELL_W: f64 = 8.4;
const CELL_H: f64 = 17.0;
const SIXTEEN: [&str; 16] = [
    "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5", "#666666", "#f14c4c", "#23d18b",
    "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
];

/// Draws the buffer on a background; cells of the same style side by side are one text.
#[must_use]
pub fn render(buffer: &Buffer, background: &str, foreground: &str) -> String {
    let mut out = head(buffer, "", background);
    cells(&mut out, buffer, background, foreground);
    out.push_str("</svg>\n");
    out
}

/// Draws buffers of one size one after the other, each for so many seconds, over and over; whoever wants no motion sees the last one.
#[must_use]
pub fn animated(frames: &[(Buffer, f64)], background: &str, foreground: &str) -> String {
    let Some((first, _)) = frames.first() else { return String::new() };
    let whole: f64 = frames.iter().map(|(_, seconds)| seconds).sum();
    let mut style = String::from(
        "<style>g{visibility:hidden}g:last-of-type{visibility:visible}@media (prefers-reduced-motion:no-preference){",
    );
    let mut since = 0.0;
    for (n, (_, seconds)) in frames.iter().enumerate() {
        let (from, to) = (100.0 * since / whole, 100.0 * (since + seconds) / whole);
        let before = if from > 0.0 { "0%{visibility:hidden}" } else { "" };
        let after = if to < 99.99 { format!("{to:.2}%{{visibility:hidden}}") } else { String::new() };
        _ = write!(style, "@keyframes f{n}{{{before}{from:.2}%{{visibility:visible}}{after}100%{{visibility:hidden}}}}");
        _ = write!(style, "#f{n}{{visibility:hidden;animation:f{n} {whole}s step-end infinite}}");
        since += seconds;
    }
    style.push_str("}</style>\n");
    let mut out = head(first, &style, background);
    for (n, (buffer, _)) in frames.iter().enumerate() {
        _ = writeln!(out, "<g id=\"f{n}\">");
        cells(&mut out, buffer, background, foreground);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn head(buffer: &Buffer, style: &str, background: &str) -> String {
    let area = buffer.area;
    let (w, h) = (f64::from(area.width) * CELL_W, f64::from(area.height) * CELL_H);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.1} {h:.1}\" width=\"{w:.0}\" height=\"{h:.0}\" \
         font-family=\"DejaVu Sans Mono, monospace\" font-size=\"14\">\n{style}\
         <rect width=\"100%\" height=\"100%\" fill=\"{background}\"/>\n"
    )
}

/// What a run of cells looks like.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: Option<String>,
    modifier: Modifier,
}

fn cells(out: &mut String, buffer: &Buffer, background: &str, foreground: &str) {
    let area = buffer.area;
    let look = |cell: &ratatui::buffer::Cell| {
        let fg = colour(cell.fg, foreground);
        let reversed = cell.modifier.contains(Modifier::REVERSED);
        let (ink, paper) = if reversed { (background.to_owned(), Some(fg)) } else { (fg, solid(cell.bg)) };
        Look { ink, paper, modifier: cell.modifier }
    };
    for y in 0..area.height {
        let mut run: Option<(u16, Look, Vec<&str>)> = None;
        for x in 0..area.width {
            let Some(cell) = buffer.cell((area.x + x, area.y + y)) else { continue };
            let here = look(cell);
            match &mut run {
                Some((_, look, symbols)) if *look == here => symbols.push(cell.symbol()),
                _ => {
                    if let Some((from, look, symbols)) = run.replace((x, here, vec![cell.symbol()])) {
                        draw(out, (from, y), &look, &symbols);
                    }
                }
            }
        }
        if let Some((from, look, symbols)) = run {
            draw(out, (from, y), &look, &symbols);
        }
    }
}

/// A run of one look: its paper, its blocks as rectangles, so that they tile whatever the font does, and its text.
fn draw(out: &mut String, (x, y): (u16, u16), look: &Look, symbols: &[&str]) {
    let (px, py) = (f64::from(x) * CELL_W, f64::from(y) * CELL_H);
    if let Some(paper) = &look.paper {
        let width = symbols.len() as f64 * CELL_W + 0.2;
        _ = writeln!(out, "<rect x=\"{px:.1}\" y=\"{py:.1}\" width=\"{width:.1}\" height=\"{CELL_H}\" fill=\"{paper}\"/>");
    }
    let mut at = 0;
    while at < symbols.len() {
        let same = symbols[at..].iter().take_while(|s| **s == symbols[at]).count();
        let left = px + at as f64 * CELL_W;
        if let Some((dx, dy, width, height)) = block(symbols[at], same as f64 * CELL_W) {
            let (bx, by) = (left + dx, py + dy);
            _ = writeln!(
                out,
                "<rect x=\"{bx:.1}\" y=\"{by:.1}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{}\"/>",
                look.ink
            );
            at += same;
            continue;
        }
        let words = symbols[at..].iter().take_while(|s| block(s, CELL_W).is_none()).count();
        text(out, (left, py), look, &symbols[at..at + words]);
        at += words;
    }
}

/// Where within its cells a block element fills them: left, top, width, height. Those from the left are drawn a little lower than the row.
fn block(symbol: &str, width: f64) -> Option<(f64, f64, f64, f64)> {
    const LOWER: &str = "▁▂▃▄▅▆▇█";
    const LEFT: &str = "▏▎▍▌▋▊▉";
    let c = symbol.chars().next()?;
    if let Some(n) = LOWER.chars().position(|b| b == c) {
        let height = CELL_H * (n + 1) as f64 / 8.0;
        return Some((0.0, CELL_H - height, width, height));
    }
    let n = LEFT.chars().position(|b| b == c)?;
    Some((0.0, 2.0, CELL_W * (n + 1) as f64 / 8.0, CELL_H - 4.0))
}

/// Words, each run of them where it stands: blanks between columns are not left to whoever draws the text.
fn text(out: &mut String, (x, y): (f64, f64), look: &Look, symbols: &[&str]) {
    let bold = if look.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let dim = if look.modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
    let mut at = 0;
    while at < symbols.len() {
        if symbols[at] == " " {
            at += 1;
            continue;
        }
        let ends = |n: &usize| symbols[at + n] == " " && symbols.get(at + n + 1).is_none_or(|next| *next == " ");
        let length = (0..symbols.len() - at).find(ends).unwrap_or(symbols.len() - at);
        let words = symbols[at..at + length].concat();
        let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let (left, width) = (x + at as f64 * CELL_W, words.width() as f64 * CELL_W);
        _ = writeln!(
            out,
            "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" fill=\"{}\"{bold}{dim}>{escaped}</text>",
            y + 13.0,
            look.ink
        );
        at += length;
    }
}

fn solid(colour_of: Color) -> Option<String> {
    (colour_of != Color::Reset).then(|| colour(colour_of, "#000000"))
}

fn colour(value: Color, default: &str) -> String {
    match value {
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(i) if i < 16 => SIXTEEN[usize::from(i)].to_owned(),
        _ => default.to_owned(),
    }
}
