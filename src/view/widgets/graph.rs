//! Graphs over time: sparklines and a stacked graph. A column stands for a fixed number of seconds and moves only
//! when that many have passed, so that a still picture sends almost nothing to the terminal.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::model::history::{POINTS, Ring};
use crate::view::theme::Theme;

const LEVELS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const ASCII_LEVELS: [&str; 9] = [" ", ".", ".", ":", ":", "+", "+", "#", "#"];

/// How long a graph reaches back, and how it is laid over columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Points that a column stands for; several columns for a point where `wide` is above 1.
    per: usize,
    /// Columns that a point takes.
    wide: usize,
    width: usize,
}

impl Span {
    /// All that a ring can hold.
    #[must_use]
    pub const fn whole(width: usize) -> Self {
        let per = if width == 0 { 1 } else { POINTS.div_ceil(width) };
        Self { per: if per == 0 { 1 } else { per }, wide: 1, width }
    }

    /// The shortest span that holds that many points. It grows in steps, so that the graph is not rescaled every second.
    #[must_use]
    pub fn of(known: usize, width: usize) -> Self {
        let whole = Self::whole(width);
        let wide = [4, 2].into_iter().map(|wide| Self { per: 1, wide, width });
        let narrow = (1..whole.per).map(|per| Self { per, wide: 1, width });
        wide.chain(narrow).find(|span| span.points() >= known).unwrap_or(whole)
    }

    /// Points from one end to the other, whether or not a ring holds as many.
    #[must_use]
    pub const fn points(self) -> usize {
        self.width / self.wide * self.per
    }
}

/// Means of the ring over columns, newest last; `second` is the number of the newest point, so that columns keep
/// their borders while points come in. A column without a point is `None`.
#[must_use]
pub fn columns(ring: &Ring, span: Span, second: u64) -> Vec<Option<f64>> {
    let width = span.width / span.wide;
    if width == 0 {
        return vec![None; span.width];
    }
    let per = span.per;
    let in_newest = (second as usize % per) + 1;
    let points: Vec<Option<f64>> = ring.last(POINTS).collect();
    let mut out = Vec::with_capacity(width);
    let mut end = points.len();
    let mut size = in_newest;
    while out.len() < width {
        let start = end.saturating_sub(size);
        let known: Vec<f64> = points[start..end].iter().flatten().copied().collect();
        out.push((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64));
        end = start;
        size = per;
    }
    out.reverse();
    let wide: Vec<Option<f64>> = out.into_iter().flat_map(|column| std::iter::repeat_n(column, span.wide)).collect();
    // What is left of the width stays empty at the old end.
    std::iter::repeat_n(None, span.width - wide.len()).chain(wide).collect()
}

/// One row of the ring's last minutes against `top`.
#[must_use]
pub fn spark(ring: &Ring, width: usize, top: f64, second: u64, theme: &Theme) -> String {
    glyphs(&columns(ring, Span::whole(width), second), top, theme)
}

/// One row of points against `top`; a point that is not known is a gap.
#[must_use]
pub fn glyphs(points: &[Option<f64>], top: f64, theme: &Theme) -> String {
    let levels = if theme.ascii { &ASCII_LEVELS } else { &LEVELS };
    let glyph = |v: &Option<f64>| match v {
        Some(v) if top > 0.0 => levels[((v / top).clamp(0.0, 1.0) * 8.0).round() as usize],
        _ => " ",
    };
    points.iter().map(glyph).collect()
}

/// Stacks rings from the bottom, each in its style; the scale ends at the highest sum, at least `least`. Gives the
/// top of the scale.
pub fn stacked(
    rings: &[(&Ring, Style, &'static str)],
    least: f64,
    (second, span): (u64, Span),
    theme: &Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) -> f64 {
    let width = usize::from(area.width);
    let series: Vec<Vec<Option<f64>>> = rings.iter().map(|(ring, _, _)| columns(ring, span, second)).collect();
    let sum = |x: usize| series.iter().filter_map(|s| s[x]).sum::<f64>();
    let top = (0..width).map(sum).fold(least, f64::max);
    let height = usize::from(area.height);
    let buffer = frame.buffer_mut();
    for x in 0..width {
        let mut base = 0.0;
        // In eighths of a cell; a cell takes the style of the ring that fills most of it.
        let mut cells = vec![(0.0, 0.0, 0usize); height];
        for (index, s) in series.iter().enumerate() {
            let value = s[x].unwrap_or(0.0) / top * height as f64;
            for (row, cell) in cells.iter_mut().enumerate() {
                let (low, high) = (row as f64, row as f64 + 1.0);
                let part = (base + value).min(high) - base.max(low);
                if part > 0.0 {
                    cell.0 += part;
                    if part > cell.1 {
                        (cell.1, cell.2) = (part, index);
                    }
                }
            }
            base += value;
        }
        for (row, (filled, _, index)) in cells.iter().enumerate() {
            let eighths = (filled * 8.0).round() as usize;
            if eighths == 0 {
                continue;
            }
            let y = area.y + area.height - 1 - row as u16;
            let (_, style, letter) = &rings[*index];
            // Without colours the letter tells the groups apart.
            let glyph = if theme.ascii { letter } else { LEVELS[eighths.min(8)] };
            if let Some(cell) = buffer.cell_mut((area.x + x as u16, y)) {
                cell.set_symbol(glyph).set_style(*style);
            }
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_their_borders_while_points_come_in() {
        let mut ring = Ring::default();
        (0..300).for_each(|i| ring.push(Some(f64::from(i))));
        // Three seconds per column at 100 columns.
        let before = columns(&ring, Span::whole(100), 299);
        assert_eq!(before.len(), 100);
        ring.push(Some(300.0));
        let after = columns(&ring, Span::whole(100), 300);
        assert_eq!(before[1..], after[..99], "a new column begins, the others move by one");
        ring.push(Some(301.0));
        let later = columns(&ring, Span::whole(100), 301);
        assert_eq!(after[1..99], later[1..99], "nothing but the newest changes");
    }

    #[test]
    fn a_graph_reaches_back_as_far_as_there_is_something_and_fills_its_width() {
        let of = |known| Span::of(known, 110);
        assert_eq!((of(1).points(), of(27).points(), of(28).points()), (27, 27, 55));
        assert_eq!((of(56).points(), of(111).points(), of(300).points()), (110, 220, 330));
        let mut ring = Ring::default();
        (0..20).for_each(|i| ring.push(Some(f64::from(i))));
        let columns = columns(&ring, of(20), 19);
        assert_eq!((columns.len(), columns[109], columns[106], columns[105]), (110, Some(19.0), Some(19.0), Some(18.0)));
        assert!(columns[..30].iter().all(Option::is_none) && columns[30..].iter().all(Option::is_some));
    }
}
