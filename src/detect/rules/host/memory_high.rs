//! host.memory.high: tasks of a group are held back because it is at its `memory.high`.

use std::collections::HashSet;

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State, inside};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::cgroup_subject;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict};
use crate::model::facts::CgroupFacts;
use crate::model::host::ProcId;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const HITS: Param = Param {
    name: "hits",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1e9,
    what: "times that tasks of the group were held back (`high` of memory.events)",
};
const PRESSURE: Param = Param {
    name: "pressure",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 100.0,
    what: "PSI memory of the group: below it reclaim costs it nothing (page cache that is dropped)",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.05,
    min: 0.001,
    max: 1000.0,
    what: "what its tasks wait in the kernel meanwhile",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.high",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a group is throttled by its memory.high",
    params: &[HITS, PRESSURE, LOST],
    origins: &["host.cgroup.memory", "host.iodelay"],
    page: "\
A group of version 2 that has more memory than `memory.high` is not killed: each allocation of its tasks puts them to sleep for up to
two seconds and makes them reclaim, however much memory the machine has. From outside it looks like a slow disk or a hung process.

Found when the group's count of such events grows by `hits` a second, its PSI memory is `pressure` or more, and its tasks wait `lost`
s/s in uninterruptible sleep; the loss is that wait x min(1, PSI memory / PSI io) of the group. A job that reads much fills its group
with page cache up to the limit, and reclaiming that costs nothing. `memory.max` is another limit: it kills (`host.memory.oom`), or its page cache is read again (`host.memory.cache_thrash`).

**Relief**: a higher `memory.high`. **Cure**: the same in its unit; by hand: less memory.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let groups = match &facts.world.host.cgroups {
        Ok(groups) => groups,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let mut judged = Judged::default();
    for group in groups.iter().filter(|g| g.memory_high_bytes.is_some()) {
        let subject = cgroup_subject(facts.world, group.path.shown());
        let held = is_held(prev, &subject);
        let hits = group.high_hits_per_s.unwrap_or(0.0);
        let pressure = group.memory_pressure.unwrap_or(0.0) * 100.0;
        if hits < params.limit(HITS, held) || pressure < params.limit(PRESSURE, held) {
            let why = format!("held back {} times a second, PSI memory of the group {} %", short(hits), short(pressure));
            judged.verdicts.push((subject, Verdict::Clear(why)));
            continue;
        }
        let members: HashSet<ProcId> = facts.world.processes().iter().filter(|p| inside(p, group)).map(|p| p.id).collect();
        let of_group = |a: &Actor| members.contains(&a.id);
        // What of its waits is for memory, and what for the disk.
        let part = (pressure / (100.0 * group.io_pressure.unwrap_or(0.0)).max(pressure).max(1e-9)).min(1.0);
        let waits = |state: State| part * facts.ledger.sum(of_group, |a| a.in_state(state));
        let losses = [State::IoWait, State::TaskBlocked].map(|state| (state, waits(state)));
        let lost: f64 = losses.iter().map(|(_, s)| s).sum();
        if lost < params.limit(LOST, held) {
            let why = format!("held back {} times a second, its tasks wait {} s/s", short(hits), short(lost));
            judged.verdicts.push((subject, Verdict::Clear(why)));
            continue;
        }
        let mut found = Found::new(Class::Live, title(group));
        found.losses = losses.into_iter().filter(|(_, s)| *s > 0.0).collect();
        found.victims_time = facts.ledger.sum(of_group, Actor::time);
        found.evidence = vec![
            params.row("times its tasks were held back", hits, HITS, "host.cgroup.memory"),
            params.row("what its tasks wait in the kernel", lost, LOST, "host.iodelay"),
        ];
        found.evidence.push(params.row("PSI memory of the group", pressure, PRESSURE, "host.cgroup.memory"));
        found.fixes = fixes(facts, group);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no group has a memory.high");
    }
    judged
}

fn title(group: &CgroupFacts) -> String {
    let (has, high) = (group.memory_bytes.unwrap_or(0) as f64, group.memory_high_bytes.unwrap_or(0) as f64);
    format!("{} is held back at its memory.high: it uses {} of {}", group.path, bytes(has), bytes(high))
}

fn fixes(facts: &Facts<'_>, group: &CgroupFacts) -> Vec<Fix> {
    let high = group.memory_high_bytes.unwrap_or(0);
    // Above memory.max the group would be killed instead.
    let most = group.memory_limit_bytes.map_or(u64::MAX, |max| max / 100 * 95);
    let more = high.saturating_add(high / 2).min(most);
    let Some(file) = Word::path(&[group.directory.raw(), b"/memory.high"]).filter(|_| more > high) else { return Vec::new() };
    let title = format!("Raise its memory.high from {} to {}", bytes(high as f64), bytes(more as f64));
    let mut raise = fix::shell_fix(Phase::Relief, Horizon::Immediate, title, sh!("echo {} > {}", more, file));
    raise.undo = Some(sh!("echo {} > {}", high, file));
    raise.needs = "root".into();
    raise.needs_bytes = Some(more - high);
    raise.risk = "the rest of the machine has so much less; a manager (systemd, kubelet) may restore the old value".into();
    let available = facts.world.host.memory.as_ref().map_or(0, |m| m.available_bytes);
    let what = format!("{} available on the host", bytes(available as f64));
    raise.preflight = vec![Preflight { ok: available > more - high, what }];
    let unit = fix::unit_of(group.path.raw());
    let cure = unit.map(|unit| {
        let mut cure = raise.clone();
        (cure.phase, cure.horizon) = (Phase::Cure, Horizon::ShortTerm);
        cure.title = "Set it in its unit".into();
        cure.command = sh!("systemctl set-property {} MemoryHigh={}", unit, more);
        cure.undo = Some(sh!("systemctl set-property {} MemoryHigh={}", unit, high));
        cure
    });
    std::iter::once(raise).chain(cure).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{cgroup, inside, service};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// No group of version 2 with a memory controller could be had where this was written: figures of the kernel's documentation.
    fn held_back(hits: f64, waits: f64) -> Bench {
        let api = ProcFacts { io_wait: Some(waits), ..service(100, "api", 8080) };
        let group = CgroupFacts {
            memory_bytes: Some(540 << 20),
            memory_high_bytes: Some(512 << 20),
            high_hits_per_s: Some(hits),
            memory_pressure: Some(0.4),
            ..cgroup("/system.slice/api.service")
        };
        Bench::quiet().running(vec![inside("/system.slice/api.service", api)]).grouped(vec![group])
    }

    #[test]
    fn a_group_at_its_limit_is_found_and_held() {
        let found = held_back(40.0, 0.6);
        found.must_say(&RULE, "found /system.slice/api.service is held back at its memory.high: it uses 540 MiB of 512 MiB");
        Table { clear: held_back(0.5, 0.6), unknown: None, found, held: Some(held_back(0.8, 0.04)) }.check(&RULE);
        held_back(40.0, 0.01).must_say(&RULE, "clear");
        assert_eq!(held_back(40.0, 0.6).pastes(&RULE)[0], "echo 805306368 > /sys/fs/cgroup/system.slice/api.service/memory.high");
    }
}
