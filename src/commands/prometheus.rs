//! `perftop check --fleet` and `--capacity`: look at the hosts of a Prometheus, or at what runs out there; print, exit by the worst.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Check, FailOn, Format};
use crate::config::Settings;
use crate::detect::capacity::{blind, worst};
use crate::detect::finding::Severity;
use crate::detect::kpi::Level;
use crate::detect::prometheus::rank;
use crate::engine::{Ask, Handle, LiveOptions, live};
use crate::model::capacity::Capacity;
use crate::model::facts::PrometheusFacts;
use crate::model::foreign::Foreign;
use crate::model::kpi::Kpis;
use crate::model::prometheus::{Fleet, PrometheusAsk};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::source::SourceKind;
use crate::report::{capacity, kpi, prometheus as report};

use super::failure::{Failure, print, runtime};
use super::setup::plan;

/// A Prometheus must answer within this, and the fleet must be there within that.
const ANSWERS: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(60);

/// What is looked at.
struct Look<T> {
    what: &'static str,
    option: &'static str,
    ask: PrometheusAsk,
    of: fn(&PrometheusFacts) -> &Seen<Arc<T>>,
}

/// Runs the command.
///
/// # Errors
/// Usage, or no Prometheus that answers.
pub fn run(options: &Check, settings: &Settings) -> Result<u8, Failure> {
    if [options.fleet, options.capacity, options.kpis].iter().filter(|asked| **asked).count() > 1 {
        return Err(Failure::Usage("--fleet, --capacity and --kpis are looks of their own: one at a time".into()));
    }
    let format = options.format.unwrap_or(Format::Text);
    if options.capacity {
        let look = Look { what: "capacity", option: "--capacity", ask: PrometheusAsk::Capacity, of: |p| &p.capacity };
        let (source, found, others) = look.at(options, settings)?;
        let mut found = Capacity::clone(&found);
        found.lacks.extend(others);
        print(&match format {
            Format::Text => capacity::text(&source, &found),
            Format::Json => capacity::json(&source, &found),
            Format::Markdown => capacity::markdown(&source, &found),
        })?;
        return Ok(code(worst(&found), options.fail_on, blind(&found)));
    }
    if options.kpis {
        let look = Look { what: "key figures", option: "--kpis", ask: PrometheusAsk::Kpis, of: |p| &p.kpis };
        let (source, found, others) = look.at(options, settings)?;
        let mut found = Kpis::clone(&found);
        found.lacks.extend(others);
        print(&match format {
            Format::Text => kpi::text(&source, &found),
            Format::Json => kpi::json(&source, &found),
            Format::Markdown => kpi::markdown(&source, &found),
        })?;
        let severity = match kpi::worst(&found) {
            Level::Critical => Some(Severity::Critical),
            Level::Warning => Some(Severity::Warning),
            _ => None,
        };
        let blind = kpi::blind(&found);
        return Ok(code(severity, options.fail_on, blind));
    }
    let look = Look { what: "fleet", option: "--fleet", ask: PrometheusAsk::Fleet, of: |p| &p.fleet };
    let (source, fleet, others) = look.at(options, settings)?;
    let mut fleet = Fleet::clone(&fleet);
    fleet.lacks.extend(others);
    print(&match format {
        Format::Text => report::text(&source, &fleet),
        Format::Json => report::json(&source, &fleet),
        Format::Markdown => report::markdown(&source, &fleet),
    })?;
    let worst = rank(&fleet).first().and_then(|r| r.severity);
    Ok(code(worst, options.fail_on, fleet.blind() || !fleet.lacks.is_empty()))
}

/// The exit code. What was not seen may be anything.
const fn code(worst: Option<Severity>, fail: Option<FailOn>, blind: bool) -> u8 {
    match (worst, fail) {
        (Some(Severity::Critical), _) => 2,
        (Some(_), None | Some(FailOn::Warning)) => 1,
        _ if blind => 3,
        _ => 0,
    }
}

/// Other servers, which are not looked at.
type Others = Vec<(String, Foreign)>;

impl<T> Look<T> {
    /// Looks by the first server that answers.
    fn at(&self, options: &Check, settings: &Settings) -> Result<(String, Arc<T>, Others), Failure> {
        if options.watch.is_some() || options.for_.is_some() || !options.only.is_empty() {
            return Err(Failure::Usage(format!("{} looks once: --for, --watch and --only do not go with it", self.option)));
        }
        let live_options = LiveOptions {
            plan: plan(settings, Duration::from_millis(500), true)?,
            params: settings.params(),
            only: vec!["fleet.host".to_owned()],
            record: None,
            keep: None,
            ticks: None,
        };
        let handle = live(live_options).map_err(|e| Failure::Io(format!("cannot start collecting: {e}")))?;
        runtime()?.block_on(self.look(handle))
    }

    async fn look(&self, mut handle: Handle) -> Result<(String, Arc<T>, Others), Failure> {
        let mut ending = super::failure::ending()?;
        let mut asked: Option<String> = None;
        let mut last = None;
        let wait = async {
            let begin = tokio::time::Instant::now();
            while handle.pictures.changed().await.is_ok() {
                let Some(picture) = handle.pictures.borrow_and_update().clone() else { continue };
                let mut sources = picture.diagnosis.sources.iter().filter(|s| s.kind == SourceKind::Prometheus);
                let said = sources.next().map(|s| format!("{}: {}", s.id, s.why.as_deref().unwrap_or("it has not answered yet")));
                last = said.or(last);
                let all = || picture.facts.servers.prometheus.iter();
                let first = all().find(|p| asked.as_ref() == Some(&p.id)).or_else(|| all().find(|p| p.instance.is_some()));
                let Some(server) = first else {
                    if begin.elapsed() > ANSWERS {
                        return Err(last.clone());
                    }
                    continue;
                };
                match (self.of)(server) {
                    Ok(found) => {
                        let all = picture.diagnosis.sources.iter();
                        let others = all.filter(|s| s.kind == SourceKind::Prometheus && s.id != server.id);
                        let others = others.map(|s| (s.id.clone(), Foreign::from("not looked at: one server at a time")));
                        return Ok((server.id.clone(), found.clone(), others.collect()));
                    }
                    Err(Lack { why: Why::NotYet, .. }) if asked.is_none() => {
                        asked = Some(server.id.clone());
                        _ = handle.asks.send(Ask::Demand(self.ask.clone().of(&server.id))).await;
                    }
                    Err(Lack { why: Why::NotYet, .. }) => {}
                    Err(lack) => return Err(Some(format!("{}: {lack}", server.id))),
                }
            }
            Err(last.clone())
        };
        let no = |why: &str| Failure::Io(format!("no {}: {why}", self.what));
        tokio::select! {
            found = tokio::time::timeout(PATIENCE, wait) => match found {
                Ok(Ok(found)) => Ok(found),
                Ok(Err(Some(why))) => Err(no(&why)),
                Ok(Err(None)) => Err(Failure::Usage("no Prometheus: name one, --prometheus http://HOST:9090, or [prometheus.NAME] in the configuration".into())),
                Err(_) => Err(no("no answer within a minute")),
            },
            number = ending.next() => Err(Failure::Signal(number)),
        }
    }
}
