//! source.unreachable: a known source does not answer.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Judged, Prev, Rule};
use crate::model::source::{SourceKind, SourceState};

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.unreachable",
    class: Class::Hygiene,
    source: SourceKind::Host,
    says: "a known source does not answer",
    params: &[],
    origins: &["sources"],
    page: "\
A source that was configured, or that answered before, does not answer. The last data are kept and dated; findings that need
new ones are unknown. perftop tries again with growing pauses.",
    judge,
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::in_state(facts, SourceState::Unreachable, "does not answer")
}
