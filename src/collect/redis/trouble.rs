//! What went wrong with a server.

use std::fmt;

use crate::model::foreign::tamed;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server said no: the first word of its error, and all of it.
    Refused {
        /// `NOAUTH`, `WRONGPASS`, `NOPERM`, `DENIED`, `LOADING`, `ERR` …
        word: String,
        /// The message.
        message: String,
    },
    /// Nobody listens there.
    Nobody(String),
    /// The connection broke, or what came was no answer.
    Lost(String),
    /// No answer in time.
    Silent(String),
    /// More than an answer may hold.
    TooLarge,
}

impl Trouble {
    /// Of the library's error.
    #[must_use]
    pub fn of(error: &redis::RedisError) -> Self {
        if error.is_timeout() {
            return Self::Silent("no answer".into());
        }
        if let Some(word) = error.code() {
            let detail = error.detail().map(tamed).unwrap_or_default();
            return Self::Refused { word: tamed(word), message: cut(&detail) };
        }
        Self::Lost(cut(&tamed(&error.to_string())))
    }

    /// It wants a password, or another one.
    #[must_use]
    pub fn of_password(&self) -> bool {
        matches!(self, Self::Refused { word, .. } if ["NOAUTH", "WRONGPASS"].contains(&word.as_str()))
            || matches!(self, Self::Refused { message, .. } if message.contains("invalid password"))
    }

    /// The connection is of no use any more.
    #[must_use]
    pub const fn fatal(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// The first word of an error.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Refused { word, .. } => word,
            _ => "",
        }
    }
}

/// The library puts its own names before what the system said.
fn cut(text: &str) -> String {
    const MOST: usize = 200;
    text.trim_start_matches("- Io: ").trim_end_matches("- Io").chars().take(MOST).collect::<String>().trim().to_owned()
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { word, message } if message.is_empty() => f.write_str(word),
            Self::Refused { word, message } => write!(f, "{word} {message}"),
            Self::Nobody(why) | Self::Lost(why) | Self::Silent(why) => f.write_str(why),
            Self::TooLarge => f.write_str("an answer of more than 4 MB: it is not read"),
        }
    }
}
