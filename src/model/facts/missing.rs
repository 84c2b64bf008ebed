//! Which figures of the host are missing as a whole, by their origin. Pure.

use crate::model::seen::{Lack, Why};

use super::{HostFacts, ProcFacts};

impl HostFacts {
    /// Why there are no figures of that origin at all; `None` where there are some. What a rule needs and is missing clears nothing.
    #[must_use]
    pub fn missing(&self, origin: &str) -> Option<Lack> {
        let lack = match origin {
            "host.cpu" => self.cpu.as_ref().err(),
            "host.memory" => self.memory.as_ref().err(),
            "host.vmstat" => {
                let counted = self.memory.as_ref().map(|m| m.major_faults_per_s.or(m.refault_bytes_per_s).or(m.dirty_share));
                return match counted {
                    Ok(Some(_)) => None,
                    Ok(None) => Some(Lack::first_sample("/proc/vmstat")),
                    Err(lack) => Some(lack.clone()),
                };
            }
            "host.disks" => there(self.disks.as_ref().err()),
            "host.filesystems" => self.filesystems.as_ref().err(),
            "host.interfaces" | "host.queues" => self.interfaces.as_ref().err(),
            "host.tcp" => self.tcp.as_ref().err(),
            "host.processes" | "host.iodelay" | "host.process_io" | "host.affinity" | "host.sync" => {
                self.processes.as_ref().err()
            }
            "host.schedstat" => {
                let delay = |p: &&ProcFacts| !p.kernel && p.runnable.is_some();
                return match &self.processes {
                    Ok(all) if all.is_empty() || all.iter().any(|p| delay(&p)) => None,
                    Ok(_) => Some(Lack::first_sample("/proc/PID/schedstat")),
                    Err(lack) => Some(lack.clone()),
                };
            }
            "host.cgroup.cpu" | "host.cgroup.memory" | "host.cgroup.io" | "host.cgroup.tasks" => {
                there(self.cgroups.as_ref().err())
            }
            "host.files" => self.files.as_ref().err(),
            _ => None,
        };
        lack.cloned()
    }
}

/// A host that has none of it at all has no trouble with it either.
fn there(lack: Option<&Lack>) -> Option<&Lack> {
    lack.filter(|lack| lack.why != Why::Absent)
}
