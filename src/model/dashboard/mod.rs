//! Dashboards as others write them: panels with their queries, variables, units, thresholds. Pure.
//! What never lives here: how a file is read (`config::files`), how a panel is drawn (`view`).

mod interval;
mod legend;
mod overrides;
mod repeat;
mod units;
mod variables;

use std::collections::BTreeMap;

pub use interval::Interval;
pub use legend::legend;
pub use overrides::{Override, Which, pattern};
pub use repeat::repeated;
pub use units::show;
pub use variables::{Chosen, expand, options_of};

/// A dashboard.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dashboard {
    /// Its title.
    pub title: String,
    /// Its panels, from the top to the bottom, rows among them.
    pub panels: Vec<Panel>,
    /// Its variables, in the order in which they are written.
    pub variables: Vec<Variable>,
    /// How far back it looks, seconds.
    pub span_s: u64,
    /// What was made of each panel, and what was left out.
    pub notes: Vec<Note>,
}

/// What became of a panel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its title.
    pub panel: String,
    /// Its type, as it is written.
    pub kind: String,
    /// How it is drawn.
    pub drawn: Drawn,
    /// Why not whole.
    pub because: Vec<String>,
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// As it is meant.
    Whole,
    /// With something missing.
    Degraded,
    /// Not at all.
    LeftOut,
}

/// A panel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// How it is drawn.
    pub kind: PanelKind,
    /// Its place in 24 columns: from the left, from the top, width, height.
    pub place: (u16, u16, u16, u16),
    /// Its queries.
    pub targets: Vec<Target>,
    /// The unit, as Grafana names it.
    pub unit: String,
    /// What holds for single series and columns.
    pub overrides: Vec<Override>,
    /// Figures of all points that the list of its series shows: `mean`, `max` …
    pub calcs: Vec<String>,
    /// Digits behind the point.
    pub decimals: Option<usize>,
    /// Ends of its scale.
    pub scale: (Option<f64>, Option<f64>),
    /// From which figure on a colour counts: the figure, and the colour's name.
    pub thresholds: Vec<(f64, String)>,
    /// Thresholds are percent of the scale.
    pub thresholds_of_scale: bool,
    /// Figures that stand for words.
    pub words: BTreeMap<String, String>,
    /// What one figure is made of many by: `lastNotNull`, `mean`, `max` …
    pub calc: String,
    /// Its text, where it is one.
    pub text: String,
    /// Series are stacked.
    pub stacked: bool,
    /// Columns that a table leaves out, and other names of some.
    pub columns: Columns,
    /// The variable that it is repeated for.
    pub repeat: Option<String>,
    /// One of several copies: the variables that it and its row were repeated for, and their values here.
    pub scoped: Vec<(String, String)>,
}

/// What a table changes in its columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// Left out.
    pub hidden: Vec<String>,
    /// Other names.
    pub renamed: BTreeMap<String, String>,
}

/// How a panel is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as Grafana names them")]
pub enum PanelKind {
    #[default]
    Lines,
    Stat,
    Gauge,
    Bars,
    Table,
    Heatmap,
    Text,
    Row,
    LeftOut,
}

/// A query of a panel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// As it is written, with variables.
    pub expr: String,
    /// What a series is called, with `{{label}}`.
    pub legend: String,
    /// Only its newest values.
    pub instant: bool,
    /// Its step at least, as it is written.
    pub step: String,
    /// Its letter.
    pub id: String,
}

/// A variable.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What its values come from.
    pub source: Source,
    /// What stands for all of them; `None`: all, one beside the other.
    pub all: Option<String>,
    /// It may stand for all.
    pub include_all: bool,
    /// Several may be chosen.
    pub multi: bool,
    /// What its values must fit, and the part that is taken.
    pub filter: String,
    /// What is chosen at first.
    pub current: Vec<String>,
    /// It is not shown.
    pub hidden: bool,
}

/// Where the values of a variable come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// `label_values(up, job)` and its kin.
    Query(String),
    /// They are written down.
    Fixed(Vec<String>),
    /// A data source, of which there is one here.
    Datasource,
}

impl Default for Source {
    fn default() -> Self {
        Self::Fixed(Vec::new())
    }
}

impl Variable {
    /// Its values as far as they fit, and of each the part that is asked for; those of a pattern that cannot be read here all count.
    #[must_use]
    pub fn filtered(&self, all: &[String]) -> Vec<String> {
        let Some(pattern) = Some(&self.filter).filter(|f| !f.is_empty()).and_then(|f| pattern(f)) else { return all.to_vec() };
        let part = |value: &String| {
            let found = pattern.captures(value)?;
            let named = found.name("value").or_else(|| found.get(1));
            Some(
                named
                    .or_else(|| found.get(0).filter(|_| found.len() == 1))
                    .map_or_else(|| value.clone(), |m| m.as_str().to_owned()),
            )
        };
        let mut kept: Vec<String> = Vec::new();
        for value in all.iter().filter_map(part) {
            if !kept.contains(&value) {
                kept.push(value);
            }
        }
        kept
    }
}

impl Panel {
    /// The unit of a series or column of that name, of the query with that letter.
    #[must_use]
    pub fn unit_of(&self, name: &str, letter: &str) -> &str {
        let own = self.overrides.iter().rev().filter(|o| o.fits(name, letter)).find_map(|o| o.unit.as_deref());
        own.unwrap_or(&self.unit)
    }

    /// What a series or column is called, of those of that name and query.
    #[must_use]
    pub fn called(&self, name: &str, letter: &str) -> Option<&str> {
        self.overrides.iter().rev().filter(|o| o.fits(name, letter)).find_map(|o| o.name.as_deref())
    }

    /// Something holds for it: it is hidden, below the axis, stacked apart.
    #[must_use]
    pub fn has(&self, name: &str, letter: &str, what: impl Fn(&Override) -> bool) -> bool {
        self.overrides.iter().any(|o| what(o) && o.fits(name, letter))
    }

    /// What a series is called by the pattern of its query; one without a name is its query.
    #[must_use]
    pub fn name_of(&self, written: &str, labels: &[(String, String)], letter: &str) -> String {
        let name = legend(written, labels);
        if !name.trim().is_empty() {
            return name;
        }
        let target = self.targets.iter().find(|t| t.id == letter);
        target.map_or(name, |t| crate::model::foreign::tamed(&t.expr).split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// What is chosen, as it counts in this panel.
    #[must_use]
    pub fn chosen(&self, chosen: &Chosen) -> Chosen {
        let mut own = chosen.clone();
        for (name, value) in &self.scoped {
            own.values.insert(name.clone(), vec![value.clone()]);
        }
        own
    }

    /// The style of a figure by its thresholds: the name of a colour.
    #[must_use]
    pub fn colour(&self, value: f64) -> Option<&str> {
        let whole = if self.unit == "percentunit" { 1.0 } else { 100.0 };
        let (low, high) = (self.scale.0.unwrap_or(0.0), self.scale.1.unwrap_or(whole));
        let figure = |t: f64| if self.thresholds_of_scale { low + (high - low) * t / 100.0 } else { t };
        self.thresholds.iter().rev().find(|(t, _)| value >= figure(*t)).map(|(_, colour)| colour.as_str())
    }
}

impl Dashboard {
    /// Panels by how they are drawn; rows do not count.
    #[must_use]
    pub fn tally(&self) -> (usize, usize, usize) {
        let of = |drawn: Drawn| self.notes.iter().filter(|n| n.drawn == drawn && n.kind != "row").count();
        (of(Drawn::Whole), of(Drawn::Degraded), of(Drawn::LeftOut))
    }
}
