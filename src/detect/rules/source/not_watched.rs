//! source.not_watched: a server or another host is seen and not read; how to look at it.

use crate::detect::finding::Class;
use crate::detect::kinds::Judge;
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Judged, Prev, Rule};
use crate::model::source::{SourceKind, SourceState};

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.not_watched",
    class: Class::Hygiene,
    source: SourceKind::Host,
    says: "a server or another host is seen and not read; how to look at it",
    params: &[],
    origins: &["sources"],
    page: "\
A server was seen by its process and is not read: PostgreSQL whose socket was not found, or one that this version does
not read (Redis, Prometheus). Another host for which requests here wait is listed too, and an environment variable
that names a server wrongly. Nothing is said about them: that is no fault of theirs, and their health is unknown.
Always info.

**Relief**: the way in: how to name the server to perftop, or the command that shows its own figures.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::in_state(facts, SourceState::NotWatched, "is seen and not watched")
}
