//! `perftop check`: judge, print, exit by the status.

use std::time::Duration;

use crate::cli::{Check, FailOn, Format};
use crate::config::{Settings, nearest};
use crate::detect::diagnosis::{Diagnosis, Status};
use crate::detect::health;
use crate::detect::rule::matches;
use crate::detect::rules::RULES;
use crate::diagnose::Picture;
use crate::engine::{Handle, LiveOptions, live, to_json};
use crate::report::{self, brief};

use super::failure::{Failure, duration, print, runtime};
use super::setup::plan;

/// Before that every verdict is provisional.
pub(super) const LEAST: Duration = Duration::from_secs(3);
const DEFAULT: Duration = Duration::from_secs(5);
/// Beyond the asked time the first picture may take so long on a sick host.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs the command.
///
/// # Errors
/// Usage, or a host that cannot be read at all.
pub fn run(options: &Check, settings: &Settings) -> Result<u8, Failure> {
    let watch = options.watch.as_deref().map(|t| duration("--watch", t)).transpose()?;
    let sample_for = options.for_.as_deref().map(|t| duration("--for", t)).transpose()?;
    if sample_for.is_some_and(|d| d < LEAST) {
        return Err(Failure::Usage("--for must be at least 3s: before that every verdict is provisional".into()));
    }
    if watch.is_some_and(|d| d < Duration::from_millis(250)) {
        return Err(Failure::Usage("--watch must be at least 250ms".into()));
    }
    known(&options.only)?;
    super::screen::dashboards(settings)?;
    let every = watch.unwrap_or(Duration::from_secs(1));
    let format = options.format.unwrap_or(if watch.is_some() { Format::Json } else { Format::Text });
    let handle = begin(settings, every, &options.only)?;
    let say = |picture: &Picture| -> Result<Status, Failure> {
        let diagnosis = wanted(&picture.diagnosis, &options.only);
        let text = if options.line {
            brief::line(&diagnosis, options.width, settings.flag("ascii")) + "\n"
        } else {
            render(&diagnosis, format, options.verbose)
        };
        print(&text)?;
        Ok(diagnosis.health.status)
    };
    let status = match watch {
        Some(_) => runtime()?.block_on(every_tick(handle, sample_for, say)),
        None => runtime()?.block_on(once(handle, sample_for.unwrap_or(DEFAULT), say)),
    }?;
    Ok(code(status, options.fail_on))
}

/// Starts to look.
///
/// # Errors
/// A host that cannot be read at all.
pub(super) fn begin(settings: &Settings, every: Duration, only: &[String]) -> Result<Handle, Failure> {
    let options = LiveOptions {
        plan: plan(settings, every, true)?,
        params: settings.params(),
        only: only.to_vec(),
        record: None,
        keep: None,
        ticks: None,
    };
    live(options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))
}

/// What is said of now, after so long.
///
/// # Errors
/// A host that cannot be read at all.
pub(super) fn now(settings: &Settings, sample_for: Duration) -> Result<Diagnosis, Failure> {
    let handle = begin(settings, Duration::from_secs(1), &[])?;
    runtime()?.block_on(once(handle, sample_for, |picture| Ok((*picture.diagnosis).clone())))
}

fn known(only: &[String]) -> Result<(), Failure> {
    for id in only {
        if !RULES.iter().any(|rule| matches(id, rule.id)) {
            let near = nearest(id, RULES.iter().map(|r| r.id));
            return Err(Failure::Usage(format!("--only {id}: unknown finding{near}; `perftop explain` lists all")));
        }
    }
    Ok(())
}

fn wanted(diagnosis: &Diagnosis, only: &[String]) -> Diagnosis {
    if only.is_empty() { diagnosis.clone() } else { health::only(diagnosis.clone(), only) }
}

fn render(diagnosis: &Diagnosis, format: Format, verbose: bool) -> String {
    match format {
        Format::Text => report::text::render(diagnosis, verbose),
        Format::Markdown => report::markdown::render(diagnosis),
        Format::Json => String::from_utf8_lossy(&to_json(diagnosis)).into_owned() + "\n",
    }
}

fn code(status: Status, fail_on: Option<FailOn>) -> u8 {
    match (status, fail_on) {
        (Status::Warning, Some(FailOn::Critical)) => 0,
        (status, _) => status.exit_code(),
    }
}

async fn once<T>(mut handle: Handle, sample_for: Duration, say: impl Fn(&Picture) -> Result<T, Failure>) -> Result<T, Failure> {
    let mut ending = super::failure::ending()?;
    let mut first_ns = None;
    let wait = async {
        while handle.pictures.changed().await.is_ok() {
            let Some(picture) = handle.pictures.borrow_and_update().clone() else { continue };
            let first = *first_ns.get_or_insert(picture.at.mono_ns);
            let sampled = Duration::from_nanos(picture.at.mono_ns - first);
            // A tick comes a little early or late.
            if sampled + Duration::from_millis(100) >= sample_for {
                return Some(picture);
            }
        }
        None
    };
    tokio::select! {
        picture = tokio::time::timeout(sample_for + PATIENCE, wait) => match picture {
            Ok(Some(picture)) => say(&picture),
            _ => Err(Failure::Io("the host cannot be read: no sample; see `perftop doctor`".into())),
        },
        number = ending.next() => Err(Failure::Signal(number)),
    }
}

/// Says something of every look until it is ended, or for so long; gives the last status.
///
/// # Errors
/// A host that cannot be read any more, or what `say` says.
pub(super) async fn every_tick(
    mut handle: Handle,
    sample_for: Option<Duration>,
    say: impl Fn(&Picture) -> Result<Status, Failure>,
) -> Result<Status, Failure> {
    let mut status = Status::Unknown;
    let mut first_ns = None;
    let mut ending = super::failure::ending()?;
    loop {
        tokio::select! {
            changed = handle.pictures.changed() => {
                if changed.is_err() {
                    return Err(Failure::Io("the host cannot be read any more".into()));
                }
                let Some(picture) = handle.pictures.borrow_and_update().clone() else { continue };
                status = say(&picture)?;
                let first = *first_ns.get_or_insert(picture.at.mono_ns);
                let sampled = Duration::from_nanos(picture.at.mono_ns - first) + Duration::from_millis(100);
                if sample_for.is_some_and(|sample_for| sampled >= sample_for) {
                    return Ok(status);
                }
            }
            number = ending.next() => {
                // Whoever watches ends it by SIGINT or SIGTERM: the last status is the answer.
                return if matches!(number, 2 | 15) { Ok(status) } else { Err(Failure::Signal(number)) };
            }
        }
    }
}
