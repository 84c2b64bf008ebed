//! The guided tour over a bundled incident: a step is done by what it asks for, and can be skipped. Pure.

use super::keymap::Action;
use super::{App, Effect, Overlay, Screen};

/// An incident that is bundled: recorded on real servers, without what was said of it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incident {
    /// A missing index.
    Index,
    /// A pile-up of locks behind an idle transaction.
    Locks,
    /// A cache that evicts what is needed.
    Cache,
    /// A host that is not to blame.
    Elsewhere,
}

impl Incident {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Index, Self::Locks, Self::Cache, Self::Elsewhere];

    /// What it is called on the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Locks => "locks",
            Self::Cache => "cache",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Its recording.
    #[must_use]
    pub const fn recording(self) -> &'static [u8] {
        match self {
            Self::Index => include_bytes!("../demo/index.perftop"),
            Self::Locks => include_bytes!("../demo/locks.perftop"),
            Self::Cache => include_bytes!("../demo/cache.perftop"),
            Self::Elsewhere => include_bytes!("../demo/elsewhere.perftop"),
        }
    }

    /// What one sees of it at first.
    const fn begins(self) -> &'static str {
        match self {
            Self::Index => {
                "A PostgreSQL server, seconds before the page: all is calm. Then a release looks rows up by a column without an index."
            }
            Self::Locks => {
                "A PostgreSQL server, seconds before the page: all is calm. Then somebody leaves a transaction open over lunch."
            }
            Self::Cache => "A Redis cache, seconds before the page: all is calm. Then more is written to it than it may hold.",
            Self::Elsewhere => {
                "A web service, seconds before the page: all is calm. Then another host that it asks becomes slow."
            }
        }
    }
}

/// What a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Something is raised.
    Raised,
    /// A fix is open.
    Opened,
    /// A fix was copied.
    Copied,
    /// The flowchart, or what else it says.
    Chart,
    /// The time axis, or the screen of a server.
    Elsewhere,
    /// Nothing: it is the last one.
    Left,
}

/// The steps, after what the incident itself says.
const STEPS: [(&str, Until); 6] = [
    ("The bar shows where the time of whoever serves somebody goes. Wait a moment …", Until::Raised),
    (
        "There it is: what is wrong, what it costs, since when. The bar shows what is waited for, the list ranks causes by the seconds that they cost, \
         Why has the figures. Press ⏎ to see what to do.",
        Until::Opened,
    ),
    (
        "Relief first, then cure: where to run it, what it needs, its risk, how to check it and to undo it. perftop itself never changes anything. \
         Press c to copy it.",
        Until::Copied,
    ),
    (
        "Sent to your clipboard. Press 6 for the way from the symptom to the cause: each question with a check to make by hand.",
        Until::Chart,
    ),
    (
        "Press t for the time axis: ← and → move, [ and ] go from incident to incident. (3 PostgreSQL, 4 Redis, 2 the host.)",
        Until::Elsewhere,
    ),
    ("That is all: ? has every key, v lists what was ruled out, q leaves. On a machine of yours type perftop.", Until::Left),
];

/// Where a tour stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tour {
    incident: Incident,
    at: usize,
}

impl Tour {
    /// At its first step.
    #[must_use]
    pub const fn new(incident: Incident) -> Self {
        Self { incident, at: 0 }
    }

    /// Number of the step, of how many, and what it says; `None` behind the last.
    #[must_use]
    pub fn step(&self) -> Option<(usize, usize, String)> {
        let (says, _) = STEPS.get(self.at)?;
        let begins = if self.at == 0 { format!("{} ", self.incident.begins()) } else { String::new() };
        Some((self.at + 1, STEPS.len(), format!("{begins}{says}")))
    }
}

impl App {
    /// The tour goes on where its step is done; `effects` are those of what just happened.
    pub(super) fn tour_on(&mut self, effects: &[Effect]) {
        let Some((_, until)) = self.tour.as_ref().and_then(|tour| STEPS.get(tour.at)) else { return };
        let done = match until {
            Until::Raised => self.shown().is_some_and(|p| p.diagnosis.findings.iter().any(|f| f.raised())),
            Until::Opened => matches!(self.overlays.last(), Some(Overlay::Fix { .. })),
            Until::Copied => effects.iter().any(|e| matches!(e, Effect::Copy { .. })),
            Until::Chart => self.screen == Screen::Diagnose,
            Until::Elsewhere => {
                matches!(self.overlays.last(), Some(Overlay::Time { .. })) || matches!(self.screen, Screen::Server(_))
            }
            Until::Left => false,
        };
        if done {
            self.next_step();
        }
    }

    pub(super) fn tour_key(&mut self, action: Action) {
        match action {
            Action::TourEnd => self.tour = None,
            _ => self.next_step(),
        }
    }

    /// To the next step; behind the last one the tour is over.
    fn next_step(&mut self) {
        self.tour = self.tour.take().map(|tour| Tour { at: tour.at + 1, ..tour }).filter(|tour| tour.at < STEPS.len());
    }
}
