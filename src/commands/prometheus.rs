//! `perftop check --fleet`: look at the fleet of a Prometheus, print, exit by the worst host.

use std::time::Duration;

use crate::cli::{Check, FailOn, Format};
use crate::config::Settings;
use crate::detect::finding::Severity;
use crate::detect::prometheus::rank;
use crate::engine::{Ask, Handle, LiveOptions, live};
use crate::model::foreign::Foreign;
use crate::model::prometheus::{Fleet, PrometheusAsk};
use crate::model::seen::{Lack, Why};
use crate::model::source::SourceKind;
use crate::report::prometheus as report;

use super::failure::{Failure, print, runtime};
use super::setup::plan;

/// A Prometheus must answer within this, and the fleet must be there within that.
const ANSWERS: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// Usage, or no Prometheus that answers.
pub fn run(options: &Check, settings: &Settings) -> Result<u8, Failure> {
    if options.watch.is_some() || options.for_.is_some() || !options.only.is_empty() {
        return Err(Failure::Usage("--fleet looks once: --for, --watch and --only do not go with it".into()));
    }
    let live_options = LiveOptions {
        plan: plan(settings, Duration::from_millis(500), true)?,
        params: settings.params(),
        only: vec!["fleet.host".to_owned()],
        record: None,
        ticks: None,
    };
    let handle = live(live_options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))?;
    let (source, fleet) = runtime()?.block_on(look(handle))?;
    print(&match options.format.unwrap_or(Format::Text) {
        Format::Text => report::text(&source, &fleet),
        Format::Json => report::json(&source, &fleet),
        Format::Markdown => report::markdown(&source, &fleet),
    })?;
    let worst = rank(&fleet).first().and_then(|r| r.severity);
    Ok(match (worst, options.fail_on) {
        (Some(Severity::Critical), _) => 2,
        (Some(_), fail) if fail != Some(FailOn::Critical) => 1,
        // What was not seen may be anything.
        _ if fleet.blind() || !fleet.lacks.is_empty() => 3,
        _ => 0,
    })
}

async fn look(mut handle: Handle) -> Result<(String, Fleet), Failure> {
    let mut ending = super::failure::ending()?;
    let mut asked = false;
    let mut last = None;
    let wait = async {
        let begin = tokio::time::Instant::now();
        while handle.pictures.changed().await.is_ok() {
            let Some(picture) = handle.pictures.borrow_and_update().clone() else { continue };
            let sources = picture.diagnosis.sources.iter().filter(|s| s.kind == SourceKind::Prometheus);
            last =
                sources.map(|s| format!("{}: {}", s.id, s.why.as_deref().unwrap_or("it has not answered yet"))).next().or(last);
            let first = picture.facts.servers.prometheus.iter().find(|p| p.instance.is_some());
            let Some(server) = first else {
                if begin.elapsed() > ANSWERS {
                    return Err(last.clone());
                }
                continue;
            };
            match &server.fleet {
                Ok(fleet) => {
                    let mut fleet = Fleet::clone(fleet);
                    let sources =
                        picture.diagnosis.sources.iter().filter(|s| s.kind == SourceKind::Prometheus && s.id != server.id);
                    fleet.lacks.extend(sources.map(|s| (s.id.clone(), Foreign::from("not looked at: one server at a time"))));
                    return Ok((server.id.clone(), fleet));
                }
                Err(Lack { why: Why::NotYet, .. }) if !asked => {
                    asked = true;
                    _ = handle.asks.send(Ask::Demand(PrometheusAsk::Fleet.of(&server.id))).await;
                }
                Err(Lack { why: Why::NotYet, .. }) => {}
                Err(lack) => return Err(Some(format!("{}: {lack}", server.id))),
            }
        }
        Err(last.clone())
    };
    tokio::select! {
        found = tokio::time::timeout(PATIENCE, wait) => match found {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Some(why))) => Err(Failure::Io(format!("no fleet: {why}"))),
            Ok(Err(None)) => Err(Failure::Usage("no Prometheus: name one, --prometheus http://HOST:9090, or [prometheus.NAME] in the configuration".into())),
            Err(_) => Err(Failure::Io("no fleet: no answer within a minute".into())),
        },
        number = ending.next() => Err(Failure::Signal(number)),
    }
}
