//! What a rule is.

use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

use super::finding::Class;
use super::params::{Param, Params};
use super::verdict::{Facts, Judged, Left, Prev};

/// A rule: one file under `rules/`, one row in their list.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Stable name.
    pub id: &'static str,
    /// Its class; a rule of two classes (`E/R`) says per finding which.
    pub class: Class,
    /// Whom it can blame at once.
    pub culprit: Culprit,
    /// One line for the catalogue.
    pub says: &'static str,
    /// Thresholds.
    pub params: &'static [Param],
    /// Rows of `model::origin` that it uses.
    pub origins: &'static [&'static str],
    /// The page of `perftop explain`: how it is judged, what else looks like it, what to do.
    pub page: &'static str,
    /// The judgement, and what it is given.
    pub judge: Judge,
}

/// Whom a rule can blame at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Culprit {
    /// One: when it changes, the finding goes on.
    One,
    /// As many as there are: each is a finding of its own.
    Many,
}

macro_rules! judges {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// How a rule judges, by what it is given.
        #[derive(Debug, Clone, Copy)]
        pub enum Judge {
            /// The host, and all that is seen from it; once.
            Host(fn(&Facts<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            /// What no cause claims; once, after all others.
            Rest(fn(&Facts<'_>, &Left<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            $(
                #[doc = concat!("Each server of ", $name, ".")]
                $Kind(fn(&super::$folder::View<'_>, &Params<'_>, Option<&Prev>) -> Judged),
            )*
        }

        impl Judge {
            /// Whom it judges.
            #[must_use]
            pub const fn kind(self) -> SourceKind {
                match self {
                    Self::Host(_) | Self::Rest(_) => SourceKind::Host,
                    $(Self::$Kind(_) => SourceKind::$Kind,)*
                }
            }
        }
    };
}

kinds!(judges);

/// True when `pattern` is `id`, or ends in a star and begins it.
#[must_use]
pub fn matches(pattern: &str, id: &str) -> bool {
    let of = |id: &str| pattern.strip_suffix('*').map_or(pattern == id, |family| id.starts_with(family));
    of(id) || of(brief(id))
}

/// An id as the screen writes it: what is the host's without its name.
#[must_use]
pub fn brief(id: &str) -> &str {
    id.strip_prefix("host.").unwrap_or(id)
}
