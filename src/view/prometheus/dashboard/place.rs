//! Where panels stand: 24 columns over the width; on a narrow terminal one below the other. The selected one is always in sight.

use ratatui::layout::Rect;

use crate::model::dashboard::{Panel, PanelKind};

/// Below this width panels stand one below the other.
const NARROW: u16 = 100;
/// Rows of a panel at least: a border and two lines.
const LEAST: u16 = 4;
/// Rows of a panel that stands alone in its line.
const STACKED: u16 = 9;

/// The panels in sight, by their place in the list, and where they are.
#[must_use]
pub fn places(panels: &[Panel], selected: usize, area: Rect) -> Vec<(usize, Rect)> {
    let all = if area.width < NARROW { stacked(panels, area.width) } else { grid(panels, area.width) };
    let chosen = all.iter().find(|(at, _)| *at == selected).map(|(_, r)| (r.1, r.3));
    // Only as far down as it takes.
    let offset = chosen.map_or(0, |(y, h)| y.saturating_add(h).saturating_sub(area.height).min(y));
    let sight = |(at, (x, y, w, h)): (usize, (u16, u16, u16, u16))| {
        let y = y.checked_sub(offset)?;
        let left = area.height.checked_sub(y).filter(|l| *l > 0)?;
        let height = h.min(left);
        // Half a panel at the end is drawn where it still holds a line.
        (height >= 3 || height == h).then(|| (at, Rect { x: area.x + x, y: area.y + y, width: w, height }))
    };
    all.into_iter().filter_map(sight).collect()
}

type Place = (usize, (u16, u16, u16, u16));

fn stacked(panels: &[Panel], width: u16) -> Vec<Place> {
    let mut y = 0u16;
    let mut all = Vec::new();
    for (at, panel) in panels.iter().enumerate() {
        let h = match panel.kind {
            PanelKind::Row => 1,
            PanelKind::Stat | PanelKind::Gauge | PanelKind::LeftOut => LEAST,
            _ => STACKED,
        };
        all.push((at, (0, y, width, h)));
        y = y.saturating_add(h);
    }
    all
}

fn grid(panels: &[Panel], width: u16) -> Vec<Place> {
    let column = |x: u16| (u32::from(x) * u32::from(width) / 24) as u16;
    // A row of the grid is a line, but what is lower than a panel can be pushes the rest down.
    let mut pushed: Vec<(u16, u16)> = Vec::new();
    let mut all = Vec::new();
    let mut sorted: Vec<(usize, &Panel)> = panels.iter().enumerate().collect();
    sorted.sort_by_key(|(_, p)| (p.place.1, p.place.0));
    for (at, panel) in sorted {
        let (x, y, w, h) = panel.place;
        let down = pushed.iter().filter(|(from, _)| *from <= y).fold(0u16, |sum, (_, by)| sum.saturating_add(*by));
        let height = if panel.kind == PanelKind::Row { 1 } else { h.max(LEAST) };
        if height > h {
            let end = y.saturating_add(h);
            match pushed.iter_mut().find(|(from, _)| *from == end) {
                Some((_, by)) => *by = (*by).max(height - h),
                None => pushed.push((end, height - h)),
            }
        }
        let (left, right) = (column(x), column((x + w).min(24)));
        all.push((at, (left, y.saturating_add(down), right.saturating_sub(left).max(4), height)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn panel(place: (u16, u16, u16, u16), kind: PanelKind) -> Panel {
        Panel { place, kind, ..Panel::default() }
    }

    #[test]
    fn the_selected_panel_is_in_sight_and_low_ones_push_the_rest_down() {
        let panels = [
            panel((0, 0, 12, 2), PanelKind::Stat),
            panel((12, 0, 12, 2), PanelKind::Stat),
            panel((0, 2, 24, 8), PanelKind::Lines),
            panel((0, 10, 24, 8), PanelKind::Lines),
        ];
        let area = Rect { x: 0, y: 1, width: 120, height: 14 };
        let first = places(&panels, 0, area);
        assert_eq!(first[2].1, Rect { x: 0, y: 5, width: 120, height: 8 }, "two lines further down");
        let last = places(&panels, 3, area);
        assert!(last.iter().any(|(at, r)| *at == 3 && r.bottom() <= area.bottom()), "{last:?}");
        assert_eq!(places(&panels, 0, Rect { width: 80, ..area })[1].1.y, 5, "one below the other");
    }

    proptest! {
        #[test]
        fn nothing_stands_outside(w in 20u16..200, h in 5u16..60, selected in 0usize..5, ys in prop::collection::vec((0u16..24, 0u16..60, 1u16..24, 1u16..20), 1..8)) {
            let panels: Vec<Panel> = ys.iter().map(|p| panel(*p, PanelKind::Lines)).collect();
            let area = Rect { x: 0, y: 1, width: w, height: h };
            for (_, r) in places(&panels, selected, area) {
                prop_assert!(r.bottom() <= area.bottom() && r.right() <= area.right().max(4), "{r:?}");
            }
        }
    }
}
