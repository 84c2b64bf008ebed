//! How finely a panel asks: the step, and what Grafana makes of it.

/// The steps of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// How far back, seconds.
    pub span_s: u64,
    /// Between two points, seconds.
    pub step_s: u64,
    /// Between two scrapes, seconds.
    pub scrape_s: u64,
}

impl Interval {
    /// Of a panel that is so many points wide; `least_s`: its own step at least.
    #[must_use]
    pub fn of(span_s: u64, points: u64, least_s: u64, scrape_s: u64) -> Self {
        const ROUND: [u64; 16] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600];
        let wanted = span_s.div_ceil(points.max(1)).max(least_s).max(1);
        let step_s = ROUND.into_iter().find(|s| *s >= wanted).unwrap_or(wanted);
        Self { span_s, step_s, scrape_s }
    }

    /// `$__rate_interval`: max(step + scrape, 4 × scrape), so that a rate always has two samples.
    #[must_use]
    pub fn rate_s(&self) -> u64 {
        (self.step_s + self.scrape_s).max(4 * self.scrape_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_always_has_two_samples() {
        let of = |span, points| Interval::of(span, points, 0, 15);
        assert_eq!((of(3_600, 200).step_s, of(3_600, 200).rate_s()), (20, 60));
        assert_eq!((of(86_400, 200).step_s, of(86_400, 200).rate_s()), (600, 615));
        assert_eq!(Interval::of(3_600, 200, 0, 60).rate_s(), 240);
        assert_eq!(Interval::of(3_600, 200, 120, 15).step_s, 120);
    }
}
