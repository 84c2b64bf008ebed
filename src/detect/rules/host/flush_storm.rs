//! host.io.flush_storm: fsyncs of one program make the commits of others wait.

use std::collections::HashMap;

use crate::detect::command::Command;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::{Look, most_of};
use crate::detect::rules::support::{confidence, interval, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::ProcFacts;
use crate::model::host::ProcId;
use crate::model::seen::{Lack, Why};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 60.0,
    min: 10.0,
    max: 100.0,
    what: "share of the bytes written by one program with fsyncs in progress",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "fsync wait it causes others, beyond the baseline and by its share of the bytes written",
};
const VICTIMS: Param = Param {
    name: "victims",
    unit: Unit::Percent,
    default: 50.0,
    min: 5.0,
    max: 100.0,
    what: "share of others' IO wait that is inside fsync",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.io.flush_storm",
    class: Class::Live,
    culprit: Culprit::One,
    says: "fsyncs of one program make the commits of others wait",
    params: &[SHARE, LOST, VICTIMS],
    origins: &["host.sync", "host.disks", "host.process_io"],
    page: "\
A commit is an fsync: the caller sleeps until its data, the journal's transaction and the device's cache are written.
A file system has one journal: a program that adds much to a transaction delays all who commit to it, and a flush
empties the device's cache for everyone. So a small commit takes as long as the large file of another program beside
it.

perftop sees it by the system call that blocked threads are in: fsync, fdatasync, sync, syncfs, msync,
sync_file_range. Without the rights to see that of other users' processes it is unknown. A session of a watched
PostgreSQL that waits for WAL counts as inside fsync.

**Who is to blame**: of the programs with 0.05 threads or more inside fsync on average, the one that writes most, from
`share` of all written bytes on. At least `victims` of the others' IO wait must be inside fsync. The loss is their
wait there x (1 - its baseline share) x the writer's share of the bytes.

**What looks like it**: a device that is slow for all (`host.io.saturated`: reads wait too), the dirty limit
(`host.io.dirty_throttling`: writers wait, not only those that commit).

**Relief**: pause it, where nobody depends on it. **Cure**: by hand: fewer and smaller fsyncs (one per batch,
`sync_file_range` as it goes), another file system for it.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    if facts.ledger.io_rounds == 0 && !facts.ledger.actors.is_empty() || facts.world.window_s == 0.0 {
        return Judged::unknown(host, &Lack::first_sample("IO wait of processes"));
    }
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let least = params.limit(LOST, held);
    let hidden: f64 = facts.world.processes().iter().filter(|p| p.sync_wait.is_none()).filter_map(|p| p.io_wait).sum();
    if hidden >= least {
        let lack = Lack::new(Why::Denied, "/proc/PID/syscall of blocked threads").lifted_by("sudo perftop");
        return Judged::unknown(host, &lack);
    }
    let all: f64 = facts.world.processes().iter().filter_map(|p| p.write_bytes_per_s).sum();
    let written = programs(facts.world, |p| p.write_bytes_per_s.unwrap_or(0.0));
    let syncs = |members: &[&ProcFacts]| members.iter().filter_map(|p| p.sync_wait).sum::<f64>();
    // Of copies each syncs a part of the time: together they count.
    let flushing: Vec<_> = written.into_iter().filter(|w| syncs(&w.members) > 0.0).collect();
    let amount = |p: &ProcFacts| p.write_bytes_per_s.unwrap_or(0.0);
    let look = Look { amount: &amount, waits: &|p| p.sync_wait.is_some_and(|s| s > 0.0) };
    let most = most_of(facts.world, prev, flushing, look, (all.max(1.0), params.get(SHARE) / 100.0));
    let Some(writer) = most.filter(|w| syncs(&w.members) >= 0.05) else {
        return Judged::clear(host, "no program that writes is seen inside fsync");
    };
    let share = writer.amount / all.max(1.0);
    // The waits of others inside fsync, weighted as their time is.
    let in_sync: HashMap<ProcId, f64> =
        facts.world.processes().iter().filter_map(|p| Some((p.id, p.sync_wait.filter(|s| *s > 0.0)?))).collect();
    // What a session waits for its server says.
    let flush = |a: &Actor| a.spent.iter().filter(|(state, _)| state.flush()).map(|(_, s)| s).sum::<f64>();
    let sync_of = |a: &Actor| if a.is_session() { flush(a) } else { in_sync.get(&a.id).map_or(0.0, |s| s * a.weight) };
    let is_victim = |a: &Actor| !writer.has(a);
    let (others, waits) = (facts.ledger.sum(is_victim, sync_of), facts.ledger.sum(is_victim, Actor::disk_wait));
    let baseline = facts.ledger.baseline_disk_share();
    let lost = others * (1.0 - baseline.min(1.0)) * share;
    let of_waits = others / waits.max(1e-9) * 100.0;
    if share * 100.0 < params.limit(SHARE, held) || lost < least || of_waits < params.limit(VICTIMS, held) {
        return Judged::clear(
            host,
            format!(
                "{} {} {} % of the bytes with fsyncs; others wait {} s/s in fsync",
                writer.label,
                writer.verb("writes", "write"),
                short(share * 100.0),
                short(others)
            ),
        );
    }
    let (writes, it) = (writer.verb("writes", "write"), writer.verb("it", "them"));
    let title = format!("{} {writes} {}/s with fsyncs: others' commits wait for {it}", writer.label, bytes(writer.amount));
    let mut found = Found::new(Class::Live, title);
    let of_sessions = facts.ledger.sum(is_victim, flush) * (1.0 - baseline.min(1.0)) * share;
    found.losses = vec![(State::IoWait, lost - of_sessions), (State::PostgresWal, of_sessions)];
    found.victims_time = facts.ledger.sum(is_victim, Actor::time);
    found.own_time = facts.ledger.sum(|a| !is_victim(a), Actor::time);
    found.ci = Some(interval(others, facts.ledger.io_rounds));
    found.held_share = share;
    found.evidence = vec![
        params.row("fsync wait it causes others", lost, LOST, "host.sync"),
        params.row("fsync share of others' IO wait", of_waits, VICTIMS, "host.sync"),
        evidence("its threads inside fsync", syncs(&writer.members), Unit::Count, None, "host.sync"),
        params.row("its share of all bytes written", share * 100.0, SHARE, "host.process_io"),
    ];
    let flushes: Vec<f64> = facts.world.host.disks.iter().flatten().filter(|d| d.leaf).filter_map(|d| d.flushes_per_s).collect();
    if !flushes.is_empty() {
        found.evidence.push(evidence("device flushes", flushes.iter().sum(), Unit::PerSecond, None, "host.disks"));
    }
    found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
    let mut cure =
        fix::shell_fix(Phase::Cure, Horizon::LongTerm, "One fsync per batch, or a separate file system", Command::note(""));
    cure.command =
        Command::note("# its own: fewer, smaller fsyncs; or put its files on another file system than the victims' commits");
    cure.needs = "the program's configuration".into();
    found.fixes = fix::pause(facts.world, &writer.members).into_iter().chain([cure]).collect();
    Judged::found(writer.subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service};
    use crate::detect::bench::{Bench, Table};

    /// A program that syncs writes so many MB/s beside one that only writes 50; a service waits for IO, so much of it in fsync.
    fn storm(mb_per_s: f64, in_fsync: Option<f64>) -> Bench {
        let writer = ProcFacts {
            io_wait: Some(0.5),
            sync_wait: Some(0.5),
            write_bytes_per_s: Some(mb_per_s * 1e6),
            ..process(200, "dump")
        };
        let other = ProcFacts { write_bytes_per_s: Some(50e6), ..process(300, "logger") };
        let server = ProcFacts { io_wait: Some(0.5), sync_wait: in_fsync, ..service(100, "api", 8080) };
        Bench::quiet().running(vec![writer, other, server]).on(|host| host.psi.io = pressure(0.5))
    }

    #[test]
    fn the_fsyncs_of_one_are_found_when_others_commit() {
        let found = storm(80.0, Some(0.45));
        found.must_say(&RULE, "found dump (pid 200) writes 76 MiB/s with fsyncs: others' commits wait for it");
        Table {
            // They wait for reads: a slow device, and no storm.
            clear: storm(80.0, Some(0.15)),
            unknown: Some(storm(80.0, None)),
            found,
            held: Some(storm(50.0, Some(0.45))),
        }
        .check(&RULE);
    }
}
