//! host.memory.swap_thrash: swapping in and out, sustained.

use super::memory_reclaim;
use crate::detect::command::sh;
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State};
use crate::detect::params::{Param, Params};
use crate::detect::rules::support::{confidence, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, evidence};
use crate::model::seen::Lack;
use crate::model::source::SourceKind;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

const SWAPPED: Param = Param {
    name: "swapped",
    unit: Unit::BytesPerSecond,
    default: 1_048_576.0,
    min: 4096.0,
    max: 1e11,
    what: "that must go in each direction over the whole window; one direction alone is housekeeping or recovery",
};
const PRESSURE: Param =
    Param { name: "pressure", unit: Unit::Percent, default: 5.0, min: 0.1, max: 100.0, what: "PSI memory that must go with it" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.swap_thrash",
    class: Class::Live,
    source: SourceKind::Host,
    says: "swapping in AND out, sustained",
    params: &[SWAPPED, PRESSURE],
    origins: &["host.vmstat", "host.psi.memory", "host.processes"],
    page: "\
Pages go out to swap and come back a moment later: the memory in use does not fit. Swap that is used and lies still costs nothing
(1 GiB of pages that nobody touches may stay there for weeks), and swapping in alone is recovery.

The cost is the time that tasks stand still for memory (PSI memory some, a lower bound; of it the part of others by their share
of the major faults), and the IO wait of others by the share of swap in all that is read. It counts for a group's own limit as for the host.

**Who is to blame**: of the programs whose pages come back the one that grows most, else the largest. **Relief**: pause it. **Cure**: a limit for it, more memory.",
    judge,
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
    let Some(program) = memory_reclaim::culprit(facts, prev, |p| p.major_faults_per_s.is_some_and(|f| f >= 1.0))
        .or_else(|| programs(facts.world, |p| p.rss_bytes as f64).into_iter().next())
    else {
        return Judged::clear(host, "no process holds memory");
    };
    // Of the pages that come back some are its own: others stand still by their share of the major faults.
    let faults = |own: bool| {
        let counted = facts.world.processes().iter().filter(|p| (p.family == program.root) == own);
        counted.filter_map(|p| p.major_faults_per_s).sum::<f64>()
    };
    let of_others = faults(false) / (faults(true) + faults(false)).max(1e-9);
    let stalled = facts.ledger.state(State::MemoryStalled) * of_others;
    let title = format!(
        "Memory does not fit: {}/s go to swap and {}/s come back, {} holds most",
        bytes(went),
        bytes(came),
        program.label()
    );
    let mut found = Found::new(Class::Live, title);
    let reads = memory.read_bytes_per_s.unwrap_or(0.0);
    let waits = facts.ledger.sum(|a| a.family != program.root, Actor::disk_wait) * (came / reads.max(came).max(1.0));
    found.losses = vec![(State::MemoryStalled, stalled), (State::IoWait, waits)];
    found.victims_time = facts.ledger.sum(|a| a.family != program.root, Actor::time) + stalled;
    found.own_time = facts.ledger.sum(|a| a.family == program.root, Actor::time);
    found.evidence = vec![
        params.row("swapped in", came, SWAPPED, "host.vmstat"),
        params.row("swapped out", went, SWAPPED, "host.vmstat"),
        evidence("others wait for IO of swap", waits, Unit::SecondsPerSecond, None, "host.iodelay"),
        evidence("of the pages that come back are others'", of_others * 100.0, Unit::Percent, None, "host.processes"),
        evidence("held by the program", program.amount, Unit::Bytes, None, "host.processes"),
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
    cure.risk = "none: it only looks".into();
    found.fixes = fix::pause(facts.world, &program.members).into_iter().chain([cure]).collect();
    Judged::found(program.subject(), found)
}
