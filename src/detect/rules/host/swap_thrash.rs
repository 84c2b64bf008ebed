//! host.memory.swap_thrash: swapping in and out, on average over the window, while tasks stall for memory.

use super::memory_reclaim;
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::Crowd;
use crate::detect::rules::support::{confidence, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::seen::Lack;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

const SWAPPED: Param = Param {
    name: "swapped",
    unit: Unit::BytesPerSecond,
    default: 1_048_576.0,
    min: 4096.0,
    max: 1e11,
    what: "traffic in each direction, mean over the window; one direction alone is housekeeping or recovery",
};
const PRESSURE: Param =
    Param { name: "pressure", unit: Unit::Percent, default: 5.0, min: 0.1, max: 100.0, what: "PSI memory at the same time" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.swap_thrash",
    class: Class::Live,
    culprit: Culprit::One,
    says: "swapping in AND out, on average over the window, while tasks stall for memory",
    params: &[SWAPPED, PRESSURE],
    origins: &["host.vmstat", "host.psi.memory", "host.processes"],
    page: "\
Pages go out to swap and come back a moment later: the memory in use does not fit. Swap that is used but idle costs
nothing (1 GiB of pages that nobody touches may stay there for weeks), and swapping in alone is recovery.

Both rates are means over the window. PSI memory must be up as well; on a kernel without PSI the rates alone decide.
Swapping because of a group's own limit counts too: the counters are the whole host's.

The loss is the time that tasks stall for memory (PSI memory some, a lower bound) x the others' share of the major
faults, plus the IO wait of others x min(1, bytes swapped in / bytes read).

**Who is to blame**: of the programs with a major fault per second the one that grows most (1 MiB/s and a twentieth of
the memory at least), else the largest. **Relief**: pause it, where nobody depends on it. **Cure**: see who is
swapped; by hand: a limit for it, more memory.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let memory = match &facts.world.host.memory {
        Ok(memory) => memory,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let (Some(came), Some(went)) = (memory.swap_in_bytes_per_s, memory.swap_out_bytes_per_s) else {
        return Judged::unknown(host, &Lack::first_sample("pswpin and pswpout"));
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    // A kernel without PSI says nothing of pressure: the swapping alone counts then.
    let pressure = facts.world.host.psi.memory.as_ref().ok().map(|p| p.best() * 100.0);
    let calm = pressure.is_some_and(|p| p < params.limit(PRESSURE, held));
    if came.min(went) < params.limit(SWAPPED, held) || calm {
        return Judged::clear(host, format!("swap: {}/s in, {}/s out", bytes(came), bytes(went)));
    }
    // Chosen again each time: who grew first may by now be one of those whose pages go.
    let Some(program) = memory_reclaim::culprit(facts, None, |p| p.major_faults_per_s.is_some_and(|f| f >= 1.0))
        .or_else(|| programs(facts.world, |p| p.rss_bytes as f64).into_iter().next().map(Crowd::from))
    else {
        return Judged::clear(host, "no process holds memory");
    };
    // Of the pages that come back some are its own: others stand still by their share of the major faults.
    let faults = |own: bool| {
        let counted = facts.world.processes().iter().filter(|p| program.members.iter().any(|m| m.family == p.family) == own);
        counted.filter_map(|p| p.major_faults_per_s).sum::<f64>()
    };
    let of_others = faults(false) / (faults(true) + faults(false)).max(1e-9);
    let stalled = facts.ledger.state(State::MemoryStalled) * of_others;
    let title = format!(
        "The working set does not fit in memory: {}/s swapped out and {}/s in; {} {} {}",
        bytes(went),
        bytes(came),
        program.label,
        program.verb("holds", "hold"),
        bytes(program.amount)
    );
    let mut found = Found::new(Class::Live, title);
    let reads = memory.read_bytes_per_s.unwrap_or(0.0);
    let waits = facts.ledger.sum(|a| !program.has(a), Actor::disk_wait) * (came / reads.max(came).max(1.0));
    found.losses = vec![(State::MemoryStalled, stalled), (State::IoWait, waits)];
    found.victims_time = facts.ledger.sum(|a| !program.has(a), Actor::time) + stalled;
    found.own_time = facts.ledger.sum(|a| program.has(a), Actor::time);
    found.evidence = vec![
        params.row("swapped in", came, SWAPPED, "host.vmstat"),
        params.row("swapped out", went, SWAPPED, "host.vmstat"),
        evidence("swap IO wait it causes others", waits, Unit::SecondsPerSecond, None, "host.iodelay"),
        evidence("share of swapped-in pages that are others'", of_others * 100.0, Unit::Percent, None, "host.processes"),
        evidence("memory held by the program", program.amount, Unit::Bytes, None, "host.processes"),
    ];
    if let Some(pressure) = pressure {
        found.evidence.insert(2, params.row("PSI memory some", pressure, PRESSURE, "host.psi.memory"));
    }
    found.confidence = confidence(facts.ledger, stalled + waits, 0);
    found.lacks = usize::from(pressure.is_none());
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        "See who is swapped, and cap what does not fit",
        sh!("grep VmSwap /proc/[0-9]*/status 2>/dev/null | sort -k2 -rn | head"),
    );
    cure.risk = "none: read-only".into();
    found.fixes = fix::pause(facts.world, &program.members).into_iter().chain([cure]).collect();
    Judged::found(program.subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};
    use crate::model::facts::ProcFacts;

    const MIB: f64 = 1_048_576.0;

    /// So much comes from swap and goes there each second, and a task stalls for that share of the time.
    fn swapping(came: f64, went: f64, stalled: f64) -> Bench {
        let large = ProcFacts { rss_bytes: 6 << 30, major_faults_per_s: Some(300.0), ..process(200, "hog") };
        let server = ProcFacts { cpu: Some(0.2), major_faults_per_s: Some(100.0), ..service(100, "api", 8080) };
        let busy = Bench::quiet().running(vec![large, server]).on(|host| host.psi.memory = pressure(stalled));
        busy.with_memory(|memory| {
            (memory.swap_in_bytes_per_s, memory.swap_out_bytes_per_s) = (Some(came * MIB), Some(went * MIB));
        })
    }

    #[test]
    fn swapping_both_ways_is_found_one_way_is_recovery() {
        let found = swapping(1.1, 1.2, 0.06);
        found.must_say(
            &RULE,
            "found The working set does not fit in memory: 1.2 MiB/s swapped out and 1.1 MiB/s in; hog (pid 200) holds 6.0 GiB",
        );
        swapping(1.1, 1.2, 0.04).must_say(&RULE, "clear");
        swapping(1.1, 1.2, 0.06).on(|host| host.memory = Err(unread())).must_say(&RULE, "unknown");
        Table {
            clear: swapping(80.0, 0.6, 0.3),
            unknown: Some(swapping(1.1, 1.2, 0.06).with_memory(|memory| memory.swap_out_bytes_per_s = None)),
            found,
            held: Some(swapping(0.8, 0.9, 0.04)),
        }
        .check(&RULE);
    }
}
