//! postgres.checksum_failures: data corruption was detected; critical until its statistics are reset.

use super::support::{instance, sql, unknown};
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.checksum_failures",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "data corruption was detected; critical until its statistics are reset",
    params: &[],
    origins: &["postgres.databases"],
    page: "\
The server read a page whose checksum does not match: the disk, the memory or something in between changed it. Counted
are failures since the statistics were reset, not pages: one page may fail many times. The finding stays, critical,
until those statistics are reset, even after a repair. Nothing is counted while data checksums are off.

**First**, by hand: stop writing if you can, and copy the data directory before anything else. No VACUUM, no
rewriting.
**Relief**: `pg_amcheck` says what is damaged; by hand: the kernel's log, a standby or a backup.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let mut judged = Judged::default();
    for d in &cluster.databases {
        let Some(failures) = d.checksum_failures.filter(|n| *n > 0) else { continue };
        let name = if d.name.is_empty() { "shared objects" } else { d.name.shown() };
        let subject = Subject::new(SubjectType::Database, name, format!("database {name}"));
        let mut found =
            Found::new(Class::Error, format!("Data of {name} is damaged: {} checksum failures counted", count(failures as f64)));
        found.evidence = vec![evidence("checksum failures", failures as f64, Unit::Count, NONE_IS_FINE, "postgres.databases")];
        let mut fix = sql(
            pg,
            Phase::Relief,
            Horizon::Immediate,
            "See what is damaged, once the data directory is copied",
            String::new(),
            &d.name,
        );
        fix.command = sh!("pg_amcheck --all --heapallindexed");
        fix.risk = "reads all data".into();
        fix.needs = "superuser; a copy of the data directory first".into();
        fix.takes_s = None;
        found.fixes = vec![fix];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no checksum failures, where checksums are on");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::model::postgres::{Cluster, DatabaseRow, PgState};

    fn counted(failures: Option<u64>) -> Bench {
        let database = DatabaseRow { name: "shop".into(), checksum_failures: failures, ..DatabaseRow::default() };
        Bench::cluster(Cluster { databases: vec![database], ..Cluster::default() })
    }

    #[test]
    fn one_failure_is_one_too_many() {
        counted(Some(1)).must_say(&RULE, "found Data of shop is damaged: 1");
        counted(Some(0)).must_say(&RULE, "clear");
        counted(None).must_say(&RULE, "clear");
        Bench::postgres(PgState::default()).must_say(&RULE, "unknown");
    }
}
