//! One server: a thread of its own, so that a server that hangs delays nobody; one question at a time, each when it is due.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::collect::clock;
use crate::collect::root::Roots;
use crate::model::demand::{Answer, Demand, Detail};
use crate::model::foreign::Foreign;
use crate::model::prometheus::{Flavour, Instance, Job, PrometheusAsk, PrometheusDetail, Targets};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::server::{ServerAsk, ServerDetail};
use crate::model::source::Place;

use super::answers::{self, Build, Series, Told};
use super::capacity;
use super::client::Client;
use super::count::{Answers, Counting};
use super::fleet;
use super::kpi;
use super::panel;
use super::question::{QUICK, Question};
use super::rules::Rules;
use super::slot::Shared;
use super::target::Target;
use super::trouble::Trouble;

/// A server that is not there is tried again so often at most.
const AGAIN: Duration = Duration::from_secs(10);
/// Who it is, and whether it still answers.
const HELLO: Duration = Duration::from_secs(15);
const ALERTS: Duration = Duration::from_secs(10);
const TARGETS: Duration = Duration::from_secs(30);

/// What a watcher runs with.
pub struct Watcher {
    target: Target,
    roots: Roots,
    slot: Shared,
    asked: mpsc::Receiver<Demand>,
    counting: Vec<Counting>,
    rules: Rules,
    /// The demand that was answered last, and when.
    answered: Option<(Demand, Instant)>,
    /// What key figures were before.
    past: kpi::Past,
    /// What was asked for while something else was answered.
    waiting: VecDeque<Demand>,
}

/// When each is due.
struct Due {
    hello: Instant,
    alerts: Instant,
    targets: Instant,
}

impl Watcher {
    /// It begins with `run`.
    #[must_use]
    pub fn new(target: Target, roots: Roots, slot: Shared, asked: mpsc::Receiver<Demand>) -> Self {
        let counting = target.objectives.iter().map(Counting::new).collect();
        let left_out: Vec<Foreign> = target.left_out.iter().map(|why| Foreign::from(why.as_str())).collect();
        if !left_out.is_empty() {
            slot.add(|sample| sample.left_out = Some(left_out));
        }
        let rules = Rules::new(&target.rules);
        Self { target, roots, slot, asked, counting, rules, answered: None, past: kpi::Past::new(), waiting: VecDeque::new() }
    }

    /// Asks the server until the thread is told to stop.
    pub async fn run(mut self) {
        let mut pause = Duration::from_secs(1);
        loop {
            let trouble = match self.gone() {
                true => Trouble::Nobody("its process has ended".into()),
                false => self.serve(&mut pause).await,
            };
            self.slot.lost(&self.target, &trouble);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN);
        }
    }

    /// The process that was seen here is there no more.
    fn gone(&self) -> bool {
        self.target.seen.is_some_and(|id| !self.roots.proc.join(id.pid.to_string()).exists())
    }

    async fn serve(&mut self, pause: &mut Duration) -> Trouble {
        let client = match Client::new(&self.target) {
            Ok(client) => client,
            Err(trouble) => return trouble,
        };
        let mut known = None;
        let now = clock::instant();
        let mut due = Due { hello: now, alerts: now, targets: now };
        loop {
            if let Err(trouble) = self.round(&client, &mut due, &mut known).await {
                return trouble;
            }
            *pause = Duration::from_secs(1);
        }
    }

    /// What is due next.
    async fn round(&mut self, client: &Client, due: &mut Due, known: &mut Option<Instance>) -> Result<(), Trouble> {
        if let Some(demand) = self.waiting.pop_front() {
            return self.answer(client, demand).await;
        }
        let counting = self.counting.iter().map(Counting::next).min();
        let all = [Some(due.hello), Some(due.alerts), Some(due.targets), counting, self.rules.next];
        let next = all.into_iter().flatten().min();
        tokio::select! {
            () = tokio::time::sleep_until(next.unwrap_or_else(clock::instant).into()) => {}
            Some(demand) = self.asked.recv() => return self.answer(client, demand).await,
        }
        let now = clock::instant();
        if now >= due.hello {
            due.hello = now + HELLO;
            let fresh = self.hello(client).await?;
            if known.as_ref() != Some(&fresh) {
                self.slot.introduced(&self.target, &fresh);
                *known = Some(fresh);
            }
            return Ok(());
        }
        if now >= due.alerts {
            due.alerts = now + ALERTS;
            let flavour = known.as_ref().map_or(Flavour::Unknown, |k| k.flavour);
            return self.alerts(client, flavour).await;
        }
        if now >= due.targets {
            due.targets = now + TARGETS;
            return self.targets(client).await;
        }
        if self.rules.next.is_some_and(|next| now >= next && counting.is_none_or(|c| next <= c || c > now)) {
            let evaluated = self.rules.step(&mut Asking { client, slot: &self.slot, target: &self.target }).await?;
            self.slot.add(|sample| sample.rules.extend(evaluated));
            return Ok(());
        }
        let Some(at) = (0..self.counting.len()).min_by_key(|at| self.counting[*at].next()) else { return Ok(()) };
        let counted = self.counting[at].step(&mut Asking { client, slot: &self.slot, target: &self.target }).await?;
        self.slot.counted(counted);
        Ok(())
    }

    /// What the screen asks for. A question that fails is answered by that; the way to the server is not in doubt. What nobody looks at any
    /// more is dropped with the request that is under way.
    async fn answer(&mut self, client: &Client, demand: Demand) -> Result<(), Trouble> {
        /// The same question within this is one that waited in the queue.
        const SAME: Duration = Duration::from_secs(5);
        /// Questions that wait at most: more are of a screen that has moved on.
        const WAITING: usize = 64;
        let Demand::Server { ask: ServerAsk::Prometheus(ask), .. } = &demand else { return Ok(()) };
        if *ask == PrometheusAsk::Leave {
            self.waiting.clear();
            return Ok(());
        }
        if self.answered.as_ref().is_some_and(|(last, at)| *last == demand && at.elapsed() < SAME) {
            return Ok(());
        }
        let found = {
            let mut asking = Asking { client, slot: &self.slot, target: &self.target };
            let work = work(&mut asking, ask, &self.target, &mut self.past);
            tokio::pin!(work);
            loop {
                tokio::select! {
                    found = &mut work => break Some(found),
                    next = self.asked.recv() => match next {
                        Some(Demand::Server { ask: ServerAsk::Prometheus(PrometheusAsk::Leave), .. }) => {
                            self.waiting.clear();
                            break None;
                        }
                        Some(next) if self.waiting.len() < WAITING => self.waiting.push_back(next),
                        Some(_) => {}
                        None => break None,
                    },
                }
            }
        };
        let Some(found) = found else { return Ok(()) };
        let found = found.unwrap_or_else(|trouble| Err(Lack::new(Why::TimedOut, trouble.to_string())));
        let detail = found.map(|found| Detail::Server(ServerDetail::Prometheus(found)));
        self.answered = Some((demand.clone(), clock::instant()));
        self.slot.answered(Answer { demand, detail });
        Ok(())
    }

    async fn hello(&self, client: &Client) -> Result<Instance, Trouble> {
        let answer = client.ask("/api/v1/status/buildinfo", &[], QUICK).await;
        let (build, victoria) = match answer {
            Ok(answer) => (answers::open::<Build>(&answer.body).map(|told| told.data), answer.victoria),
            // Some have no such page, and answer queries all the same.
            Err(Trouble::Other(_) | Trouble::Refused { .. }) => {
                let form = [("query", "vector(1)".to_owned())];
                let answer = client.ask("/api/v1/query", &form, QUICK).await?;
                answers::series(&answer.body)?;
                (Ok(Build::default()), answer.victoria)
            }
            Err(trouble) => return Err(trouble),
        };
        let build = build?;
        let flavour = match build.application.to_lowercase() {
            _ if victoria => Flavour::VictoriaMetrics,
            name if name.contains("mimir") || name.contains("cortex") => Flavour::Mimir,
            name if name.contains("thanos") => Flavour::Thanos,
            _ if build.version.starts_with("0.") => Flavour::Thanos,
            _ if build.version.is_empty() => Flavour::Unknown,
            _ => Flavour::Prometheus,
        };
        Ok(Instance {
            flavour,
            version: Foreign::from(build.version.chars().take(40).collect::<String>().as_str()),
            url: Foreign::from(self.target.base.as_str()),
            place: self.target.seen.map(|_| Place::Local),
            process: self.target.seen,
            port: self.target.port,
        })
    }

    async fn alerts(&self, client: &Client, flavour: Flavour) -> Result<(), Trouble> {
        let answer = client.ask("/api/v1/alerts", &[], QUICK).await.and_then(|answer| answers::alerts(&answer.body));
        let alerts = match answer {
            // A storage alone evaluates no rules; VictoriaMetrics and Thanos answer with an empty list then.
            Ok(told) if told.data.is_empty() && flavour != Flavour::Prometheus && flavour != Flavour::Mimir => {
                Err(Lack::new(Why::Absent, "/api/v1/alerts: this server tells of none, and may evaluate no rules"))
            }
            Ok(told) => {
                self.slot.warned(&self.target, "/api/v1/alerts", &told.warnings);
                match told.warnings.first() {
                    None => Ok(told.data),
                    Some(warned) => Err(Lack::new(Why::Garbage, format!("/api/v1/alerts: not whole: {}", warned.shown()))),
                }
            }
            Err(Trouble::Other(_)) => Err(Lack::new(Why::Absent, "/api/v1/alerts: this server evaluates no rules")),
            Err(trouble) if trouble.of_question() => Err(Lack::new(Why::Garbage, format!("/api/v1/alerts: {trouble}"))),
            Err(trouble) => return Err(trouble),
        };
        self.slot.add(|sample| sample.alerts = Some(alerts));
        Ok(())
    }

    async fn targets(&self, client: &Client) -> Result<(), Trouble> {
        let mut asking = Asking { client, slot: &self.slot, target: &self.target };
        let mut jobs: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut lack = None;
        for (query, all) in [("count by (job) (up)", true), ("count by (job) (up == 0)", false)] {
            let question = Question { query: query.to_owned(), range: None, patience: QUICK };
            match asking.ask("targets", question).await {
                Ok(told) => {
                    lack =
                        told.warnings.first().map(|w| Lack::new(Why::Garbage, format!("up: not whole: {}", w.shown()))).or(lack);
                    for series in told.data {
                        let row = jobs.entry(series.label("job").to_owned()).or_default();
                        let value = series.value().unwrap_or(0.0);
                        if all { row.0 = value } else { row.1 = value }
                    }
                }
                Err(trouble) if trouble.of_question() => lack = Some(Lack::new(Why::Garbage, format!("up: {trouble}"))),
                Err(trouble) => return Err(trouble),
            }
        }
        let targets = lack.map_or_else(|| Ok(Targets { jobs: counted(jobs) }), Err);
        self.slot.add(|sample| sample.targets = Some(targets));
        Ok(())
    }
}

/// Jobs by name: all of their targets, and those that are down.
fn counted(jobs: BTreeMap<String, (f64, f64)>) -> Vec<Job> {
    let job = |(name, (all, down)): (String, (f64, f64))| {
        let (all, down) = (all as u32, down as u32);
        Job { name: Foreign::from(name.as_str()), up: all.saturating_sub(down), all: all.max(down) }
    };
    jobs.into_iter().map(job).collect()
}

/// The answer to what the screen asks for.
async fn work(
    asking: &mut Asking<'_>,
    ask: &PrometheusAsk,
    target: &Target,
    past: &mut kpi::Past,
) -> Result<Seen<PrometheusDetail>, Trouble> {
    match ask {
        PrometheusAsk::Fleet => fleet::look(asking).await.map(|fleet| Ok(PrometheusDetail::Fleet(fleet))),
        PrometheusAsk::Host(host) => fleet::history(asking, host).await.map(|seen| seen.map(PrometheusDetail::Host)),
        PrometheusAsk::Capacity => {
            capacity::look(asking, &target.capacity).await.map(|found| Ok(PrometheusDetail::Capacity(found)))
        }
        PrometheusAsk::Kpis => kpi::measure(asking, &target.kpis, past).await.map(|found| Ok(PrometheusDetail::Kpis(found))),
        PrometheusAsk::Query { query, span_s, step_s } => {
            panel::query(asking, query, *span_s, *step_s).await.map(|seen| seen.map(PrometheusDetail::Lines))
        }
        PrometheusAsk::Values { selector, label } => {
            panel::values(asking, selector, label).await.map(|seen| seen.map(PrometheusDetail::Values))
        }
        PrometheusAsk::Leave => Ok(Err(Lack::new(Why::NotYet, "nobody looks any more"))),
    }
}

/// Questions of a server, with what it says against its answers.
struct Asking<'a> {
    client: &'a Client,
    slot: &'a Shared,
    target: &'a Target,
}

impl Answers for Asking<'_> {
    async fn ask(&mut self, name: &str, question: Question) -> Result<Told<Vec<Series>>, Trouble> {
        let mut form = vec![("query", question.query)];
        let path = match question.range {
            Some((start, end, step)) => {
                form.extend([("start", start.to_string()), ("end", end.to_string()), ("step", step.to_string())]);
                "/api/v1/query_range"
            }
            None => "/api/v1/query",
        };
        let answer = self.client.ask(path, &form, question.patience).await?;
        let told = answers::series(&answer.body)?;
        // What the screen asks for says itself that it is not whole.
        if !["fleet", "dashboard", "rules", "capacity", "kpis"].contains(&name) {
            self.slot.warned(self.target, name, &told.warnings);
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_up_as_far_as_its_targets_are_not_down() {
        let jobs = [("shop", (3.0, 1.0)), ("gone", (1.0, 1.0)), ("well", (2.0, 0.0)), ("born", (0.0, 1.0))];
        let all = counted(jobs.map(|(name, counts)| (name.to_owned(), counts)).into());
        let told: Vec<_> = all.iter().map(|j| (j.name.shown(), j.up, j.all)).collect();
        assert_eq!(told, [("born", 0, 1), ("gone", 0, 1), ("shop", 2, 3), ("well", 2, 2)]);
    }
}
