//! `perftop report`: what happened in a recording, as an engineer would write it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::{Report, ReportFormat};
use crate::config::Settings;
use crate::diagnose::chart::{ByHand, Chart};
use crate::report::chart;
use crate::report::incident::{Story, Target, html, markdown};

use super::failure::{Failure, print};
use super::kept::{Part, judged_all, parts};
use super::session::Unread;

/// Runs the command.
///
/// # Errors
/// Usage, a recording that cannot be read, a span without a diagnosis.
pub fn run(options: &Report, settings: &Settings) -> Result<u8, Failure> {
    let named = (options.from.as_deref().map(|t| ("--from", t)), options.to.as_deref().map(|t| ("--to", t)));
    let (story, unread) = story(&parts(options.file.as_deref(), named, settings)?)?;
    let targets = targets(settings);
    let text = match options.format.unwrap_or(ReportFormat::Markdown) {
        ReportFormat::Markdown => markdown::render(&story, &targets),
        ReportFormat::Html => html::render(&story, &targets),
        ReportFormat::Chart => chart::text(&Chart::of(&story.worst, &ByHand::new())),
        ReportFormat::Mermaid => chart::mermaid(&Chart::of(&story.worst, &ByHand::new())),
    };
    match &options.output {
        Some(path) => {
            let failed = |e: std::io::Error| {
                let way = if e.kind() == std::io::ErrorKind::AlreadyExists { "; choose another name" } else { "" };
                Failure::Io(format!("cannot write {}: {e}{way}", path.display()))
            };
            let mut file = private(path).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
        None => print(&text)?,
    }
    unread.whole()
}

/// What happened in these parts.
fn story(parts: &[Part]) -> Result<(Story, Unread), Failure> {
    let mut story: Option<Story> = None;
    let unread = judged_all(parts, |diagnosis, facts| match &mut story {
        Some(story) => story.add(diagnosis, facts),
        None => story = Some(Story::begin(diagnosis, facts)),
    })?;
    let nothing = || Failure::Usage("there is nothing in it between --from and --to".to_owned());
    story.map(|story| (story, unread)).ok_or_else(nothing)
}

/// Writes the report of a recording beside it; gives its file.
///
/// # Errors
/// A recording that cannot be read, or a file that cannot be written or is there.
pub fn beside(recording: &Path, targets: &[Target; 4]) -> Result<PathBuf, Failure> {
    let (story, _) = story(&[Part { file: recording.to_path_buf(), span_ms: (None, None) }])?;
    let path = recording.with_extension("md");
    // Whoever leaves meanwhile leaves no half of it under its name.
    let fresh = recording.with_extension("md-tmp");
    _ = std::fs::remove_file(&fresh);
    let written = private(&fresh)
        .and_then(|mut file| file.write_all(markdown::render(&story, targets).as_bytes()))
        .and_then(|()| std::fs::hard_link(&fresh, &path));
    _ = std::fs::remove_file(&fresh);
    written.map_err(|e| Failure::Io(format!("cannot write {}: {e}", path.display())))?;
    Ok(path)
}

/// The limits of the gauges, for the figures of the host.
pub fn targets(settings: &Settings) -> [Target; 4] {
    let pair =
        |what: &str| (settings.number(&format!("targets.{what}_warning")), settings.number(&format!("targets.{what}_critical")));
    let of = |name, at, limits| Target { name, at, limits };
    [
        of("CPU busy", 0, pair("cpu")),
        of("memory used", 1, pair("memory")),
        of("busiest disk", 2, pair("cpu")),
        of("fullest file system", 3, pair("disk")),
    ]
}

/// A report shows who runs what: for its owner only, and nothing that was there is lost.
fn private(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
