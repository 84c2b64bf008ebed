//! postgres.wal.sync_replica: commits wait for a synchronous standby.

use super::support::{self, confidence, instance, interval, setting};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::foreign::Foreign;
use crate::model::postgres::{WaitClass, literal};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 1000.0,
    what: "sessions waiting for a standby",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.wal.sync_replica",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "commits wait for a synchronous standby",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.replicas", "postgres.settings", "ledger"],
    page: "\
Commits wait until a synchronous standby confirms them (`SyncRep`). When the standby is slow, or gone, they wait for
it; when it is gone for good, forever. It names the first that is connected as sync or quorum: with several, another
one may be late. With none connected, the list of `synchronous_standby_names` is named.

**Relief**: empty `synchronous_standby_names`, so that no commit waits for any standby: the guarantee that a commit
survives the loss of this server is given up. By hand: remove only the late one. **Cure**, by hand: `ANY 1 (a, b)`, so
that one of several is enough.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return support::unknown(pg, lack),
    };
    let waiting = activity.class(WaitClass::SyncReplica);
    let names = cluster.settings.get("synchronous_standby_names").map_or("", |s| s.setting.as_str());
    let sync = cluster.replicas.iter().find(|r| matches!(r.sync.raw(), b"sync" | b"quorum"));
    let subject = match sync {
        Some(r) => Subject::new(SubjectType::Replica, r.name.shown(), format!("standby {}", r.name)),
        None if names.is_empty() => return Judged::clear(instance(pg), "no standby is synchronous"),
        None => Subject::new(SubjectType::Replica, names, format!("standby {names}")),
    };
    if waiting < params.limit(LOST, is_held(prev, &subject)) {
        return Judged::clear(subject, format!("{} sessions wait for it", short(waiting)));
    }
    let gone = sync.is_none();
    let state = if gone { "is not connected" } else { "is late, or another standby is" };
    let mut found = Found::new(Class::Live, format!("{} commits wait for {}: it {state}", short(waiting), subject.label));
    found.losses = vec![(State::PostgresSyncReplica, waiting)];
    found.victims_time =
        activity.sessions.iter().filter(|s| s.class(WaitClass::SyncReplica) > 0.0).map(|s| s.active() * s.weight).sum();
    found.ci = Some(interval(pg, waiting));
    found.confidence = confidence(pg, waiting);
    found.evidence =
        vec![evidence("sessions waiting for a standby", waiting, Unit::Count, Some(params.get(LOST)), "postgres.activity")];
    if let Some(lag) = sync.and_then(|r| r.flush_lag_s) {
        found.evidence.push(evidence("confirmation delay", lag, Unit::Seconds, None, "postgres.replicas"));
    }
    let fix = setting(pg, Phase::Relief, Horizon::Immediate, "Stop waiting for standbys", "synchronous_standby_names", "");
    let said = fix.map(|mut fix| {
        fix.risk = "from then on commits can be lost with this server".into();
        if pg.server.as_ref().is_none_or(|s| s.managed.is_none()) {
            fix.undo = literal(&Foreign::from(names)).map(|n| {
                Command::sql(format!("ALTER SYSTEM SET synchronous_standby_names = {n};   -- then SELECT pg_reload_conf();"))
            });
        }
        fix
    });
    found.fixes = said.into_iter().collect();
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{activity, setting, waits};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, PgState, ReplicaRow, WaitKind};

    fn commits(sync: &str, names: &str, looks: u32) -> Bench {
        let replica = ReplicaRow { name: "b".into(), sync: sync.into(), ..ReplicaRow::default() };
        let settings = [setting("synchronous_standby_names", names)].into();
        let cluster = Cluster { replicas: vec![replica], settings, ..Cluster::default() };
        let activity = activity(vec![(waits(10, WaitKind::Ipc, "SyncRep"), looks)]);
        Bench::postgres(PgState { activity: Ok(activity.into()), cluster: Ok(cluster.into()), ..PgState::default() })
    }

    #[test]
    fn commits_that_wait_for_a_standby_are_found_and_held() {
        Table {
            clear: commits("sync", "b", 60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: commits("sync", "b", 110),
            held: Some(commits("sync", "b", 90)),
        }
        .check(&RULE);
        commits("sync", "b", 110).must_say(&RULE, "found 0.1 commits wait for standby b: it is late");
        commits("async", "c", 110).must_say(&RULE, "found 0.1 commits wait for standby c: it is not connected");
        commits("async", "", 110).must_say(&RULE, "clear");
        let unread = commits("sync", "b", 110).served(|pg| pg.cluster = PgState::default().cluster);
        unread.must_say(&RULE, "unknown");
    }
}
