//! source.denied: a server runs here and will not let us in; the ways in.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Judged, Prev, Rule};
use crate::model::source::{SourceKind, SourceState};

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.denied",
    class: Class::Hygiene,
    source: SourceKind::Host,
    says: "a server runs here and will not let us in; the ways in",
    params: &[],
    origins: &["sources"],
    page: "\
A server runs here, and refuses what perftop tried. Its findings are unknown, not fine. The way in stands with the source;
perftop makes one attempt per credential and guesses none.",
    judge,
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::in_state(facts, SourceState::Denied, "will not let us in")
}
