//! Differences of counters: back, wrap and gap give unknown, never a spike. Pure.

use serde::{Deserialize, Serialize};

/// One instant on the three clocks that matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Wall clock, milliseconds since 1970, for people.
    pub wall_ms: i64,
    /// CLOCK_MONOTONIC, nanoseconds: the denominator of every rate.
    pub mono_ns: u64,
    /// CLOCK_BOOTTIME, nanoseconds: runs on while the machine sleeps.
    pub boot_ns: u64,
}

impl Stamp {
    /// Seconds of CLOCK_MONOTONIC since `earlier`; `None` when it is not earlier, or when the machine slept
    /// for more than half a second in between (then no counter can be turned into a rate).
    #[must_use]
    pub fn seconds_since(&self, earlier: &Stamp) -> Option<f64> {
        let mono = self.mono_ns.checked_sub(earlier.mono_ns)?;
        let boot = self.boot_ns.checked_sub(earlier.boot_ns)?;
        (mono > 0 && boot.saturating_sub(mono) < 500_000_000).then_some(mono as f64 / 1e9)
    }
}

/// Growth of a 64-bit counter; `None` when it went back (reset, restart, hot-plug).
#[must_use]
pub fn delta(old: u64, new: u64) -> Option<u64> {
    new.checked_sub(old)
}

/// Growth of a counter that the kernel prints as 32-bit milliseconds (`/proc/diskstats` fields 4, 8, 10, 11):
/// wraps after 49.7 days. The caller proves by a 64-bit neighbour that the device was not recreated.
#[must_use]
pub fn delta_u32(old: u64, new: u64) -> u64 {
    u64::from((new as u32).wrapping_sub(old as u32))
}

/// Growth per second of an optional counter.
#[must_use]
pub fn rate(old: Option<u64>, new: Option<u64>, dt_s: f64) -> Option<f64> {
    Some(delta(old?, new?)? as f64 / dt_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suspend_gives_no_interval() {
        let before = Stamp { wall_ms: 0, mono_ns: 1_000_000_000, boot_ns: 1_000_000_000 };
        let awake = Stamp { wall_ms: 1000, mono_ns: 2_000_000_000, boot_ns: 2_000_000_100 };
        let slept = Stamp { wall_ms: 9000, mono_ns: 2_000_000_000, boot_ns: 9_000_000_000 };
        assert_eq!(awake.seconds_since(&before), Some(1.0));
        assert_eq!(slept.seconds_since(&before), None);
        assert_eq!(before.seconds_since(&awake), None);
    }

    proptest! {
        #[test]
        fn u32_wrap_is_exact(start: u32, grown in 0u32..) {
            let end = u64::from(start) + u64::from(grown);
            prop_assert_eq!(delta_u32(u64::from(start), end & 0xffff_ffff), u64::from(grown));
        }
    }
}
