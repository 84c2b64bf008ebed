//! `perftop why`: the latest verdict in three lines, from a running screen or recorder, else from three seconds of sampling.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::Why;
use crate::collect::clock;
use crate::config::Settings;
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::model::unit::seconds;
use crate::record::kept::newest;
use crate::report::brief;

use super::check::{LEAST, begin, every_tick, now};
use super::failure::{Failure, duration, print, runtime};
use super::kept::sessions_of;
use super::setup::{own_state, patiently};

/// What was said longer ago is not now, ms: three looks of a recorder.
const FRESH_MS: i64 = 15_000;
/// Where the recorder of the system keeps what it saw (packaging/perftop-record.service).
const OF_THE_SYSTEM: &str = "/var/lib/perftop";

/// Runs the command; `named`: servers were named on the command line.
///
/// # Errors
/// Usage, or a host that cannot be read at all.
pub fn run(options: &Why, settings: &Settings, named: bool) -> Result<u8, Failure> {
    let ascii = settings.flag("ascii");
    if let Some(watch) = &options.watch {
        return follow(duration("--watch", watch)?, settings, ascii);
    }
    // Who names a server asks about it: one that runs may watch others.
    let (diagnosis, seen) = match said(settings).filter(|_| !named) {
        Some((diagnosis, ago_s)) => (diagnosis, format!("seen {} ago by a running perftop", seconds(ago_s))),
        None => (now(settings, LEAST)?, format!("sampled for {}", seconds(LEAST.as_secs_f64()))),
    };
    print(&brief::three(&diagnosis, &seen, ascii))?;
    Ok(diagnosis.health.status.exit_code())
}

/// What a perftop that runs said last, and how many seconds ago: one of this user's, or the recorder of the system.
fn said(settings: &Settings) -> Option<(Diagnosis, f64)> {
    let keeps = settings.flag("sessions.keep");
    let now_ms = clock::now().wall_ms;
    let look = move || {
        let places = keeps.then(own_state).flatten().into_iter().chain([PathBuf::from(OF_THE_SYSTEM)]);
        places.filter_map(|state| newest(&sessions_of(&state), now_ms - FRESH_MS)).max_by_key(|(at_ms, _)| *at_ms)
    };
    let (at_ms, json) = patiently(look)??;
    let diagnosis: Diagnosis = serde_json::from_slice(&json).ok()?;
    // A home may be shared by several hosts, and the first looks of a screen are none yet.
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname").is_ok_and(|name| name.trim() == diagnosis.host.name);
    (here && !diagnosis.provisional).then_some((diagnosis, (now_ms - at_ms).max(0) as f64 / 1e3))
}

/// Prints each verdict that differs from the one before, and when it came.
fn follow(every: Duration, settings: &Settings, ascii: bool) -> Result<u8, Failure> {
    if every < Duration::from_millis(250) {
        return Err(Failure::Usage("--watch must be at least 250ms".into()));
    }
    // Looks are close, so that the first verdict does not wait for three of them far apart.
    let handle = begin(settings, every.min(Duration::from_secs(1)), &[])?;
    let last: RefCell<Option<(Status, Option<String>)>> = RefCell::default();
    let due_ns = Cell::new(0);
    let status = runtime()?.block_on(every_tick(handle, None, |picture| {
        let d = &picture.diagnosis;
        let now = (d.verdict.status, d.verdict.key.clone());
        if !d.provisional && picture.at.mono_ns >= due_ns.get() {
            due_ns.set(picture.at.mono_ns.saturating_add(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX)));
            if last.borrow().as_ref() != Some(&now) {
                let time = d.at.get(11..19).unwrap_or_default();
                print(&brief::three(d, &format!("at {time}Z"), ascii))?;
                *last.borrow_mut() = Some(now);
            }
        }
        Ok(d.health.status)
    }))?;
    Ok(status.exit_code())
}
