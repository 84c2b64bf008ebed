//! `perftop incidents`: what was wrong when, in a recording or in the sessions that were kept.

use std::fs::File;

use crate::cli::Incidents as Options;
use crate::config::Settings;
use crate::past::told;
use crate::record::reader::{Recording, segments};
use crate::report::incidents::{Incidents, render};

use super::failure::{Failure, print};
use super::kept::{Part, all};
use super::session::Unread;

/// Runs the command: it lists what was found at the time of the recording and judges nothing again.
///
/// # Errors
/// A recording that cannot be read.
pub fn run(options: &Options, settings: &Settings) -> Result<u8, Failure> {
    let parts = match &options.file {
        Some(file) => vec![Part { file: file.clone(), span_ms: (None, None) }],
        None => all(settings)?,
    };
    let mut incidents = Incidents::default();
    let mut unread = Unread::default();
    parts.iter().for_each(|part| unread.add(add(&mut incidents, part)));
    let unread = unread.unless_nothing()?;
    print(&render(&incidents.all()))?;
    unread.whole()
}

fn add(incidents: &mut Incidents, part: &Part) -> Result<Option<u64>, Failure> {
    let between = (part.span_ms.0.unwrap_or(i64::MIN), part.span_ms.1.unwrap_or(i64::MAX));
    let mut recording = open(part)?;
    told(incidents, &mut recording, between);
    Ok(recording.lost())
}

/// At the segment in which the part begins: a recording may be a week long.
fn open(part: &Part) -> Result<Recording, Failure> {
    let within = |from_ms: i64| {
        let found = segments(&mut File::open(&part.file).ok()?).ok()?;
        found.into_iter().rev().find(|(_, entry)| entry.first_ms <= from_ms)
    };
    let recording = match part.span_ms.0.and_then(within) {
        Some((offset, _)) => Recording::open_at(&part.file, offset)?,
        None => Recording::open(&part.file)?,
    };
    Ok(recording)
}
