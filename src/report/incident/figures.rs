//! Current against target: means and peaks of what everyone asks for first. Pure.

use crate::model::unit::short;

use super::story::{Point, Story};

/// A figure of the host against its target, percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// What.
    pub name: &'static str,
    /// Its place in the points of the time line.
    pub at: usize,
    /// Warning and critical.
    pub limits: (f64, f64),
}

/// One of them, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// Its mean and its peak; `None`: unknown.
    pub values: Option<(String, String)>,
    /// Where it has one.
    pub target: Option<String>,
    /// How the peak stands against it.
    pub stands: Stands,
}

/// How a figure stands against its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// It has none.
    Free,
    /// Nobody knows.
    Unknown,
    /// Below it.
    Below,
    /// Above it.
    Above,
    /// Above the critical one.
    FarAbove,
}

/// All of them: the foreground's time, and the host's gauges.
#[must_use]
pub fn figures(story: &Story, targets: &[Target]) -> Vec<Figure> {
    let time = |name: &str, of: &dyn Fn(&Point) -> f64, peak: f64| {
        let mean = story.mean(&|p| Some(of(p))).unwrap_or(0.0);
        Figure { name: name.to_owned(), values: Some((short(mean), short(peak))), target: None, stands: Stands::Free }
    };
    let mut all = vec![
        time("waiting, s/s", &|p| p.waits.values().sum(), story.peaks.waiting),
        time("foreground time, s/s", &|p| p.total, story.peaks.total),
    ];
    all.extend(targets.iter().map(|target| {
        let seen = story.mean(&|p| p.host[target.at]).zip(story.peaks.host[target.at]);
        let (warning, critical) = target.limits;
        Figure {
            name: target.name.to_owned(),
            values: seen.map(|(mean, peak)| (format!("{mean:.0} %"), format!("{peak:.0} %"))),
            target: Some(format!("< {warning:.0} %")),
            stands: match seen {
                None => Stands::Unknown,
                Some((_, peak)) if peak >= critical => Stands::FarAbove,
                Some((_, peak)) if peak >= warning => Stands::Above,
                Some(_) => Stands::Below,
            },
        }
    }));
    all
}
