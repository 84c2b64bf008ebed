//! The series of a panel's query.

use serde::{Deserialize, Serialize};

/// Series over the same points.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// The first point, milliseconds since 1970.
    pub begin_ms: i64,
    /// Between two points, seconds; 0: there is one.
    pub step_s: u64,
    /// The series, in the order of their labels.
    pub all: Vec<Line>,
    /// How many there were before they were cut.
    pub found: usize,
}

/// A series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its points; `None` is a gap.
    pub points: Vec<Option<f64>>,
    /// It holds native histograms, which have no points.
    #[serde(default)]
    pub native: bool,
}

impl Line {
    /// One figure made of all points: `lastNotNull`, `mean`, `max`, `min`, `sum`, `first` …
    #[must_use]
    pub fn figure(&self, calc: &str) -> Option<f64> {
        let known = || self.points.iter().flatten().copied();
        let count = known().count() as f64;
        match calc {
            "max" => known().reduce(f64::max),
            "min" => known().reduce(f64::min),
            "mean" | "avg" => known().reduce(|a, b| a + b).map(|sum| sum / count),
            "sum" | "total" => known().reduce(|a, b| a + b),
            "first" | "firstNotNull" => known().next(),
            "count" => Some(count),
            "range" => Some(known().reduce(f64::max)? - known().reduce(f64::min)?),
            "diff" | "delta" => Some(known().last()? - known().next()?),
            _ => known().last(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_figure_is_made_of_many() {
        let line = Line { points: vec![Some(1.0), None, Some(4.0), Some(3.0), None], ..Line::default() };
        let of = |calc: &str| line.figure(calc);
        assert_eq!((of("lastNotNull"), of("max"), of("mean"), of("sum")), (Some(3.0), Some(4.0), Some(8.0 / 3.0), Some(8.0)));
        assert_eq!(
            (of("diff"), of("range"), of("count"), Line::default().figure("max")),
            (Some(2.0), Some(3.0), Some(3.0), None)
        );
    }
}
