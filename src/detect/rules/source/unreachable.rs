//! source.unreachable: a server that is configured or was found does not answer.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev};
use crate::model::source::SourceState;

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.unreachable",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a server that is configured or was found does not answer",
    params: &[],
    origins: &["sources"],
    page: "\
A PostgreSQL server that was configured, or found here, does not answer, or has no free connection slot for perftop.
Its sessions are unknown until it answers, and so are the findings about them. perftop tries again with growing
pauses, every five seconds at the longest. It is a warning.

**Relief**: start the server, name its port, or free a connection slot, by hand.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::state::in_state(facts, SourceState::Unreachable, "does not answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;

    #[test]
    fn it_speaks_of_its_own_state_only() {
        Bench::expect_only_in(&RULE, SourceState::Unreachable);
    }
}
