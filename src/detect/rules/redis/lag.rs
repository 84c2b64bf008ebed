//! redis.replication.lag: a replica is behind.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
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
by the bytes that it lacks over the bytes that are written per second, whichever is more. Seen from a replica: seconds
since it heard of its primary, which speaks every `repl-ping-replica-period` (10 s) at least.

It costs no time: reads from it are old, and what it lacks would be lost in a failover. Where the buffer that the primary
keeps for it reaches its limit (`client-output-buffer-limit replica`), or after `repl-timeout`, the link is cut; what was
written since then must fit into the backlog, or everything is copied anew.

**What looks like it**: a replica that takes its first copy is not behind but begins; one without a link is
`redis.replication.down`, seen from itself.

**Relief**: see what its host waits for; a larger backlog, so that it need not begin anew. **Cure**: a disk and a network
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
        if let Some(found) = behind(r, info, row, params, is_held(prev, &subject)) {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        }
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(r), format!("{} replicas, none of them behind", info.replicas.len()));
    }
    judged
}

/// Seen from the primary.
fn behind(r: &RedisFacts, info: &Info, row: &ReplicaRow, params: &Params<'_>, held: bool) -> Option<Found> {
    let lacks = (info.number("master_repl_offset")? - row.offset).max(0.0);
    let written = r.rate("master_repl_offset").unwrap_or(0.0);
    let of_writes = if written > 0.0 { lacks / written } else { 0.0 };
    let late_s = row.lag_s.max(of_writes);
    if late_s < params.limit(BEHIND, held) {
        return None;
    }
    let title = format!("Replica {} is {} behind, {} of writes", row.address, seconds(late_s), bytes(lacks));
    let backlog = info.number("repl_backlog_size").unwrap_or(0.0);
    let mut found = of(title, late_s);
    found.evidence = vec![
        params.row("behind", late_s, BEHIND, "redis.replication"),
        evidence("since it acknowledged", row.lag_s, Unit::Seconds, None, "redis.replication"),
        evidence("writes that it lacks", lacks, Unit::Bytes, None, "redis.replication"),
        evidence("written for replicas", written, Unit::BytesPerSecond, None, "redis.replication"),
        evidence("backlog", backlog, Unit::Bytes, None, "redis.replication"),
    ];
    // One that takes nothing any more is cut off when its buffer is full.
    if let Some(most) = limit(r).filter(|_| row.lag_s >= late_s * 0.5 && written > 0.0) {
        found.evidence.push(evidence("buffer that it may fill", most, Unit::Bytes, None, "redis.settings"));
        found.eta_s = Some(((most - lacks) / written).max(0.0));
    }
    found.fixes.extend(look(r, Phase::Relief, "See how far each replica is", |cli| sh!("{} INFO replication", cli)));
    found.fixes.extend(backlog_for(r, info, lacks, backlog));
    Some(found)
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

/// Bytes that the buffer of a replica may hold: the hard limit, 0 and unknown left out.
fn limit(r: &RedisFacts) -> Option<f64> {
    let words: Vec<&str> = r.setting("client-output-buffer-limit")?.split(' ').collect();
    let own = words.chunks_exact(4).find(|class| ["slave", "replica"].contains(&class[0]))?;
    own[1].parse::<f64>().ok().filter(|most| *most > 0.0)
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
    use crate::detect::bench::{Bench, Table};

    /// A primary that writes 1 MB a second, and a replica that acknowledged so long ago and lacks so much.
    fn primary(lag_s: f64, lacks: f64) -> Bench {
        Bench::redis(|r| {
            r.grow("master_repl_offset", 1e6);
            let row = ReplicaRow { address: "10.0.0.3:6379".into(), state: "online".into(), offset: 5e6 - lacks, lag_s };
            r.replicas(vec![row]);
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
        primary(1.0, 2e7).must_say(&RULE, "found Replica 10.0.0.3:6379 is 20 s behind");
        // Nothing was written for it to lack.
        Bench::redis(|r| r.replicas(Vec::new())).must_say(&RULE, "clear");
    }

    #[test]
    fn a_replica_that_hears_nothing_says_so_and_one_that_lost_its_link_has_its_own_rule() {
        replica(9.0, "up").must_say(&RULE, "clear");
        replica(25.0, "up").must_say(&RULE, "found redis:6379 has heard nothing from its primary 10.0.0.2:6379 for 25 s");
        replica(25.0, "down").must_say(&RULE, "clear");
    }
}
