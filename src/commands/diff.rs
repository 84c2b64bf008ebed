//! `perftop diff`: two spans of time beside each other, before and after.

use crate::cli::Diff;
use crate::config::Settings;
use crate::report::difference::{Side, render};

use super::failure::{Failure, print};
use super::kept::{judged_all, parts};
use super::session::{Unread, file_and_span};

/// Runs the command.
///
/// # Errors
/// Usage, or a recording that cannot be read.
pub fn run(options: &Diff, settings: &Settings) -> Result<u8, Failure> {
    let ((before, unread), (after, more)) = (side(&options.before, settings)?, side(&options.after, settings)?);
    print(&render(&before, &after))?;
    unread.and(more).whole()
}

/// One of the two, and how much of it cannot be read.
fn side(text: &str, settings: &Settings) -> Result<(Side, Unread), Failure> {
    let (file, between) = file_and_span(text)?;
    let (from, to) = between.unwrap_or_default();
    let from = (!from.is_empty()).then_some(("from", from.as_str()));
    let to = (!to.is_empty()).then_some(("to", to.as_str()));
    let parts = parts(file.as_deref(), (from, to), settings)?;
    let mut side: Option<Side> = None;
    let unread = judged_all(&parts, |d, facts| match &mut side {
        Some(side) => side.add(d, facts),
        None => side = Some(Side::begin(d, facts)),
    })?;
    side.map(|side| (side, unread)).ok_or_else(|| Failure::Usage(format!("{text} holds nothing")))
}
