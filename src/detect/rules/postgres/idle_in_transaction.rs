//! postgres.locks.idle_in_transaction: an idle transaction blocks others.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{Chains, PgFacts, Root};
use crate::model::foreign::Foreign;
use crate::model::subject::Subject;

use super::role_setting::role_setting;
use super::roots::{self, Kind, LOST};
use super::support::{session_subject, terminate, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.idle_in_transaction",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "an idle transaction blocks others",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
A session began a transaction, took locks, and does nothing (for a second at least, where others wait for its rows):
its client is busy elsewhere, waits for something else, or was forgotten. Everyone who needs its locks waits, and so
do those behind them. The time of the whole chain is counted here, by samples of the sessions; counters of the server
do not show it while it lasts. Of more than 32 waiters the title counts those that were checked.

**Relief**: end the session. Cancelling has no effect on an idle session. What it wrote is rolled back.
**Cure**: `idle_in_transaction_session_timeout` for that role; by hand: a client that commits before it does anything
else.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::IdleInTransaction, made)
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let s = root.session()?;
    let title = format!(
        "{} has been idle in a transaction for {} and blocks {}{}",
        who(s),
        roots::age(s.state_s),
        roots::sessions(root.waiters.len()),
        roots::on_relation(pg, root)
    );
    let fixes = terminate(pg, s, root.waiters.len()).into_iter().chain(limit(pg, &s.role)).collect();
    Some((session_subject(pg, s), title, fixes))
}

fn limit(pg: &PgFacts, role: &Foreign) -> Option<Fix> {
    let title = "Time out this role's idle transactions";
    let mut fix = role_setting(pg, Phase::Cure, Horizon::ShortTerm, title, role, ("idle_in_transaction_session_timeout", "60s"))?;
    fix.risk = "clients that pause longer within a transaction are disconnected".into();
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{blocked, client};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Session};

    fn idle(state_s: f64, looks: u32) -> Bench {
        let holder = Session { state: "idle in transaction".into(), state_s: Some(state_s), xact_s: Some(40.0), ..client(10) };
        blocked(holder, "transactionid", looks)
    }

    #[test]
    fn an_idle_transaction_that_blocks_is_found_and_held() {
        Table {
            clear: idle(30.0, 60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: idle(30.0, 110),
            held: Some(idle(30.0, 80)),
        }
        .check(&RULE);
        idle(30.0, 110)
            .must_say(&RULE, "found a client as app from the local socket (pid 10) has been idle in a transaction for 30");
        // A pause between two statements is none.
        idle(0.5, 110).must_say(&RULE, "clear");
    }
}
