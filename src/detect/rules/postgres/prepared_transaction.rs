//! postgres.locks.prepared_transaction: a prepared (two-phase) transaction blocks others.

use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{Chains, Holder, PgFacts, Root};
use crate::model::postgres::literal;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::seconds;

use super::roots::{self, Kind, LOST};
use super::support::sql;

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.prepared_transaction",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a prepared (two-phase) transaction blocks others",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "postgres.prepared", "ledger"],
    page: "\
A transaction was prepared (PREPARE TRANSACTION) and neither committed nor rolled back, and others wait for it; how
old it is does not matter. It belongs to no session any more, survives restarts, and keeps its locks.
`pg_blocking_pids` reports it as 0; it is found by the transaction that the waiters wait for, or, where they wait for
a table, as the only one of that database. Otherwise which one it is cannot be determined, and no fix is offered.

**Relief**: roll it back, or commit it: its coordinator knows which. In its own database, by its owner or a superuser.
**Cure**, by hand: repair the coordinator; without one, `max_prepared_transactions = 0` at the next restart, once none
is left: a server with more of them than allowed does not start.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::Prepared, made)
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let Holder::Prepared(row) = &root.holder else {
        let subject = Subject::new(SubjectType::PreparedTransaction, "?", "a prepared transaction");
        return Some((
            subject,
            format!("A prepared transaction blocks {}; which one is not visible", roots::sessions(root.waiters.len())),
            Vec::new(),
        ));
    };
    let subject = Subject::new(SubjectType::PreparedTransaction, row.gid.shown(), format!("prepared transaction {}", row.gid));
    let title = format!(
        "Prepared transaction {} of {}, {} old, blocks {}{}",
        row.gid,
        row.owner,
        seconds(row.age_s),
        roots::sessions(root.waiters.len()),
        roots::on_relation(pg, root)
    );
    let mut fixes = Vec::new();
    if let Some(gid) = literal(&row.gid) {
        let one = |title: &str, command: String| {
            let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, &row.database);
            fix.risk = "other parts of the distributed transaction may have ended differently: ask its coordinator".into();
            fix.needs = format!("owner {} or a superuser, in database {}", row.owner, row.database);
            fix.verify = Command::sql(format!("SELECT count(*) = 0 AS gone FROM pg_prepared_xacts WHERE gid = {gid};"));
            fix
        };
        let title = format!("Roll it back: {} continue", roots::sessions(root.waiters.len()));
        fixes.push(one(&title, format!("ROLLBACK PREPARED {gid};")));
        fixes.push(one("Or commit it", format!("COMMIT PREPARED {gid};")));
    }
    Some((subject, title, fixes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::bench::postgres::{blocked, chain, client, waiter};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, PgState, PreparedRow, Waiter};

    fn prepared(looks: u32) -> Bench {
        let row = PreparedRow { gid: "pay-1".into(), transaction: 7, owner: "app".into(), age_s: 90.0, ..PreparedRow::default() };
        let cluster = Cluster { prepared: vec![row], ..Cluster::default() };
        let waiter = Waiter { transaction: Some(7), ..waiter(20, &[0], "transactionid") };
        Bench::postgres(PgState { cluster: Ok(Arc::new(cluster)), ..chain(Vec::new(), vec![waiter], looks) })
    }

    #[test]
    fn a_prepared_transaction_that_blocks_is_found_and_held() {
        Table {
            clear: prepared(60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: prepared(110),
            held: Some(prepared(80)),
        }
        .check(&RULE);
        prepared(110).must_say(&RULE, "found Prepared transaction pay-1 of app");
        blocked(client(10), "transactionid", 110).must_say(&RULE, "clear");
    }
}
