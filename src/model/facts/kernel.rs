//! Pressure, memory, network and TCP over the window.

use crate::model::counter::{delta, rate};
use crate::model::foreign::Foreign;
use crate::model::host::{HostSweep, InterfaceRaw, MemoryRaw, PsiFile, TcpRaw, VmstatRaw};
use crate::model::seen::{Lack, Seen};

/// Pressure of one resource.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Psi {
    /// Share of the window in which at least one task stood still, Δtotal / Δt, 0..1; `None` with one sample.
    pub some: Option<f64>,
    /// Share in which all did; `None` where it means nothing.
    pub full: Option<f64>,
    /// The kernel's own averages over 10, 60, 300 s in percent: known in the first frame.
    pub averages: [f64; 3],
}

impl Psi {
    /// The share of the window, or the 10 s average while there is only one sample.
    #[must_use]
    pub fn best(&self) -> f64 {
        self.some.unwrap_or(self.averages[0] / 100.0)
    }
}

/// Pressure of the three resources.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the kernel's names")]
pub struct PsiFacts {
    pub cpu: Seen<Psi>,
    pub memory: Seen<Psi>,
    pub io: Seen<Psi>,
}

impl PsiFacts {
    pub(super) fn derive(old: Option<&HostSweep>, new: &HostSweep) -> Self {
        let dt_s = old.and_then(|o| new.at.seconds_since(&o.at));
        let one = |new: &Seen<PsiFile>, old: Option<&Seen<PsiFile>>| {
            let new = new.as_ref().map_err(Clone::clone)?;
            let old = old.and_then(|o| o.as_ref().ok());
            let share = |old: u64, new: u64| Some((delta(old, new)? as f64 / 1e6 / dt_s?).min(1.0));
            Ok(Psi {
                some: old.and_then(|o| share(o.some.total_us, new.some.total_us)),
                full: old.and_then(|o| share(o.full?.total_us, new.full?.total_us)),
                averages: [new.some.avg10, new.some.avg60, new.some.avg300],
            })
        };
        Self {
            cpu: one(&new.psi.cpu, old.map(|o| &o.psi.cpu)),
            memory: one(&new.psi.memory, old.map(|o| &o.psi.memory)),
            io: one(&new.psi.io, old.map(|o| &o.psi.io)),
        }
    }
}

/// Memory levels (bytes) and rates.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct MemoryFacts {
    pub raw: MemoryRaw,
    /// MemAvailable; before Linux 3.14 free + buffers + cached + reclaimable slab - shmem.
    pub available_bytes: u64,
    /// total - available, as a share of total.
    pub used: f64,
    pub swap_in_bytes_per_s: Option<f64>,
    pub swap_out_bytes_per_s: Option<f64>,
    /// Pages read again soon after they were dropped, as bytes per second.
    pub refault_bytes_per_s: Option<f64>,
    /// Of them those of files; before Linux 5.9 the kernel did not tell them apart.
    pub refault_file_bytes_per_s: Option<f64>,
    /// Bytes read from block devices per second, for the share that refaults explain.
    pub read_bytes_per_s: Option<f64>,
    /// Pages scanned by tasks that had to reclaim by themselves, per second.
    pub direct_scan_pages_per_s: Option<f64>,
    /// Times a task entered direct reclaim, per second.
    pub direct_reclaims_per_s: Option<f64>,
    pub major_faults_per_s: Option<f64>,
    /// Dirty and written-back pages against the threshold that holds writers back, 0..; `None` where it is not told.
    pub dirty_share: Option<f64>,
    /// OOM kills within the window, any group.
    pub oom_kills: Option<u64>,
    /// OOM kills since boot.
    pub oom_kills_ever: Option<u64>,
}

pub(super) fn memory(old: Option<&HostSweep>, new: &HostSweep, page_bytes: u64) -> Seen<MemoryFacts> {
    let raw = *new.memory.as_ref().map_err(Clone::clone)?;
    let available_bytes = raw.available.unwrap_or_else(|| {
        let or0 = |v: Option<u64>| v.unwrap_or(0);
        (or0(raw.free) + or0(raw.buffers) + or0(raw.cached) + or0(raw.slab_reclaimable)).saturating_sub(or0(raw.shmem))
    });
    let dt_s = old.and_then(|o| new.at.seconds_since(&o.at));
    let now = new.vmstat.as_ref().ok();
    let then = old.and_then(|o| o.vmstat.as_ref().ok());
    let per_s = |field: fn(&VmstatRaw) -> Option<u64>, scale: f64| Some(rate(field(then?), field(now?), dt_s?)? * scale);
    let page = page_bytes as f64;
    let refault = |v: &VmstatRaw| match (v.refault_file, v.refault_anon) {
        (None, None) => None,
        (file, anon) => Some(file.unwrap_or(0) + anon.unwrap_or(0)),
    };
    Ok(MemoryFacts {
        raw,
        available_bytes,
        used: 1.0 - (available_bytes as f64 / (raw.total.max(1)) as f64).min(1.0),
        swap_in_bytes_per_s: per_s(|v| v.pswpin, page),
        swap_out_bytes_per_s: per_s(|v| v.pswpout, page),
        refault_bytes_per_s: per_s(refault, page),
        refault_file_bytes_per_s: per_s(|v| v.refault_file, page),
        read_bytes_per_s: per_s(|v| v.pgpgin_kib, 1024.0),
        direct_scan_pages_per_s: per_s(|v| v.pgscan_direct, 1.0),
        direct_reclaims_per_s: per_s(|v| v.allocstall, 1.0),
        major_faults_per_s: per_s(|v| v.pgmajfault, 1.0),
        dirty_share: now.and_then(|v| Some(v.dirty? as f64 / v.dirty_limit.filter(|l| *l > 0)? as f64)),
        oom_kills: then.zip(now).and_then(|(t, n)| delta(t.oom_kill?, n.oom_kill?)),
        oom_kills_ever: now.and_then(|n| n.oom_kill),
    })
}

/// One network interface, per second.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct InterfaceFacts {
    pub name: Foreign,
    pub rx_bytes_per_s: f64,
    pub tx_bytes_per_s: f64,
    pub rx_packets_per_s: f64,
    pub tx_packets_per_s: f64,
    /// Errors and drops, both directions.
    pub bad_packets_per_s: f64,
    /// The fuller direction against the link's speed, 0..1; `None` for virtual ones.
    pub util: Option<f64>,
    pub speed_mbit: Option<u64>,
    /// Counted in sums.
    pub physical: bool,
    /// Packets in its queue, mean of the sweeps; by Little's law packets that stand still.
    pub queued_packets: Option<f64>,
    /// Packets per second that the full queue dropped.
    pub queue_drops_per_s: Option<f64>,
}

pub(super) fn interfaces(old: Option<&HostSweep>, new: &HostSweep, sweeps: &[&HostSweep]) -> Option<Seen<Vec<InterfaceFacts>>> {
    let now = match &new.interfaces {
        Ok(rows) => rows,
        Err(lack) => return Some(Err(lack.clone())),
    };
    let old = old?;
    let then = old.interfaces.as_ref().ok()?;
    let dt_s = new.at.seconds_since(&old.at)?;
    let rows = now.iter().filter_map(|n| interface(then.iter().find(|t| t.name == n.name)?, n, sweeps, dt_s));
    Some(Ok(rows.collect()))
}

fn interface(old: &InterfaceRaw, new: &InterfaceRaw, sweeps: &[&HostSweep], dt_s: f64) -> Option<InterfaceFacts> {
    let per_s = |a: u64, b: u64| delta(a, b).map(|d| d as f64 / dt_s);
    let rx = per_s(old.rx_bytes, new.rx_bytes)?;
    let tx = per_s(old.tx_bytes, new.tx_bytes)?;
    let bad = per_s(old.rx_errors, new.rx_errors)?
        + per_s(old.rx_dropped, new.rx_dropped)?
        + per_s(old.tx_errors, new.tx_errors)?
        + per_s(old.tx_dropped, new.tx_dropped)?;
    Some(InterfaceFacts {
        name: new.name.clone(),
        rx_bytes_per_s: rx,
        tx_bytes_per_s: tx,
        rx_packets_per_s: per_s(old.rx_packets, new.rx_packets)?,
        tx_packets_per_s: per_s(old.tx_packets, new.tx_packets)?,
        bad_packets_per_s: bad,
        util: new.speed_mbit.filter(|s| *s > 0).map(|s| rx.max(tx) * 8.0 / (s as f64 * 1e6)),
        speed_mbit: new.speed_mbit,
        physical: new.physical,
        queued_packets: queued(new, sweeps),
        queue_drops_per_s: old
            .queue
            .zip(new.queue)
            .and_then(|(o, n)| delta(o.drops.into(), n.drops.into()))
            .map(|d| d as f64 / dt_s),
    })
}

/// Mean of the queue's length over the sweeps of the window.
fn queued(interface: &InterfaceRaw, sweeps: &[&HostSweep]) -> Option<f64> {
    let rows = sweeps.iter().filter_map(|s| s.interfaces.as_ref().ok()?.iter().find(|i| i.name == interface.name));
    let lengths: Vec<f64> = rows.filter_map(|i| i.queue).map(|q| f64::from(q.packets)).collect();
    (!lengths.is_empty()).then(|| lengths.iter().sum::<f64>() / lengths.len() as f64)
}

/// TCP in this network namespace, per second.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "units are in the names")]
pub struct TcpFacts {
    pub established: Option<u64>,
    pub retransmits_per_s: Option<f64>,
    /// RetransSegs / TCPOrigDataSent, 0..1; `None` below 100 segments, where a share says nothing.
    pub retransmit_share: Option<f64>,
    pub timeouts_per_s: Option<f64>,
    /// Probes that were sent because the last segment was not acknowledged in time.
    pub loss_probes_per_s: Option<f64>,
    pub syn_retransmits_per_s: Option<f64>,
    pub listen_overflows_per_s: Option<f64>,
    pub active_opens_per_s: Option<f64>,
    pub passive_opens_per_s: Option<f64>,
}

pub(super) fn tcp(old: Option<&HostSweep>, new: &HostSweep) -> Option<Seen<TcpFacts>> {
    let now = match &new.tcp {
        Ok(tcp) => tcp,
        Err(lack) => return Some(Err(lack.clone())),
    };
    let old = old?;
    let then = match &old.tcp {
        Ok(tcp) => tcp,
        Err(_) => return Some(Err(Lack::first_sample("/proc/net/snmp"))),
    };
    let dt_s = new.at.seconds_since(&old.at)?;
    let per_s = |field: fn(&TcpRaw) -> Option<u64>| rate(field(then), field(now), dt_s);
    let sent = per_s(|t| t.orig_data_sent).map(|r| r * dt_s);
    let retransmits = per_s(|t| t.retrans_segs);
    Some(Ok(TcpFacts {
        established: now.curr_estab,
        retransmits_per_s: retransmits,
        retransmit_share: sent.filter(|n| *n >= 100.0).zip(retransmits).map(|(n, r)| r * dt_s / n),
        timeouts_per_s: per_s(|t| t.timeouts),
        loss_probes_per_s: per_s(|t| t.loss_probes),
        syn_retransmits_per_s: per_s(|t| t.syn_retrans),
        listen_overflows_per_s: per_s(|t| t.listen_overflows),
        active_opens_per_s: per_s(|t| t.active_opens),
        passive_opens_per_s: per_s(|t| t.passive_opens),
    }))
}
