//! postgres.archiver.failing: WAL archiving fails.

use super::support::{instance, sql, unknown};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::foreign::Foreign;
use crate::model::unit::{Unit, count, seconds};

const FAILING: Param = Param {
    name: "failing",
    unit: Unit::Seconds,
    default: 20.0,
    min: 1.0,
    max: 86400.0,
    what: "seconds since the last success, when the last attempt failed",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.archiver.failing",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "WAL archiving fails",
    params: &[FAILING],
    origins: &["postgres.archiver", "postgres.cluster", "postgres.settings"],
    page: "\
The last attempt to archive a file of WAL failed, and the last success is older than the threshold, or there was none
yet. Until it succeeds the server keeps every WAL file: the disk fills, and the archive lacks everything since. It
tries again about once a minute. Without `archive_mode` nothing is judged. A warning at most: free space is not
checked here.

**Relief**: see the command (`archive_command`), and try it as the server's user. **Cure**, by hand: fix the command
or the `archive_library`; the server's log has its message. Never remove files from pg_wal by hand.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let a = &cluster.archiver;
    let subject = instance(pg);
    if cluster.settings.get("archive_mode").is_none_or(|s| s.setting == "off") {
        return Judged::clear(subject, "WAL is not archived");
    }
    // It failed more lately than it succeeded.
    let failing = a.last_failed_s.filter(|failed| a.last_archived_s.is_none_or(|archived| archived > *failed));
    let Some(failed_s) = failing else { return Judged::clear(subject, "no failure since the last success") };
    let since = a.last_archived_s.unwrap_or(f64::INFINITY);
    let held = is_held(prev, &subject);
    if since < params.limit(FAILING, held) {
        return Judged::clear(subject, "the last attempt failed, a moment after a success");
    }
    let last =
        if since.is_finite() { format!("the last success was {} ago", seconds(since)) } else { "it has never succeeded".into() };
    let file = if a.last_failed_wal.is_empty() { String::new() } else { format!(" at {}", a.last_failed_wal) };
    let mut found =
        Found::new(Class::Risk, format!("Archiving of WAL fails{file}, {} failures so far: {last}", count(a.failed as f64)));
    found.grows = true;
    found.never_critical = true;
    found.evidence = vec![
        evidence("failures", a.failed as f64, Unit::Count, None, "postgres.archiver"),
        evidence("time since the last failure", failed_s, Unit::Seconds, None, "postgres.archiver"),
    ];
    if let Some((rate, _)) = facts.trend("wal").and_then(|s| s.growth()) {
        found.evidence.push(evidence("WAL written meanwhile", rate, Unit::BytesPerSecond, None, "postgres.cluster"));
    }
    let mut fix = sql(
        pg,
        Phase::Relief,
        Horizon::Immediate,
        "See the command, and try it by hand as the server's user",
        "SHOW archive_command;".into(),
        &Foreign::default(),
    );
    fix.risk = "none: read-only".into();
    fix.needs = "pg_read_all_settings; then the server's user".into();
    fix.verify = Command::sql("SELECT last_archived_time > last_failed_time AS works FROM pg_stat_archiver;");
    found.fixes = vec![fix];
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::setting;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Archiver, Cluster, PgState};

    fn archives(mode: &str, last_archived_s: f64) -> Bench {
        let archiver =
            Archiver { failed: 4, last_failed_s: Some(5.0), last_archived_s: Some(last_archived_s), ..Archiver::default() };
        Bench::cluster(Cluster { archiver, settings: [setting("archive_mode", mode)].into(), ..Cluster::default() })
    }

    #[test]
    fn an_archiver_that_fails_is_found_and_held() {
        Table {
            clear: archives("on", 13.0),
            unknown: Some(Bench::postgres(PgState::default())),
            found: archives("on", 21.0),
            held: Some(archives("on", 15.0)),
        }
        .check(&RULE);
        archives("on", 21.0).must_say(&RULE, "found Archiving of WAL fails, 4 failures so far: the last success was 21");
        archives("off", 21.0).must_say(&RULE, "clear");
        archives("on", 4.0).must_say(&RULE, "clear");
    }
}
