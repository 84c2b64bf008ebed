//! "Seen or not seen": the outcome of reading one thing. Unknown is never zero.

use serde::{Deserialize, Serialize};

use super::foreign::tamed;

/// What a reader got: the value, or the reason why there is none.
pub type Seen<T> = Result<T, Lack>;

/// What two ticks read of counts, as one: joined where both did; a reading that failed does not take away what was counted before it.
pub fn counted<T>(earlier: Option<Seen<T>>, later: Option<Seen<T>>, join: impl FnOnce(T, T) -> T) -> Option<Seen<T>> {
    match (earlier, later) {
        (Some(Ok(earlier)), Some(Ok(later))) => Some(Ok(join(earlier, later))),
        (Some(Ok(earlier)), Some(Err(_)) | None) => Some(Ok(earlier)),
        (earlier, later) => later.or(earlier),
    }
}

/// Why something is unknown, what it was, and the way in where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The kind of reason.
    pub why: Why,
    /// The file, field or call, and what it said.
    pub what: String,
    /// The command or setting that lifts it, if one is known.
    #[serde(default)]
    pub lift: Option<String>,
}

/// The closed list of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The file or field does not exist here.
    Absent,
    /// This user may not read it.
    Denied,
    /// The kernel has it switched off (EOPNOTSUPP).
    Unsupported,
    /// It was there, and its content made no sense.
    Garbage,
    /// It did not answer within its deadline.
    TimedOut,
    /// It needs a second sample, or its turn has not come.
    NotYet,
    /// A counter went back, the machine slept, or the device was recreated.
    Reset,
    /// The recording is of a perftop that did not read it.
    NotRecorded,
}

impl Lack {
    /// A reason about `what`, without a way in.
    pub fn new(why: Why, what: impl Into<String>) -> Self {
        Self { why, what: what.into(), lift: None }
    }

    /// The same with the way in.
    #[must_use]
    pub fn lifted_by(mut self, lift: impl Into<String>) -> Self {
        self.lift = Some(lift.into());
        self
    }

    /// "needs two samples", for the first one.
    #[must_use]
    pub fn first_sample(what: &str) -> Self {
        Self::new(Why::NotYet, format!("{what}: needs a second sample"))
    }

    /// "went back", for counters that were reset between two samples.
    #[must_use]
    pub fn reset(what: &str) -> Self {
        Self::new(Why::Reset, format!("{what}: a counter was reset"))
    }
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self.why {
            Why::Absent => "absent",
            Why::Denied => "permission denied",
            Why::Unsupported => "switched off in the kernel",
            Why::Garbage => "malformed content",
            Why::TimedOut => "no answer within its deadline",
            Why::NotYet => "not yet",
            Why::Reset => "reset",
            Why::NotRecorded => "not recorded",
        };
        write!(f, "{} ({why})", tamed(&self.what))
    }
}
