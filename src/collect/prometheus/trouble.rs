//! What went wrong with a question.

use std::fmt;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens there, or the name is unknown.
    Nobody(String),
    /// TLS failed: what was wrong.
    Tls(String),
    /// No answer in time.
    Silent(String),
    /// It wants other credentials: 401 or 403.
    Denied(u16),
    /// It sends us elsewhere.
    Elsewhere(String),
    /// What answers is no Prometheus: what it is instead.
    Other(String),
    /// More than an answer may hold.
    TooLarge,
    /// It answered that it cannot: the kind of error (`bad_data`, `execution`, `timeout`, `unavailable` …), and what it says.
    Refused {
        /// Its word, else the status.
        kind: String,
        /// Its message.
        says: String,
    },
}

/// The largest answer that is read, bytes.
pub const MOST: usize = 8 << 20;

impl Trouble {
    /// The way to the server is not in doubt: others may be answered. Whether it answers at all is told by asking who it is.
    #[must_use]
    pub const fn of_question(&self) -> bool {
        !matches!(self, Self::Nobody(_) | Self::Tls(_))
    }

    /// The expression itself is what the server refuses; VictoriaMetrics says so by the status.
    #[must_use]
    pub fn of_expression(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if ["bad_data", "execution", "400", "422"].contains(&kind.as_str()))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(why) | Self::Silent(why) | Self::Tls(why) => f.write_str(why),
            Self::Denied(401) => f.write_str("401: it wants a user and a password, or a token"),
            Self::Denied(status) => write!(f, "{status}: these credentials may not read it"),
            Self::Elsewhere(to) => write!(f, "it redirects to {to}, which is not followed: credentials would go along"),
            Self::Other(what) => write!(f, "this is not a Prometheus: {what}"),
            Self::TooLarge => write!(f, "an answer of more than {} MB: it is not read", MOST >> 20),
            Self::Refused { kind, says } => write!(f, "{kind}: {says}"),
        }
    }
}
