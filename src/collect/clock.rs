//! The only place that reads clocks.
#![expect(clippy::disallowed_methods, reason = "this is the one file that may")]

use rustix::time::{ClockId, clock_gettime};

use crate::model::counter::Stamp;

/// Now, on all three clocks.
#[must_use]
pub fn now() -> Stamp {
    let ns = |id| {
        let t = clock_gettime(id);
        u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
    };
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Stamp {
        wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        mono_ns: ns(ClockId::Monotonic),
        boot_ns: ns(ClockId::Boottime),
    }
}

/// CLOCK_MONOTONIC alone, nanoseconds.
#[must_use]
pub fn mono_ns() -> u64 {
    let t = clock_gettime(ClockId::Monotonic);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}

/// CPU time that the calling thread has used, seconds.
#[must_use]
pub fn thread_cpu_s() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// CPU time that this process has used, seconds: perftop's own cost.
#[must_use]
pub fn own_cpu_s() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// A moment of the runtime's clock, for deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}
