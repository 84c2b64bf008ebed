//! Panels that are repeated for each value of a variable: beside each other, four in a line, what stands below is pushed down.

use super::{Chosen, Panel, PanelKind};

/// Copies of a panel at most, and in one line.
const COPIES: usize = 12;
const IN_LINE: usize = 4;
const COLUMNS: u16 = 24;

/// The panels with their copies, from the top to the bottom.
#[must_use]
pub fn repeated(panels: &[Panel], chosen: &Chosen) -> Vec<Panel> {
    let mut all: Vec<Panel> = Vec::with_capacity(panels.len());
    // From which line on how many lines are added.
    let mut added: Vec<(u16, u16)> = Vec::new();
    for panel in panels {
        let down: u16 = added.iter().filter(|(from, _)| *from <= panel.place.1).map(|(_, by)| *by).sum();
        let moved = |p: &Panel| Panel { place: (p.place.0, p.place.1.saturating_add(down), p.place.2, p.place.3), ..p.clone() };
        let values = panel.repeat.as_ref().filter(|_| panel.kind != PanelKind::Row).and_then(|name| {
            let picked = chosen.values.get(name).filter(|v| !v.is_empty()).or_else(|| chosen.options.get(name))?;
            (!picked.is_empty()).then(|| (name.clone(), picked.clone()))
        });
        let Some((name, values)) = values else {
            all.push(moved(panel));
            continue;
        };
        let count = values.len().min(COPIES);
        let in_line = count.clamp(1, IN_LINE) as u16;
        let (width, height) = (COLUMNS / in_line, panel.place.3);
        for (at, value) in values.into_iter().take(count).enumerate() {
            let at = at as u16;
            let place = (at % in_line * width, panel.place.1 + down + at / in_line * height, width, height);
            all.push(Panel { place, scoped: Some((name.clone(), value)), ..panel.clone() });
        }
        let lines = (count as u16).div_ceil(in_line);
        if lines > 1 {
            added.push((panel.place.1 + panel.place.3, (lines - 1) * height));
        }
    }
    all.sort_by_key(|p| (p.place.1, p.place.0));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stand_beside_each_other_and_push_the_rest_down() {
        let panel =
            |y, repeat: Option<&str>| Panel { place: (0, y, 24, 8), repeat: repeat.map(ToOwned::to_owned), ..Panel::default() };
        let mut chosen = Chosen::default();
        assert_eq!(repeated(&[panel(0, Some("host"))], &chosen).len(), 1, "its values are not known yet");
        chosen.options.insert("host".into(), ["a", "b", "c", "d", "e"].map(ToOwned::to_owned).to_vec());
        let all = repeated(&[panel(0, Some("host")), panel(8, None)], &chosen);
        let places: Vec<_> = all.iter().map(|p| (p.place.0, p.place.1, p.place.2)).collect();
        assert_eq!(places, [(0, 0, 6), (6, 0, 6), (12, 0, 6), (18, 0, 6), (0, 8, 6), (0, 16, 24)]);
        assert_eq!(all[4].chosen(&chosen).values["host"], ["e"]);
        chosen.values.insert("host".into(), vec!["b".into()]);
        let one = repeated(&[panel(0, Some("host")), panel(8, None)], &chosen);
        assert_eq!((one.len(), one[0].place.2, one[1].place.1), (2, 24, 8));
    }
}
