//! Dates of capacity against what came: series recorded on a real machine (tests/fixtures/capacity), each cut off at many moments, the date
//! of what is left told from what stands before the cut, and held against what stands behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use perftop::model::trend::{Outlook, Trend};

/// Readings that a look at a server brings at most.
const READINGS: usize = 120;
/// Where a series is cut off, in percent of it; and how far ahead it is looked, in percent of what stands before.
const CUTS: [usize; 7] = [25, 32, 39, 46, 53, 60, 67];
const AHEAD: [f64; 3] = [0.15, 0.3, 0.45];

/// Series by name: seconds, and what is left.
fn recorded() -> BTreeMap<String, Vec<(f64, f64)>> {
    let path =
        std::env::var_os("PERFTOP_SERIES").map_or_else(|| PathBuf::from("tests/fixtures/capacity/series.csv"), PathBuf::from);
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').skip(1).collect();
    let mut all: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for line in lines {
        let cells: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        for (name, value) in names.iter().zip(&cells[1..]) {
            // What is used up is a negative rest.
            let left = if name.starts_with("fs_") || name.starts_with("inodes") { *value } else { -value };
            all.entry((*name).to_owned()).or_default().push((cells[0], left));
        }
    }
    // Where nothing is left there is nothing more to tell.
    for (name, readings) in &mut all {
        if name.starts_with("fs_") || name.starts_with("inodes") {
            let end = readings.iter().position(|(_, left)| *left <= 0.0).map_or(readings.len(), |at| at + 1);
            readings.truncate(end);
        }
    }
    all
}

/// The least of each step.
fn stepped(readings: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let per = readings.len().div_ceil(READINGS).max(1);
    let least = |part: &[(f64, f64)]| (part.last().unwrap().0, part.iter().map(|(_, v)| *v).fold(f64::INFINITY, f64::min));
    readings.rchunks(per).rev().map(least).collect()
}

#[derive(Default, Debug)]
struct Score {
    within: u32,
    early: u32,
    late: u32,
    silent: u32,
    open: u32,
}

impl Score {
    fn add(&mut self, other: &Self) {
        self.within += other.within;
        self.early += other.early;
        self.late += other.late;
        self.silent += other.silent;
        self.open += other.open;
    }

    fn told(&self) -> u32 {
        self.within + self.early + self.late
    }

    fn covered(&self) -> f64 {
        f64::from(self.within) / f64::from(self.told())
    }
}

/// The dates of one series, each cut off at many moments.
fn held_against(all: &[(f64, f64)]) -> Score {
    let mut score = Score::default();
    for cut in CUTS {
        let (past, future) = all.split_at(all.len() * cut / 100);
        let (now_s, now) = *past.last().unwrap();
        let readings = stepped(past);
        let Some(trend) = Trend::of(&readings) else { continue };
        for ahead in AHEAD {
            // What the trend says will be used by then.
            let left = -trend.per_s * trend.span_s * ahead;
            let Outlook::RunsOut(eta) = trend.outlook(left.max(f64::MIN_POSITIVE)) else {
                score.silent += 1;
                continue;
            };
            let came = future.iter().find(|(_, v)| now - v >= left).map(|(s, _)| s - now_s);
            let end_s = future.last().unwrap().0 - now_s;
            match came {
                _ if left <= 0.0 => score.silent += 1,
                Some(s) if s < eta.early_s => score.early += 1,
                Some(s) if s > eta.late_s => score.late += 1,
                Some(_) => score.within += 1,
                None if eta.late_s < end_s => score.late += 1,
                None => score.open += 1,
            }
        }
    }
    score
}

#[test]
fn eight_of_ten_dates_lie_within_their_interval() {
    let mut total = Score::default();
    println!("{:<18} {:>6} {:>6} {:>6} {:>6} {:>6}", "series", "within", "before", "after", "silent", "open");
    for (name, all) in recorded() {
        let mut score = Score::default();
        // Of a short history the same load is another one: what comes back is not seen to.
        for part in [30, 50, 100] {
            score.add(&held_against(&all[..all.len() * part / 100]));
        }
        println!("{name:<18} {:>6} {:>6} {:>6} {:>6} {:>6}", score.within, score.early, score.late, score.silent, score.open);
        total.add(&score);
    }
    let (told, covered) = (total.told(), total.covered());
    println!(
        "coverage {:.0} % of {told} dates; before {}, after {}; no date {}, open {}",
        covered * 100.0,
        total.early,
        total.late,
        total.silent,
        total.open
    );
    assert!((0.75..=0.92).contains(&covered) && told >= 200, "{total:?}");
}
