//! postgres.wraparound: transaction or multixact ids run out; ETA.

use super::object::Object;
use super::support::{instance, sql, unknown};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;

use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, seconds, short};

const SHARE: Param =
    Param { name: "share", unit: Unit::Percent, default: 40.0, min: 5.0, max: 95.0, what: "share of the two billion ids used" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.wraparound",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "transaction or multixact ids run out; ETA",
    params: &[SHARE],
    origins: &["postgres.databases", "postgres.settings"],
    page: "\
Ids of transactions and of multixacts are 32 bits wide; what is older than two billion must be frozen by vacuum before
it is reached. Three million before the end the server refuses writes (one million before version 14; three are
counted). Found from `share` of them on, and where autovacuum is behind: the oldest id is 1.25 times
`autovacuum_freeze_max_age` (or `autovacuum_multixact_freeze_max_age`) and a million. The time left is that of the ids
left at the rate of the last 1 to 15 minutes. The space for multixact members is not checked.

**Relief**: VACUUM (FREEZE) the oldest table of that database, or all of it; plain, never FULL; first, by hand: end
what holds back the horizon. **Cure**, by hand: let autovacuum work faster.",
    judge: Judge::Postgres(judge),
};

/// An age with its name, the setting that is autovacuum's limit, and the name of its trend.
type Kind = (f64, &'static str, &'static str, &'static str);
/// Ids that can be used at all.
const ALL: f64 = 2_147_483_648.0;
/// The server stops so long before the end: three million ids, before 14 one million transaction ids and a hundred multixacts.
fn stop(pg: &PgFacts, trend: &str) -> f64 {
    match (pg.server.as_ref().is_some_and(|s| s.major() < 14), trend) {
        (false, _) => 3_000_000.0,
        (true, "ids") => 1_000_000.0,
        (true, _) => 100.0,
    }
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let mut judged = Judged::default();
    for d in &cluster.databases {
        let kinds = [
            (d.xid_age as f64, "transaction ids", "autovacuum_freeze_max_age", "ids"),
            (d.mxid_age as f64, "multixact ids", "autovacuum_multixact_freeze_max_age", "multixacts"),
        ];
        // The one that is used up most; where neither is far, the one that autovacuum is behind with.
        let late = |(age, _, setting, _): &Kind| cluster.number(setting).is_some_and(|limit| *age > limit * 1.25 && *age > 1e6);
        let far = |kind: &Kind| kind.0 / ALL * 100.0 >= params.get(SHARE);
        let [xids, mxids] = kinds;
        let second = if far(&xids) || far(&mxids) { mxids.0 > xids.0 } else { late(&mxids) && !late(&xids) };
        let kind = if second { mxids } else { xids };
        let late = late(&kind);
        let (age, what, _, trend) = kind;
        let subject = Subject::new(SubjectType::Database, d.name.shown(), format!("database {}", d.name));
        let share = age / ALL * 100.0;
        // Freezing is overdue when autovacuum's own limit is far behind.
        if share < params.limit(SHARE, is_held(prev, &subject)) && !late {
            continue;
        }
        let end = ALL - stop(pg, trend);
        let left = (end - age).max(0.0);
        let eta =
            facts.trend(&format!("{trend} {}", d.oid)).and_then(|s| s.growth()).map(|(rate, slow)| (left / rate, left / slow));
        let within = eta.map_or_else(String::new, |(eta, _)| format!(", {} at this rate", seconds(eta)));
        let mut found = Found::new(
            Class::Risk,
            format!("{} has used {} % of its {what}: {} left{within}", d.name, short(share), count(left)),
        );
        (found.eta_s, found.eta_late_s) = (eta.map(|e| e.0), eta.map(|e| e.1));
        found.grows = late || share >= 50.0;
        found.evidence = vec![
            evidence(format!("{what} used"), age, Unit::Count, Some(end), "postgres.databases").of_capacity(),
            evidence("ids left", left, Unit::Count, None, "postgres.databases"),
        ];
        found.fixes = freeze(pg, &d.name, d.xid_age as f64, trend == "ids");
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let oldest = cluster.databases.iter().map(|d| d.xid_age.max(d.mxid_age)).max().unwrap_or(0);
        return Judged::clear(instance(pg), format!("{} % of the ids are used at most", short(oldest as f64 / ALL * 100.0)));
    }
    judged
}

/// The table that holds the age of its database; the whole database where that is none of those that were seen: a catalogue, one among
/// thousands, or, for multixacts, one that nobody measured.
fn freeze(pg: &PgFacts, database: &Foreign, age: f64, of_transactions: bool) -> Vec<Fix> {
    const NEARLY: f64 = 0.95;
    let catalog = pg.catalogs.get(database.shown());
    let oldest = catalog.and_then(|c| c.tables.iter().max_by_key(|t| t.xid_age));
    let oldest = oldest.filter(|t| of_transactions && t.xid_age as f64 >= age * NEARLY);
    let object = oldest.map(|t| Object::of(pg, database, &t.schema, &t.name, t.oid));
    let (title, command) = match &object {
        Some(table) => ("Freeze the oldest table", table.statement("VACUUM (FREEZE, VERBOSE) ", "")),
        None => ("Freeze the whole database", "VACUUM (FREEZE, VERBOSE);".to_owned()),
    };
    let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, database);
    fix.risk = "reads and writes all of it; blocks neither reads nor writes; skips other sessions' temporary tables".into();
    fix.needs = "owner of the table, or MAINTAIN on it".into();
    fix.takes_s = oldest.map(|t| (t.pages as f64 * 8192.0 / 50e6).max(1.0).round());
    fix.verify = Command::sql("SELECT datname, age(datfrozenxid), mxid_age(datminmxid) FROM pg_database;");
    vec![fix]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{grows, setting, shop};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, DatabaseRow, PgState};

    fn ages(xid_age: u64, mxid_age: u64) -> Bench {
        let databases = vec![DatabaseRow { xid_age, mxid_age, ..shop() }];
        let settings = [setting("autovacuum_freeze_max_age", "1000000000")].into();
        Bench::cluster(Cluster { databases, settings, ..Cluster::default() })
    }

    #[test]
    fn ids_that_run_out_are_found_and_held() {
        Table {
            clear: ages(600_000_000, 0),
            unknown: Some(Bench::postgres(PgState::default())),
            found: ages(860_000_000, 0),
            held: Some(ages(850_000_000, 0)),
        }
        .check(&RULE);
        ages(860_000_000, 0).must_say(&RULE, "found shop has used 40 % of its transaction ids: 1.3G left");
        ages(1000, 860_000_000).must_say(&RULE, "found shop has used 40 % of its multixact ids");
        let spent = ages(1_044_483_648, 0).knowing(grows("ids 1", 1e6));
        spent.must_say(&RULE, "found shop has used 49 % of its transaction ids: 1.1G left, 18");
    }

    #[test]
    fn ids_that_autovacuum_is_late_with_are_found() {
        let late = |xid_age, limit| {
            let databases = vec![DatabaseRow { xid_age, ..shop() }];
            let settings = [setting("autovacuum_freeze_max_age", limit)].into();
            Bench::cluster(Cluster { databases, settings, ..Cluster::default() })
        };
        late(251_000_000, "200000000").must_say(&RULE, "found shop has used 12 %");
        late(249_000_000, "200000000").must_say(&RULE, "clear");
        late(999_000, "100000").must_say(&RULE, "clear");
    }
}
