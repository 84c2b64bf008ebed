//! source.not_watched: a server or another host is seen but not monitored; how to monitor it.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev};
use crate::model::source::SourceState;

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.not_watched",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a server or another host is seen but not monitored; how to monitor it",
    params: &[],
    origins: &["sources"],
    page: "\
A server's process was seen but it is not monitored: PostgreSQL whose socket was not found, or a kind that perftop
cannot monitor yet (Redis, Prometheus). Another host for which requests here wait is listed too, and an environment
variable with an invalid server address. They are not judged: their health is unknown. Always info.

**Relief**: how to name the server to perftop, or the command that shows its own figures.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::state::in_state(facts, SourceState::NotWatched, "is seen but not monitored")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;

    #[test]
    fn it_speaks_of_its_own_state_only() {
        Bench::expect_only_in(&RULE, SourceState::NotWatched);
    }
}
