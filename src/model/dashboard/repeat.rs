//! Rows and panels that are repeated for each value of a variable: rows with all that stands in them below each other, panels beside each
//! other, four in a line; what stands below is pushed down.

use super::{Chosen, Panel, PanelKind};

/// Copies of a panel at most, and in one line.
const COPIES: usize = 12;
const IN_LINE: usize = 4;
const COLUMNS: u16 = 24;

/// The panels with their copies, from the top to the bottom.
#[must_use]
pub fn repeated(panels: &[Panel], chosen: &Chosen) -> Vec<Panel> {
    within_rows(&rows(panels, chosen), chosen)
}

/// For which variable and values it is repeated; none where they are not known yet.
fn values(panel: &Panel, chosen: &Chosen) -> Option<(String, Vec<String>, usize)> {
    let name = panel.repeat.as_ref()?;
    let picked = chosen.values.get(name).filter(|v| !v.is_empty()).or_else(|| chosen.options.get(name))?;
    (!picked.is_empty())
        .then(|| (name.clone(), picked.iter().take(COPIES).cloned().collect(), picked.len().saturating_sub(COPIES)))
}

/// The rows with their copies; a row reaches to the next one.
fn rows(panels: &[Panel], chosen: &Chosen) -> Vec<Panel> {
    let mut all: Vec<Panel> = Vec::with_capacity(panels.len());
    let mut down: u16 = 0;
    for section in panels.chunk_by(|_, next| next.kind != PanelKind::Row) {
        let row = &section[0];
        let known = if row.kind == PanelKind::Row { values(row, chosen) } else { None };
        let Some((name, values, more)) = known else {
            all.extend(section.iter().map(|p| moved(p, down)));
            continue;
        };
        let bottom = section.iter().map(|p| p.place.1.saturating_add(p.place.3)).max().unwrap_or(row.place.1);
        let height = bottom.saturating_sub(row.place.1);
        let count = values.len();
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                down = down.saturating_add(height);
            }
            let left = if at + 1 == count { more } else { 0 };
            all.extend(section.iter().enumerate().map(|(place, p)| {
                let mut copy = moved(p, down);
                say(&mut copy, if place == 0 { left } else { 0 });
                copy.scoped.push((name.clone(), value.clone()));
                copy
            }));
        }
    }
    all
}

/// The last copy says how many values have none.
fn say(panel: &mut Panel, more: usize) {
    if more > 0 {
        panel.title = format!("{} (and {more} more)", panel.title);
    }
}

fn moved(panel: &Panel, down: u16) -> Panel {
    let (x, y, width, height) = panel.place;
    Panel { place: (x, y.saturating_add(down), width, height), ..panel.clone() }
}

fn within_rows(panels: &[Panel], chosen: &Chosen) -> Vec<Panel> {
    let mut all: Vec<Panel> = Vec::with_capacity(panels.len());
    // From which line on how many lines are added.
    let mut added: Vec<(u16, u16)> = Vec::new();
    for panel in panels {
        let down = added.iter().filter(|(from, _)| *from <= panel.place.1).fold(0u16, |sum, (_, by)| sum.saturating_add(*by));
        let known = if panel.kind == PanelKind::Row { None } else { values(panel, chosen) };
        let Some((name, values, more)) = known else {
            all.push(moved(panel, down));
            continue;
        };
        let count = values.len();
        let in_line = count.clamp(1, IN_LINE) as u16;
        let (width, height) = (COLUMNS / in_line, panel.place.3);
        for (at, value) in values.into_iter().enumerate() {
            let at = at as u16;
            let top = panel.place.1.saturating_add(down).saturating_add(at / in_line * height);
            let mut copy = Panel { place: (at % in_line * width, top, width, height), ..panel.clone() };
            copy.scoped.push((name.clone(), value));
            say(&mut copy, if usize::from(at) + 1 == count { more } else { 0 });
            all.push(copy);
        }
        let lines = (count as u16).div_ceil(in_line);
        if lines > 1 {
            added.push((panel.place.1.saturating_add(panel.place.3), (lines - 1).saturating_mul(height)));
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
        chosen.options.insert("host".into(), (0..30).map(|n| format!("h{n}")).collect());
        let many = repeated(&[panel(0, Some("host"))], &chosen);
        assert_eq!((many.len(), many[10].title.as_str(), many[11].title.as_str()), (12, "", " (and 18 more)"));
        chosen.values.insert("host".into(), vec!["b".into()]);
        let one = repeated(&[panel(0, Some("host")), panel(8, None)], &chosen);
        assert_eq!((one.len(), one[0].place.2, one[1].place.1), (2, 24, 8));
    }

    #[test]
    fn a_row_is_repeated_with_all_that_stands_in_it() {
        let at = |kind, y, height, repeat: Option<&str>| Panel {
            kind,
            place: (0, y, 24, height),
            repeat: repeat.map(ToOwned::to_owned),
            ..Panel::default()
        };
        let written = [
            at(PanelKind::Lines, 0, 4, None),
            at(PanelKind::Row, 4, 1, Some("host")),
            at(PanelKind::Lines, 5, 8, Some("disk")),
            at(PanelKind::Row, 13, 1, None),
            at(PanelKind::Lines, 14, 8, None),
        ];
        let mut chosen = Chosen::default();
        assert_eq!(repeated(&written, &chosen).len(), 5, "its values are not known yet");
        chosen.options.insert("host".into(), ["a", "b"].map(ToOwned::to_owned).to_vec());
        chosen.options.insert("disk".into(), ["sda", "sdb"].map(ToOwned::to_owned).to_vec());
        let all = repeated(&written, &chosen);
        let told = |p: &Panel| {
            let own = p.chosen(&chosen);
            (p.place.1, ["host", "disk"].map(|name| own.values.get(name).map_or_else(String::new, |v| v.join("+"))))
        };
        let of = |y, host: &str, disk: &str| (y, [host.to_owned(), disk.to_owned()]);
        assert_eq!(
            all.iter().map(told).collect::<Vec<_>>(),
            [
                of(0, "", ""),
                of(4, "a", ""),
                of(5, "a", "sda"),
                of(5, "a", "sdb"),
                of(13, "b", ""),
                of(14, "b", "sda"),
                of(14, "b", "sdb"),
                of(22, "", ""),
                of(23, "", "")
            ]
        );
    }
}
