//! `perftop diff`: two spans of time beside each other, before and after.

use crate::cli::Diff;
use crate::engine::{Playback, ReplayOptions};
use crate::report::difference::{Side, render};

use super::failure::{Failure, print};
use super::session::{file_and_span, span};

/// Runs the command.
///
/// # Errors
/// Usage, or a recording that cannot be read.
pub fn run(options: &Diff) -> Result<u8, Failure> {
    print(&render(&side(&options.before)?, &side(&options.after)?))?;
    Ok(0)
}

fn side(text: &str) -> Result<Side, Failure> {
    let (file, between) = file_and_span(text)?;
    let given = |text: &'_ str| -> Option<String> { (!text.is_empty()).then(|| text.to_owned()) };
    let (from, to) = between.map_or((None, None), |(from, to)| (given(&from), given(&to)));
    let named = (from.as_deref().map(|t| ("from", t)), to.as_deref().map(|t| ("to", t)));
    let (from_ms, to_ms) = span(&file, named)?;
    let mut playback = Playback::open(&ReplayOptions { file: Some(file), from_ms, speed_percent: 100 })?;
    let mut side: Option<Side> = None;
    while let Some(judged) = playback.step() {
        let at_ms = judged.at.wall_ms;
        if to_ms.is_some_and(|to| at_ms > to) {
            break;
        }
        let (d, facts) = (&judged.evaluation.diagnosis, &judged.evaluation.facts);
        match &mut side {
            Some(side) => side.add(d, facts),
            None => side = Some(Side::begin(d, facts)),
        }
    }
    side.ok_or_else(|| Failure::Usage(format!("{text} holds nothing")))
}
