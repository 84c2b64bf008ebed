//! `perftop why`: the newest verdict in three lines, from a screen or a recorder that runs, else from three seconds of now.

use crate::collect::clock;
use crate::config::Settings;
use crate::detect::diagnosis::Diagnosis;
use crate::model::unit::seconds;
use crate::record::kept::newest;
use crate::report::brief;

use super::check::{LEAST, now};
use super::failure::{Failure, print};
use super::kept::sessions_of;
use super::setup::{own_state, patiently};

/// What was said longer ago is not now, ms: three looks of a recorder.
const FRESH_MS: i64 = 15_000;

/// Runs the command.
///
/// # Errors
/// A host that cannot be read at all.
pub fn run(settings: &Settings) -> Result<u8, Failure> {
    let ascii = settings.flag("ascii");
    let (diagnosis, seen) = match said(settings) {
        Some((diagnosis, ago_s)) => (diagnosis, format!("seen {} ago by a perftop that runs", seconds(ago_s))),
        None => (now(settings, LEAST)?, format!("seen for {} now", seconds(LEAST.as_secs_f64()))),
    };
    print(&brief::three(&diagnosis, &seen, ascii))?;
    Ok(diagnosis.health.status.exit_code())
}

/// What a perftop that runs said last, and how many seconds ago.
fn said(settings: &Settings) -> Option<(Diagnosis, f64)> {
    let kept = settings.flag("sessions.keep").then(|| patiently(own_state)).flatten().flatten()?;
    let now_ms = clock::now().wall_ms;
    let (at_ms, json) = patiently(move || newest(&sessions_of(&kept), now_ms - FRESH_MS))??;
    let diagnosis = serde_json::from_slice(&json).ok()?;
    Some((diagnosis, (now_ms - at_ms).max(0) as f64 / 1e3))
}
