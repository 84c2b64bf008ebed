//! Another host on the bench.

use crate::model::facts::{CgroupFacts, CpuFacts, MemoryFacts, ProcFacts};

use super::Bench;

impl Bench {
    /// These processes and no others.
    #[must_use]
    pub fn running(self, processes: Vec<ProcFacts>) -> Self {
        self.on(|host| host.processes = Ok(processes))
    }

    /// These control groups.
    #[must_use]
    pub fn grouped(self, groups: Vec<CgroupFacts>) -> Self {
        self.on(|host| host.cgroups = Ok(groups))
    }

    /// Other CPUs.
    #[must_use]
    pub fn with_cpu(self, change: impl FnOnce(&mut CpuFacts)) -> Self {
        self.on(|host| assert!(host.cpu.as_mut().map(change).is_ok(), "no CPU is seen"))
    }

    /// Another memory.
    #[must_use]
    pub fn with_memory(self, change: impl FnOnce(&mut MemoryFacts)) -> Self {
        self.on(|host| assert!(host.memory.as_mut().map(change).is_ok(), "no memory is seen"))
    }
}
