//! Sources: who is asked, where it stands, and whether it answers. CONTRACT.md, "Names". Pure.

use serde::{Deserialize, Serialize};

use super::kinds::kinds;

/// Whether it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// All that was asked was answered.
    Ok,
    /// It answers, with parts missing.
    Degraded,
    /// It refuses us.
    Denied,
    /// It was seen and is not read.
    NotWatched,
    /// It does not answer.
    Unreachable,
}

/// Where it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the contract's words")]
pub enum Place {
    Local,
    Remote,
    Unknown,
}

/// A source as it stands in the header and in the JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceStatus {
    /// `host`, `postgres:5432`, `redis:6379` …
    pub id: String,
    /// Its kind.
    pub kind: SourceKind,
    /// Its state.
    pub state: SourceState,
    /// Where it runs.
    pub place: Place,
    /// primary, replica … when known.
    pub role: Option<String>,
    /// Version, when known.
    pub version: Option<String>,
    /// As whom we read it.
    #[serde(rename = "as")]
    pub reader: Option<String>,
    /// Why it is not `ok`.
    pub why: Option<String>,
    /// The exact way in.
    pub way_in: Option<String>,
}

impl SourceStatus {
    /// A source of which only its kind and its state are known.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: SourceKind, state: SourceState) -> Self {
        Self {
            id: id.into(),
            kind,
            state,
            place: Place::Unknown,
            role: None,
            version: None,
            reader: None,
            why: None,
            way_in: None,
        }
    }
}

macro_rules! source_kinds {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// Kind of a source; the prefix of its id.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[expect(missing_docs, reason = "the contract's words")]
        pub enum SourceKind {
            Host,
            $($Kind,)*
            Peer,
        }

        impl SourceKind {
            /// The kinds of servers that are read.
            pub const READ: &[Self] = &[$(Self::$Kind),*];

            /// As people write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Host => "the host",
                    $(Self::$Kind => $name,)*
                    Self::Peer => "a peer",
                }
            }

            /// The prefix of the id.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    Self::Host => "host",
                    $(Self::$Kind => stringify!($folder),)*
                    Self::Peer => "peer",
                }
            }

            /// The option of the command line that names a server of it.
            #[must_use]
            pub const fn option(self) -> &'static str {
                match self {
                    $(Self::$Kind => concat!("--", stringify!($folder)),)*
                    Self::Host | Self::Peer => "",
                }
            }

            /// The keys of a server of it in the configuration.
            #[must_use]
            pub const fn settings(self) -> &'static [&'static str] {
                match self {
                    $(Self::$Kind => super::$folder::SETTINGS,)*
                    Self::Host | Self::Peer => &[],
                }
            }
        }
    };
}

kinds!(source_kinds);

impl SourceState {
    /// The word of the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Denied => "denied",
            Self::NotWatched => "not_watched",
            Self::Unreachable => "unreachable",
        }
    }
}
