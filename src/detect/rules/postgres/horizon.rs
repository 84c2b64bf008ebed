//! Who holds back the xmin horizon: a vacuum removes nothing that died since then. Pure.

use super::support::{self, sql};
use crate::detect::finding::{Fix, Horizon, Phase, Preflight};
use crate::detect::verdict::{Found, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::{HorizonRow, literal};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, seconds};

/// A report that runs some minutes is no fault.
const LONG_S: f64 = 300.0;
/// But on a server that writes so much meanwhile that its tables cannot be the same (a queue): so long, and so many transactions.
const SHORT_S: f64 = 10.0;
const TURNED_OVER: u64 = 20_000;
/// The two views are read one after the other, seconds.
const APART_S: f64 = 5.0;
/// Transactions meanwhile; a hundred times as many where its age is not known.
const MANY: u64 = 1000;

/// The oldest that keeps a vacuum from what died in that database: a session or a prepared transaction in it, or a slot or standby. One whose
/// database is not known is not accused, nor one that has another transaction by now, nor who runs `query`, which is a victim.
#[must_use]
pub fn holder<'a>(pg: &'a PgFacts, database: &Foreign, query: Option<i64>) -> Option<&'a HorizonRow> {
    use crate::model::postgres::HorizonKind as K;
    let here = |row: &&HorizonRow| match row.kind {
        K::Session => session(pg, row).is_some_and(|s| {
            let same = s.xact_s.zip(row.since_s).is_some_and(|(now, since)| now + APART_S >= since);
            s.database == *database && same && (query.is_none() || s.query_id != query)
        }),
        K::Prepared => prepared(pg, row).is_some_and(|p| p == *database),
        K::Slot | K::Standby => true,
    };
    let long =
        |row: &HorizonRow| row.since_s.map_or(row.age >= 100 * MANY, |s| s >= LONG_S || s >= SHORT_S && row.age >= TURNED_OVER);
    let old = |row: &&HorizonRow| row.age >= MANY && long(row) && !row.catalogues;
    pg.cluster.as_ref().ok()?.horizon.iter().filter(old).find(here)
}

/// Where someone holds back the horizon: it is named, and a vacuum says what it cannot remove. What ends a transaction that does nothing comes
/// first; a report that works, a slot or a standby is the business of `postgres.vacuum.xmin_horizon`.
pub fn release_first(pg: &PgFacts, (database, query): (&Foreign, Option<i64>), subject: &mut Subject, found: &mut Found) {
    let Some(row) = holder(pg, database, query) else { return };
    let who = self::subject(pg, row);
    let since = row.since_s.map_or_else(String::new, |s| format!(" for {}", seconds(s)));
    let stays = format!(
        "{} has held back the horizon{since}, {} transactions: rows that died meanwhile stay",
        who.label,
        count(row.age as f64)
    );
    let claim = format!("transactions since the snapshot of {}: a vacuum keeps what died meanwhile", who.label);
    found.evidence.push(evidence(claim, row.age as f64, Unit::Count, None, "postgres.horizon"));
    for fix in found.fixes.iter_mut().filter(|fix| fix.command.contains("VACUUM")) {
        fix.preflight.push(Preflight { ok: false, what: stays.clone() });
    }
    if session(pg, row).is_some_and(|s| s.idle_in_transaction()) {
        let mut release = release(pg, row);
        release.iter_mut().for_each(|fix| fix.title += ": it holds back the horizon");
        found.fixes.splice(0..0, release);
    }
    subject.also.push(who.typed_key());
}

fn session<'a>(pg: &'a PgFacts, row: &HorizonRow) -> Option<&'a crate::model::postgres::Session> {
    row.who.shown().parse::<i32>().ok().and_then(|pid| pg.activity.as_ref().ok()?.session(pid))
}

fn prepared(pg: &PgFacts, row: &HorizonRow) -> Option<Foreign> {
    pg.cluster.as_ref().ok()?.prepared.iter().find(|p| p.gid == row.who).map(|p| p.database.clone())
}

/// Who it is.
pub fn subject(pg: &PgFacts, row: &HorizonRow) -> Subject {
    use crate::model::postgres::HorizonKind as K;
    match (row.kind, session(pg, row)) {
        (K::Session, Some(s)) => support::session_subject(pg, s),
        (K::Session, None) => Subject::new(SubjectType::Backend, format!("{}@0", row.who), format!("pid {}", row.who)),
        (K::Prepared, _) => {
            Subject::new(SubjectType::PreparedTransaction, row.who.shown(), format!("prepared transaction {}", row.who))
        }
        (K::Slot, _) => Subject::new(SubjectType::Slot, row.who.shown(), format!("slot {}", row.who)),
        (K::Standby, _) => Subject::new(SubjectType::Replica, row.who.shown(), format!("the feedback of standby {}", row.who)),
    }
}

/// What ends it.
pub fn release(pg: &PgFacts, row: &HorizonRow) -> Vec<Fix> {
    use crate::model::postgres::HorizonKind as K;
    let one = |title: &str, command: String, risk: &str, needs: &str, database: &Foreign| {
        let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, database);
        (fix.risk, fix.needs) = (risk.to_owned(), needs.to_owned());
        fix
    };
    match row.kind {
        K::Session => session(pg, row).and_then(|s| support::terminate(pg, s, 0)).into_iter().collect(),
        K::Prepared => literal(&row.who)
            .map(|gid| {
                one(
                    "Roll it back",
                    format!("ROLLBACK PREPARED {gid};"),
                    "ask its coordinator first",
                    "its owner or a superuser, in its database",
                    &prepared(pg, row).unwrap_or_default(),
                )
            })
            .into_iter()
            .collect(),
        // Its slot holds what a query on the standby reads.
        K::Slot if row.feeds => vec![feedback(pg, row)],
        K::Slot => literal(&row.who)
            .map(|slot| {
                one(
                    "Drop the slot",
                    format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {slot} AND NOT active;"),
                    "its reader must be rebuilt",
                    "a role with REPLICATION",
                    &Foreign::default(),
                )
            })
            .into_iter()
            .collect(),
        K::Standby => vec![feedback(pg, row)],
    }
}

/// The standby gives up its own queries instead.
fn feedback(pg: &PgFacts, row: &HorizonRow) -> Fix {
    let command = "ALTER SYSTEM SET hot_standby_feedback = off;   -- on the standby; then SELECT pg_reload_conf();";
    let title = "Let the standby cancel its own long queries instead";
    let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command.into(), &Foreign::default());
    fix.risk = "long queries on the standby may be cancelled".into();
    fix.needs = "superuser on the standby".into();
    fix.target = format!("any database on the standby of {}", row.who);
    fix
}
