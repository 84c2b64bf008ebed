//! What a rule is given, and what it answers.

use crate::model::demand::Demand;
use crate::model::facts::Facts as World;
use crate::model::subject::Subject;
use crate::model::unit::Unit;

use super::diagnosis::Cleared;
use super::finding::{Class, Evidence, Fix};
use super::kind::Kind;
use super::learned::Learned;
use super::ledger::{Ledger, State};
use super::memory::RuleMemory;

/// What a rule may use: the facts, the ledger made of them, and what was learned of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The facts of the window.
    pub world: &'a World,
    /// Foreground time by actor and state.
    pub ledger: &'a Ledger,
    /// Baseline latencies and trends.
    pub learned: &'a Learned,
    /// The kinds of servers that there are.
    pub kinds: &'static [Kind],
}

/// What no cause claims, and what was checked.
#[derive(Debug)]
pub struct Left<'a> {
    /// Foreground seconds per second by state, most first; baseline latencies left out.
    pub by_state: Vec<(State, f64)>,
    /// Findings that were checked and are fine.
    pub cleared: &'a [Cleared],
    /// Those that are to blame for what others lose, by type and key, and in which state.
    pub blamed: &'a [(String, State)],
}

/// What the rule found at the evaluations before.
pub type Prev = RuleMemory;

/// The answer of a rule: one verdict per subject, and wishes for more.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// One per subject; with no candidate one Clear or Unknown.
    pub verdicts: Vec<(Subject, Verdict)>,
    /// What would help to judge.
    pub demands: Vec<Demand>,
}

/// The verdict on one subject.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Checked and fine, because.
    Clear(String),
    /// Could not be checked, because; and what lifts that.
    Unknown {
        /// The reason.
        because: String,
        /// The way in.
        lift: Option<String>,
    },
    /// The condition holds.
    Found(Box<Found>),
}

/// A finding before it is weighed against the others.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its class, when the rule has two.
    pub class: Class,
    /// One line, with the culprit and the figure.
    pub title: String,
    /// What it claims of the ledger: lost foreground seconds per second by state.
    pub losses: Vec<(State, f64)>,
    /// Share of the losses that the fix gives back.
    pub recoverable: f64,
    /// The culprit's own weighted time: neither loss nor denominator.
    pub own_time: f64,
    /// Foreground time of those who lose.
    pub victims_time: f64,
    /// Half width of the 95 % interval of the loss.
    pub ci: Option<f64>,
    /// coverage x sampling x evidence.
    pub confidence: f64,
    /// Evidence that the rule would use and that cannot be had here.
    pub lacks: usize,
    /// Failures per second, for errors.
    pub failed_per_s: Option<f64>,
    /// Attempts per second, failed ones included, where failures are counted: severity goes by the share that fails.
    pub attempts_per_s: Option<f64>,
    /// Since when, by the server's own stamps, seconds ago.
    pub age_s: Option<f64>,
    /// A risk that grows while nobody does anything about it: a warning, whatever its time.
    pub grows: bool,
    /// However soon: a warning at most.
    pub never_critical: bool,
    /// It costs nobody anything and is a warning all the same, once this held in three of the last four evaluations.
    pub standing: Option<bool>,
    /// Seconds to failure, for risks, when credible.
    pub eta_s: Option<f64>,
    /// Late end of the interval of `eta_s`, seconds.
    pub eta_late_s: Option<f64>,
    /// An error in its tail.
    pub ended: bool,
    /// What it claims is its own waste: work that would not be done, so that it may claim productive time as well.
    pub waste: bool,
    /// The share by which the subject was chosen: it is kept while it holds 0.7 of what it entered with.
    pub held_share: f64,
    /// Figures for.
    pub evidence: Vec<Evidence>,
    /// Figures against.
    pub against: Vec<Evidence>,
    /// What to do.
    pub fixes: Vec<Fix>,
}

impl Found {
    /// A finding of that class with nothing claimed yet.
    pub fn new(class: Class, title: impl Into<String>) -> Self {
        Self {
            class,
            title: title.into(),
            losses: Vec::new(),
            recoverable: 1.0,
            own_time: 0.0,
            victims_time: 0.0,
            ci: None,
            confidence: 1.0,
            lacks: 0,
            failed_per_s: None,
            attempts_per_s: None,
            age_s: None,
            grows: false,
            never_critical: false,
            standing: None,
            eta_s: None,
            eta_late_s: None,
            ended: false,
            waste: false,
            held_share: 1.0,
            evidence: Vec::new(),
            against: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// Evidence that meets its threshold, of all that is needed: 1 without any.
    #[must_use]
    pub fn met(&self) -> f64 {
        let held = self.evidence.iter().filter_map(|e| e.met);
        let (met, needed) = (held.clone().filter(|met| *met).count(), held.count() + self.lacks);
        if needed == 0 { 1.0 } else { met as f64 / needed as f64 }
    }

    /// All that it claims.
    #[must_use]
    pub fn lost(&self) -> f64 {
        self.losses.iter().map(|(_, lost)| lost).sum()
    }
}

impl Judged {
    /// One Clear on `subject`.
    pub fn clear(subject: Subject, why: impl Into<String>) -> Self {
        Self { verdicts: vec![(subject, Verdict::Clear(why.into()))], demands: Vec::new() }
    }

    /// One Unknown on `subject`.
    pub fn unknown(subject: Subject, lack: &crate::model::seen::Lack) -> Self {
        let verdict = Verdict::Unknown { because: lack.to_string(), lift: lack.lift.clone() };
        Self { verdicts: vec![(subject, verdict)], demands: Vec::new() }
    }

    /// One Found on `subject`.
    #[must_use]
    pub fn found(subject: Subject, found: Found) -> Self {
        Self { verdicts: vec![(subject, Verdict::Found(Box::new(found)))], demands: Vec::new() }
    }
}

/// One figure, for a finding's evidence.
pub fn evidence(claim: impl Into<String>, value: f64, unit: Unit, limit: Option<f64>, origin: &str) -> Evidence {
    Evidence { claim: claim.into(), value, unit, limit, origin: origin.to_owned(), met: None, capacity: false }
}
