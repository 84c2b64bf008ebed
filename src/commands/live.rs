//! The live dashboard.

use crate::config::Settings;
use crate::engine::LiveOptions;

use super::failure::Failure;
use super::screen::screen;
use super::setup::plan;

/// Opens the dashboard.
///
/// # Errors
/// Without a terminal, or when the host cannot be read.
pub fn run(settings: &Settings) -> Result<u8, Failure> {
    screen(settings, || {
        let plan = plan(settings, settings.duration("every"), true)?;
        let options = LiveOptions { plan, params: settings.params(), only: Vec::new(), record: None, ticks: None };
        crate::engine::live(options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))
    })
}
