//! postgres.vacuum.overdue: autovacuum is behind, or off.

use super::horizon;
use super::object::Object;
use super::support::{self, setting, sql};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::subject::SubjectType;
use crate::model::unit::{Unit, count, short};

const FACTOR: Param = Param {
    name: "factor",
    unit: Unit::Ratio,
    default: 2.0,
    min: 1.0,
    max: 100.0,
    what: "dead rows over the number that triggers autovacuum",
};
const DEAD: Param =
    Param { name: "dead", unit: Unit::Count, default: 10000.0, min: 100.0, max: 1000000000.0, what: "dead rows in the table" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.vacuum.overdue",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "autovacuum is behind, or off",
    params: &[FACTOR, DEAD],
    origins: &["postgres.tables", "postgres.settings"],
    page: "\
A table had at its last visit far more dead rows than the number that triggers autovacuum (with its own settings), and
no vacuum is running on it now. Whether autovacuum is switched off, for it or entirely, is checked; otherwise its
workers may be busy elsewhere, or a lock or the horizon may hold it back. A warning where it is off, else info: it may
be a brief lag.

**Relief**: VACUUM it now; that blocks neither reads nor writes; first, by hand: end what holds back the horizon.
**Cure**: switch autovacuum on; where it is on, a scale factor of 0.02 for the table, unless it has one as small; by
hand: more workers, shorter pauses.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let catalogs = match support::visited(pg) {
        Ok(catalogs) => catalogs,
        Err(answer) => return answer,
    };
    let cluster = pg.cluster.as_ref().ok();
    let off = cluster.is_some_and(|c| c.on("autovacuum") == Some(false) || c.on("track_counts") == Some(false));
    let mut judged = Judged::default();
    for catalog in catalogs {
        for t in &catalog.tables {
            let object = Object::of(pg, &catalog.database, &t.schema, &t.name, t.oid);
            let factor = t.dead as f64 / t.vacuum_at.max(1.0);
            let (subject, name) = (object.subject(SubjectType::Table), &object.label);
            let held = is_held(prev, &subject);
            let cleaned = cluster.is_some_and(|c| {
                c.progress.iter().any(|p| p.command == "vacuum" && p.relation == Some(t.oid) && p.database == catalog.database)
            });
            if (t.dead as f64) < params.limit(DEAD, held) || factor < params.limit(FACTOR, held) || cleaned {
                continue;
            }
            // One that came after an old snapshot found nothing that it might remove.
            let holder = horizon::holder(pg, &catalog.database, None);
            let kept = holder.and_then(|h| h.since_s.zip(t.vacuumed_s)).is_some_and(|(since, vacuumed)| vacuumed < since);
            let why = match (off, t.autovacuum) {
                (true, _) => "autovacuum or track_counts is off",
                (_, false) => "autovacuum is off for it",
                _ if kept => "vacuum came by and could not remove them, an old snapshot keeps them",
                _ => "autovacuum does not keep up",
            };
            let mut found = Found::new(
                Class::Risk,
                format!("{name} has {} dead rows, {} times autovacuum's trigger: {why}", count(t.dead as f64), short(factor)),
            );
            // With autovacuum on it may be a brief lag.
            found.grows = off || !t.autovacuum;
            found.never_critical = true;
            found.evidence = vec![
                evidence("dead rows", t.dead as f64, Unit::Count, Some(t.vacuum_at), "postgres.tables"),
                evidence("live rows", t.live as f64, Unit::Count, None, "postgres.tables"),
            ];
            if let Some(age) = t.vacuumed_s {
                found.evidence.push(evidence("time since the last vacuum", age, Unit::Seconds, None, "postgres.tables"));
            }
            found.fixes = fixes(pg, &catalog.database, t, &object, off);
            let mut subject = subject;
            horizon::release_first(pg, (&catalog.database, None), &mut subject, &mut found);
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
            judged.demands.extend(support::again(pg, catalog));
        }
    }
    support::of_visited(pg, judged, 5, "no table has far more dead rows than autovacuum's trigger")
}

fn fixes(pg: &PgFacts, database: &Foreign, t: &crate::model::postgres::TableRow, table: &Object, off: bool) -> Vec<Fix> {
    let vacuum = table.vacuum(pg, database, "Vacuum it now", &t.owner, t.pages);
    let mut out = vec![vacuum];
    if !t.autovacuum {
        let mut on = sql(
            pg,
            Phase::Cure,
            Horizon::ShortTerm,
            "Switch autovacuum on for it",
            table.statement("ALTER TABLE ", " RESET (autovacuum_enabled)"),
            database,
        );
        on.undo = Some(Command::sql(table.statement("ALTER TABLE ", " SET (autovacuum_enabled = off)")));
        on.risk = "it may be off on purpose; ask why".into();
        on.needs = format!("owner of the table ({})", t.owner);
        out.push(on);
    } else if off {
        let counts = pg.cluster.as_ref().is_ok_and(|c| c.on("track_counts") == Some(false));
        let name = if counts { "track_counts" } else { "autovacuum" };
        out.extend(setting(pg, Phase::Cure, Horizon::ShortTerm, &format!("Switch {name} on"), name, "on"));
    } else {
        out.extend(table.sooner(pg, database, &t.owner, ("vacuum", t.vacuum_factor)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::visited;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Catalog, Cluster, HorizonKind, HorizonRow, PgState, ProgressRow, TableRow};

    fn table(dead: u64, vacuum_at: f64, autovacuum: bool) -> Bench {
        let row = TableRow {
            oid: 5,
            schema: "public".into(),
            name: "orders".into(),
            dead,
            vacuum_at,
            autovacuum,
            ..TableRow::default()
        };
        visited(Catalog { tables: vec![row], ..Catalog::default() })
    }

    #[test]
    fn a_table_full_of_dead_rows_is_found_and_held() {
        Table {
            clear: table(6_900, 1_000.0, true),
            unknown: Some(Bench::postgres(PgState::default())),
            found: table(10_000, 5_000.0, true),
            held: Some(table(7_100, 5_000.0, true)),
        }
        .check(&RULE);
        table(10_000, 5_000.0, true)
            .must_say(&RULE, "found public.orders has 10k dead rows, 2.0 times autovacuum's trigger: auto");
        table(10_000, 5_000.0, false)
            .must_say(&RULE, "found public.orders has 10k dead rows, 2.0 times autovacuum's trigger: autov");
        table(10_000, 5_100.0, true).must_say(&RULE, "clear");
    }

    /// A queue that turned over fifty thousand times since a report began: that vacuum came by does not help.
    #[test]
    fn what_an_old_snapshot_keeps_is_no_lag_of_autovacuum() {
        let kept = |age: u64, vacuumed_s: f64| {
            let horizon =
                HorizonRow { kind: HorizonKind::Slot, who: "b".into(), age, since_s: Some(32.0), ..HorizonRow::default() };
            table(19_000, 820.0, true).served(|pg| {
                let cluster = pg.cluster.as_ref().map(|c| Cluster { horizon: vec![horizon], ..(**c).clone() }.into());
                pg.cluster = cluster.map_err(Clone::clone);
                let catalogs = pg.catalogs.values().map(|c| {
                    let mut catalog = (**c).clone();
                    catalog.tables[0].vacuumed_s = Some(vacuumed_s);
                    (c.database.shown().to_owned(), catalog.into())
                });
                pg.catalogs = std::sync::Arc::new(catalogs.collect());
            })
        };
        let says = |why: &str| format!("found public.orders has 19k dead rows, 23 times autovacuum's trigger: {why}");
        kept(50_000, 4.0).must_say(&RULE, &says("vacuum came by and could not remove them"));
        kept(50_000, 60.0).must_say(&RULE, &says("autovacuum does not keep up"));
        kept(500, 4.0).must_say(&RULE, &says("autovacuum does not keep up"));
    }

    #[test]
    fn a_table_that_is_being_vacuumed_is_not_overdue() {
        let row = ProgressRow { command: "vacuum".into(), database: "shop".into(), relation: Some(5), ..ProgressRow::default() };
        let cluster = Cluster { progress: vec![row], ..Cluster::default() };
        table(10_000, 5_000.0, true).served(|pg| pg.cluster = Ok(cluster.into())).must_say(&RULE, "clear");
    }
}
