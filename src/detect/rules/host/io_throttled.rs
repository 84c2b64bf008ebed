//! host.io.throttled: tasks of a control group wait for IO because the group has used up its IO limit.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::{Actor, inside};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{cgroup_subject, confidence, interval};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{CgroupFacts, DiskFacts};
use crate::model::host::{Controller, IoLimit, ProcId};
use crate::model::seen::Lack;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.03,
    min: 0.001,
    max: 100.0,
    what: "IO wait of the group's foreground tasks",
};
const DEVICE_BUSY: Param = Param {
    name: "device_busy",
    unit: Unit::Percent,
    default: 70.0,
    min: 1.0,
    max: 100.0,
    what: "where the group's own use is not counted: above this the device is taken as the cause",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.io.throttled",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "tasks of a control group wait for IO because the group has used up its IO limit",
    params: &[LOST, DEVICE_BUSY],
    origins: &["host.cgroup.io", "host.iodelay", "host.disks", "host.psi.io"],
    page: "\
Tasks of a control group with an IO limit wait for IO, and the group does more than half of what one of its limits
allows, on average over the window. Operations are throttled before they reach the device, so `iostat` may show an
idle disk while PSI io is high. Where the kernel does not count what the group does, it is found while the device is
no busier than `device_busy`.

The loss is all IO wait of the group's own foreground tasks. Limits: `io.max` (v2), `blkio.throttle.*` (v1).

**What looks like it**: a saturated device (then await and queue are high), a hung network file system.

**Relief**: lift all IO limits of the group now. **Cure**: by hand: set them to what the service needs where they are
configured.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let groups = match &facts.world.host.cgroups {
        Ok(groups) => groups,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let limited: Vec<&CgroupFacts> = groups.iter().filter(|g| !g.io_limits.is_empty()).collect();
    if limited.is_empty() {
        return Judged::clear(Subject::host(), "no control group has an IO limit");
    }
    if facts.ledger.io_rounds == 0 && !facts.ledger.actors.is_empty() || facts.world.window_s == 0.0 {
        return Judged::unknown(Subject::host(), &Lack::first_sample("IO wait of processes"));
    }
    let mut judged = Judged::default();
    for group in limited {
        let subject = cgroup_subject(facts.world, group.path.shown());
        let held = is_held(prev, &subject);
        let members = members(facts, group);
        let waits = facts.ledger.sum(|a| members.contains(&a.id), Actor::disk_wait);
        let device = device(facts, group);
        let busy = device.map_or(0.0, |d| d.util * 100.0);
        if waits < params.limit(LOST, held) {
            let why = format!("its limit costs the foreground {} s/s", short(waits));
            judged.verdicts.push((subject, Verdict::Clear(why)));
        } else if !at_limit(group) && (counted(group) || busy > params.get(DEVICE_BUSY)) {
            let why = format!("it is not seen at its limit; the device is {} % busy", short(busy));
            judged.verdicts.push((subject, Verdict::Clear(why)));
        } else {
            let found = found(facts, params, group, &members, waits, device);
            judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        }
    }
    judged
}

fn members(facts: &Facts<'_>, group: &CgroupFacts) -> Vec<ProcId> {
    facts.world.processes().iter().filter(|p| inside(p, group)).map(|p| p.id).collect()
}

fn device<'a>(facts: &Facts<'a>, group: &CgroupFacts) -> Option<&'a DiskFacts> {
    let limit = group.io_limits.first()?;
    facts.world.host.disks.as_ref().ok()?.iter().find(|d| d.number == limit.device)
}

/// What the group does now against one of its limits, 0..1 and above; unknown without its own counters.
fn used(group: &CgroupFacts, limit: &IoLimit) -> Option<f64> {
    let own = group.io_limits.iter().position(|l| l == limit).and_then(|at| *group.io_limit_rates.get(at)?);
    // Counters of both ways and all devices together stand in where a kernel (or an older recording) has no others.
    let now = match limit.done {
        Some(_) => own,
        None if limit.what.ends_with("bps") => group.io_bytes_per_s,
        None => group.io_operations_per_s,
    };
    now.filter(|_| limit.per_s > 0).map(|now| now / limit.per_s as f64)
}

/// True when the group's own counters say how near it is to one of its limits.
fn counted(group: &CgroupFacts) -> bool {
    group.io_limits.iter().any(|l| used(group, l).is_some())
}

/// Share of a limit, over the window, from which it holds the group back: half, because the window still holds the time
/// before the limit was reached.
const AT_LIMIT: f64 = 0.5;

fn at_limit(group: &CgroupFacts) -> bool {
    group.io_limits.iter().filter_map(|l| used(group, l)).any(|share| share > AT_LIMIT)
}

fn say(limit: &IoLimit) -> String {
    let (what, value) = match limit.what.as_str() {
        "rbps" => ("read", format!("{}/s", bytes(limit.per_s as f64))),
        "wbps" => ("write", format!("{}/s", bytes(limit.per_s as f64))),
        "riops" => ("read", format!("{} IO/s", limit.per_s)),
        _ => ("write", format!("{} IO/s", limit.per_s)),
    };
    format!("{value} ({what})")
}

fn found(
    facts: &Facts<'_>,
    params: &Params<'_>,
    group: &CgroupFacts,
    members: &[ProcId],
    lost: f64,
    disk: Option<&DiskFacts>,
) -> Found {
    let tightest = group.io_limits.iter().max_by(|a, b| {
        let of = |l: &IoLimit| used(group, l).unwrap_or(0.0);
        of(a).total_cmp(&of(b)).then(b.per_s.cmp(&a.per_s))
    });
    let limit = tightest.map_or_else(String::new, say);
    let mut found = Found::new(Class::Live, format!("{} is throttled by its IO limit of {limit}", group.path));
    let is_member = |a: &Actor| members.contains(&a.id);
    found.losses = facts.ledger.disk_losses(|a| members.contains(&a.id), 1.0);
    found.victims_time = facts.ledger.sum(is_member, Actor::time);
    found.ci = Some(interval(lost, facts.ledger.io_rounds));
    found.evidence = vec![params.row("IO wait of its tasks", lost, LOST, "host.iodelay")];
    if let Some(limit) = tightest {
        let unit = if limit.what.ends_with("bps") { Unit::BytesPerSecond } else { Unit::PerSecond };
        found.evidence.push(evidence(
            format!("limit {} of the group", limit.what),
            limit.per_s as f64,
            unit,
            None,
            "host.cgroup.io",
        ));
        let share = used(group, limit).map(|s| s * 100.0);
        found.evidence.extend(
            share.map(|s| evidence("share of that limit in use", s, Unit::Percent, Some(AT_LIMIT * 100.0), "host.cgroup.io")),
        );
    }
    if let Some(disk) = disk {
        found.evidence.push(params.either("device busy", disk.util * 100.0, DEVICE_BUSY, "host.disks"));
        let ms = disk.await_ms.map(|ms| evidence("await in the device", ms, Unit::Milliseconds, None, "host.disks"));
        found.against.extend(ms);
    }
    if let Ok(psi) = &facts.world.host.psi.io {
        found.evidence.push(evidence("PSI io some", psi.best() * 100.0, Unit::Percent, None, "host.psi.io"));
    }
    found.confidence = confidence(facts.ledger, lost, facts.ledger.io_rounds);
    found.fixes = fixes(params, group, disk);
    found
}

/// The command that sets a limit of the group, or lifts it.
fn set(group: &CgroupFacts, limit: &IoLimit, lift: bool) -> Option<Command> {
    let dir = group.directory.raw();
    if group.controller == Controller::Io {
        let name: &[u8] = match limit.what.as_str() {
            "rbps" => b"blkio.throttle.read_bps_device",
            "wbps" => b"blkio.throttle.write_bps_device",
            "riops" => b"blkio.throttle.read_iops_device",
            _ => b"blkio.throttle.write_iops_device",
        };
        let line = Word::quoted(format!("{} {}", limit.device, if lift { 0 } else { limit.per_s }).as_bytes())?;
        return Some(sh!("echo {} > {}", line, Word::path(&[dir, b"/", name])?));
    }
    let value = if lift { "max".to_owned() } else { limit.per_s.to_string() };
    let line = Word::quoted(format!("{} {}={value}", limit.device, limit.what).as_bytes())?;
    Some(sh!("echo {} > {}", line, Word::path(&[dir, b"/io.max"])?))
}

fn fixes(params: &Params<'_>, group: &CgroupFacts, disk: Option<&DiskFacts>) -> Vec<Fix> {
    let all = |lift: bool| {
        let lines: Option<Vec<Command>> = group.io_limits.iter().map(|limit| set(group, limit, lift)).collect();
        lines?.into_iter().reduce(|all, next| all.then(" && ", &next))
    };
    let Some(lift) = all(true) else { return Vec::new() };
    let mut relief = fix::shell_fix(Phase::Relief, Horizon::Immediate, "Lift the IO limit of the group", lift);
    relief.undo = all(false);
    relief.risk = "its neighbours on the device get less; a manager may restore the old value".into();
    relief.needs = "root".into();
    let busy = disk.map_or(0.0, |d| d.util * 100.0);
    relief.preflight =
        vec![Preflight { ok: busy < params.get(DEVICE_BUSY), what: format!("the device is {} % busy", short(busy)) }];
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::LongTerm,
        "Set the limit to what the service needs, where it is configured",
        Command::note(format!(
            "# {}: IOReadIOPSMax=, IOWriteIOPSMax=, IOReadBandwidthMax=, IOWriteBandwidthMax= of the unit",
            named(group.path.raw())
        )),
    );
    cure.takes_s = None;
    cure.needs = "root".into();
    vec![relief, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{cgroup, inside, pressure, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A service waits for IO in a group that may write 10 MB/s and does that share of it.
    fn limited(share: Option<f64>, waits: f64) -> Bench {
        let limit = IoLimit { device: "254:0".into(), what: "wbps".into(), per_s: 10_000_000, done: share.map(|_| 1) };
        let group =
            CgroupFacts { io_limits: vec![limit], io_limit_rates: vec![share.map(|s| s * 1e7)], ..cgroup("/api.service") };
        let server = inside("/api.service", ProcFacts { io_wait: Some(waits), ..service(100, "api", 8080) });
        Bench::quiet().running(vec![server]).grouped(vec![group]).on(|host| host.psi.io = pressure(0.5))
    }

    #[test]
    fn a_group_at_its_io_limit_is_found_while_its_tasks_wait() {
        let found = limited(Some(0.9), 0.04);
        found.must_say(&RULE, "found /api.service is throttled by its IO limit of 9.5 MiB/s (write)");
        limited(Some(0.9), 0.04).on(|host| host.cgroups = Err(unread())).must_say(&RULE, "unknown");
        let first = ProcFacts { io_rounds: 0, cpu: Some(0.1), ..service(100, "api", 8080) };
        Table {
            clear: limited(Some(0.45), 0.9),
            unknown: Some(limited(Some(0.9), 0.04).running(vec![first])),
            found,
            held: Some(limited(Some(0.9), 0.025)),
        }
        .check(&RULE);
    }

    #[test]
    fn where_nothing_is_counted_a_busy_device_is_the_cause() {
        let busy = |util| limited(None, 0.4).on(|host| host.disks.as_mut().unwrap()[0].util = util);
        busy(0.69).must_say(&RULE, "found /api.service is throttled");
        busy(0.71).must_say(&RULE, "clear");
    }
}
