//! host.cpu.throttled: a cgroup's CPU quota stops its tasks, whether or not CPUs are idle.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State, inside};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::{cgroup_subject, confidence};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::CgroupFacts;
use crate::model::host::Controller;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, short};

const THROTTLED_PERIODS: Param = Param {
    name: "throttled_periods",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 100.0,
    what: "share of the group's periods in which it was throttled",
};
pub const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.02,
    min: 0.001,
    max: 100.0,
    what: "foreground time its tasks lose",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.cpu.throttled",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a cgroup's CPU quota stops its tasks, whether or not CPUs are idle",
    params: &[THROTTLED_PERIODS, LOST],
    origins: &["host.cgroup.cpu", "host.schedstat", "host.cpu"],
    page: "\
A control group has a CPU quota. When its tasks have used it up, they stop until the next period, whatever else is
idle. CPU percent looks low, PSI cpu looks high, and latencies rise in steps of up to a period (100 ms by default).

While CPUs are free (busy below 58 % of 2 CPUs, 76 % of 8) and 5 % of the periods or more are throttled, the whole run
delay of the group's foreground tasks is charged; otherwise it is the time throttled (`cpu.stat`), capped by that run
delay. A quota of an ancestor counts for all groups below it; of several, the one that explains most is charged.

**What looks like it**: CPU contention (then CPUs are busy, and `nr_throttled` does not grow).

**Relief**: raise the quota now, unless it already covers the whole machine. **Cure**: set it where it is configured
(unit, pod limit); by hand: fewer threads, because many burn a small quota in the first milliseconds of each period.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let groups = match &facts.world.host.cgroups {
        Ok(groups) => groups,
        Err(lack) => return Judged::unknown(Subject::host(), lack),
    };
    let with_quota: Vec<&CgroupFacts> = groups
        .iter()
        .filter(|g| matches!(g.controller, Controller::Cpu | Controller::Unified) && g.quota_cores.is_some())
        .collect();
    if with_quota.is_empty() {
        return Judged::clear(Subject::host(), "no control group has a CPU quota");
    }
    let mut judged = Judged::default();
    for group in with_quota {
        let subject = cgroup_subject(facts.world, group.path.shown());
        let held = is_held(prev, &subject);
        let share = group.throttled_share.unwrap_or(0.0) * 100.0;
        let is_member = |a: &Actor| a.throttled_by.as_ref() == Some(&group.path);
        let lost = facts.ledger.sum(is_member, |a| a.in_state(State::CpuThrottled));
        if group.throttled_share.is_none() && group.throttled_s_per_s.is_none() {
            let lack = crate::model::seen::Lack::first_sample("cpu.stat of the group");
            judged.verdicts.extend(Judged::unknown(subject, &lack).verdicts);
        } else if share < params.limit(THROTTLED_PERIODS, held) || lost < params.limit(LOST, held) {
            let why = format!("throttled in {} % of its periods, {} s/s of foreground time", short(share), short(lost));
            judged.verdicts.push((subject, Verdict::Clear(why)));
        } else {
            judged.verdicts.push((subject, Verdict::Found(Box::new(found(facts, params, group, lost)))));
        }
    }
    judged
}

fn found(facts: &Facts<'_>, params: &Params<'_>, group: &CgroupFacts, lost: f64) -> Found {
    let quota = group.quota_cores.unwrap_or(0.0);
    let share = group.throttled_share.unwrap_or(0.0) * 100.0;
    let mut found = Found::new(
        Class::Live,
        format!("{} is limited to {} CPUs and throttled in {} % of its periods", group.path, short(quota), short(share)),
    );
    let is_member = |a: &Actor| a.throttled_by.as_ref() == Some(&group.path);
    found.losses = vec![(State::CpuThrottled, lost)];
    found.victims_time = facts.ledger.sum(is_member, Actor::time);
    found.held_share = share / 100.0;
    found.evidence = vec![
        params.row("periods in which it was throttled", share, THROTTLED_PERIODS, "host.cgroup.cpu"),
        params.row("wait of its tasks while throttled", lost, LOST, "host.schedstat"),
        evidence("quota", quota, Unit::Cores, None, "host.cgroup.cpu"),
    ];
    let summed = "time throttled, summed over run queues";
    let throttled = group.throttled_s_per_s;
    found.evidence.extend(throttled.map(|t| evidence(summed, t, Unit::SecondsPerSecond, None, "host.cgroup.cpu")));
    if let Ok(cpu) = &facts.world.host.cpu {
        let idle = (1.0 - cpu.busy) * facts.world.cpus();
        found.evidence.push(evidence("CPUs idle meanwhile", idle, Unit::Cores, None, "host.cpu"));
        found.against.push(evidence("CPU busy on the whole host", cpu.busy * 100.0, Unit::Percent, None, "host.cpu"));
    }
    found.fixes = fixes(facts, group, lost);
    found.confidence = confidence(facts.ledger, lost, 0);
    found
}

/// What it uses plus what it lacks, a fifth on top, in tenths of a CPU; never more than the machine has.
fn wanted_cores(facts: &Facts<'_>, group: &CgroupFacts, lost: f64) -> f64 {
    let used: f64 = facts.world.processes().iter().filter(|p| inside(p, group)).filter_map(|p| p.cpu).sum();
    let wanted = ((used + lost) * 12.0).ceil() / 10.0;
    wanted.max(group.quota_cores.unwrap_or(0.0) * 1.5).min(facts.world.cpus())
}

fn fixes(facts: &Facts<'_>, group: &CgroupFacts, lost: f64) -> Vec<Fix> {
    let period = group.period_us.unwrap_or(100_000);
    let old_us = (group.quota_cores.unwrap_or(0.0) * period as f64).round() as u64;
    let wanted = wanted_cores(facts, group, lost);
    // A quota of the whole machine is none: what it lacks then is CPUs.
    if group.quota_cores.is_some_and(|quota| wanted <= quota) {
        return Vec::new();
    }
    let new_us = (wanted * period as f64).round() as u64;
    let dir = group.directory.raw();
    let first = group.controller == Controller::Cpu;
    let file = |name: &[u8]| Word::path(&[dir, b"/", name]);
    let quota = file(if first { b"cpu.cfs_quota_us" } else { b"cpu.max" });
    let (Some(quota), Some(verify)) = (quota, file(b"cpu.stat")) else { return Vec::new() };
    let set = |us: u64| if first { sh!("echo {} > {}", us, quota) } else { sh!("echo '{} {}' > {}", us, period, quota) };
    let (command, undo) = (set(new_us), set(old_us));
    let idle = facts.world.host.cpu.as_ref().map_or(0.0, |c| (1.0 - c.busy) * facts.world.cpus());
    let title = format!("Raise the quota from {} to {} CPUs", short(group.quota_cores.unwrap_or(0.0)), short(wanted));
    let mut relief = fix::shell_fix(Phase::Relief, Horizon::Immediate, title, command);
    relief.undo = Some(undo);
    relief.risk = "its neighbours get less when CPUs are short; a manager (systemd, kubelet) may restore the old value".into();
    relief.needs = "root".into();
    relief.preflight = vec![Preflight { ok: idle > 0.2, what: format!("{} CPUs are idle", short(idle)) }];
    relief.verify = sh!("cat {}; sleep 2; cat {}", verify, verify);
    let mut cure = relief.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::LongTerm;
    cure.title = "Set the quota where it is configured".into();
    if let Some(unit) = fix::unit_of(group.path.raw()) {
        cure.command = sh!("systemctl set-property {} CPUQuota={}%", unit, (wanted * 100.0).round() as u64);
        let old = group.quota_cores.unwrap_or(0.0) * 100.0;
        cure.undo = Some(sh!("systemctl set-property {} CPUQuota={}%", unit, old.round() as u64));
    } else {
        cure.command = Command::note(format!(
            "# {}: in the pod's limits, the container's --cpus or the service's unit: {} CPUs",
            named(group.path.raw()),
            short(wanted)
        ));
        cure.undo = None;
    }
    cure.takes_s = None;
    vec![relief, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{cgroup, inside, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    /// A service waits in a group of half a CPU that is throttled in so many of its periods.
    fn throttled(periods: Option<f64>, waits: f64) -> Bench {
        let group = CgroupFacts {
            quota_cores: Some(0.5),
            throttled_share: periods,
            throttled_s_per_s: periods.map(|_| 0.1),
            ..cgroup("/api.service")
        };
        let server = ProcFacts { cpu: Some(0.4), runnable: Some(waits), ..service(100, "api", 8080) };
        Bench::quiet().running(vec![inside("/api.service", server)]).grouped(vec![group])
    }

    #[test]
    fn a_quota_is_found_while_its_tasks_wait() {
        let found = throttled(Some(0.06), 0.3);
        found.must_say(&RULE, "found /api.service is limited to 0.5 CPUs and throttled in 6.0 % of its periods");
        throttled(Some(0.06), 0.3).on(|host| host.cgroups = Err(unread())).must_say(&RULE, "unknown");
        Table {
            clear: throttled(Some(0.5), 0.01),
            unknown: Some(throttled(None, 0.3)),
            found,
            held: Some(throttled(Some(0.04), 0.3)),
        }
        .check(&RULE);
    }
}
