//! host.io.saturated: a device is slower than its own baseline latency and operations queue up; names the top consumer.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Evidence, Fix, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::Actor;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::{Crowd, Look, crowds};
use crate::detect::rules::support::{confidence, interval, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::{DiskFacts, ProcFacts};
use crate::model::seen::Lack;
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, short};

use super::memory_reclaim;

const SLOWER: Param = Param {
    name: "slower",
    unit: Unit::Ratio,
    default: 3.0,
    min: 1.1,
    max: 1000.0,
    what: "await over the device's own baseline latency; utilisation says nothing about parallel devices",
};
const QUEUE: Param = Param {
    name: "queue",
    unit: Unit::Count,
    default: 1.0,
    min: 0.1,
    max: 10000.0,
    what: "mean operations in the device and its queue (aqu-sz)",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.03,
    min: 0.001,
    max: 100.0,
    what: "IO wait it causes the foreground, beyond the baseline, by the top consumer's share",
};
const TOP_CONSUMER: Param = Param {
    name: "contender",
    unit: Unit::Percent,
    default: 50.0,
    min: 10.0,
    max: 100.0,
    what: "share of all programs' bytes from which one is the top consumer; without one the device is named",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.io.saturated",
    class: Class::Live,
    culprit: Culprit::One,
    says: "a device is slower than its own baseline latency and operations queue up; names the top consumer",
    params: &[SLOWER, QUEUE, LOST, TOP_CONSUMER],
    origins: &["host.disks", "host.iodelay", "host.process_io", "host.psi.io"],
    page: "\
A block device takes clearly longer per operation than it does when it is not loaded, and operations queue up. Others
wait for it. The baseline latency is learned on this device (10th percentile while the queue is short; until five
windows are known 0.2 ms, rotating 8 ms). A busy, fast disk is not a finding: 97 % utilisation at 0.1 ms delays
nobody.

The loss is the IO wait of everyone else x (1 - baseline / await) x the top consumer's share. Which device a task
waits for cannot be seen: of several slow devices the one with the longest queue is charged with all IO wait.

**Who is to blame**: the program with half of the bytes that all programs move (`contender`), when they fit the
device: half to four times what it moves. Its own wait is not counted. Without one it is the device.

**What looks like it**: an IO limit (`host.io.throttled`: a group at its limit), a memory shortage
(`host.memory.reclaim`: the reads are refaults).

**Relief**: pause the top consumer, or set the idle IO class where the scheduler honours it (bfq); without one, see
who uses the device. **Cure**: an IO limit for its unit; by hand: another time, another device.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let disks = match &facts.world.host.disks {
        Ok(disks) => disks,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    if facts.ledger.io_rounds == 0 && !facts.ledger.actors.is_empty() || facts.world.window_s == 0.0 {
        return Judged::unknown(Subject::host(), &Lack::first_sample("IO wait of processes"));
    }
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let slow = |d: &&DiskFacts| {
        let factor = slowness(facts, d);
        factor >= params.limit(SLOWER, held) && d.queue >= params.limit(QUEUE, held)
    };
    let worst = disks.iter().filter(|d| d.leaf).filter(slow).max_by(|a, b| a.queue.total_cmp(&b.queue));
    let Some(disk) = worst else { return Judged::clear(Subject::host(), busiest(facts, disks)) };
    let excess = 1.0 - 1.0 / slowness(facts, disk).max(1.0);
    let top_consumer = top_consumer(facts, disk, prev, params.get(TOP_CONSUMER) / 100.0);
    let is_victim = |a: &Actor| top_consumer.as_ref().is_none_or(|c| !c.who.members.iter().any(|p| p.family == a.family));
    let waits = facts.ledger.sum(is_victim, Actor::disk_wait);
    let lost = waits * excess;
    let share = top_consumer.as_ref().map_or(1.0, |c| c.share);
    if lost * share < params.limit(LOST, held) {
        let who = top_consumer.as_ref().map_or_else(|| "nobody".to_owned(), |c| format!("only {}", c.who.label));
        let why = format!(
            "{} is slow ({} ms), but {who} in the foreground waits for it",
            disk.name,
            short(await_ms(facts, disk).unwrap_or(0.0))
        );
        return Judged::clear(Subject::host(), why);
    }
    let mut found = Found::new(Class::Live, title(facts, disk, top_consumer.as_ref()));
    found.losses = facts.ledger.disk_losses(is_victim, excess * share);
    found.victims_time = facts.ledger.sum(is_victim, Actor::time);
    found.own_time = facts.ledger.sum(|a| !is_victim(a), Actor::time);
    found.ci = Some(interval(lost, facts.ledger.io_rounds));
    found.held_share = share;
    found.evidence = evidence_rows(facts, params, disk, top_consumer.as_ref());
    found.against = against(facts, params);
    found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
    found.fixes = fixes(facts, disk, top_consumer.as_ref());
    let device = Subject::new(SubjectType::Device, disk.name.shown(), format!("device {}", disk.name));
    let mut subject = top_consumer.as_ref().map_or_else(|| device.clone(), |c| c.who.subject.clone());
    if subject.kind != SubjectType::Device {
        subject.also.push(device.typed_key());
    }
    Judged::found(subject, found)
}

fn baseline(facts: &Facts<'_>, disk: &DiskFacts) -> f64 {
    facts.learned.baseline_ms(disk.name.shown(), disk.rotational.unwrap_or(false))
}

/// Milliseconds per operation. A device that is busy all the time and completes nothing takes at least the window.
fn await_ms(facts: &Facts<'_>, disk: &DiskFacts) -> Option<f64> {
    let stuck = disk.in_flight > 0 && disk.util >= 0.9;
    disk.await_ms.or_else(|| stuck.then_some(facts.world.window_s * 1000.0))
}

fn slowness(facts: &Facts<'_>, disk: &DiskFacts) -> f64 {
    await_ms(facts, disk).map_or(0.0, |ms| ms / baseline(facts, disk))
}

fn busiest(facts: &Facts<'_>, disks: &[DiskFacts]) -> String {
    let busiest = disks.iter().filter(|d| d.leaf).max_by(|a, b| a.util.total_cmp(&b.util));
    busiest.map_or_else(
        || "no block device".to_owned(),
        |d| {
            let ms = d.await_ms.map_or_else(|| "no IO".to_owned(), |ms| format!("{} ms each", short(ms)));
            format!(
                "{} is {} % busy, {ms} (baseline {} ms), queue {}",
                d.name,
                short(d.util * 100.0),
                short(baseline(facts, d)),
                short(d.queue)
            )
        },
    )
}

struct TopConsumer<'a> {
    who: Crowd<'a>,
    share: f64,
}

fn moved(p: &ProcFacts) -> f64 {
    p.read_bytes_per_s.unwrap_or(0.0) + p.write_bytes_per_s.unwrap_or(0.0)
}

fn top_consumer<'a>(facts: &Facts<'a>, disk: &DiskFacts, prev: Option<&Prev>, half: f64) -> Option<TopConsumer<'a>> {
    const KEEPS: f64 = 0.7;
    const LEAST_OF_DEVICE: f64 = 0.5;
    // Dirtied pages reach the device later, for a while at several times its speed.
    const MOST_OF_DEVICE: f64 = 4.0;
    let own = facts.world.identity.as_ref().map_or(0, |i| i.self_pid);
    let all = programs(facts.world, |p| if p.id.pid == own { 0.0 } else { moved(p) });
    // The bytes of a process are not told apart by device: they must fit what this device moves, or they went elsewhere.
    let device = disk.read_bytes_per_s + disk.write_bytes_per_s;
    let fits = |c: &TopConsumer<'_>| c.who.amount >= LEAST_OF_DEVICE * device && c.who.amount <= MOST_OF_DEVICE * device;
    let total: f64 = all.iter().map(|p| p.amount).sum();
    // Where no program has most of it, the smallest crowd that has.
    let waits = |p: &ProcFacts| p.io_wait.is_some_and(|s| s > 0.0);
    let amount = |p: &ProcFacts| if p.id.pid == own { 0.0 } else { moved(p) };
    let several = match all.first() {
        Some(first) if first.amount >= half * total => Vec::new(),
        _ => crowds(facts.world, &all, Look { amount: &amount, waits: &waits }, half * total),
    };
    let with_share = all.into_iter().map(Crowd::from).chain(several).map(|who| {
        let share = who.amount / total.max(1.0);
        TopConsumer { who, share }
    });
    let mut candidates: Vec<TopConsumer<'a>> = with_share.filter(fits).collect();
    let held = |c: &TopConsumer<'_>| {
        prev.is_some_and(|p| p.held.iter().any(|h| c.who.was(&h.subject) && c.share >= KEEPS * h.entered_share))
    };
    let index = candidates.iter().position(held).or_else(|| candidates.iter().position(|c| c.share >= half))?;
    Some(candidates.swap_remove(index))
}

fn title(facts: &Facts<'_>, disk: &DiskFacts, top_consumer: Option<&TopConsumer<'_>>) -> String {
    let slow = format!("{} ms per IO instead of {}", short(await_ms(facts, disk).unwrap_or(0.0)), short(baseline(facts, disk)));
    match top_consumer {
        Some(c) => {
            let moves = c.who.verb("moves", "move");
            format!("{} {moves} {}/s on {}: {slow}", c.who.label, bytes(c.who.amount), disk.name)
        }
        None => format!("Device {} is overloaded: {slow}, queue {}", disk.name, short(disk.queue)),
    }
}

fn evidence_rows(
    facts: &Facts<'_>,
    params: &Params<'_>,
    disk: &DiskFacts,
    top_consumer: Option<&TopConsumer<'_>>,
) -> Vec<Evidence> {
    let baseline = baseline(facts, disk);
    let mut rows = vec![
        params.row("foreground IO wait", facts.ledger.sum(|_| true, Actor::disk_wait), LOST, "host.iodelay"),
        evidence(
            "await",
            await_ms(facts, disk).unwrap_or(0.0),
            Unit::Milliseconds,
            Some(baseline * params.get(SLOWER)),
            "host.disks",
        ),
        evidence("await, baseline", baseline, Unit::Milliseconds, None, "host.disks"),
        params.row("queue depth (aqu-sz)", disk.queue, QUEUE, "host.disks"),
        evidence("device busy", disk.util * 100.0, Unit::Percent, None, "host.disks"),
    ];
    if let Some(c) = top_consumer {
        rows.push(params.row("top consumer's share of all bytes", c.share * 100.0, TOP_CONSUMER, "host.process_io"));
    }
    if let Ok(psi) = &facts.world.host.psi.io {
        rows.push(evidence("PSI io some", psi.best() * 100.0, Unit::Percent, None, "host.psi.io"));
    }
    rows
}

fn against(facts: &Facts<'_>, params: &Params<'_>) -> Vec<Evidence> {
    let refaults = crate::detect::ledger::refault_share(facts.world);
    let limits = facts.world.host.cgroups.iter().flatten().filter(|g| !g.io_limits.is_empty()).count();
    let memory = params.of(memory_reclaim::RULE.id);
    let mut rows = vec![evidence("control groups with an IO limit", limits as f64, Unit::Count, None, "host.cgroup.io")];
    rows.extend(
        refaults.map(|r| memory.row("share of reads that are refaults", r * 100.0, memory_reclaim::REFAULTS, "host.vmstat")),
    );
    rows
}

fn fixes(facts: &Facts<'_>, disk: &DiskFacts, top_consumer: Option<&TopConsumer<'_>>) -> Vec<Fix> {
    let Some(c) = top_consumer else {
        let look = sh!("iostat -x 1 5; pidstat -d 1 5");
        return vec![fix::shell_fix(Phase::Relief, Horizon::Immediate, "See who uses the device", look)];
    };
    let mut fixes: Vec<Fix> = fix::pause(facts.world, &c.who.members).into_iter().collect();
    if disk.scheduler.as_ref().is_some_and(|s| s.raw() == b"bfq")
        && let Some(mut idle) = fix::idle_io(facts.world, &c.who.members)
    {
        idle.preflight = vec![Preflight { ok: true, what: format!("{} uses bfq, which honours IO classes", disk.name) }];
        fixes.insert(0, idle);
    }
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::LongTerm,
        "Limit its bandwidth in its unit, or run it at another time",
        Command::note(""),
    );
    let quarter = (c.who.amount / 4.0 / 1_048_576.0).max(1.0).round() as u64;
    // Systemd takes the device and its limit as one value.
    let limit =
        |what: &str| Word::quoted(&[what.as_bytes(), b"=/dev/", disk.name.raw(), format!(" {quarter}M").as_bytes()].concat());
    let limits = limit("IOReadBandwidthMax").zip(limit("IOWriteBandwidthMax"));
    let unit = fix::unit(facts.world, &c.who.members);
    match unit.and_then(|unit| Ok((unit, limits.ok_or("no command can name the device")?))) {
        Ok((unit, (read, write))) => {
            cure.command = sh!("systemctl set-property {} {} {}", unit, read, write);
            cure.undo = Some(sh!("{}; the same for IOWriteBandwidthMax", fix::undo_property(&unit, "IOReadBandwidthMax")));
        }
        Err(why) => {
            let device = named(&[b"/dev/", disk.name.raw()].concat());
            cure.command = Command::note(format!(
                "# [Service] IOReadBandwidthMax={device} {quarter}M   IOWriteBandwidthMax={device} {quarter}M"
            ));
            cure.preflight = vec![Preflight { ok: false, what: why.into() }];
        }
    }
    cure.risk = "it takes longer; writes through the page cache are only limited under cgroup v2".into();
    cure.needs = "root; the io controller".into();
    fixes.push(cure);
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};

    /// A program reads 100 MB/s; each operation takes so long, of so many at once; a service waits for the disk.
    fn reading(await_ms: f64, queue: f64) -> Bench {
        let reader = ProcFacts { io_wait: Some(0.9), read_bytes_per_s: Some(1e8), ..process(200, "cp") };
        let server = ProcFacts { io_wait: Some(0.4), ..service(100, "api", 8080) };
        Bench::quiet().running(vec![reader, server]).on(|host| {
            host.psi.io = pressure(0.5);
            let disk = &mut host.disks.as_mut().unwrap()[0];
            (disk.read_bytes_per_s, disk.await_ms, disk.queue, disk.util) = (1e8, Some(await_ms), queue, 0.97);
        })
    }

    #[test]
    fn a_disk_is_overloaded_when_it_is_slow_not_when_it_is_busy() {
        let found = reading(0.62, 1.1);
        found.must_say(&RULE, "found cp (pid 200) moves 95 MiB/s on vda: 0.6 ms per IO instead of 0.2");
        Table {
            clear: reading(0.4, 20.0),
            unknown: Some(reading(0.62, 1.1).on(|host| host.disks = Err(unread()))),
            found,
            held: Some(reading(0.5, 0.8)),
        }
        .check(&RULE);
    }

    #[test]
    fn copies_that_move_most_together_are_named_as_one() {
        let copy = |pid: i32| ProcFacts { io_wait: Some(0.5), read_bytes_per_s: Some(2.5e7), ..process(pid, "tar") };
        let server = ProcFacts { io_wait: Some(0.4), ..service(100, "api", 8080) };
        let all = (200..204).map(copy).chain([server]).collect();
        reading(0.62, 1.1).running(all).must_say(&RULE, "found tar processes move 95 MiB/s on vda: 0.6 ms per IO instead of 0.2");
        // Four servers that read for their clients are victims of each other.
        let server =
            |pid: i32| ProcFacts { io_wait: Some(0.5), read_bytes_per_s: Some(2.5e7), ..service(pid, "web", pid as u16) };
        reading(0.62, 1.1).running((200..204).map(server).collect()).must_say(&RULE, "found Device vda is overloaded");
    }

    #[test]
    fn without_a_top_consumer_it_is_the_device_and_without_a_victim_nothing() {
        let server = || ProcFacts { io_wait: Some(0.4), ..service(100, "api", 8080) };
        reading(2.0, 4.0).running(vec![server()]).must_say(&RULE, "found Device vda is overloaded: 2.0 ms per IO");
        let reader = ProcFacts { io_wait: Some(0.9), read_bytes_per_s: Some(1e8), ..process(200, "cp") };
        reading(2.0, 4.0).running(vec![reader]).must_say(&RULE, "clear");
        // It has always been that slow.
        let learned =
            |learned: &mut crate::detect::learned::Learned| drop(learned.baseline.insert("vda".into(), [1.0; 5].into()));
        reading(2.0, 4.0).knowing(learned).must_say(&RULE, "clear");
    }
}
