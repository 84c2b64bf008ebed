//! What perftop itself costs, for the header.

use super::clock;
use super::root::{Reader, fields, number};

/// Measures from one call to the next.
#[derive(Debug, Default)]
pub struct Meter {
    reader: Reader,
    last: Option<(u64, f64)>,
}

impl Meter {
    /// Share of one core since the last call, and resident bytes now.
    pub fn read(&mut self) -> (f64, u64) {
        let now = (clock::mono_ns(), clock::own_cpu_s());
        let share = self.last.map_or(0.0, |(ns, cpu)| {
            let wall_s = now.0.saturating_sub(ns) as f64 / 1e9;
            if wall_s > 0.0 { (now.1 - cpu) / wall_s } else { 0.0 }
        });
        self.last = Some(now);
        let statm = self.reader.read(std::path::Path::new("/proc/self/statm"));
        let pages = statm.ok().and_then(|text| fields(text).nth(1).and_then(number)).unwrap_or(0);
        (share, pages * rustix::param::page_size() as u64)
    }
}
