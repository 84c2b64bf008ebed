//! The clock on the wall is set while perftop runs: what was dated by the old one is moved along, so that ages stay what they are. Pure.

use crate::model::counter::Stamp;

use super::diagnosis::rfc3339;
use super::memory::Memory;

/// What a clock is off by less is slewed, or the reading of two clocks one after the other.
const LEAST_MS: i64 = 500;

/// By how much the clock on the wall was set between two stamps, ms: what it went on, less what CLOCK_BOOTTIME did, which nobody sets
/// and which runs on while the machine sleeps.
fn set_by_ms(before: &Stamp, now: &Stamp) -> i64 {
    let boot_ms = |at: &Stamp| i64::try_from(at.boot_ns / 1_000_000).unwrap_or(i64::MAX);
    // Another boot is another clock, and a first stamp has none before it.
    if before.boot_ns == 0 || now.boot_ns < before.boot_ns {
        return 0;
    }
    let by_ms = (now.wall_ms - before.wall_ms) - (boot_ms(now) - boot_ms(before));
    if by_ms.abs() < LEAST_MS { 0 } else { by_ms }
}

/// Moves all that the memory dates by as much as the clock was set since the evaluation before.
pub(super) fn follow(memory: &mut Memory, now: Stamp) {
    let by_ms = set_by_ms(&memory.at, &now);
    memory.at = now;
    if by_ms == 0 {
        return;
    }
    memory.rules.values_mut().flat_map(|r| &mut r.held).for_each(|held| held.active_ms += by_ms);
    for kept in memory.findings.values_mut() {
        kept.since_ms += by_ms;
        [&mut kept.gone_ms, &mut kept.due_ms].into_iter().flatten().for_each(|at| *at += by_ms);
    }
    for resolved in &mut memory.resolved {
        if let Ok(at) = resolved.at.parse::<jiff::Timestamp>() {
            resolved.at = rfc3339(at.as_millisecond() + by_ms);
        }
    }
    memory.muted.values_mut().for_each(|muted| muted.until_ms += by_ms);
    memory.learned.missed_ms += by_ms;
    memory.onsets.clock_set(by_ms);
    memory.changes.clock_set(by_ms);
    memory.places.clock_set(by_ms);
    memory.trails.clock_set(by_ms);
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stamp(wall_ms: i64, boot_s: u64) -> Stamp {
        Stamp { wall_ms, mono_ns: 0, boot_ns: boot_s * 1_000_000_000 }
    }

    #[test]
    fn a_set_clock_is_told_from_one_that_went_on() {
        let before = stamp(1_000_000, 100);
        assert_eq!(set_by_ms(&before, &stamp(1_001_000, 101)), 0);
        assert_eq!(set_by_ms(&before, &stamp(1_001_400, 101)), 0, "slewed");
        assert_eq!(set_by_ms(&before, &stamp(4_600_000, 3700)), 0, "it slept for an hour");
        assert_eq!(set_by_ms(&before, &stamp(4_601_000, 101)), 3_600_000);
        assert_eq!(set_by_ms(&before, &stamp(-2_599_000, 101)), -3_600_000);
        assert_eq!(set_by_ms(&before, &stamp(9_000_000, 5)), 0, "another boot");
        assert_eq!(set_by_ms(&Stamp::default(), &stamp(9_000_000, 5)), 0, "the first look");
    }
}
