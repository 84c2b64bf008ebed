//! What others would wait in the run queue if a program were gone: full CPUs are full because of it, not by its share alone. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::detect::rules::support::{gives_way, unseen_cores};
use crate::model::facts::{Facts, ProcFacts};
use crate::model::host::ProcId;

/// Busy CPUs from which the run queue begins to be a matter of load, and from which it is one.
const FULL: (f64, f64) = (0.8, 0.95);
/// Whose share of what competes is less fills nothing.
const LEAST: f64 = 0.05;
/// A thread that gets so much of what the program's busiest one gets would take more if it could.
const BOUND: f64 = 0.5;

/// What others wait, because of whom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due {
    /// The part of their waiting that is due to the program, 0..1.
    pub part: f64,
    /// What they would wait by themselves, s/s; `None` where only the share counts.
    pub alone: Option<f64>,
}

/// The part of `waiting` (s/s, of all others) that is due to these: their share of what competes, or, the fuller the CPUs are of that, what
/// the others would not wait by themselves, whichever is more.
pub fn due(facts: &Facts, members: &[&ProcFacts], share: f64, waiting: f64) -> Due {
    let only_share = Due { part: share, alone: None };
    if share < LEAST || waiting <= 0.0 {
        return only_share;
    }
    let Some((full, alone)) = queue_beside(facts, members, 0.0) else { return only_share };
    let part = share.max(1.0 - alone / waiting);
    Due { part: share + full * (part - share), alone: alone.is_finite().then_some(alone) }
}

/// The part of `waiting` (s/s) that would be gone if these, at the same number of requests, took so many cores less: 0 while CPUs are not full.
pub fn spared(facts: &Facts, members: &[&ProcFacts], cores: f64, waiting: f64) -> f64 {
    if cores < LEAST || waiting <= 0.0 {
        return 0.0;
    }
    let kept = (members.iter().map(|p| used(p)).sum::<f64>() - cores).max(0.0);
    queue_beside(facts, members, kept).map_or(0.0, |(full, left)| full * (1.0 - left / waiting).max(0.0))
}

fn used(p: &ProcFacts) -> f64 {
    p.cpu.unwrap_or(0.0) + p.children_cpu.unwrap_or(0.0)
}

/// How full the CPUs are, 0..1, and what would stand in the run queue if of what the members take only `kept` cores were left; `None` while
/// they are not full.
fn queue_beside(facts: &Facts, members: &[&ProcFacts], kept: f64) -> Option<(f64, f64)> {
    facts.host.cpu.as_ref().ok().filter(|cpu| cpu.busy >= FULL.0)?;
    let busiest = |p: &ProcFacts| p.hottest.or(p.cpu).unwrap_or(0.0);
    let theirs = members.iter().map(|p| busiest(p)).fold(0.0, f64::max);
    // What is kept from running would run more; what answers requests would not.
    let wants = |p: &ProcFacts| used(p) + if busiest(p) >= BOUND * theirs { p.runnable.unwrap_or(0.0) } else { 0.0 };
    let member: HashSet<ProcId> = members.iter().map(|p| p.id).collect();
    let others = || facts.processes().iter().filter(|p| !p.kernel && !gives_way(p) && !member.contains(&p.id));
    let unseen = unseen_cores(facts);
    // Batch that should give way is no part of it: what it takes from others is another finding.
    let taken = members.iter().map(|p| used(p)).sum::<f64>() + others().map(used).sum::<f64>() + unseen;
    let full = ((taken / facts.cpus() - FULL.0) / (FULL.1 - FULL.0)).clamp(0.0, 1.0);
    // A job with more threads ready than there are CPUs waits for itself; requests that stand at a server came because it was kept waiting.
    let mut crowded: BTreeMap<ProcId, f64> = BTreeMap::new();
    let jobs = others().filter(|p| p.serves != Some(true) && p.listens.is_empty());
    jobs.for_each(|p| *crowded.entry(p.family).or_default() += p.cpu.unwrap_or(0.0) + p.runnable.unwrap_or(0.0));
    let itself: f64 = crowded.values().map(|ready| (ready - facts.cpus()).max(0.0)).sum();
    let alone = queue(others().map(wants).sum::<f64>() + unseen + kept, facts.cpus()).max(itself);
    (full > 0.0).then_some((full, alone))
}

/// Mean number of waiting tasks where `busy` cores of work come to `cpus` CPUs: R / S = 1 / (1 - load^cpus).
fn queue(busy: f64, cpus: f64) -> f64 {
    let load = (busy / cpus).powf(cpus);
    if load < 1.0 { busy * load / (1.0 - load) } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::detect::bench::host::{process, service};

    /// Two CPUs: a hog with so many cores, a service, and another job.
    fn on_two(busy: f64, hog: f64, serves: (f64, f64), job: (f64, f64)) -> Bench {
        let mut all = vec![process(1, "hog"), service(2, "api", 80), process(3, "job")];
        for (p, (cpu, runnable)) in all.iter_mut().zip([(hog, hog), serves, job]) {
            (p.cpu, p.runnable, p.hottest) = (Some(cpu), Some(runnable), Some(cpu));
        }
        // The service spreads its work over many threads.
        all[1].hottest = Some(serves.0 / 10.0);
        Bench::quiet().running(all).with_cpu(|cpu| {
            cpu.busy = busy;
            cpu.cores.truncate(2);
        })
    }

    fn part(bench: &Bench, share: f64, waiting: f64) -> f64 {
        let hog: Vec<&ProcFacts> = bench.world().processes().iter().filter(|p| p.id.pid == 1).collect();
        due(bench.world(), &hog, share, waiting).part
    }

    #[test]
    fn who_fills_the_cpus_is_to_blame_for_all_that_others_would_not_wait_alone() {
        // 0.3 cores of requests on two CPUs hardly wait: 0.3 x 0.0225 / 0.9775.
        let alone = 0.3 * 0.0225 / 0.9775;
        let measured = part(&on_two(1.0, 1.7, (0.3, 0.9), (0.0, 0.0)), 0.85, 0.9);
        assert!((measured - (1.0 - alone / 0.9)).abs() < 1e-9, "{measured}");
    }

    #[test]
    fn half_of_the_work_spares_more_than_half_of_the_run_queue() {
        let spared_of = |bench: &Bench, cores: f64| {
            let hog: Vec<&ProcFacts> = bench.world().processes().iter().filter(|p| p.id.pid == 1).collect();
            spared(bench.world(), &hog, cores, 3.0)
        };
        let full = on_two(1.0, 1.7, (0.3, 0.9), (0.0, 0.0));
        // 1.15 cores of 2 would be left: a load of 0.575.
        let load = 0.575_f64.powi(2);
        let left = 1.15 * load / (1.0 - load);
        assert!((spared_of(&full, 0.85) - (1.0 - left / 3.0)).abs() < 1e-9);
        assert!(spared_of(&full, 0.85) > 0.8);
        // Of CPUs that are not full nobody stands in a queue because of that.
        assert!(spared_of(&on_two(0.7, 1.1, (0.3, 0.9), (0.0, 0.0)), 0.55) <= 0.0);
        // Another that would take what is spared leaves the queue as it is.
        assert!(spared_of(&on_two(1.0, 0.9, (0.2, 0.5), (0.9, 1.9)), 0.45) <= 0.0);
    }

    #[test]
    fn where_cpus_are_idle_or_another_would_fill_them_only_the_share_counts() {
        assert!((part(&on_two(0.5, 0.7, (0.3, 0.1), (0.0, 0.0)), 0.7, 0.1) - 0.7).abs() < 1e-9);
        // A second job takes as much, and would take all.
        assert!((part(&on_two(1.0, 0.9, (0.2, 0.5), (0.9, 0.9)), 0.45, 1.4) - 0.45).abs() < 1e-9);
        // A job of many threads waits for itself, whoever is beside it.
        let pool = on_two(1.0, 0.98, (0.0, 0.0), (1.0, 30.0)).on(|host| {
            host.processes.iter_mut().flatten().filter(|p| p.id.pid == 3).for_each(|p| p.hottest = Some(0.03));
        });
        assert!((part(&pool, 0.5, 30.0) - 0.5).abs() < 1e-9);
        // Requests that pile up at a server do so because of who keeps it waiting.
        assert!(part(&on_two(1.0, 1.9, (0.1, 5.0), (0.0, 0.0)), 0.5, 5.0) > 0.99);
        // What fills them is batch that should give way: the small one beside it does not.
        let batch = on_two(1.0, 0.35, (0.3, 0.9), (1.35, 0.0)).on(|host| {
            host.processes.iter_mut().flatten().filter(|p| p.id.pid == 3).for_each(|p| p.nice = 19);
        });
        assert!((part(&batch, 0.54, 0.9) - 0.54).abs() < 1e-9);
        // The service alone fills them.
        assert!((part(&on_two(1.0, 0.2, (1.8, 2.0), (0.0, 0.0)), 0.1, 2.0) - 0.1).abs() < 0.2);
    }
}
