//! The live dashboard.

use crate::app::Journal;
use crate::config::Settings;
use crate::engine::LiveOptions;
use crate::record::journal;
use crate::run::Own;

use super::failure::Failure;
use super::kept::sessions_of;
use super::report::targets;
use super::screen::screen;
use super::setup::{own_state, patiently, plan};

/// Opens the dashboard.
///
/// # Errors
/// Without a terminal, or when the host cannot be read.
pub fn run(settings: &Settings) -> Result<u8, Failure> {
    let own = own(settings);
    let keep = own.sessions.clone();
    screen(settings, own, || {
        let plan = plan(settings, settings.duration("every"), true)?;
        let options = LiveOptions { plan, params: settings.params(), only: Vec::new(), record: None, keep, ticks: None };
        crate::engine::live(options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))
    })
}

/// What is kept of the user's, and where.
fn own(settings: &Settings) -> Own {
    let targets = Some(targets(settings));
    if !settings.flag("sessions.keep") {
        return Own { targets, ..Own::default() };
    }
    let look = || {
        let dir = own_state()?;
        let (first, past) = (!dir.exists(), journal::past(&dir));
        Some((dir, first, past))
    };
    match patiently(look) {
        Some(Some((dir, first, past))) => Own {
            notice: first.then(|| {
                let off = "sessions.keep = false turns it off";
                format!("what this screen sees is kept for a day, for you alone ({off}): {}", dir.display())
            }),
            sessions: Some(sessions_of(&dir)),
            past: Journal::new(past),
            journal: journal::Journal::start(dir).ok(),
            targets,
            of_kept: false,
            tour: None,
        },
        Some(None) => Own { targets, ..Own::default() },
        None => {
            Own { notice: Some("this session is not kept: the home directory does not answer".into()), targets, ..Own::default() }
        }
    }
}
