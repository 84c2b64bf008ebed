//! redis.replication.lag: a replica is behind.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::{Cli, View};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::series::Series;
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::RedisFacts;
use crate::model::redis::{Info, ReplicaRow};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

use super::support::{info, instance, look, set};

const BEHIND: Param = Param {
    name: "behind",
    unit: Unit::Seconds,
    default: 10.0,
    min: 1.0,
    max: 3_600.0,
    what: "seconds since a replica acknowledged, or seconds of writes that it lacks",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.replication.lag",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "a replica is behind: it answers with old data, and a failover would lose writes",
    params: &[BEHIND],
    origins: &["redis.replication", "redis.stats", "redis.settings"],
    page: "\
Seen from the primary: a replica acknowledges each second how far it is. It is behind by the seconds since it did so, or
since the primary was where the replica is now, whichever is more. Seen from a replica: seconds
since it heard of its primary, which speaks every `repl-ping-replica-period` (10 s) at least.

It costs no time: reads from it are old, and what it lacks would be lost in a failover. Where the buffer that the primary
keeps for it reaches its limit (`client-output-buffer-limit replica`), or after `repl-timeout`, the link is cut; what was
written since then must fit into the backlog, or the whole data set is copied again.

**What looks like it**: a replica that takes its first copy is not behind but begins; one without a link is
`redis.replication.down`, seen from itself.

**Relief**: see what its host waits for; a larger backlog, so that it can go on where it was. **Cure**: a disk and a network
that keep up with the writes, no long commands on the replica itself.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    let replica = |at: &str| Subject::new(SubjectType::Replica, at, at);
    if info.word("role") == "slave" {
        let at = format!("{}:{:.0}", info.word("master_host"), info.number("master_port").unwrap_or(0.0));
        let subject = replica(&at);
        if let Some(found) = silent(r, info, params, is_held(prev, &subject), &at) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        }
    }
    for row in info.replicas.iter().filter(|row| row.state.shown() == "online") {
        let subject = replica(row.address.shown());
        if let Some(found) = behind(view, info, row, params, is_held(prev, &subject)) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        }
    }
    // One that was behind and was cut off has not recovered: it will copy everything again, or is lost.
    let there = |subject: &Subject| info.replicas.iter().any(|row| row.address.shown() == subject.key);
    let held = prev.iter().flat_map(|p| &p.held).map(|held| &held.subject);
    for subject in held.filter(|subject| info.word("role") != "slave" && !there(subject)) {
        let mut found = of(format!("Replica {} was behind and is not connected any more", subject.label), 0.0);
        let n = info.replicas.len() as f64;
        found.evidence = vec![evidence("replicas that are connected", n, Unit::Count, None, "redis.replication")];
        let command = |cli: &Cli| sh!("{} INFO replication", cli);
        found.fixes.extend(look(r, Phase::Relief, "See which replicas are connected", command));
        judged.verdicts.push((subject.clone(), Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(
            instance(r),
            match info.replicas.len() {
                0 => "it has no replicas".to_owned(),
                n => format!("replicas: {n}, none of them behind"),
            },
        );
    }
    judged
}

/// Seen from the primary.
fn behind(view: &View<'_>, info: &Info, row: &ReplicaRow, params: &Params<'_>, held: bool) -> Option<Found> {
    let r = view.server;
    // One that has not acknowledged anything yet still reads its copy: how far it is nobody knows, whether it lives it says all the while.
    let known = info.number("master_repl_offset").filter(|_| row.offset > 0.0);
    let lacks = known.map(|offset| (offset - row.offset).max(0.0));
    let offsets = view.facts.learned.servers.redis.offsets.get(&r.id).filter(|_| lacks.is_some());
    let of_writes = offsets.map_or(0.0, |series| since(series, row.offset));
    let lag_s = row.lag_s?;
    let late_s = lag_s.max(of_writes);
    if late_s < params.limit(BEHIND, held) {
        return None;
    }
    let writes = lacks.map_or_else(String::new, |lacks| format!(", {} of writes", bytes(lacks)));
    let mut found = of(format!("Replica {} is {} behind{writes}", row.address, seconds(late_s)), late_s);
    let backlog = info.number("repl_backlog_size");
    found.evidence = vec![
        params.row("behind", late_s, BEHIND, "redis.replication"),
        evidence("since it acknowledged", lag_s, Unit::Seconds, None, "redis.replication"),
    ];
    let written = r.rate("master_repl_offset");
    let rows = [
        lacks.map(|n| evidence("writes that it lacks", n, Unit::Bytes, None, "redis.replication")),
        written.map(|n| evidence("written for replicas", n, Unit::BytesPerSecond, None, "redis.replication")),
        backlog.map(|n| evidence("backlog", n, Unit::Bytes, None, "redis.replication")),
    ];
    found.evidence.extend(rows.into_iter().flatten());
    // One that takes nothing any more is cut off.
    let stands = lag_s >= late_s * 0.5;
    found.eta_s = written.filter(|_| stands).and_then(|written| cut_off_s(r, lacks.unwrap_or(0.0), lag_s, written));
    let cut = found.eta_s.map(|s| evidence("until its link is cut", s, Unit::Seconds, None, "redis.settings"));
    found.evidence.extend(cut);
    found.fixes.extend(look(r, Phase::Relief, "See how far each replica is", |cli| sh!("{} INFO replication", cli)));
    found.fixes.extend(lacks.zip(backlog).and_then(|(lacks, backlog)| backlog_for(r, info, lacks, backlog)));
    Some(found)
}

/// Seconds since the primary was where a replica is now; as far back as it was watched.
fn since(offsets: &Series, at: f64) -> f64 {
    let Some((now_s, _)) = offsets.0.back() else { return 0.0 };
    let passed = offsets.0.iter().find(|(_, offset)| *offset > at);
    passed.map_or(0.0, |(passed_s, _)| now_s - passed_s)
}

/// Seconds until the link is cut: by `repl-timeout`, or by a limit of the buffer that is kept for it. None where one of them is unknown.
fn cut_off_s(r: &RedisFacts, lacks: f64, lag_s: f64, written: f64) -> Option<f64> {
    let timeout = r.setting("repl-timeout")?.parse::<f64>().ok()?;
    let words: Vec<&str> = r.setting("client-output-buffer-limit")?.split(' ').collect();
    let own = words.chunks_exact(4).find(|class| ["slave", "replica"].contains(&class[0]))?;
    let [hard, soft, soft_s] = [own[1], own[2], own[3]].map(|word| word.parse::<f64>().unwrap_or(0.0));
    let full = |limit: f64, more_s: f64| match limit > 0.0 && written > 0.0 {
        true => ((limit - lacks) / written).max(0.0) + more_s,
        false => f64::INFINITY,
    };
    Some((timeout - lag_s).max(0.0).min(full(hard, 0.0)).min(full(soft, soft_s)))
}

/// Seen from the replica: nothing comes, though the link stands.
fn silent(r: &RedisFacts, info: &Info, params: &Params<'_>, held: bool, at: &str) -> Option<Found> {
    if info.word("master_link_status") != "up" || info.is_set("master_sync_in_progress") {
        return None;
    }
    let since = info.number("master_last_io_seconds_ago").filter(|s| *s >= 0.0)?;
    let pings = r.setting("repl-ping-replica-period").and_then(|s| s.parse::<f64>().ok()).unwrap_or(10.0);
    if since < pings + params.limit(BEHIND, held) {
        return None;
    }
    let mut found = of(format!("{} has heard nothing from its primary {at} for {}", r.id, seconds(since)), since);
    found.evidence = vec![
        params.row("behind, its primary's own pauses taken away", since - pings, BEHIND, "redis.replication"),
        evidence("since its primary spoke", since, Unit::Seconds, None, "redis.replication"),
        evidence("its primary speaks every", pings, Unit::Seconds, None, "redis.settings"),
    ];
    found.fixes.extend(look(r, Phase::Relief, "See what the replica says of its primary", |cli| sh!("{} INFO replication", cli)));
    Some(found)
}

fn of(title: String, late_s: f64) -> Found {
    let mut found = Found::new(Class::Risk, title);
    found.grows = true;
    found.never_critical = true;
    found.age_s = Some(late_s);
    found
}

/// A backlog that holds what it lacks, so that it goes on where it was once its link was cut. A tenth of the machine at most.
fn backlog_for(r: &RedisFacts, info: &Info, lacks: f64, backlog: f64) -> Option<Fix> {
    let wanted = (lacks * 2.0).ceil();
    if lacks < backlog / 2.0 || wanted > info.number("total_system_memory").unwrap_or(0.0) / 10.0 {
        return None;
    }
    let title = format!("A backlog that holds what it lacks, and as much again: {}", bytes(wanted));
    let mut fix = set(r, Phase::Relief, title, "repl-backlog-size", &format!("{wanted:.0}"))?;
    fix.risk = format!("takes that memory as long as there is a replica; {}", fix.risk);
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::redis::SERVER;
    use crate::detect::bench::{Bench, Table};

    /// A primary that wrote 1 MB a second for a minute and a half, and a replica that acknowledged so long ago and lacks so much.
    fn primary(lag_s: f64, lacks: f64) -> Bench {
        let bench = Bench::redis(|r| {
            r.say("master_repl_offset", 9e7);
            let row =
                ReplicaRow { address: "10.0.0.3:6379".into(), state: "online".into(), offset: 9e7 - lacks, lag_s: Some(lag_s) };
            r.replicas(vec![row]);
        });
        bench.knowing(|learned| {
            let series = learned.servers.redis.offsets.entry(SERVER.to_owned()).or_default();
            (1..=90).for_each(|s| series.push(f64::from(s), f64::from(s) * 1e6));
        })
    }

    fn replica(io_s: f64, link: &str) -> Bench {
        Bench::redis(|r| {
            r.word("role", "slave");
            r.word("master_host", "10.0.0.2");
            r.say("master_port", 6379.0);
            r.word("master_link_status", link);
            r.say("master_last_io_seconds_ago", io_s);
        })
    }

    #[test]
    fn a_replica_that_is_behind_is_found_and_held() {
        Table {
            clear: primary(1.0, 2e5),
            unknown: Some(Bench::silent_redis()),
            found: primary(12.0, 1.2e7),
            held: Some(primary(8.0, 1e6)),
        }
        .check(&RULE);
        primary(12.0, 4e6).must_say(&RULE, "found Replica 10.0.0.3:6379 is 12 s behind, 3.8 MiB of writes");
        // It acknowledges, and does not keep up.
        primary(1.0, 2e7).must_say(&RULE, "found Replica 10.0.0.3:6379 is 19 s behind");
        // It reads its first copy: nothing was acknowledged yet.
        primary(1.0, 9e7).must_say(&RULE, "clear");
        // It stands still in that: it does not even say that it lives.
        primary(30.0, 9e7).must_say(&RULE, "found Replica 10.0.0.3:6379 is 30 s behind");
        // Nothing was written for it to lack.
        let without = Bench::redis(|r| r.replicas(Vec::new()));
        without.must_say(&RULE, "clear");
        // It was cut off: that is no cure.
        without.must_say_after(
            &RULE,
            Some(&primary(30.0, 3e7)),
            "found Replica 10.0.0.3:6379 was behind and is not connected any more",
        );
    }

    #[test]
    fn a_replica_that_hears_nothing_says_so_and_one_that_lost_its_link_has_its_own_rule() {
        replica(9.0, "up").must_say(&RULE, "clear");
        replica(25.0, "up").must_say(&RULE, "found redis:6379 has heard nothing from its primary 10.0.0.2:6379 for 25 s");
        replica(25.0, "down").must_say(&RULE, "clear");
    }
}
