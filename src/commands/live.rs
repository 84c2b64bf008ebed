//! The live dashboard, and the screen of a replay.

use std::io::IsTerminal;

use crate::config::Settings;
use crate::engine::{Handle, LiveOptions};

use super::{Failure, plan};

/// Opens the dashboard.
///
/// # Errors
/// Without a terminal, or when the host cannot be read.
pub fn run(settings: &Settings) -> Result<u8, Failure> {
    screen(settings, || {
        let plan = plan(settings, settings.duration("every"), true)?;
        let options = LiveOptions { plan, params: settings.params(), record: None, ticks: None };
        crate::engine::live(options).map_err(|e| Failure::Io(format!("cannot start: {e}")))
    })
}

/// Runs the screen on what `start` gives.
///
/// # Errors
/// Without a terminal, with a wrong theme, or what `start` says.
pub fn screen(settings: &Settings, start: impl FnOnce() -> Result<Handle, Failure>) -> Result<u8, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() && settings.text("theme").is_empty() {
        return Err(Failure::Usage(
            "the dashboard needs a terminal; without one use `perftop check`, or `perftop check --watch 1s`".into(),
        ));
    }
    let _handle = start()?;
    Ok(0)
}
