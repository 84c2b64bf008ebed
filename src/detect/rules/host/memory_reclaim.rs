//! host.memory.reclaim: the host is short of memory: little is available, and tasks stall for it or re-read evicted pages.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Evidence, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::ledger::{Actor, State, refault_share};
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::rules::crowd::{Crowd, Look, crowds};
use crate::detect::rules::support::{Program, confidence, programs};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::{Facts as World, MemoryFacts, ProcFacts};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes, short};

const PRESSURE: Param = Param {
    name: "pressure",
    unit: Unit::Percent,
    default: 2.0,
    min: 0.1,
    max: 100.0,
    what: "PSI memory at which tasks visibly stall for memory",
};
pub const AVAILABLE: Param = Param {
    name: "available",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 50.0,
    what: "MemAvailable below which memory can be short at all, percent of total: a full page cache counts as available",
};
pub const REFAULTS: Param = Param {
    name: "refaults",
    unit: Unit::Percent,
    default: 30.0,
    min: 1.0,
    max: 100.0,
    what: "refaulted bytes, page cache and swapped pages, over the bytes read from devices",
};
const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.02,
    min: 0.001,
    max: 100.0,
    what: "time it costs: memory stalls, and IO wait of others by the share of refaults",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.memory.reclaim",
    class: Class::Live,
    culprit: Culprit::One,
    says: "the host is short of memory: little is available, and tasks stall for it or re-read evicted pages",
    params: &[PRESSURE, AVAILABLE, REFAULTS, LOST],
    origins: &["host.psi.memory", "host.memory", "host.vmstat", "host.processes"],
    page: "\
Little memory is available, and tasks pay for it: they scan and free pages themselves (direct reclaim), or re-read
pages that were just evicted (refaults: page cache, and anonymous pages from swap). The second shows as disk reads, so
that part of the IO wait is charged to memory.

High use alone means nothing: page cache is there to be used. It takes low MemAvailable (inside a container by its
limit) and either PSI memory or refaults. The loss is PSI memory some, less what is already IO wait, plus the IO wait
of everyone else x min(1, refaulted bytes / bytes read).

**Who is to blame**: the program whose resident memory grows most (1 MiB/s and a twentieth of the memory at least),
else the largest; where that has less than half of what all programs have, the smallest crowd that has half (copies of one program,
what runs in one control group, what one user runs).

**Relief**: pause it, where nobody depends on it. **Cure**: cap its memory in its unit; by hand: smaller caches or
heaps, more memory.",
    judge: Judge::Host(judge),
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let host = Subject::host();
    let memory = match &facts.world.host.memory {
        Ok(memory) => memory,
        Err(lack) => return Judged::unknown(host, lack),
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let available = memory.available_bytes as f64 / memory.raw.total.max(1) as f64 * 100.0;
    // Hysteresis of a lower limit: it must rise well above.
    let ceiling = params.get(AVAILABLE) / if held { crate::detect::params::HYSTERESIS } else { 1.0 };
    if available > ceiling {
        return Judged::clear(host, format!("{} % of the memory is available", short(available)));
    }
    let pressure = facts.world.host.psi.memory.as_ref().ok().map(|p| p.best() * 100.0);
    let refaults = refault_share(facts.world).unwrap_or(0.0) * 100.0;
    let pressed = pressure.is_some_and(|p| p >= params.limit(PRESSURE, held));
    let refaulting = refaults >= params.limit(REFAULTS, held);
    // kswapd alone may keep up: then nobody reclaims himself, PSI memory stays low, and reads are the price.
    if !pressed && !refaulting {
        let pressure = match &facts.world.host.psi.memory {
            Ok(psi) => psi.best() * 100.0,
            // Little is available, and whether anybody waits for it cannot be told.
            Err(lack) => return Judged::unknown(host, lack),
        };
        return Judged::clear(host, format!("little memory is available, but nothing waits: PSI memory {} %", short(pressure)));
    }
    let stalled = facts.ledger.state(State::MemoryStalled);
    let Some(program) = culprit(facts, prev, |_| true) else {
        return Judged::clear(host, "no process holds memory");
    };
    // What the culprit itself waits is its own affair.
    let reread = facts.ledger.sum(|a| !program.has(a), Actor::disk_wait) * refaults / 100.0;
    if stalled + reread < params.limit(LOST, held) {
        return Judged::clear(host, "little memory is available, but no foreground time is lost");
    }
    let mut found = Found::new(Class::Live, title(&program, memory));
    found.losses = vec![(State::MemoryStalled, stalled), (State::IoWait, reread)];
    found.victims_time = facts.ledger.sum(|a| !program.has(a), Actor::time) + stalled;
    found.own_time = facts.ledger.sum(|a| program.has(a), Actor::time);
    found.held_share = program.amount / memory.raw.total.max(1) as f64;
    found.evidence = evidence_rows(params, memory, pressure, refaults, available);
    found.against = vec![evidence("swap in use", swap_used(memory), Unit::Bytes, None, "host.memory")];
    found.eta_s = facts.learned.memory.time_to_zero().map(|(eta, _)| eta);
    found.confidence = confidence(facts.ledger, stalled + reread, facts.ledger.io_rounds);
    found.lacks = usize::from(pressure.is_none());
    found.fixes = fixes(facts.world, &program);
    Judged::found(program.subject.clone(), found)
}

fn title(program: &Crowd<'_>, memory: &MemoryFacts) -> String {
    let growth: f64 = program.members.iter().filter_map(|p| p.rss_growth_bytes_per_s).sum();
    let grows = if growth > 1e6 { format!(", growing by {}/s", bytes(growth)) } else { String::new() };
    format!(
        "Memory is short ({} available): {} {} {}{grows}",
        bytes(memory.available_bytes as f64),
        program.label,
        program.verb("holds", "hold"),
        bytes(program.amount)
    )
}

/// Of the programs with a process that `takes_part` the one that grows most (at least 1 MiB/s and a twentieth of the memory), else
/// the largest.
/// Where no program has half of what all have, and none grows, the smallest crowd that has is one.
pub fn culprit<'a>(facts: &Facts<'a>, prev: Option<&Prev>, takes_part: impl Fn(&ProcFacts) -> bool) -> Option<Crowd<'a>> {
    const GROWS: f64 = 1_048_576.0;
    const HALF: f64 = 0.5;
    let total = facts.world.host.memory.as_ref().map_or(f64::INFINITY, |m| m.raw.total as f64);
    let amount = |p: &ProcFacts| p.rss_bytes as f64;
    let mut all = programs(facts.world, amount);
    all.retain(|program| program.members.iter().any(|p| takes_part(p)));
    let growth = |p: &Program<'_>| p.members.iter().filter_map(|m| m.rss_growth_bytes_per_s).sum::<f64>();
    let held = |p: &Program<'_>| {
        let key = p.subject().typed_key();
        let entered = prev.and_then(|prev| prev.held(&key)).map(|h| h.entered_share);
        entered.is_some_and(|share| p.amount / total >= 0.7 * share)
    };
    let grower = || {
        let candidates = all.iter().enumerate().filter(|(_, p)| growth(p) > GROWS && p.amount > total / 20.0);
        candidates.max_by(|a, b| growth(a.1).total_cmp(&growth(b.1))).map(|(i, _)| i)
    };
    let known = all.iter().position(held);
    let half = HALF * all.iter().map(|p| p.amount).sum::<f64>();
    let look = Look { amount: &amount, waits: &|p| p.io_wait.is_some_and(|s| s > 0.0) };
    let many = known.is_none() && all.first().is_some_and(|first| first.amount < half);
    let mut crowds = if many { crowds(facts.world, &all, look, half) } else { Vec::new() };
    let was = |c: &Crowd<'_>| prev.is_some_and(|p| p.held.iter().any(|h| c.was(&h.subject)));
    // The pile that is held stays, whichever of it grows now.
    if let Some(at) = crowds.iter().position(was) {
        return Some(crowds.swap_remove(at));
    }
    match known.or_else(grower) {
        None if !crowds.is_empty() => Some(crowds.swap_remove(0)),
        index => {
            let index = index.unwrap_or(0);
            (index < all.len()).then(|| all.swap_remove(index).into())
        }
    }
}

fn swap_used(memory: &MemoryFacts) -> f64 {
    let used = memory.raw.swap_total.zip(memory.raw.swap_free).map(|(t, f)| t.saturating_sub(f));
    used.unwrap_or(0) as f64
}

fn evidence_rows(
    params: &Params<'_>,
    memory: &MemoryFacts,
    pressure: Option<f64>,
    refaults: f64,
    available: f64,
) -> Vec<Evidence> {
    let mut rows = vec![
        params.row_below("memory available", available, AVAILABLE, "host.memory"),
        params.either("share of reads that are refaults", refaults, REFAULTS, "host.vmstat"),
    ];
    rows.extend(pressure.map(|p| params.either("PSI memory some", p, PRESSURE, "host.psi.memory")));
    let scans = memory.direct_scan_pages_per_s;
    rows.extend(scans.map(|s| evidence("pages scanned by direct reclaim", s, Unit::PerSecond, NONE_IS_FINE, "host.vmstat")));
    let refault = memory.refault_bytes_per_s;
    rows.extend(refault.map(|r| evidence("page cache refaulted", r, Unit::BytesPerSecond, None, "host.vmstat")));
    rows
}

fn fixes(facts: &World, program: &Crowd<'_>) -> Vec<Fix> {
    let mut cure = fix::shell_fix(
        Phase::Cure,
        Horizon::ShortTerm,
        format!("Cap its memory below the {} it holds, in its unit", bytes(program.amount)),
        Command::note(format!(
            "# [Service] MemoryHigh={:.0}M   (or the heap and cache settings of {})",
            program.amount * 0.7 / 1_048_576.0,
            program.label
        )),
    );
    cure.risk = "it slows down or fails to allocate, instead of everyone else".into();
    cure.needs = "root; a restart of the unit".into();
    cure.takes_s = None;
    cure.verify = sh!("perftop check --for 10s --only host.memory.reclaim");
    fix::pause(facts, &program.members).into_iter().chain([cure]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::host::{pressure, process, service, unread};
    use crate::detect::bench::{Bench, Table};

    /// A program holds most of the memory: that share is available, and a task stalls for that share of the time.
    fn short_of(available: f64, stalled: f64) -> Bench {
        let large = ProcFacts { rss_bytes: 6 << 30, ..process(200, "hog") };
        let server = ProcFacts { cpu: Some(0.2), io_wait: Some(0.2), ..service(100, "api", 8080) };
        let busy = Bench::quiet().running(vec![large, server]).with_memory(|memory| {
            memory.available_bytes = (memory.raw.total as f64 * available) as u64;
            memory.used = 1.0 - available;
        });
        busy.on(|host| (host.psi.memory, host.psi.io) = (pressure(stalled), pressure(0.2)))
    }

    #[test]
    fn little_memory_is_found_when_tasks_stall_for_it() {
        let found = short_of(0.045, 0.03);
        found.must_say(&RULE, "found Memory is short (369 MiB available): hog (pid 200) holds 6.0 GiB");
        short_of(0.045, 0.03).on(|host| host.psi.memory = Err(unread())).must_say(&RULE, "unknown");
        Table {
            clear: short_of(0.01, 0.013),
            unknown: Some(short_of(0.045, 0.03).on(|host| host.memory = Err(unread()))),
            found,
            held: Some(short_of(0.065, 0.03)),
        }
        .check(&RULE);
    }

    /// Jobs of one kind that were started apart.
    #[test]
    fn a_pile_of_jobs_is_one_culprit() {
        let jobs = |each: u64, beside: u64| {
            let job = |n: i32| ProcFacts { rss_bytes: each << 20, uid: Some(0), ..process(300 + n, "report") };
            let other = ProcFacts { rss_bytes: beside << 20, ..process(400, "db") };
            short_of(0.045, 0.03).on(|host| {
                let server = host.processes.as_ref().unwrap().iter().find(|p| p.id.pid == 100).cloned();
                host.processes = Ok((0..8).map(job).chain([other]).chain(server).collect());
            })
        };
        jobs(700, 1_000).must_say(&RULE, "found Memory is short (369 MiB available): report processes hold 5.5 GiB");
        // Less than the one beside them.
        jobs(100, 4_000).must_say(&RULE, "found Memory is short (369 MiB available): db (pid 400) holds 3.9 GiB");
    }

    #[test]
    fn or_when_reads_bring_back_what_was_evicted() {
        let again = |share: f64| {
            short_of(0.045, 0.0).with_memory(|memory| {
                (memory.read_bytes_per_s, memory.refault_bytes_per_s) = (Some(1e8), Some(1e8 * share));
            })
        };
        Table { clear: again(0.2), unknown: None, found: again(0.31), held: Some(again(0.25)) }.check(&RULE);
    }
}
