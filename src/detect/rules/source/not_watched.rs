//! source.not_watched: a server is seen and not read; how to watch it.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Judged, Prev, Rule};
use crate::model::source::{SourceKind, SourceState};

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.not_watched",
    class: Class::Hygiene,
    source: SourceKind::Host,
    says: "a server is seen and not read; how to watch it",
    params: &[],
    origins: &["sources"],
    page: "\
A server was seen by its process and is not read, so nothing is said about it. That is no fault of the server, and its
health is unknown.",
    judge,
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::in_state(facts, SourceState::NotWatched, "is seen and not watched")
}
