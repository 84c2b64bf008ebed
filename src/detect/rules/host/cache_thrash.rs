//! host.memory.cache_thrash: page cache too small: much of what is read was just evicted.

use super::memory_reclaim;
use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, inside, refault_share};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{cgroup_subject, confidence};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::CgroupFacts;
use crate::model::host::Controller;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const REFAULTS: Param = Param {
    name: "refaults",
    unit: Unit::Percent,
    default: 30.0,
    min: 1.0,
    max: 100.0,
    what: "share of the bytes read by the host that are refaults",
};
const NEAR: Param = Param {
    name: "near",
    unit: Unit::Percent,
    default: 90.0,
    min: 10.0,
    max: 100.0,
    what: "share of the group's memory limit in use",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 100.0,
    what: "IO wait, of the group or of all, that refaults must explain",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.cache_thrash",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "page cache too small: much of what is read was just evicted",
    params: &[REFAULTS, NEAR, LOST],
    origins: &["host.cgroup.memory", "host.vmstat", "host.iodelay"],
    page: "\
A group's memory limit (or, unless memory is short by `host.memory.reclaim`, all there is) leaves the page cache less
room than the files in use need: pages are evicted and re-read at once. It looks like a slow or busy disk, while PSI
memory stays low (measured: 1 % memory beside 60 % io).

A group must be near its limit. Its share is its refaulted page cache / all bytes read by the host; the loss is the IO
wait of its tasks x that share, taken from what the disk is charged with. Where no group is found, the host is judged:
the share is the smaller of refaulted / read and refaulted / all disk bytes, the loss everyone's IO wait x that.

**Relief**: double the limit, where that fits into the host; on the host, see who reads. **Cure**: see how the limit
compares with the files in use; by hand: size the limit by them, read around the cache, add memory.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let groups = match &host.cgroups {
        Ok(groups) => groups,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let page = facts.world.identity.as_ref().map_or(4096, |i| i.page_bytes) as f64;
    let reads = host.memory.as_ref().ok().and_then(|m| m.read_bytes_per_s).unwrap_or(0.0);
    let mut judged = Judged::default();
    let limited = groups.iter().filter(|g| matches!(g.controller, Controller::Memory | Controller::Unified));
    for group in limited {
        let (Some(limit), Some(used), Some(refaults)) = (group.memory_limit_bytes, group.memory_bytes, group.refaults_per_s)
        else {
            continue;
        };
        let subject = cgroup_subject(facts.world, group.path.shown());
        let held = is_held(prev, &subject);
        let again = refaults * page;
        let share = (again / reads.max(1.0)).min(1.0);
        let member = |a: &Actor| facts.world.processes().iter().any(|p| p.id == a.id && inside(p, group));
        let lost = facts.ledger.sum(member, Actor::disk_wait) * share;
        let near = used as f64 / limit.max(1) as f64 * 100.0;
        if share * 100.0 < params.limit(REFAULTS, held) || near < params.limit(NEAR, held) || lost < params.limit(LOST, held) {
            continue;
        }
        let title =
            format!("{} re-reads {}/s of cache evicted by its limit of {}", group.path, bytes(again), bytes(limit as f64));
        let mut found = Found::new(Class::Live, title);
        found.losses = facts.ledger.disk_losses(member, share);
        found.victims_time = facts.ledger.sum(member, Actor::time);
        found.evidence = vec![
            params.row("share of bytes read that are refaults", share * 100.0, REFAULTS, "host.cgroup.memory"),
            params.row("share of its memory limit in use", near, NEAR, "host.cgroup.memory"),
            params.row("IO wait of its tasks for refaults", lost, LOST, "host.iodelay"),
        ];
        found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
        found.fixes = fixes(facts, group, limit);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let share = refault_share(facts.world).unwrap_or(0.0);
        let clear = format!("no group's limit causes refaults ({} % of what is read)", short(share * 100.0));
        return on_host(facts, params, prev, share).unwrap_or_else(|| Judged::clear(Subject::host(), clear));
    }
    judged
}

/// Of all memory: a host with so much free is not short of page cache.
const FREE: f64 = 0.2;

/// The files in use are larger than all the memory that is left for them: plenty is called available, because the cache counts as such.
fn on_host(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>, share: f64) -> Option<Judged> {
    // With little available it is a shortage of memory, and host.memory.reclaim says so.
    let short = params.of(memory_reclaim::RULE.id).get(memory_reclaim::AVAILABLE) / 100.0;
    let memory = facts.world.host.memory.as_ref().ok().filter(|m| 1.0 - m.used > short)?;
    // While memory is free nothing is dropped to make room: what is read again was dropped within a group's limit, or by hand.
    if memory.raw.free.is_some_and(|free| free as f64 >= FREE * memory.raw.total as f64) {
        return None;
    }
    let host = Subject::host();
    let held = is_held(prev, &host);
    let again = memory.refault_file_bytes_per_s.unwrap_or(0.0);
    // Who writes waits for other reasons: it counts as far as what is read again is what the disks move.
    let moved: f64 =
        facts.world.host.disks.iter().flatten().filter(|d| d.leaf).map(|d| d.read_bytes_per_s + d.write_bytes_per_s).sum();
    let share = share.min(again / moved.max(1.0));
    let lost = facts.ledger.sum(|_| true, Actor::disk_wait) * share;
    if share * 100.0 < params.limit(REFAULTS, held) || lost < params.limit(LOST, held) {
        return None;
    }
    let title = format!("The files in use do not fit into the page cache: {}/s are re-read", bytes(again));
    let mut found = Found::new(Class::Live, title);
    found.losses = facts.ledger.disk_losses(|_| true, share);
    found.victims_time = facts.ledger.sum(|_| true, Actor::time);
    found.evidence = vec![
        params.row("share of disk bytes that are refaults", share * 100.0, REFAULTS, "host.vmstat"),
        params.row("IO wait for refaults", lost, LOST, "host.iodelay"),
        evidence("memory available, incl. page cache", memory.available_bytes as f64, Unit::Bytes, None, "host.memory"),
    ];
    found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
    // Whose limit it is nobody knows: there is none.
    found.lacks = 1;
    let mut look = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        "See who reads: one-time reads (backups, scans) evict what is read repeatedly",
        sh!("grep -H read_bytes /proc/[0-9]*/io 2>/dev/null | sort -t: -k3 -rn | head"),
    );
    look.risk = "none: read-only".into();
    look.needs = "root, to see other users' processes".into();
    let mut cure = look.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::LongTerm;
    cure.title = "More memory, fewer files in use, or a memory-limited group for the one-time reader".into();
    cure.command =
        Command::note("# systemd: MemoryHigh= for the unit that reads once; dd iflag=nocache; O_DIRECT where the program can");
    cure.takes_s = None;
    found.fixes = vec![look, cure];
    Some(Judged::found(host, found))
}

fn fixes(facts: &Facts<'_>, group: &CgroupFacts, limit: u64) -> Vec<Fix> {
    let name: &[u8] = if group.controller == Controller::Memory { b"memory.limit_in_bytes" } else { b"memory.max" };
    let Some(file) = Word::path(&[group.directory.raw(), b"/", name]) else { return Vec::new() };
    let more = limit.saturating_mul(2);
    let fits = facts.world.host.memory.as_ref().is_ok_and(|m| more <= m.raw.total);
    let available = facts.world.host.memory.as_ref().map_or(0, |m| m.available_bytes);
    let mut raise = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        format!("Raise its limit from {} to {}", bytes(limit as f64), bytes(more as f64)),
        sh!("echo {} > {}", more, file),
    );
    raise.undo = Some(sh!("echo {} > {}", limit, file));
    raise.needs = "root".into();
    raise.needs_bytes = Some(more - limit);
    raise.risk = "the host has that much less for everyone else; a manager may restore the old value".into();
    let ok = available > more - limit;
    raise.preflight =
        vec![crate::detect::finding::Preflight { ok, what: format!("{} available on the host", bytes(available as f64)) }];
    raise.verify = sh!("cat {}; perftop check --for 10s --only host.memory.cache_thrash", file);
    let mut cure = raise.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "Size the limit by the files in use, or bypass the cache for one-time reads".into();
    let stat = Word::path(&[group.directory.raw(), b"/memory.stat"]);
    let Some(stat) = stat else { return vec![raise] };
    cure.command = sh!("grep -E 'refault|file' {}", stat);
    cure.undo = None;
    cure.needs_bytes = None;
    cure.preflight = Vec::new();
    cure.risk = "none: read-only".into();
    if fits { vec![raise, cure] } else { vec![cure] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{cgroup, inside, pressure, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    const MIB: f64 = 1_048_576.0;

    /// A service waits half of its time for reads of 100 MiB/s, of which so many percent are read again.
    fn reading(group: &str, again: f64) -> Bench {
        let server = inside(group, ProcFacts { io_wait: Some(0.5), ..service(100, "api", 8080) });
        Bench::quiet().running(vec![server]).on(|host| host.psi.io = pressure(0.5)).with_memory(|memory| {
            memory.read_bytes_per_s = Some(100.0 * MIB);
            memory.refault_bytes_per_s = Some(again * MIB);
        })
    }

    fn in_group(again: f64, used: u64) -> Bench {
        let group = CgroupFacts {
            memory_limit_bytes: Some(1 << 30),
            memory_bytes: Some(used << 20),
            refaults_per_s: Some(again * MIB / 4096.0),
            ..cgroup("/api.service")
        };
        reading("/api.service", again).grouped(vec![group])
    }

    #[test]
    fn a_groups_cache_is_too_small_only_near_its_limit() {
        let found = in_group(31.0, 930);
        found.must_say(&RULE, "found /api.service re-reads 31 MiB/s of cache evicted by its limit of 1.0 GiB");
        Table {
            clear: in_group(80.0, 630),
            unknown: Some(Bench::quiet().on(|host| host.cgroups = Err(unread()))),
            found,
            held: Some(in_group(29.0, 660)),
        }
        .check(&RULE);
    }

    fn on_host(again: f64, available: f64) -> Bench {
        let files = |memory: &mut crate::model::facts::MemoryFacts| {
            memory.refault_file_bytes_per_s = memory.refault_bytes_per_s;
            memory.used = 1.0 - available;
            memory.raw.free = Some(memory.raw.total / 50);
        };
        let disk = |host: &mut crate::model::facts::HostFacts| host.disks.as_mut().unwrap()[0].read_bytes_per_s = 100.0 * MIB;
        reading("/", again).with_memory(files).on(disk)
    }

    #[test]
    fn without_a_limit_it_is_the_host_unless_memory_is_short() {
        let found = on_host(31.0, 0.7);
        found.must_say(&RULE, "found The files in use do not fit into the page cache: 31 MiB/s are re-read");
        Table { clear: on_host(80.0, 0.04), unknown: None, found, held: Some(on_host(22.0, 0.7)) }.check(&RULE);
        // Nothing had to be dropped: there is room.
        let room = on_host(80.0, 0.7).with_memory(|memory| memory.raw.free = Some(memory.raw.total / 2));
        room.must_say(&RULE, "clear");
    }
}
