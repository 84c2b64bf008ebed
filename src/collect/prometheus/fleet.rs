//! A look at the fleet: a constant number of questions, split by signals where an answer is beyond the limit.

use std::collections::BTreeMap;

use crate::collect::clock;
use crate::model::foreign::Foreign;
use crate::model::prometheus::signals::{GROUPS, Signal};
use crate::model::prometheus::{Cost, Fleet, FleetHost, HostHistory, host_of, union};
use crate::model::seen::{Lack, Seen, Why};

use super::answers::{Series, Told};
use super::count::Answers;
use super::question::{FAR, Question, aligned};
use super::trouble::Trouble;

/// Where the past is looked for, first to last.
const BEFORE: [&str; 2] = ["1d", "1h"];
/// A look that has taken so long looks at no past.
const LONGEST_NS: u64 = 15_000_000_000;
/// So many hosts at most.
const HOSTS: usize = 20_000;
/// An hour of one host, in minutes.
const HOUR_S: u64 = 3_600;
const STEP_S: u64 = 60;

/// Looks at all hosts.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn look(server: &mut impl Answers) -> Result<Fleet, Trouble> {
    let begin_ns = clock::mono_ns();
    let mut fleet = Fleet { at_ms: clock::now().wall_ms, ..Fleet::default() };
    targets(server, &mut fleet).await?;
    fleet.window = window(server, &mut fleet.cost).await?;
    for group in GROUPS {
        read(server, &mut fleet, (group.name, group.signals), "").await?;
    }
    // The past of the first group tells whether there is one.
    for before in BEFORE {
        // One look takes no longer than that, whatever it leaves out.
        if clock::mono_ns().saturating_sub(begin_ns) > LONGEST_NS {
            break;
        }
        for group in GROUPS {
            read(server, &mut fleet, (group.name, group.signals), before).await?;
        }
        if fleet.hosts.values().any(|h| !h.past.is_empty()) {
            fleet.before = before.to_owned();
            break;
        }
    }
    fleet.cost.took_ms = clock::mono_ns().saturating_sub(begin_ns) / 1_000_000;
    Ok(fleet)
}

/// The window of rates: four scrapes, so that one that is lost does no harm, and no longer: a rate over more than there is comes out too
/// small, and what is asked is how it is now. A minute at least.
async fn window(server: &mut impl Answers, cost: &mut Cost) -> Result<String, Trouble> {
    const SCRAPES: i64 = 4;
    const DEFAULT: &str = "2m";
    let gap = |told: Told<Vec<Series>>| {
        let series = told.data.into_iter().next()?;
        let mut gaps: Vec<i64> = series.points.windows(2).map(|p| p[1].0.saturating_sub(p[0].0)).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len() / 2).copied()
    };
    // The job of the exporters that is scraped most seldom: a window that is too short for it would show none of its hosts.
    let slowest = "bottomk(1, max by (job) (count_over_time(node_load1[10m])) or max by (job) (count_over_time(pg_up[10m])) \
                   or max by (job) (count_over_time(redis_up[10m])))";
    let job = match ask(server, cost, slowest).await {
        Ok(told) => told.data.into_iter().next().map(|s| s.label("job").to_owned()),
        Err(trouble) if trouble.of_question() => None,
        Err(trouble) => return Err(trouble),
    };
    let Some(job) = job else { return Ok(DEFAULT.into()) };
    let one = match ask(server, cost, &format!("topk(1, up{{job={job:?}}} == 1)")).await {
        Ok(told) => told.data.into_iter().next(),
        Err(trouble) if trouble.of_question() => None,
        Err(trouble) => return Err(trouble),
    };
    let Some(one) = one else { return Ok(DEFAULT.into()) };
    let selector = format!("up{{job={:?},instance={:?}}}[10m]", one.label("job"), one.label("instance"));
    match ask(server, cost, &selector).await {
        Ok(told) => Ok(gap(told).map_or_else(|| DEFAULT.into(), |ms| format!("{}s", (ms * SCRAPES / 1000).clamp(60, 600)))),
        Err(trouble) if trouble.of_question() => Ok(DEFAULT.into()),
        Err(trouble) => Err(trouble),
    }
}

async fn targets(server: &mut impl Answers, fleet: &mut Fleet) -> Result<(), Trouble> {
    match ask(server, &mut fleet.cost, "up").await {
        Ok(told) => {
            warn(fleet, "targets", &told);
            for series in &told.data {
                let Some(host) = row(fleet, series) else {
                    if fleet.hosts.len() >= HOSTS {
                        let says = format!("it watches more than {HOSTS} hosts: the others are not looked at");
                        fleet.lacks.insert("hosts".into(), Foreign::from(says.as_str()));
                    }
                    continue;
                };
                host.targets += 1;
                if series.value() == Some(0.0) {
                    host.down.push(Foreign::from(series.label("job")));
                }
            }
            Ok(())
        }
        Err(trouble) if trouble.of_question() => {
            fleet.lacks.insert("targets".into(), Foreign::from(trouble.to_string().as_str()));
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

/// Reads signals; where that is too much for one answer, one half after the other.
async fn read(
    server: &mut impl Answers,
    fleet: &mut Fleet,
    (name, signals): (&str, &[Signal]),
    before: &str,
) -> Result<(), Trouble> {
    let mut left = vec![signals];
    while let Some(signals) = left.pop() {
        match ask(server, &mut fleet.cost, &union(signals, None, &fleet.window, before)).await {
            Ok(told) => {
                if before.is_empty() {
                    warn(fleet, name, &told);
                }
                let evicting = evicting(&told.data);
                let of_others = |s: &&Series| {
                    let looked_up = ["redis_hit", "redis_miss"].contains(&s.label("k"));
                    looked_up && evicting.get(host_of(s.label("instance"))).is_some_and(|(one, _)| *one != s.label("instance"))
                };
                told.data.iter().filter(|s| !of_others(s)).for_each(|series| put(fleet, series, before));
            }
            Err(Trouble::TooLarge) if signals.len() > 1 => {
                let (one, other) = signals.split_at(signals.len() / 2);
                left.extend([one, other]);
            }
            // What one signal cannot be asked for others may. One that takes too long is not asked again in parts.
            Err(Trouble::Refused { .. }) if signals.len() > 1 && before.is_empty() => {
                let (one, other) = signals.split_at(signals.len() / 2);
                left.extend([one, other]);
            }
            // Without a past there are still peers.
            Err(trouble) if trouble.of_question() && !before.is_empty() => {}
            Err(trouble) if trouble.of_question() => {
                let about = signals.first().map_or(name, |s| s.says);
                fleet.lacks.insert(format!("{name}: {about}"), Foreign::from(trouble.to_string().as_str()));
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

/// The Redis of each host that evicts most: the look-ups of its neighbours say nothing of what its evictions do.
fn evicting(data: &[Series]) -> BTreeMap<&str, (&str, f64)> {
    let mut most: BTreeMap<&str, (&str, f64)> = BTreeMap::new();
    for series in data.iter().filter(|s| s.label("k") == "redis_evict") {
        let (instance, value) = (series.label("instance"), series.value().unwrap_or(0.0));
        let kept = most.entry(host_of(instance)).or_insert((instance, value));
        if value > kept.1 {
            *kept = (instance, value);
        }
    }
    most
}

async fn ask(server: &mut impl Answers, cost: &mut Cost, query: &str) -> Result<Told<Vec<Series>>, Trouble> {
    cost.requests += 1;
    let told = server.ask("fleet", Question { query: query.to_owned(), range: None, patience: FAR }).await?;
    cost.bytes += told.bytes as u64;
    Ok(told)
}

fn warn(fleet: &mut Fleet, name: &str, told: &Told<Vec<Series>>) {
    if let Some(said) = told.warnings.first() {
        fleet.lacks.insert(name.to_owned(), said.clone());
    }
}

fn row<'f>(fleet: &'f mut Fleet, series: &Series) -> Option<&'f mut FleetHost> {
    // A name from outside: nothing of it may move the cursor.
    let name = Foreign::from(host_of(series.label("instance"))).shown().to_owned();
    if name.is_empty() || fleet.hosts.len() >= HOSTS && !fleet.hosts.contains_key(&name) {
        return None;
    }
    Some(fleet.hosts.entry(name).or_default())
}

fn put(fleet: &mut Fleet, series: &Series, before: &str) {
    let (k, value) = (series.label("k").to_owned(), series.value());
    let about = ["mountpoint", "device"].iter().map(|l| series.label(l)).find(|v| !v.is_empty()).map(Foreign::from);
    let (Some(value), Some(host)) = (value.filter(|v| v.is_finite()), row(fleet, series)) else { return };
    let readings = if before.is_empty() { &mut host.now } else { &mut host.past };
    // Two exporters of a host: the worse one, with what it is about.
    let less_is_worse = ["fs_eta", "mem_free"].contains(&k.as_str());
    let kept = readings.get(&k).copied();
    if kept.is_some_and(|kept| if less_is_worse { kept <= value } else { kept >= value }) {
        return;
    }
    readings.insert(k.clone(), value);
    if let Some(about) = about.filter(|_| before.is_empty()) {
        host.about.insert(k, about);
    }
}

/// One host over the last hour.
///
/// # Errors
/// The server cannot be asked at all.
pub async fn history(server: &mut impl Answers, host: &str) -> Result<Seen<HostHistory>, Trouble> {
    let end_s = clock::now().wall_ms / 1000;
    let range = aligned(end_s, HOUR_S, STEP_S);
    let mut found = HostHistory { host: host.to_owned(), step_s: STEP_S, signals: BTreeMap::new() };
    let mut cost = Cost::default();
    let window = window(server, &mut cost).await?;
    for group in GROUPS {
        let query = union(group.signals, Some(host), &window, "");
        let told = match server.ask("fleet", Question { query, range: Some(range), patience: FAR }).await {
            Ok(told) => told,
            Err(trouble) if trouble.of_question() => continue,
            Err(trouble) => return Err(trouble),
        };
        for series in told.data {
            let at = |ms: i64| series.points.iter().find(|(t, _)| *t == ms).map(|(_, v)| *v as f32).filter(|v| v.is_finite());
            let steps = (range.0..=range.1).step_by(usize::try_from(STEP_S).unwrap_or(60));
            let fresh: Vec<Option<f32>> = steps.map(|s| at(s * 1000)).collect();
            // A signal of several series in turn, such as the fullest file system: one fills the other's gaps.
            let points = found.signals.entry(series.label("k").to_owned()).or_insert_with(|| vec![None; fresh.len()]);
            points.iter_mut().zip(fresh).for_each(|(kept, new)| *kept = kept.or(new));
        }
    }
    match found.signals.is_empty() {
        true => Ok(Err(Lack::new(Why::Absent, format!("{host}: no series of the last hour")))),
        false => Ok(Ok(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::prometheus::signals::find;

    /// A server that takes no more than so many signals in one question.
    struct Narrow(usize, u32);

    impl Answers for Narrow {
        async fn ask(&mut self, _: &str, question: Question) -> Result<Told<Vec<Series>>, Trouble> {
            self.1 += 1;
            if !question.query.contains("\"k\"") || question.query.contains("offset") {
                return Ok(Told { data: Vec::new(), warnings: Vec::new(), bytes: 10 });
            }
            let signals: Vec<&str> = question.query.split("\"k\", \"").skip(1).filter_map(|q| q.split('"').next()).collect();
            if signals.len() > self.0 {
                return Err(Trouble::TooLarge);
            }
            let series = |k: &&str| Series {
                labels: Box::new([("k".into(), (*k).into()), ("instance".into(), "a:9100".into())]),
                points: vec![(0, 1.0)],
                native: false,
            };
            Ok(Told { data: signals.iter().map(series).collect(), warnings: Vec::new(), bytes: 100 })
        }
    }

    /// Two Redis of one host: one evicts, the other hits.
    struct Neighbours;

    impl Answers for Neighbours {
        async fn ask(&mut self, _: &str, _: Question) -> Result<Told<Vec<Series>>, Trouble> {
            let series = |k: &str, instance: &str, value: f64| Series {
                labels: Box::new([("k".into(), k.into()), ("instance".into(), instance.into())]),
                points: vec![(0, value)],
                native: false,
            };
            let rows = [("a:6379", [0.0, 10.0, 40_000.0]), ("a:6380", [800.0, 2_000.0, 500.0])];
            let all = rows.iter().flat_map(|(instance, values)| {
                ["redis_evict", "redis_miss", "redis_hit"].iter().zip(values).map(|(k, v)| series(k, instance, *v))
            });
            Ok(Told { data: all.collect(), warnings: Vec::new(), bytes: 10 })
        }
    }

    #[tokio::test]
    async fn hits_of_a_neighbour_do_not_hide_what_evictions_do() {
        let mut fleet = Fleet::default();
        read(&mut Neighbours, &mut fleet, ("redis", GROUPS[0].signals), "").await.unwrap();
        let of = |k: &str| fleet.hosts["a"].now[k];
        assert_eq!((of("redis_evict"), of("redis_miss"), of("redis_hit")), (800.0, 2_000.0, 500.0));
    }

    #[tokio::test]
    async fn what_is_too_much_for_one_answer_is_asked_in_parts() {
        let mut narrow = Narrow(2, 0);
        let fleet = look(&mut narrow).await.unwrap();
        let all: usize = GROUPS.iter().map(|g| g.signals.len()).sum();
        assert_eq!(fleet.hosts["a"].now.len(), all);
        assert!(fleet.lacks.is_empty() && fleet.before.is_empty(), "{:?}", fleet.lacks);
        let mut wide = Narrow(99, 0);
        let fleet = look(&mut wide).await.unwrap();
        assert_eq!(
            (fleet.cost.requests, wide.1),
            (2 + 3 * GROUPS.len() as u32, 2 + 3 * GROUPS.len() as u32),
            "however many hosts"
        );
        assert!(fleet.hosts["a"].now.keys().all(|k| find(k).is_some()));
    }
}
