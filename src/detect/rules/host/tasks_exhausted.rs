//! host.tasks.exhausted: no pids or threads left.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::cgroup_subject;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::CgroupFacts;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, count};

const NEARLY: Param = Param {
    name: "nearly",
    unit: Unit::Percent,
    default: 90.0,
    min: 50.0,
    max: 100.0,
    what: "share of the limit at which it is a risk; at the limit it is an error",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.tasks.exhausted",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "no pids or threads left, or nearly none (pids.max, threads-max, pid_max)",
    params: &[NEARLY],
    origins: &["host.cgroup.tasks", "host.limits"],
    page: "\
A control group has as many tasks as `pids.max` allows, or the host as many as the lesser of `threads-max` and
`pid_max`: fork and clone fail with EAGAIN (\"Resource temporarily unavailable\"), shells cannot start commands.
Threads count as well as processes. From `nearly` on it is a risk.

**Relief**: double the limit. **Cure**: in a group, see who has the tasks; by hand: find what leaks threads or forks
without waiting.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let mut judged = Judged::default();
    for group in host.cgroups.iter().flatten() {
        let Some((now, most)) = group.tasks.filter(|(_, most)| *most > 0) else { continue };
        let subject = cgroup_subject(facts.world, group.path.shown());
        if now as f64 >= most as f64 * params.limit(NEARLY, is_held(prev, &subject)) / 100.0 {
            judged.verdicts.push((subject, Verdict::Found(Box::new(in_group(group, now, most)))));
        }
    }
    let threads = host.load.as_ref().ok().map(|l| l.threads);
    let limits = [("threads-max", host.limits.raw.threads_max), ("pid_max", host.limits.raw.pid_max)];
    let tightest = limits.iter().filter_map(|(name, limit)| Some((*name, (*limit)?))).min_by_key(|(_, limit)| *limit);
    if let (Some(now), Some((name, most))) = (threads, tightest)
        && now as f64 >= most as f64 * params.limit(NEARLY, is_held(prev, &Subject::host())) / 100.0
    {
        let class = if now >= most { Class::Error } else { Class::Risk };
        let mut found = Found::new(
            class,
            format!("The host has {} of {} tasks that kernel.{name} allows", count(now as f64), count(most as f64)),
        );
        found.evidence = vec![evidence("tasks", now as f64, Unit::Count, Some(most as f64), "host.limits").of_capacity()];
        let mut raise = fix::shell_fix(
            Phase::Relief,
            Horizon::Immediate,
            "Raise the limit",
            sh!("sysctl -w kernel.{}={}", name, most.saturating_mul(2)),
        );
        raise.undo = Some(sh!("sysctl -w kernel.{}={}", name, most));
        raise.needs = "root".into();
        raise.risk = "kernel memory for each task".into();
        found.fixes = vec![raise];
        judged.verdicts.push((Subject::host(), Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let of = threads.map_or_else(|| "?".to_owned(), |n| count(n as f64));
        return Judged::clear(Subject::host(), format!("{of} tasks, no limit is near"));
    }
    judged
}

fn in_group(group: &CgroupFacts, now: u64, most: u64) -> Found {
    let (class, word) = if now >= most { (Class::Error, ": forks fail") } else { (Class::Risk, "") };
    let title = format!("{} has {} of the {} tasks it is allowed{word}", group.path, count(now as f64), count(most as f64));
    let mut found = Found::new(class, title);
    found.evidence =
        vec![evidence("tasks in the group", now as f64, Unit::Count, Some(most as f64), "host.cgroup.tasks").of_capacity()];
    found.fixes = fixes(group, most);
    found
}

fn fixes(group: &CgroupFacts, most: u64) -> Vec<Fix> {
    let below = |name: &[u8]| Word::path(&[group.directory.raw(), b"/", name]);
    let (Some(file), Some(procs)) = (below(b"pids.max"), below(b"cgroup.procs")) else { return Vec::new() };
    let mut raise = fix::shell_fix(
        Phase::Relief,
        Horizon::Immediate,
        format!("Raise its limit from {most} to {}", most.saturating_mul(2)),
        sh!("echo {} > {}", most.saturating_mul(2), file),
    );
    raise.undo = Some(sh!("echo {} > {}", most, file));
    raise.needs = "root".into();
    raise.risk = "a runaway fork continues; a manager may restore the old value".into();
    raise.verify = sh!("cat {}", file);
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See who has the tasks",
        sh!("ps -o nlwp,pid,comm --sort=-nlwp -p \"$(paste -sd, {})\" | head", procs),
    );
    cure.risk = "none: read-only".into();
    vec![raise, cure]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::cgroup;
    use crate::detect::bench::{Bench, Table};
    use crate::model::host::LoadRaw;

    fn in_group(tasks: u64) -> Bench {
        Bench::quiet().grouped(vec![CgroupFacts { tasks: Some((tasks, 100)), ..cgroup("/api.service") }])
    }

    #[test]
    fn a_group_near_its_limit_of_tasks_is_found_and_held() {
        let found = in_group(90);
        found.must_say(&RULE, "found /api.service has 90 of the 100 tasks it is allowed");
        in_group(100).must_say(&RULE, "found /api.service has 100 of the 100 tasks it is allowed: forks fail");
        Table { clear: in_group(62), unknown: None, found, held: Some(in_group(70)) }.check(&RULE);
    }

    #[test]
    fn so_is_the_host_by_the_lesser_of_its_limits() {
        let host = |threads| {
            Bench::quiet().on(|host| {
                host.load = host.load.clone().map(|load| LoadRaw { threads, ..load });
                (host.limits.raw.threads_max, host.limits.raw.pid_max) = (Some(60_000), Some(32_768));
            })
        };
        let found = host(30_000);
        found.must_say(&RULE, "found The host has 30k of 33k tasks that kernel.pid_max allows");
        host(29_000).must_say(&RULE, "clear");
        Table { clear: host(20_000), unknown: None, found, held: None }.check(&RULE);
    }
}
