//! What is foreground: work that someone waits for. DESIGN.md section 4.4 in one function.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::host::{ProcId, ProcRaw, Serving};
use crate::model::seen::Seen;

/// How much a process' time counts, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// 0, 0.25 or 1, unless the operator says otherwise.
    pub value: f64,
    /// The reason, for the process view.
    pub why: &'static str,
    /// False when the sockets could not be seen, so that 1 is assumed.
    pub known: bool,
    /// The operator said so.
    pub said: bool,
}

/// What the operator re-weighed, by process name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightOverrides(pub BTreeMap<String, f64>);

/// What else the judgement of weights needs.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// perftop's own pid.
    pub self_pid: i32,
    /// Unit of process start times.
    pub ticks_per_s: f64,
    /// What the operator said.
    pub overrides: &'a WeightOverrides,
}

impl Weight {
    const fn of(value: f64, why: &'static str) -> Self {
        Self { value, why, known: true, said: false }
    }

    /// Batch scheduling and low priority weigh nothing; so do the kernel's own threads and perftop. A process
    /// that serves no one (no listening or accepted socket, no terminal) weighs a quarter; one whose sockets
    /// could not be seen is taken for foreground.
    #[must_use]
    pub fn judge(row: &ProcRaw, serving: &Seen<Arc<Serving>>, who: &Judge<'_>) -> Self {
        const BATCH: u32 = 3;
        const IDLE: u32 = 5;
        if let Some(value) = who.overrides.0.get(row.comm.shown()) {
            return Self { said: true, ..Self::of(*value, "weight set by the operator") };
        }
        match row {
            _ if row.kernel => Self::of(0.0, "kernel thread"),
            // Another one that someone left running too.
            _ if row.id.pid == who.self_pid || row.comm.raw() == b"perftop" => Self::of(0.0, "perftop itself"),
            _ if row.policy == IDLE => Self::of(0.0, "SCHED_IDLE"),
            _ if row.policy == BATCH => Self::of(0.0, "SCHED_BATCH"),
            _ if row.nice >= 10 => Self::of(0.0, "nice 10 or more"),
            _ if row.tty != 0 => Self::of(1.0, "has a terminal"),
            _ => Self::by_sockets(row.id, serving, who.ticks_per_s),
        }
    }

    fn by_sockets(id: ProcId, serving: &Seen<Arc<Serving>>, ticks_per_s: f64) -> Self {
        let assumed = |why| Self { value: 1.0, why, known: false, said: false };
        let Ok(serving) = serving else { return assumed("sockets not read yet") };
        if let Some(process) = serving.of(id) {
            return match process {
                p if p.accepted + p.accepted_unix > 0 => Self::of(1.0, "serves connections"),
                p if !p.listens.is_empty() => Self::of(1.0, "listens on a port"),
                _ => Self::of(1.0, "listens on a unix socket"),
            };
        }
        if id.start as f64 / ticks_per_s * 1e9 > serving.boot_ns as f64 {
            return assumed("sockets not read yet");
        }
        if serving.unreadable.binary_search(&id).is_ok() {
            return assumed("its sockets cannot be seen");
        }
        Self::of(0.25, "serves nobody: no socket, no terminal")
    }
}
