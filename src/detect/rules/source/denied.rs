//! source.denied: a server refuses our login; how to connect.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Judged, Prev};
use crate::model::source::SourceState;

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.denied",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a server refuses our login; how to connect",
    params: &[],
    origins: &["sources"],
    page: "\
A PostgreSQL server that runs here, or that was named, refuses the logins that perftop tried. Its findings are
unknown, not fine. It is a warning for a server that is not known to run here, else info.

A password that the server refused is not sent again, unless it was right before; perftop guesses none. Without one
the login is tried again every five seconds.

**Relief**: give access: a role, a grant, or a line in `pg_hba.conf`, by hand on that server.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    super::state::in_state(facts, SourceState::Denied, "refuses our login")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;

    #[test]
    fn it_speaks_of_its_own_state_only() {
        Bench::expect_only_in(&RULE, SourceState::Denied);
    }
}
