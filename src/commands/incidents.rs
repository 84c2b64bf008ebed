//! `perftop incidents`: what was wrong when, in a recording.

use crate::cli::Incidents as Options;
use crate::record::format::Record;
use crate::record::reader::Recording;
use crate::report::incidents::{Incidents, render};

use super::failure::{Failure, print};
use super::session::whole;

/// Runs the command: it lists what was found at the time of the recording and judges nothing again.
///
/// # Errors
/// A recording that cannot be read.
pub fn run(options: &Options) -> Result<u8, Failure> {
    let mut incidents = Incidents::default();
    let mut at_ms = 0;
    let mut recording = Recording::open(&options.file)?;
    for record in recording.by_ref() {
        match record {
            Record::Start(start) => incidents.every(start.every_ms),
            Record::Sample(sample) => at_ms = sample.at.wall_ms,
            Record::Diagnosis(json) => incidents.add(at_ms, &json),
            Record::Other(_) => {}
        }
    }
    print(&render(&incidents.all()))?;
    whole(recording.lost())
}
