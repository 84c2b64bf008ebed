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
    let area = buffer.area;
    let (w, h) = (f64::from(area.width) * CELL_W, f64::from(area.height) * CELL_H);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.1} {h:.1}\" width=\"{w:.0}\" height=\"{h:.0}\" \
         font-family=\"DejaVu Sans Mono, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{background}\"/>\n"
    );
    for y in 0..area.height {
        for x in 0..area.width {
            let Some(cell) = buffer.cell((area.x + x, area.y + y)) else { continue };
            let (px, py) = (f64::from(x) * CELL_W, f64::from(y) * CELL_H);
            let reversed = cell.modifier.contains(Modifier::REVERSED);
            let fg = colour(cell.fg, foreground);
            let (ink, paper) = if reversed { (background.to_owned(), Some(fg)) } else { (fg, solid(cell.bg)) };
            if let Some(paper) = paper {
                _ = writeln!(
                    out,
                    "<rect x=\"{px:.1}\" y=\"{py:.1}\" width=\"{:.1}\" height=\"{CELL_H}\" fill=\"{paper}\"/>",
                    CELL_W + 0.2
                );
            }
            glyph(&mut out, cell.symbol(), cell.modifier, &ink, px, py);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Block elements are drawn as rectangles, so that they tile whatever the font does.
fn glyph(out: &mut String, symbol: &str, modifier: Modifier, ink: &str, x: f64, y: f64) {
    const LOWER: &str = "▁▂▃▄▅▆▇█";
    const LEFT: &str = "▏▎▍▌▋▊▉█";
    let Some(c) = symbol.chars().next().filter(|c| *c != ' ') else { return };
    if let Some(n) = LOWER.chars().position(|b| b == c) {
        let height = CELL_H * (n + 1) as f64 / 8.0;
        _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{CELL_W}\" height=\"{height:.2}\" fill=\"{ink}\"/>",
            y + CELL_H - height
        );
        return;
    }
    if let Some(n) = LEFT.chars().rev().position(|b| b == c) {
        let width = CELL_W * (8 - n) as f64 / 8.0;
        _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"{:.1}\" fill=\"{ink}\"/>",
            y + 2.0,
            CELL_H - 4.0
        );
        return;
    }
    if symbol.width() == 0 {
        return;
    }
    let bold = if modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let dim = if modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
    let text = symbol.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{ink}\"{bold}{dim}>{text}</text>", y + 13.0);
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
