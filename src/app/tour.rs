//! The guided tour over a bundled incident: a step is done by what it asks for, and can be skipped. Pure.

use super::copying::LINE;
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
            Self::Elsewhere => "A web service, seconds before the page: all is calm. Then a host that it calls becomes slow.",
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
    ("The bar shows where the time of everything that serves requests goes. Wait a moment …", Until::Raised),
    (
        "There it is: what is wrong, what it costs, since when. The bar shows what is waited for, the list ranks causes by the seconds they cost, \
         Why shows the figures. Press {open} to see what to do.",
        Until::Opened,
    ),
    (
        "Relief first, then cure: where to run it, what it needs, its risk, how to verify and undo it. perftop itself never changes anything. \
         Press {copy} to copy it.",
        Until::Copied,
    ),
    (
        "Copied: the last line says where to. Press {chart} for the way from the symptom to the cause: each question with a check to make by hand.",
        Until::Chart,
    ),
    (
        "Press {time} for the time axis: {earlier} and {later} move, {before} and {after} go from incident to incident.",
        Until::Elsewhere,
    ),
    (
        "That is all: {help} has every key, {cleared} lists what was ruled out, {quit} goes back and leaves. On your own machine, type perftop.",
        Until::Left,
    ),
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
}

/// The keys that steps name.
const KEYS: [(&str, Action); 11] = [
    ("{open}", Action::Open),
    ("{copy}", Action::CopyFix),
    ("{chart}", Action::Diagnose),
    ("{time}", Action::Time),
    ("{earlier}", Action::Earlier),
    ("{later}", Action::Later),
    ("{before}", Action::IncidentBefore),
    ("{after}", Action::IncidentAfter),
    ("{help}", Action::Help),
    ("{cleared}", Action::Cleared),
    ("{quit}", Action::Close),
];

impl App {
    /// Number of the tour's step, of how many, and what it says, by the keys in force.
    #[must_use]
    pub fn tour_step(&self) -> Option<(usize, usize, String)> {
        let tour = self.tour.as_ref()?;
        let (says, _) = STEPS.get(tour.at)?;
        let begins = if tour.at == 0 { format!("{} ", tour.incident.begins()) } else { String::new() };
        let says = KEYS.iter().fold((*says).to_owned(), |text, (word, action)| text.replace(word, self.keymap.first(*action)));
        Some((tour.at + 1, STEPS.len(), format!("{begins}{says}")))
    }

    /// The tour goes on where its step is done; `effects` are those of what just happened.
    pub(super) fn tour_on(&mut self, effects: &[Effect]) {
        let Some((_, until)) = self.tour.as_ref().and_then(|tour| STEPS.get(tour.at)) else { return };
        let done = match until {
            Until::Raised => self.shown().is_some_and(|p| p.diagnosis.findings.iter().any(|f| f.raised())),
            Until::Opened => matches!(self.overlays.last(), Some(Overlay::Fix { .. })),
            Until::Copied => effects.iter().any(|e| matches!(e, Effect::Copy { what, .. } if what != LINE)),
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

    /// On, or out. Whoever does not wait for the incident is taken there: the tour never runs ahead of what it shows.
    pub(super) fn tour_key(&mut self, action: Action) -> Vec<Effect> {
        if action == Action::TourEnd {
            self.tour = None;
            return Vec::new();
        }
        let waits = self.tour.as_ref().and_then(|tour| STEPS.get(tour.at)).is_some_and(|(_, until)| *until == Until::Raised);
        self.next_step();
        if waits { self.incident(true) } else { Vec::new() }
    }

    /// To the next step; behind the last one the tour is over.
    fn next_step(&mut self) {
        self.tour = self.tour.take().map(|tour| Tour { at: tour.at + 1, ..tour }).filter(|tour| tour.at < STEPS.len());
    }
}
