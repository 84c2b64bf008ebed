//! postgres.vacuum.xmin_horizon: something holds back the xmin horizon; vacuum cannot clean.

use super::horizon::{release, subject};
use super::support::{instance, unknown};
use crate::detect::finding::Class;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev};
use crate::model::postgres::HorizonRow;
use crate::model::seen::{Lack, Why};
use crate::model::unit::{Unit, count, seconds};

const TRANSACTIONS: Param = Param {
    name: "transactions",
    unit: Unit::Count,
    default: 1000000.0,
    min: 100.0,
    max: 2000000000.0,
    what: "transactions since its snapshot, however long ago",
};
const OPEN: Param = Param {
    name: "open",
    unit: Unit::Seconds,
    default: 300.0,
    min: 10.0,
    max: 864000.0,
    what: "seconds open, with dead rows in the tables (100,000 transactions where its age is not known)",
};
const DEAD: Param = Param {
    name: "dead",
    unit: Unit::Count,
    default: 10000.0,
    min: 0.0,
    max: 1000000000.0,
    what: "dead rows in the tables read",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.xmin_horizon",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "something holds back the xmin horizon; vacuum cannot remove dead rows",
    params: &[TRANSACTIONS, OPEN, DEAD],
    origins: &["postgres.horizon", "postgres.tables"],
    page: "\
Vacuum can remove only what no snapshot can see any more. The oldest snapshot or open writing transaction holds it
back: a session or a prepared transaction in its own database, a slot or a standby's feedback in the whole cluster.
Dead rows pile up, scans get slower, and ids are not frozen. A report that runs some minutes on a busy server is not a
finding. It counts when it is a million transactions old; or when it is old in time (`open`; 100,000 transactions,
where its start is not known, as of slots and standbys), 1,000 transactions old, and there are dead rows. Those are
counted in all tables seen: which of them it holds back is not known. A slot of logical decoding holds the catalogues
only and counts by its transactions alone.

**Relief**: end the holder: the session, the prepared transaction, a slot that nobody reads, a standby's feedback.
**Cure**, by hand: limits on transactions, alarms on slots.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let Some(oldest) = cluster.horizon.first() else { return Judged::clear(instance(pg), "nothing holds back the horizon") };
    let dead: u64 = pg.catalogs.values().flat_map(|c| &c.tables).map(|t| t.dead).sum();
    let old = |row: &HorizonRow, held: bool| {
        let long = row.since_s.map_or(row.age >= 100_000, |s| s >= params.limit(OPEN, held));
        long && row.age >= 1000 && !row.catalogues
    };
    let matters = |row: &&HorizonRow| {
        let held = is_held(prev, &subject(pg, row));
        row.age as f64 >= params.limit(TRANSACTIONS, held) || old(row, held) && dead as f64 >= params.limit(DEAD, held)
    };
    // Behind one that holds the catalogues only stands the one that holds the tables.
    let of_tables = cluster.horizon.iter().filter(|row| !row.catalogues).find(matters);
    let Some(oldest) = of_tables.or_else(|| cluster.horizon.iter().find(matters)) else {
        // Whether it matters the dead rows say, which were not read yet.
        if pg.catalogs.is_empty() && cluster.horizon.iter().any(|row| old(row, false)) {
            return unknown(pg, &Lack::new(Why::NotYet, "dead rows: no database was read yet"));
        }
        let since = oldest.since_s.map_or_else(String::new, |s| format!(", {} old", seconds(s)));
        return Judged::clear(
            instance(pg),
            format!("the oldest snapshot is {} transactions back{since}", count(oldest.age as f64)),
        );
    };
    let subject = subject(pg, oldest);
    let since = oldest.since_s.map_or_else(String::new, |s| format!(" for {}", seconds(s)));
    let mut found = Found::new(
        Class::Risk,
        format!(
            "{} holds back {}{since}: {} transactions; {} dead rows in the tables read",
            subject.label,
            if oldest.catalogues { "the horizon of the catalogues" } else { "the horizon" },
            count(oldest.age as f64),
            count(dead as f64)
        ),
    );
    found.grows = true;
    found.never_critical = true;
    found.age_s = oldest.since_s;
    found.evidence = vec![
        params.either("transactions since its snapshot", oldest.age as f64, TRANSACTIONS, "postgres.horizon"),
        params.either("dead rows in the tables read", dead as f64, DEAD, "postgres.tables"),
    ];
    found.fixes = release(pg, oldest);
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::visited;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, HorizonKind, PgState, TableRow};

    /// A slot holds back so many transactions for so long, beside so many dead rows.
    fn holds(age: u64, since_s: Option<f64>, dead: u64, catalogues: bool) -> Bench {
        let row = HorizonRow { kind: HorizonKind::Slot, who: "b".into(), age, since_s, catalogues, ..HorizonRow::default() };
        let tables = vec![TableRow { dead, ..TableRow::default() }];
        visited(Catalog { tables, ..Catalog::default() }).served(|pg| {
            let cluster = pg.cluster.as_ref().map(|c| (**c).clone());
            pg.cluster =
                cluster.map(|c| crate::model::postgres::Cluster { horizon: vec![row], ..c }.into()).map_err(Clone::clone);
        })
    }

    #[test]
    fn an_old_snapshot_is_found_and_held() {
        Table {
            clear: holds(690_000, Some(10.0), 1_000_000, false),
            unknown: Some(Bench::postgres(PgState::default())),
            found: holds(1_000_000, Some(10.0), 0, false),
            held: Some(holds(710_000, Some(10.0), 0, false)),
        }
        .check(&RULE);
        holds(1_000_000, None, 0, false).must_say(&RULE, "found slot b holds back the horizon: 1.0M transactions");
        holds(1_000_000, None, 0, true).must_say(&RULE, "found slot b holds back the horizon of the catalogues");
    }

    #[test]
    fn one_that_lasts_beside_dead_rows_is_found_and_held() {
        Table {
            clear: holds(1_000, Some(209.0), 10_000, false),
            unknown: None,
            found: holds(1_000, Some(300.0), 10_000, false),
            held: Some(holds(1_000, Some(211.0), 7_100, false)),
        }
        .check(&RULE);
        holds(999, Some(300.0), 10_000, false).must_say(&RULE, "clear");
        holds(1_000, Some(300.0), 10_000, true).must_say(&RULE, "clear");
        holds(1_000, Some(300.0), 9_999, false).must_say(&RULE, "clear");
        // Where nobody knows since when, its transactions tell.
        holds(100_000, None, 10_000, false).must_say(&RULE, "found");
        holds(99_999, None, 10_000, false).must_say(&RULE, "clear");
        holds(1_000, Some(300.0), 0, false).served(|pg| pg.catalogs = Default::default()).must_say(&RULE, "unknown");
    }
}
