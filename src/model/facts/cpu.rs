//! CPU shares from `/proc/stat`.

use crate::model::counter::{delta, rate};
use crate::model::host::{CpuRaw, CpuTicks, HostSweep};
use crate::model::seen::{Lack, Seen};

/// CPU use over the window; shares are fractions of all ticks of all online CPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuFacts {
    /// (total - idle - iowait - steal) / total. Guest time is inside user; iowait is idle time; steal is not ours.
    pub busy: f64,
    /// user + nice.
    pub user: f64,
    /// nice alone.
    pub nice: f64,
    /// system + irq + softirq.
    pub system: f64,
    /// Idle with IO outstanding: unreliable by the kernel's own words, shown only, never judged.
    pub iowait: f64,
    /// Taken by the hypervisor.
    pub steal: f64,
    /// One per online CPU.
    pub cores: Vec<CoreFacts>,
    /// Context switches per second.
    pub switches_per_s: Option<f64>,
    /// Forks per second.
    pub forks_per_s: Option<f64>,
    /// Median over the window's sweeps of threads running or ready, ourselves left out.
    pub run_queue: Option<f64>,
    /// Inside a container: what it uses of what it may use; the figures above are the machine's.
    pub own: Option<OwnCpu>,
}

/// The container's own part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnCpu {
    /// CPUs used.
    pub used: f64,
    /// CPUs that it may use at once: the quota, else all of the machine.
    pub of: f64,
}

impl CpuFacts {
    /// The busy share that counts for the observer: of the container inside of one, else of the machine, 0..1.
    #[must_use]
    pub fn seen_busy(&self) -> f64 {
        self.own.map_or(self.busy, |own| (own.used / own.of.max(1e-9)).clamp(0.0, 1.0))
    }
}

/// One CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreFacts {
    /// Its number.
    pub number: u32,
    /// Busy share, 0..1; `None` when it came or went within the window.
    pub busy: Option<f64>,
    /// In software interrupts, 0..1: packets, timers, block devices.
    pub softirq: Option<f64>,
}

/// `None` without an older sweep.
pub(super) fn derive(old: Option<&HostSweep>, new: &HostSweep, sweeps: &[&HostSweep]) -> Option<Seen<CpuFacts>> {
    let new_cpu = match &new.cpu {
        Ok(cpu) => cpu,
        Err(lack) => return Some(Err(lack.clone())),
    };
    let old = old?;
    let old_cpu = old.cpu.as_ref().ok()?;
    let dt_s = new.at.seconds_since(&old.at)?;
    let Some(d) = ticks(&old_cpu.total, &new_cpu.total) else { return Some(Err(Lack::reset("/proc/stat cpu"))) };
    let total = d.total();
    if total <= 0.0 {
        return Some(Err(Lack::reset("/proc/stat cpu")));
    }
    let cores = new_cpu.cores.iter().map(|(number, new)| CoreFacts {
        number: *number,
        busy: core(old_cpu, *number, new).and_then(|d| d.busy()),
        softirq: core(old_cpu, *number, new).and_then(|d| (d.total() > 0.0).then(|| d.softirq / d.total())),
    });
    let mut queue: Vec<u64> =
        sweeps.iter().filter_map(|s| s.cpu.as_ref().ok()?.procs_running.map(|n| n.saturating_sub(1))).collect();
    queue.sort_unstable();
    Some(Ok(CpuFacts {
        busy: d.busy()?,
        user: (d.user + d.nice) / total,
        nice: d.nice / total,
        system: (d.system + d.irq + d.softirq) / total,
        iowait: d.iowait / total,
        steal: d.steal / total,
        cores: cores.collect(),
        switches_per_s: rate(old_cpu.context_switches, new_cpu.context_switches, dt_s),
        forks_per_s: rate(old_cpu.forks, new_cpu.forks, dt_s),
        run_queue: queue.get(queue.len() / 2).map(|n| *n as f64),
        own: None,
    }))
}

struct Grown {
    user: f64,
    nice: f64,
    system: f64,
    idle: f64,
    iowait: f64,
    irq: f64,
    softirq: f64,
    steal: f64,
}

impl Grown {
    fn total(&self) -> f64 {
        self.user + self.nice + self.system + self.idle + self.iowait + self.irq + self.softirq + self.steal
    }

    fn busy(&self) -> Option<f64> {
        let total = self.total();
        (total > 0.0).then(|| ((total - self.idle - self.iowait - self.steal) / total).clamp(0.0, 1.0))
    }
}

/// Growth of one CPU; `None` when it came or went.
fn core(old: &CpuRaw, number: u32, new: &CpuTicks) -> Option<Grown> {
    old.cores.iter().find(|(n, _)| *n == number).and_then(|(_, old)| ticks(old, new))
}

/// Growth of one line. iowait (and with it idle) "will decrease in certain conditions" (proc.rst): those two are
/// clamped at 0; any other field that goes back means that the CPU was replugged.
fn ticks(old: &CpuTicks, new: &CpuTicks) -> Option<Grown> {
    let grown = |a: u64, b: u64| delta(a, b).map(|d| d as f64);
    let clamped = |a: u64, b: u64| b.saturating_sub(a) as f64;
    Some(Grown {
        user: grown(old.user, new.user)?,
        nice: grown(old.nice, new.nice)?,
        system: grown(old.system, new.system)?,
        idle: clamped(old.idle, new.idle),
        iowait: clamped(old.iowait, new.iowait),
        irq: grown(old.irq, new.irq)?,
        softirq: grown(old.softirq, new.softirq)?,
        steal: grown(old.steal, new.steal)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: u64, idle: u64, iowait: u64, steal: u64) -> CpuTicks {
        CpuTicks { user, idle, iowait, steal, ..CpuTicks::default() }
    }

    #[test]
    fn steal_and_iowait_are_not_busy() {
        let d = ticks(&line(0, 0, 0, 0), &line(40, 20, 20, 20)).unwrap();
        assert!((d.busy().unwrap() - 0.4).abs() < 1e-9);
    }

    #[test]
    fn iowait_that_goes_back_is_no_spike_and_a_replugged_cpu_is_unknown() {
        let d = ticks(&line(100, 100, 50, 0), &line(150, 150, 10, 0)).unwrap();
        assert!((d.busy().unwrap() - 0.5).abs() < 1e-9);
        assert!(ticks(&line(100, 100, 0, 0), &line(5, 5, 0, 0)).is_none());
    }
}
