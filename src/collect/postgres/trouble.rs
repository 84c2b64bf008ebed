//! Why a server gave no answer.

use std::io::ErrorKind;
use std::time::Duration;

use crate::model::foreign::Foreign;
use crate::model::seen::{Lack, Why};

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The server refused: SQLSTATE and message.
    #[error("{message} ({code})")]
    Refused {
        /// SQLSTATE.
        code: String,
        /// What it said, safe to show.
        message: String,
        /// It had asked for a password before, and was sent one.
        asked: bool,
    },
    /// No answer in time; the connection is given up.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Nobody listens there.
    #[error("{0}")]
    Nobody(String),
    /// The connection broke.
    #[error("{0}")]
    Lost(String),
}

impl Trouble {
    /// From the library's error; nothing of it can hold a password.
    #[must_use]
    pub fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(e) => Self::Refused {
                code: e.code().map_or_else(String::new, |c| c.into_owned()),
                message: shown(e.message()),
                asked: false,
            },
            sqlx::Error::Io(e) if gone(e.kind()) => Self::Lost("the server closed the connection".into()),
            sqlx::Error::Io(e) if matches!(e.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
                Self::Nobody(shown(&e.to_string()))
            }
            sqlx::Error::Io(e) => Self::Lost(shown(&e.to_string())),
            other => Self::Lost(shown(&other.to_string())),
        }
    }

    /// True when the connection cannot be used any more.
    #[must_use]
    pub fn fatal(&self) -> bool {
        match self {
            // Class 57: shut down, terminated; class 08: connection.
            Self::Refused { code, .. } => code.starts_with("57P") || code.starts_with("08"),
            Self::TimedOut(_) | Self::Nobody(_) | Self::Lost(_) => true,
        }
    }

    /// A password was sent and refused.
    #[must_use]
    pub fn refused_password(&self) -> bool {
        matches!(self, Self::Refused { code, asked: true, .. } if code.starts_with("28"))
    }

    /// As what is not known of a part that could not be read for it.
    #[must_use]
    pub fn lack(&self, part: &str) -> Lack {
        let why = match self.code() {
            "42501" => Why::Denied,
            // Not supported, no such function, relation or column: this server has none.
            "0A000" | "42883" | "42P01" | "42703" => Why::Unsupported,
            _ => Why::TimedOut,
        };
        Lack::new(why, format!("{part}: {self}"))
    }

    /// SQLSTATE, when the server refused.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            _ => "",
        }
    }
}

const fn gone(kind: ErrorKind) -> bool {
    use ErrorKind as K;
    matches!(kind, K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted | K::UnexpectedEof)
}

/// One line, nothing hidden, not endless.
fn shown(text: &str) -> String {
    Foreign::from(text.chars().take(300).collect::<String>().as_str()).shown().to_owned()
}
