//! The live dashboard.

use crate::app::Journal;
use crate::config::Settings;
use crate::engine::LiveOptions;
use crate::record::journal;
use crate::run::Own;

use super::failure::Failure;
use super::kept::sessions_dir;
use super::report::targets;
use super::screen::screen;
use super::setup::{plan, state_dir};

/// Opens the dashboard.
///
/// # Errors
/// Without a terminal, or when the host cannot be read.
pub fn run(settings: &Settings) -> Result<u8, Failure> {
    let keep = sessions_dir(settings);
    let first = keep.as_ref().filter(|dir| !dir.exists());
    let notice = first.map(|dir| {
        format!("what this screen sees is kept for a day, for you alone (sessions.keep = false turns it off): {}", dir.display())
    });
    let state = state_dir(settings);
    let past = Journal::new(state.as_deref().map(journal::past).unwrap_or_default());
    let journal = state.and_then(|dir| journal::Journal::start(dir).ok());
    let own = Own { notice, sessions: keep.clone(), past, journal, targets: Some(targets(settings)) };
    screen(settings, own, || {
        let plan = plan(settings, settings.duration("every"), true)?;
        let options = LiveOptions { plan, params: settings.params(), only: Vec::new(), record: None, keep, ticks: None };
        crate::engine::live(options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))
    })
}
