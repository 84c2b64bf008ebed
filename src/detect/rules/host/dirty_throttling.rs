//! host.io.dirty_throttling: dirty pages are at the limit where writers are held back, and others wait for IO; names who writes most.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::Actor;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::{Look, most_of};
use crate::detect::rules::support::{confidence, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::ProcFacts;
use crate::model::seen::{Lack, Why};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const DIRTY: Param = Param {
    name: "dirty",
    unit: Unit::Percent,
    default: 80.0,
    min: 10.0,
    max: 200.0,
    what: "share of the dirty limit that is dirty or under writeback",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 60.0,
    min: 10.0,
    max: 100.0,
    what: "share of the bytes written that one program dirties",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "IO wait it causes others, beyond the baseline and by its share of the bytes written",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.io.dirty_throttling",
    class: Class::Live,
    culprit: Culprit::One,
    says: "dirty pages are at the limit where writers are held back, and others wait for IO; names who writes most",
    params: &[DIRTY, SHARE, LOST],
    origins: &["host.vmstat", "host.process_io", "host.iodelay"],
    page: "\
The kernel lets processes dirty pages faster than the disk takes them, up to a limit (`vm.dirty_ratio`,
`vm.dirty_bytes`). At the limit every writer is put to sleep in `balance_dirty_pages`, the one that wrote a line as
well as the one that copies a disk image; and fsync of a small file waits behind the rest. Found when dirty pages and
those being written are near that limit; which wait a task is in is not checked.

**Who is to blame**: the program that dirties most, from `share` of all written bytes on. The loss is the IO wait of
everyone else x (1 - its baseline share) x that share; or, if that is more, less what the others alone would wait: at the limit the disk
takes what is dirtied and no more, so that they would be a load of 1 - share (where four fifths of what the disks move is written).

**Relief**: pause it, or give it the idle IO class (bfq alone honours it); by hand: let it bypass the cache
(`oflag=direct`). **Cure**: a smaller `vm.dirty_background_bytes`, so that writeback starts earlier; by hand: a write
limit for it (io.max).",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let memory = match &facts.world.host.memory {
        Ok(memory) => memory,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let Some(dirty) = memory.dirty_share.map(|s| s * 100.0) else {
        return Judged::unknown(host, &Lack::first_sample("nr_dirty_threshold of /proc/vmstat"));
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    if dirty < params.limit(DIRTY, held) {
        return Judged::clear(host, format!("{} % of the dirty limit", short(dirty)));
    }
    let amount = |p: &ProcFacts| p.write_bytes_per_s.unwrap_or(0.0);
    let writers = programs(facts.world, amount);
    let all = writers.iter().map(|w| w.amount).sum::<f64>().max(1.0);
    let look = Look { amount: &amount, waits: &|p| p.io_wait.is_some_and(|s| s > 0.0) };
    let most = most_of(facts.world, prev, writers, look, (all, params.get(SHARE) / 100.0));
    let Some(writer) = most.filter(|w| w.amount / all * 100.0 >= params.limit(SHARE, held)) else {
        let hidden = facts.world.processes().iter().any(|p| !p.kernel && p.write_bytes_per_s.is_none());
        if hidden {
            return Judged::unknown(host, &Lack::new(Why::Denied, "/proc/PID/io of other users").lifted_by("sudo perftop"));
        }
        return Judged::clear(host, format!("{} % of the dirty limit, and nobody who writes most of it", short(dirty)));
    };
    let share = writer.amount / all;
    let others = facts.ledger.sum(|a| !writer.has(a), Actor::disk_wait);
    let baseline = facts.ledger.baseline_disk_share();
    // Where the disks are as busy with reads, others wait for those as well.
    let (read, written) = facts
        .world
        .host
        .disks
        .iter()
        .flatten()
        .filter(|d| d.leaf)
        .fold((0.0, 0.0), |(r, w), d| (r + d.read_bytes_per_s, w + d.write_bytes_per_s));
    let part = if written >= MOSTLY * (read + written) { part(share, others) } else { share };
    let lost = others * (1.0 - baseline) * part;
    if lost < params.limit(LOST, held) {
        return Judged::clear(
            host,
            format!(
                "{} {} {}/s at the dirty limit and {} others by {} s/s",
                writer.label,
                writer.verb("writes", "write"),
                bytes(writer.amount),
                writer.verb("delays", "delay"),
                short(lost)
            ),
        );
    }
    let dirties = writer.verb("dirties", "dirty");
    let title = format!("{} {dirties} {}/s at the dirty limit: others wait for IO", writer.label, bytes(writer.amount));
    let mut found = Found::new(Class::Live, title);
    found.losses = facts.ledger.disk_losses(|a| !writer.has(a), (1.0 - baseline) * part);
    found.victims_time = facts.ledger.sum(|a| !writer.has(a), Actor::time);
    found.own_time = facts.ledger.sum(|a| writer.has(a), Actor::time);
    found.held_share = share;
    found.evidence = vec![
        params.row("share of the dirty limit", dirty, DIRTY, "host.vmstat"),
        evidence("dirtied by the program", writer.amount, Unit::BytesPerSecond, None, "host.process_io"),
        params.row("IO wait it causes others", lost, LOST, "host.iodelay"),
    ];
    found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
    found.fixes = fix::pause(facts.world, &writer.members)
        .into_iter()
        .chain(fix::idle_io(facts.world, &writer.members).filter(|_| honoured(facts)))
        .chain([earlier()])
        .collect();
    Judged::found(writer.subject, found)
}

/// Of what the disks move.
const MOSTLY: f64 = 0.8;

/// The part of what others wait that is due to who dirties that share. At the limit the disk takes what is dirtied, and no more: the others
/// alone would be a load of 1 - share, before which load / (1 - load) wait.
fn part(share: f64, others: f64) -> f64 {
    let alone = (1.0 - share) / share.max(1e-9);
    share.max(1.0 - alone / others.max(1e-9))
}

fn earlier() -> Fix {
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "Start writeback earlier, so that the limit is not reached",
        sh!("sysctl -w vm.dirty_background_bytes=67108864"),
    );
    cure.undo = Some(sh!(
        "sysctl -w vm.dirty_background_ratio=OLD   # OLD: what `sysctl -n vm.dirty_background_ratio` printed before (10 by default)"
    ));
    cure.needs = "root".into();
    cure.risk = "more and smaller writes".into();
    cure
}

/// A scheduler is in use that knows the idle class.
fn honoured(facts: &Facts<'_>) -> bool {
    facts.world.host.disks.iter().flatten().any(|d| d.leaf && d.scheduler.as_ref().is_some_and(|s| s.raw() == b"bfq"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fills_the_limit_is_to_blame_for_what_others_would_not_wait_alone() {
        assert!((part(0.9, 3.0) - (1.0 - 0.1 / 0.9 / 3.0)).abs() < 1e-9);
        // Half of the bytes are others': they would wait as well, in a short queue.
        assert!((part(0.5, 0.4) - 0.5).abs() < 1e-9);
        assert!((part(1.0, 2.0) - 1.0).abs() < 1e-9);
    }
    use crate::detect::bench::host::{pressure, process, service};
    use crate::detect::bench::{Bench, Table};

    /// One program copies a disk image while a service waits for a disk.
    fn copying(dirty: Option<f64>, waits: f64) -> Bench {
        let writer = ProcFacts { io_wait: Some(0.9), write_bytes_per_s: Some(2e8), ..process(200, "cp") };
        let server = ProcFacts { io_wait: Some(waits), write_bytes_per_s: Some(1e5), ..service(100, "api", 8080) };
        let busy = Bench::quiet().running(vec![writer, server]).on(|host| host.psi.io = pressure(0.5));
        busy.with_memory(|memory| memory.dirty_share = dirty)
    }

    #[test]
    fn the_writer_at_the_dirty_limit_is_named_when_others_wait() {
        let found = copying(Some(0.81), 0.3);
        found.must_say(&RULE, "found cp (pid 200) dirties 191 MiB/s at the dirty limit: others wait for IO");
        Table { clear: copying(Some(1.0), 0.03), unknown: Some(copying(None, 0.3)), found, held: Some(copying(Some(0.6), 0.3)) }
            .check(&RULE);
    }

    #[test]
    fn of_two_writers_none_is_to_blame_and_copies_of_one_program_are() {
        let writer = |pid: i32, name: &str| {
            let uid = Some(pid.unsigned_abs());
            ProcFacts { uid, io_wait: Some(0.9), write_bytes_per_s: Some(1e8), ..process(pid, name) }
        };
        let server = || ProcFacts { io_wait: Some(0.3), ..service(100, "api", 8080) };
        let two = |names: [&str; 2]| {
            copying(Some(1.0), 0.3).on(|host| host.processes = Ok(vec![server(), writer(200, names[0]), writer(201, names[1])]))
        };
        two(["cp", "tar"]).must_say(&RULE, "clear");
        two(["cp", "cp"]).must_say(&RULE, "found cp processes dirty 191 MiB/s at the dirty limit");
    }
}
