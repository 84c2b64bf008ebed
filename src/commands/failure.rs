//! Why a command ends, and what all commands do alike: print, wait, read a duration.

use std::io::{self, Write};
use std::time::Duration;

use crate::record::format::Error as RecordError;

/// Why a command ended, with its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong usage, configuration, or recording: 64.
    #[error("{0}")]
    Usage(String),
    /// The system said no: 74.
    #[error("{0}")]
    Io(String),
    /// Ended by a signal: 128 and its number.
    #[error("signal {0}")]
    Signal(u8),
    /// The reader of our output went away: 0.
    #[error("closed pipe")]
    ClosedPipe,
}

impl Failure {
    /// Exit code of the contract.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Io(_) => 74,
            Self::Signal(number) => 128 + number,
            Self::ClosedPipe => 0,
        }
    }
}

impl Failure {
    /// The operator does not know it yet: neither a signal nor a reader of ours that went away.
    #[must_use]
    pub const fn is_worth_a_word(&self) -> bool {
        matches!(self, Self::Usage(_) | Self::Io(_))
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Io { ref source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            RecordError::Io { .. } => Self::Io(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

/// Prints to standard output.
///
/// # Errors
/// A closed pipe is its own failure, which is none.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::Io(format!("standard output: {e}")),
    })
}

/// A duration of the command line.
///
/// # Errors
/// Names the option and the form.
pub(super) fn duration(option: &str, text: &str) -> Result<Duration, Failure> {
    crate::config::parse_duration(text)
        .map(Duration::from_millis)
        .ok_or_else(|| Failure::Usage(format!("{option} {text}: write a duration such as 250ms, 5s, 2m or 7d")))
}

/// A runtime for the command's own thread.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::Io(format!("cannot start the async runtime: {e}")))
}

/// Listens to the signals that end a command.
pub(super) fn ending() -> Result<crate::signals::Ending, Failure> {
    crate::signals::Ending::listen().map_err(|e| Failure::Io(format!("signals: {e}")))
}
