//! postgres.replication.lag: a standby is behind.

use super::support::{instance, sql, unknown};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict};
use crate::model::foreign::Foreign;
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

const BEHIND: Param = Param {
    name: "behind",
    unit: Unit::Seconds,
    default: 10.0,
    min: 0.1,
    max: 86400.0,
    what: "seconds behind; either threshold is enough",
};
const BYTES: Param = Param {
    name: "bytes",
    unit: Unit::Bytes,
    default: 104857600.0,
    min: 1048576.0,
    max: 1000000000000.0,
    what: "bytes of WAL not replayed; either threshold is enough",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.replication.lag",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "a standby is behind",
    params: &[BEHIND, BYTES],
    origins: &["postgres.replicas"],
    page: "\
A standby has not replayed what was committed: by the seconds between a flush here and its replay there
(`replay_lag`), or by bytes of WAL, whichever passes its threshold. Reads there see old data, and a failover would
lose it or wait for it. A standby that is watched judges itself by the time since the last replayed transaction and
the bytes received and not replayed, only while there are any. pg_receivewal and base backups, which replay nothing,
are left out. A warning when the bytes pass their threshold or grow steadily, else info.

**Check**, by hand: network, disk and long queries on the standby (`max_standby_streaming_delay`). **Relief**: a query
that shows what its replay waits for.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    // Without either it is not known how far it is.
    let mut all: Vec<(Subject, Option<f64>, Option<f64>)> = cluster
        .replicas
        .iter()
        // What only receives (pg_receivewal, a base backup) replays nothing.
        .filter(|r| !matches!(r.name.shown(), "pg_receivewal" | "pg_basebackup") && r.state.raw() != b"backup")
        .map(|r| {
            let name = if r.name.is_empty() { r.client.shown() } else { r.name.shown() };
            let subject = Subject::new(SubjectType::Replica, name, format!("standby {name}"));
            (subject, r.replay_lag_s, r.behind_bytes.map(|b| b as f64))
        })
        .collect();
    let mut judged = Judged::default();
    let own = || Subject::new(SubjectType::Replica, "self", "this standby");
    match cluster.replay_lag {
        Some((age, Some(behind))) if behind > 0 => all.push((own(), Some(age), Some(behind as f64))),
        // The age of the last transaction alone grows on an idle primary's standby too.
        Some((_, None)) => {
            let lack = Lack::new(Why::NotYet, "this standby's replay lag in bytes");
            judged.verdicts.extend(Judged::unknown(own(), &lack).verdicts);
        }
        _ => {}
    }
    for (subject, lag_s, behind) in all {
        let held = is_held(prev, &subject);
        let figures: Vec<String> = lag_s.map(seconds).into_iter().chain(behind.map(bytes)).collect();
        let far =
            lag_s.is_some_and(|s| s >= params.limit(BEHIND, held)) || behind.is_some_and(|b| b >= params.limit(BYTES, held));
        if !far {
            judged.verdicts.push((subject, near(&figures)));
            continue;
        }
        let trend = facts.trend(&format!("behind {}", subject.key)).and_then(|s| s.growth());
        let mut found = Found::new(Class::Risk, format!("{} is {} behind", subject.label, figures.join(" and ")));
        found.grows = trend.is_some() || behind.is_some_and(|b| b >= params.get(BYTES));
        found.never_critical = true;
        let known = [
            lag_s.map(|s| params.either("replay lag", s, BEHIND, "postgres.replicas")),
            behind.map(|b| params.either("WAL not replayed", b, BYTES, "postgres.replicas")),
        ];
        found.evidence = known.into_iter().flatten().collect();
        let mut look = sql(
            pg,
            Phase::Relief,
            Horizon::Immediate,
            "See what replay waits for, on the standby",
            "SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE backend_type = 'startup';".into(),
            &Foreign::default(),
        );
        look.target = format!("any database on {}", subject.label);
        look.risk = "none: read-only".into();
        found.fixes = vec![look];
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no standby is behind");
    }
    judged
}

/// Not far behind, as far as anything is known. An idle standby that has all has no lag in seconds.
fn near(figures: &[String]) -> Verdict {
    match figures {
        [] => Verdict::Unknown {
            because: "this role cannot see its replay lag, in seconds or bytes".into(),
            lift: Some("GRANT pg_monitor".into()),
        },
        known => Verdict::Clear(format!("{} behind", known.join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, PgState, ReplicaRow};

    fn behind(replay_lag_s: f64, bytes: u64) -> Bench {
        let replica =
            ReplicaRow { name: "b".into(), replay_lag_s: Some(replay_lag_s), behind_bytes: Some(bytes), ..ReplicaRow::default() };
        Bench::cluster(Cluster { replicas: vec![replica], ..Cluster::default() })
    }

    #[test]
    fn a_standby_that_is_behind_is_found_and_held() {
        Table {
            clear: behind(6.9, 60 << 20),
            unknown: Some(Bench::postgres(PgState::default())),
            found: behind(10.0, 60 << 20),
            held: Some(behind(7.1, 60 << 20)),
        }
        .check(&RULE);
        behind(10.0, 60 << 20).must_say(&RULE, "found standby b is 10");
        // Either is enough.
        behind(0.0, 100 << 20).must_say(&RULE, "found standby b is");
        behind(0.0, 80 << 20).must_say_after(&RULE, Some(&behind(0.0, 100 << 20)), "found");
    }

    #[test]
    fn a_standby_of_which_nothing_is_seen_is_unknown() {
        let replicas = vec![ReplicaRow { name: "b".into(), ..ReplicaRow::default() }];
        Bench::cluster(Cluster { replicas, ..Cluster::default() }).must_say(&RULE, "unknown");
        // One that only receives replays nothing.
        let receiver = ReplicaRow { name: "pg_receivewal".into(), behind_bytes: Some(1 << 40), ..ReplicaRow::default() };
        Bench::cluster(Cluster { replicas: vec![receiver], ..Cluster::default() }).must_say(&RULE, "clear");
    }

    #[test]
    fn a_standby_judges_itself_only_while_there_is_something_to_replay() {
        let own = |lag| Bench::cluster(Cluster { replay_lag: Some(lag), ..Cluster::default() });
        own((600.0, Some(8192))).must_say(&RULE, "found this standby is 10");
        own((600.0, Some(0))).must_say(&RULE, "clear");
        own((600.0, None)).must_say(&RULE, "unknown");
    }
}
