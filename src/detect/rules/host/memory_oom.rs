//! host.memory.oom: the OOM killer ran, in a control group or on the whole host.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::fix;
use crate::detect::memory::Held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::support::cgroup_subject;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::CgroupFacts;
use crate::model::host::Controller;
use crate::model::seen::Lack;
use crate::model::shell::Word;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

const TAIL: Param = Param {
    name: "tail",
    unit: Unit::Seconds,
    default: 60.0,
    min: 1.0,
    max: 3600.0,
    what: "how long a kill stays shown after the last one, marked as ended",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.oom",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "the OOM killer ran, in a control group or on the whole host",
    params: &[TAIL],
    origins: &["host.cgroup.memory", "host.vmstat", "host.memory"],
    page: "\
The kernel killed a process because memory ran out: in one control group (its limit was hit, the host may have plenty)
or on the whole host. Its work is lost, and clients see errors.

It counts kills within the window, from the group's own events. They are attributed to the nearest group, itself or
above, whose limit was reached. The counter of /proc/vmstat counts kills in groups too, so the host is named only when
no such group had any; inside a container it is not used. For `tail` seconds after it a kill is still shown, as ended;
a kill since boot whose time is unknown is not a finding.

**Relief**: raise the group's limit by half, where that fits; on the host, pause the largest process that may be
paused. **Cure**: cap the application below the limit of its group (heap size, pool size, workers); on the host, see
who was killed. By hand: find what grows, and have it restart on its own.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = &facts.world.host;
    let groups = host.cgroups.as_deref().unwrap_or_default();
    let mut judged = Judged::default();
    let mut in_groups = 0;
    // The limit that was reached may be that of a group above, which is one story for all below it.
    let mut reached: Vec<(&CgroupFacts, u64)> = Vec::new();
    for group in groups {
        let Some(kills) = group.oom_kills.filter(|k| *k > 0) else { continue };
        // The count is that of any OOM killer: without a limit that was reached it was the host's.
        let Some(limited) = limited(groups, group) else { continue };
        in_groups += kills;
        match reached.iter_mut().find(|(g, _)| g.path == limited.path) {
            Some((_, all)) => *all += kills,
            None => reached.push((limited, kills)),
        }
    }
    for (group, kills) in reached {
        let subject = cgroup_subject(facts.world, group.path.shown());
        judged.verdicts.push((subject, Verdict::Found(Box::new(in_group(facts, group, kills)))));
    }
    let everywhere = host.memory.as_ref().ok().and_then(|m| m.oom_kills);
    // Inside a container the count of /proc/vmstat is that of the whole machine, its neighbours' kills among them.
    let inside = facts.world.identity.as_ref().is_some_and(|i| i.inside.is_some());
    let everywhere = if inside { everywhere.map(|_| in_groups) } else { everywhere };
    // A group that was made and removed within the window takes its count with it: the host is named then.
    let unexplained = everywhere.unwrap_or(0).saturating_sub(in_groups);
    if unexplained > 0 && in_groups == 0 {
        judged.verdicts.push((Subject::host(), Verdict::Found(Box::new(on_host(facts, unexplained)))));
    }
    let now_ms = facts.world.at.wall_ms;
    let tail_ms = (params.get(TAIL) * 1000.0) as i64;
    for held in prev.iter().flat_map(|p| &p.held) {
        let active = judged.verdicts.iter().any(|(s, _)| s.typed_key() == held.subject.typed_key());
        if !active && now_ms - held.active_ms < tail_ms {
            judged.verdicts.push((held.subject.clone(), Verdict::Found(Box::new(ended(held)))));
        }
    }
    if judged.verdicts.is_empty() {
        return match everywhere {
            Some(_) => Judged::clear(Subject::host(), "no OOM kill in the window (oom_kill of /proc/vmstat)"),
            None => {
                let first = || Lack::first_sample("oom_kill of /proc/vmstat");
                Judged::unknown(Subject::host(), &host.memory.as_ref().err().cloned().unwrap_or_else(first))
            }
        };
    }
    judged
}

/// The group itself or the nearest one above it that has a limit, when that limit was reached.
fn limited<'a>(groups: &'a [CgroupFacts], group: &'a CgroupFacts) -> Option<&'a CgroupFacts> {
    let above = |g: &&CgroupFacts| {
        let (above, below) = (g.path.raw(), group.path.raw());
        g.controller == group.controller
            && (above == b"/" || below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'))
    };
    let reached = |g: &&CgroupFacts| g.memory_limit_bytes.is_some() && g.limit_hits_per_s.is_none_or(|hits| hits > 0.0);
    groups.iter().filter(above).filter(reached).max_by_key(|g| g.path.raw().len())
}

fn ended(held: &Held) -> Found {
    let mut found = Found::new(Class::Error, format!("The OOM killer ran in {} a moment ago", held.subject.label));
    found.ended = true;
    found.failed_per_s = held.failed_per_s;
    found
}

fn per_s(facts: &Facts<'_>, kills: u64) -> f64 {
    kills as f64 / facts.world.window_s.max(1.0)
}

fn in_group(facts: &Facts<'_>, group: &CgroupFacts, kills: u64) -> Found {
    let limit = group.memory_limit_bytes.map_or_else(|| "its limit".to_owned(), |l| bytes(l as f64));
    let title = format!("The OOM killer ran {} in {}: it reached {limit}", times(kills), group.path);
    let mut found = Found::new(Class::Error, title);
    found.failed_per_s = Some(per_s(facts, kills));
    found.evidence = vec![evidence("OOM kills in the window", kills as f64, Unit::Count, NONE_IS_FINE, "host.cgroup.memory")];
    if let Some(limit) = group.memory_limit_bytes {
        found.evidence.push(evidence("limit of the group", limit as f64, Unit::Bytes, None, "host.cgroup.memory"));
    }
    if let Some(current) = group.memory_bytes {
        found.evidence.push(evidence("memory charged now", current as f64, Unit::Bytes, None, "host.cgroup.memory"));
    }
    if let Ok(memory) = &facts.world.host.memory {
        let available = memory.available_bytes as f64;
        found.against = vec![evidence("memory available on the host", available, Unit::Bytes, None, "host.memory")];
    }
    found.fixes = group_fixes(facts, group);
    found
}

fn times(kills: u64) -> String {
    if kills == 1 { "once".to_owned() } else { format!("{kills} times") }
}

fn group_fixes(facts: &Facts<'_>, group: &CgroupFacts) -> Vec<Fix> {
    let Some(limit) = group.memory_limit_bytes else { return Vec::new() };
    let more = limit.saturating_add(limit / 2);
    let fits = facts.world.host.memory.as_ref().is_ok_and(|m| more <= m.raw.total);
    let available = facts.world.host.memory.as_ref().map_or(0, |m| m.available_bytes);
    let name: &[u8] = if group.controller == Controller::Memory { b"memory.limit_in_bytes" } else { b"memory.max" };
    let Some(file) = Word::path(&[group.directory.raw(), b"/", name]) else { return Vec::new() };
    let title = format!("Raise its limit from {} to {}", bytes(limit as f64), bytes(more as f64));
    let mut relief = fix::shell_fix(Phase::Relief, Horizon::Immediate, title, sh!("echo {} > {}", more, file));
    relief.undo = Some(sh!("echo {} > {}", limit, file));
    relief.risk = "the host has that much less for everyone else; a manager may restore the old value".into();
    relief.needs = "root".into();
    relief.needs_bytes = Some(more - limit);
    let enough = available > (more - limit) * 2;
    relief.preflight = vec![Preflight { ok: enough, what: format!("{} available on the host", bytes(available as f64)) }];
    relief.verify = sh!("cat {}; perftop check --for 10s --only host.memory.oom", file);
    let mut cure = relief.clone();
    cure.phase = Phase::Cure;
    cure.horizon = Horizon::ShortTerm;
    cure.title = "Cap the application below the limit of its group".into();
    cure.command = Command::note(format!(
        "# heap, pool or worker settings of what runs in {}: at most {}",
        named(group.path.raw()),
        bytes(limit as f64 * 0.75)
    ));
    cure.undo = None;
    cure.takes_s = None;
    cure.needs_bytes = None;
    cure.needs = "the application's configuration and a restart".into();
    cure.preflight = Vec::new();
    if fits { vec![relief, cure] } else { vec![cure] }
}

fn on_host(facts: &Facts<'_>, kills: u64) -> Found {
    let plenty = facts.world.host.memory.as_ref().is_ok_and(|m| m.used < 0.9);
    let where_ =
        if plenty { "in a control group that no longer exists; the host has free memory" } else { "the host is out of memory" };
    let mut found = Found::new(Class::Error, format!("The OOM killer ran {}: {where_}", times(kills)));
    found.failed_per_s = Some(per_s(facts, kills));
    found.evidence = vec![evidence("OOM kills in the window", kills as f64, Unit::Count, NONE_IS_FINE, "host.vmstat")];
    if let Ok(memory) = &facts.world.host.memory {
        found.evidence.push(evidence("memory available", memory.available_bytes as f64, Unit::Bytes, None, "host.memory"));
    }
    let largest = facts.world.processes().iter().max_by_key(|p| p.rss_bytes);
    if let Some(p) = largest {
        let mut relief = fix::pause(facts.world, &[p]);
        if let Some(relief) = &mut relief {
            relief.title = format!("Pause the largest process, {}, with {}", p.label(), bytes(p.rss_bytes as f64));
        }
        let show = fix::shell_fix(
            Phase::Cure,
            Horizon::ShortTerm,
            "See who was killed and what was large",
            sh!("dmesg -T | grep -iE 'oom|killed process' | tail -n 20"),
        );
        found.fixes = relief.into_iter().chain([show]).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{cgroup, unread};
    use crate::detect::bench::{Bench, Table};

    fn group(path: &str, limit: Option<u64>, hits: Option<f64>) -> CgroupFacts {
        CgroupFacts { memory_limit_bytes: limit, limit_hits_per_s: hits, ..cgroup(path) }
    }

    /// The kernel counts a kill in the victim's group, whoever was out of memory.
    #[test]
    fn a_kill_belongs_to_the_nearest_limit_that_was_reached() {
        let all = [
            group("/app.slice", Some(1 << 30), Some(2.0)),
            group("/app.slice/a.service", Some(2 << 30), Some(0.0)),
            group("/app.slicer", Some(1 << 20), Some(9.0)),
            group("/other.service", None, None),
        ];
        let of = |at: usize| limited(&all, &all[at]).map(|g| g.path.shown());
        assert_eq!(of(1), Some("/app.slice"), "its own limit was not reached, that of its slice was");
        assert_eq!(of(3), None, "no limit: the host was out of memory");
    }

    /// The host counted that many kills within the window, which ended so many seconds after the world before.
    fn killed(kills: u64, later_s: i64) -> Bench {
        let counted = Bench::quiet().with_memory(|memory| {
            (memory.oom_kills, memory.oom_kills_ever) = (Some(kills), Some(7));
            memory.used = 0.97;
        });
        counted.with(|world| world.at.wall_ms = later_s * 1000)
    }

    #[test]
    fn a_kill_is_found_and_shown_for_a_minute() {
        let found = killed(2, 0);
        found.must_say(&RULE, "found The OOM killer ran 2 times: the host is out of memory");
        let unread = |host: &mut crate::model::facts::HostFacts| host.memory = Err(unread());
        Table { clear: killed(0, 61), unknown: Some(killed(0, 0).on(unread)), found, held: Some(killed(0, 59)) }.check(&RULE);
    }

    #[test]
    fn a_kill_in_a_group_is_of_its_limit_when_that_was_reached() {
        let in_group = |hits| {
            let group = CgroupFacts { oom_kills: Some(1), ..group("/api.service", Some(1 << 30), Some(hits)) };
            killed(1, 0).grouped(vec![group])
        };
        in_group(3.0).must_say(&RULE, "found The OOM killer ran once in /api.service: it reached 1.0 GiB");
        in_group(0.0).must_say(&RULE, "found The OOM killer ran once: the host is out of memory");
        // Two groups below one limit are one story.
        let below = CgroupFacts { oom_kills: Some(1), ..group("/api.service/worker", None, None) };
        let above = CgroupFacts { oom_kills: Some(1), ..group("/api.service", Some(1 << 30), Some(3.0)) };
        killed(2, 0).grouped(vec![above, below]).must_say(&RULE, "found The OOM killer ran 2 times in /api.service");
    }
}
