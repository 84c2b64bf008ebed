//! Growth of counters that were read as raw samples: a reset, a birth and a gap are counted as what they are, and nothing is extrapolated.

/// One reading of a counter: when (ms since 1970), and its value.
pub type Reading = (i64, f64);

/// How much a counter grew in `(from_ms, to_ms]`, by its readings in the order of time. Each step between two readings counts whole where
/// its later end falls. A counter that goes back began again at 0: all of its value is new. One that was born while others of `known_ms`
/// were read already grew from 0; one that was there when reading began says nothing of the time before. `None`: no two readings, and no
/// birth, say anything of that time.
#[must_use]
pub fn growth(readings: &[Reading], known_ms: i64, from_ms: i64, to_ms: i64) -> Option<f64> {
    let mut grown = None;
    let mut before: Option<Reading> = None;
    for &(at, value) in readings.iter().filter(|(_, v)| v.is_finite() && *v >= 0.0) {
        let step = match before {
            Some((_, old)) if value >= old => Some(value - old),
            Some(_) => Some(value),
            None if at > known_ms => Some(value),
            None => None,
        };
        if let Some(step) = step.filter(|_| at > from_ms && at <= to_ms) {
            grown = Some(grown.unwrap_or(0.0) + step);
        }
        before = Some((at, value));
    }
    grown
}

/// When the first of those counters was read.
#[must_use]
pub fn known_ms<'a>(all: impl IntoIterator<Item = &'a [Reading]>) -> i64 {
    all.into_iter().filter_map(|r| Some(r.first()?.0)).min().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NEVER: i64 = i64::MAX;

    #[test]
    fn resets_births_and_gaps_are_counted_as_what_they_are() {
        let grown = |readings: &[Reading], known| growth(readings, known, 0, 1_000);
        assert_eq!(grown(&[(10, 5.0), (20, 8.0), (30, 8.0)], NEVER), Some(3.0));
        assert_eq!(grown(&[(10, 5.0), (20, 2.0), (30, 3.0)], NEVER), Some(3.0), "began again at 0, and came to 3");
        assert_eq!(grown(&[(500, 1.0)], 10), Some(1.0), "born at 1 while others were read already");
        assert_eq!(grown(&[(10, 1.0)], 10), None, "it was there when reading began");
        assert_eq!(grown(&[(10, 5.0), (900, 25.0)], NEVER), Some(20.0), "over a gap what it grew by");
        assert_eq!(grown(&[(10, f64::NAN), (20, 4.0), (30, 6.0)], NEVER), Some(2.0));
        assert_eq!(grown(&[], 10), None);
    }

    #[test]
    fn a_step_counts_where_its_later_end_falls() {
        let readings = [(10, 0.0), (20, 1.0), (30, 3.0), (40, 6.0)];
        assert_eq!(growth(&readings, NEVER, 20, 40), Some(5.0));
        assert_eq!(growth(&readings, NEVER, 10, 20), Some(1.0));
        assert_eq!(growth(&readings, NEVER, 40, 90), None);
    }

    proptest! {
        #[test]
        fn parts_add_up(steps in prop::collection::vec(0.0f64..9.0, 2..40), cut in 0usize..40) {
            let mut sum = 0.0;
            let readings: Vec<Reading> = steps.iter().zip(1..).map(|(s, at)| { sum += s; (at * 10, sum) }).collect();
            let cut = (cut.min(steps.len()) as i64) * 10;
            let part = |a, b| growth(&readings, NEVER, a, b).unwrap_or(0.0);
            prop_assert!((part(0, cut) + part(cut, 10_000) - part(0, 10_000)).abs() < 1e-6);
            prop_assert!(part(0, 10_000) >= 0.0);
        }
    }
}
