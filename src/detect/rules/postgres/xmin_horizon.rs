//! postgres.vacuum.xmin_horizon: something holds the horizon; vacuum cannot clean.

use super::support::{self, instance, nobody, sql, unknown};
use crate::detect::finding::Class;
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::literal;
use crate::model::source::SourceKind;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, seconds};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.xmin_horizon",
    class: Class::Risk,
    source: SourceKind::Postgres,
    says: "something holds the horizon; vacuum cannot clean",
    params: &[
        Param { name: "transactions", unit: Unit::Count, default: 100000.0, min: 100.0, max: 2000000000.0, what: "transactions since its snapshot" },
        Param { name: "open", unit: Unit::Seconds, default: 300.0, min: 10.0, max: 864000.0, what: "seconds that it is open, with dead rows that wait for it" },
    ],
    origins: &["postgres.horizon"],
    page: "\
Vacuum may remove only what no snapshot can see any more. The oldest snapshot (a long or idle transaction, a prepared one, a slot, a standby's feedback) holds back the cleaning of every table in the
cluster: dead rows pile up, scans get slower, and ids are not frozen.

**Relief**: end it, by its kind. **Cure**: limits on transactions, alarms on slots.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let Some(pg) = facts.postgres else { return nobody() };
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let Some(oldest) = cluster.horizon.first() else { return Judged::clear(instance(pg), "nothing holds the horizon") };
    let dead: u64 = pg.catalogs.values().flat_map(|c| &c.tables).map(|t| t.dead).sum();
    let subject = subject(pg, oldest);
    let held = is_held(prev, &subject);
    let far = oldest.age as f64 >= params.limit("transactions", held);
    let long = oldest.since_s.is_some_and(|s| s >= params.limit("open", held)) && dead >= 10_000 && oldest.age >= 1000;
    if !far && !long {
        let since = oldest.since_s.map_or_else(String::new, |s| format!(", {} old", seconds(s)));
        return Judged::clear(
            instance(pg),
            format!("the oldest snapshot is {} transactions back{since}", count(oldest.age as f64)),
        );
    }
    let since = oldest.since_s.map_or_else(String::new, |s| format!(" for {}", seconds(s)));
    let mut found = Found::new(
        Class::Risk,
        format!(
            "{} holds the horizon{since}: {} transactions, {} dead rows wait for it",
            subject.label,
            count(oldest.age as f64),
            count(dead as f64)
        ),
    );
    found.grows = true;
    found.never_critical = true;
    found.age_s = oldest.since_s;
    found.evidence = vec![
        evidence(
            "transactions since its snapshot",
            oldest.age as f64,
            Unit::Count,
            Some(params.get("transactions")),
            "postgres.horizon",
        ),
        evidence("dead rows in the tables seen", dead as f64, Unit::Count, Some(10_000.0), "postgres.tables"),
    ];
    found.fixes = release(pg, oldest);
    Judged::found(subject, found)
}

fn subject(pg: &PgFacts, row: &crate::model::postgres::HorizonRow) -> Subject {
    use crate::model::postgres::HorizonKind as K;
    let session = row.who.shown().parse::<i32>().ok().and_then(|pid| pg.activity.as_ref().ok()?.session(pid));
    match (row.kind, session) {
        (K::Session, Some(s)) => support::session_subject(pg, s),
        (K::Session, None) => Subject::new(SubjectType::Backend, format!("{}@0", row.who), format!("pid {}", row.who)),
        (K::Prepared, _) => {
            Subject::new(SubjectType::PreparedTransaction, row.who.shown(), format!("prepared transaction {}", row.who))
        }
        (K::Slot, _) => Subject::new(SubjectType::Slot, row.who.shown(), format!("slot {}", row.who)),
        (K::Standby, _) => Subject::new(SubjectType::Replica, row.who.shown(), format!("the feedback of standby {}", row.who)),
    }
}

fn release(pg: &PgFacts, row: &crate::model::postgres::HorizonRow) -> Vec<Fix> {
    use crate::model::postgres::HorizonKind as K;
    let session = row.who.shown().parse::<i32>().ok().and_then(|pid| pg.activity.as_ref().ok()?.session(pid));
    let one = |title: &str, command: String, risk: &str, needs: &str, database: &Foreign| {
        let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, database);
        (fix.risk, fix.needs) = (risk.to_owned(), needs.to_owned());
        fix
    };
    match row.kind {
        K::Session => session.and_then(|s| support::terminate(pg, s, 0)).into_iter().collect(),
        K::Prepared => literal(&row.who)
            .map(|gid| {
                let prepared = pg.cluster.as_ref().ok().and_then(|c| c.prepared.iter().find(|p| p.gid == row.who));
                one(
                    "Roll it back",
                    format!("ROLLBACK PREPARED {gid};"),
                    "ask its coordinator first",
                    "its owner or a superuser, in its database",
                    &prepared.map_or_else(Foreign::default, |p| p.database.clone()),
                )
            })
            .into_iter()
            .collect(),
        K::Slot => literal(&row.who)
            .map(|slot| {
                one(
                    "Drop the slot",
                    format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {slot} AND NOT active;"),
                    "whoever reads from it must be set up anew",
                    "a role with REPLICATION",
                    &Foreign::default(),
                )
            })
            .into_iter()
            .collect(),
        K::Standby => vec![elsewhere(row, one(
            "Let the standby cancel its own long queries instead",
            "ALTER SYSTEM SET hot_standby_feedback = off;   -- on the standby; then SELECT pg_reload_conf();".into(),
            "long queries on the standby may be cancelled",
            "superuser on the standby",
            &Foreign::default(),
        ))],
    }
}

fn elsewhere(row: &crate::model::postgres::HorizonRow, mut fix: Fix) -> Fix {
    fix.target = format!("any database on standby {}", row.who);
    fix
}
