//! The pace of state samples: uneven on purpose.

/// What the n-th pause between two samples is multiplied by, 0.6 to 1.4 and 1 on average: evenly spaced samples see a periodic
/// load always at the same point. Multiples of the golden ratio fall evenly and never in step.
#[must_use]
pub fn unsteady(n: u32) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    0.6 + 0.8 * (f64::from(n) * GOLDEN).fract()
}

#[cfg(test)]
mod tests {
    use super::unsteady;

    /// Two statements in turn, 30 and 40 ms; samples about every 105 ms, which is one and a half of their rounds.
    #[test]
    fn a_load_that_repeats_itself_is_seen_in_its_true_shares() {
        let mut at_ms = 0.0;
        let (mut first, looks) = (0, 2000);
        for n in 0..looks {
            at_ms += 105.0 * unsteady(n);
            first += u32::from(at_ms % 70.0 < 30.0);
        }
        let share = f64::from(first) / f64::from(looks);
        assert!((share - 30.0 / 70.0).abs() < 0.03, "{share}");
    }
}
