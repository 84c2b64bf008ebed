//! Redis over the window: what the loop was busy with, who stood behind it, what failed, what was missed. Pure.
//!
//! Rates are differences of two readings of INFO, of one run of the server, over the seconds between them by the server's own clock
//! (`server_time_usec`, 6.0 and later; else by ours). What perftop asked itself is taken away from commands and calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::kind::Moment;
use crate::model::redis::{BigKeys, Clients, Histogram, Info, Instance, RedisState, Slowlog};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::source::Place;

/// Facts of one server.
#[derive(Debug, Clone)]
pub struct RedisFacts {
    /// Source id.
    pub id: String,
    /// Who it is, once it said so.
    pub instance: Option<Arc<Instance>>,
    /// The newest reading.
    pub info: Seen<Arc<Info>>,
    /// The reading at the other end of the window, and the seconds in between.
    pub before: Option<(Arc<Info>, f64)>,
    /// Commands that were called in between, the busiest first; `Err` before the second reading.
    pub commands: Seen<Vec<CommandFacts>>,
    /// The newest reading that came at all.
    pub known: Option<Arc<Info>>,
    /// Seconds that a request has been standing without an answer; 0 where none stands for long.
    pub silent_s: f64,
    /// Round trips of a PING in the window.
    pub trips: Option<Trips>,
    /// The round trip to it while it rests, milliseconds: what the judgement learned.
    pub rest_ms: Option<f64>,
    /// Requests per second as they were when it last answered: what the judgement learned.
    pub usual_per_s: f64,
    /// The query that fetches what it did not have, by its server and id: what the judgement learned.
    pub refilled_by: Option<(String, i64)>,
    /// The slow log as read last.
    pub slowlog: Seen<Arc<Slowlog>>,
    /// Clients as read last, and how many seconds ago.
    pub clients: Seen<Arc<Clients>>,
    /// Seconds since they were read.
    pub clients_age_s: f64,
    /// Errors of perftop's own requests in the window.
    pub own_errors: BTreeMap<String, u64>,
    /// Settings as read last.
    pub settings: Seen<Arc<BTreeMap<String, String>>>,
    /// Its largest keys, as far as they were looked for.
    pub keys: Seen<Arc<BigKeys>>,
    /// Seconds since they were looked at last.
    pub keys_age_s: f64,
}

/// Round trips of our own requests, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trips {
    /// The shortest.
    pub least_ms: f64,
    /// The median.
    pub median_ms: f64,
    /// The longest.
    pub longest_ms: f64,
}

impl Trips {
    fn of(mut all: Vec<f64>) -> Option<Self> {
        all.sort_by(f64::total_cmp);
        Some(Self { least_ms: *all.first()?, median_ms: all[all.len() / 2], longest_ms: *all.last()? })
    }
}

/// One command over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandFacts {
    /// Its name, as it is shown.
    pub name: String,
    /// Calls per second.
    pub per_s: f64,
    /// Seconds per second of the main thread.
    pub busy: f64,
    /// Seconds per call.
    pub mean_s: f64,
    /// Requests that stand still because of it, on average (see [`RedisFacts::stalls`]).
    pub stall: f64,
    /// The longest call, seconds, as far as a histogram tells: the bound of its bucket.
    pub longest_s: Option<f64>,
    /// Refused or failed calls per second.
    pub failed_per_s: f64,
    /// The server counts its forks (6.2 and later).
    pub forks_counted: bool,
}

/// Facts of every server in the newest snapshot.
pub(in crate::model) fn derive(window: &[Moment<'_, RedisState>]) -> Vec<RedisFacts> {
    let Some(newest) = window.last() else { return Vec::new() };
    newest.servers.iter().map(|(id, state)| one(id, state, window)).collect()
}

fn one(id: &str, state: &RedisState, window: &[Moment<'_, RedisState>]) -> RedisFacts {
    let now_ns = window.last().map_or(0, |s| s.at.mono_ns);
    let older = window.iter().rev().skip(1).rev().filter_map(|s| s.servers.get(id));
    let same = |other: &RedisState| other.instance.as_ref().map(|i| &i.run_id) == state.instance.as_ref().map(|i| &i.run_id);
    let new = state.info.as_ref().ok();
    let ends = new.and_then(|new| {
        let fits = |old: &Arc<RedisState>| {
            let info = old.info.as_ref().ok().filter(|_| same(old))?.clone();
            Some((seconds(&info, new, state.info_ns.saturating_sub(old.info_ns))?, old.clone(), info))
        };
        older.filter(|old| old.info.is_ok()).find_map(fits)
    });
    let commands = match (new, &ends) {
        (Some(new), Some((dt_s, old, info))) => Ok(commands(state, new, old, info, *dt_s)),
        (Some(_), None) => Err(Lack::first_sample("INFO commandstats")),
        (None, _) => Err(state.info.as_ref().err().cloned().unwrap_or_else(|| Lack::new(Why::NotYet, "INFO"))),
    };
    let trips: Vec<f64> =
        window.iter().filter_map(|s| s.servers.get(id)).flat_map(|s| &s.round_trips_ms).map(|ms| f64::from(*ms)).collect();
    // Own errors are counted among the requests, under the word after a `!`.
    let old_own = ends.as_ref().map(|(_, old, _)| old.own.clone()).unwrap_or_default();
    let own_error = |(name, n): (&String, &u64)| {
        Some((name.strip_prefix('!')?.to_owned(), n.saturating_sub(old_own.get(name).copied().unwrap_or(0))))
    };
    let own_errors = state.own.iter().filter_map(own_error).collect();
    RedisFacts {
        id: id.to_owned(),
        instance: state.instance.clone(),
        info: state.info.clone(),
        before: ends.map(|(dt_s, _, info)| (info, dt_s)),
        commands,
        known: state.known.clone(),
        silent_s: state.silent_ms.map_or(0.0, |ms| ms as f64 / 1000.0),
        trips: Trips::of(trips),
        rest_ms: None,
        usual_per_s: 0.0,
        refilled_by: None,
        slowlog: state.slowlog.clone(),
        clients: state.clients.clone(),
        clients_age_s: now_ns.saturating_sub(state.clients_ns) as f64 / 1e9,
        own_errors,
        settings: state.settings.clone(),
        keys: state.keys.clone(),
        keys_age_s: now_ns.saturating_sub(state.keys_ns) as f64 / 1e9,
    }
}

/// Seconds between two readings of one run; `None` where a counter went back: it was restarted, or its statistics were reset.
fn seconds(old: &Info, new: &Info, ours_ns: u64) -> Option<f64> {
    const LEAST_S: f64 = 0.2;
    for counter in ["uptime_in_seconds", "total_commands_processed", "total_connections_received"] {
        if new.number(counter)? < old.number(counter)? {
            return None;
        }
    }
    let own = new.number("server_time_usec").zip(old.number("server_time_usec")).map(|(new, old)| (new - old) / 1e6);
    Some(own.unwrap_or(ours_ns as f64 / 1e9)).filter(|dt_s| *dt_s >= LEAST_S)
}

fn commands(state: &RedisState, new: &Info, old: &RedisState, before: &Info, dt_s: f64) -> Vec<CommandFacts> {
    let rows: BTreeMap<&[u8], _> = before.commands.iter().map(|row| (row.name.raw(), row)).collect();
    let (latency, latency_before) = (by_name(&state.latency), by_name(&old.latency));
    let mut all = Vec::new();
    for row in &new.commands {
        let old_row = rows.get(row.name.raw());
        let grown = |of: fn(&crate::model::redis::CommandRow) -> u64| of(row).saturating_sub(old_row.map_or(0, |r| of(r)));
        let (calls, usec) = (grown(|r| r.calls), grown(|r| r.usec));
        let failed = grown(|r| r.failed.unwrap_or(0)).saturating_add(grown(|r| r.rejected.unwrap_or(0)));
        // Our own calls took as long as anybody's of that command.
        let name = row.name.shown();
        let own = state.own.get(name).copied().unwrap_or(0).saturating_sub(old.own.get(name).copied().unwrap_or(0)).min(calls);
        let others = (calls - own) as f64;
        if others <= 0.0 && failed == 0 {
            continue;
        }
        let mean_s = usec as f64 / 1e6 / calls.max(1) as f64;
        // Without an older reading of histograms all since the start would count as of now.
        let buckets = latency
            .get(row.name.raw())
            .filter(|_| old.latency.is_ok())
            .and_then(|new| new.since(latency_before.get(row.name.raw()).copied()))
            .filter(|buckets| buckets.iter().any(|(_, calls)| *calls > 0));
        let longest_s = buckets.as_ref().and_then(|b| b.iter().rev().find(|(_, n)| *n > 0)).map(|(bound, _)| *bound as f64 / 1e6);
        all.push((
            CommandFacts {
                name: name.to_owned(),
                per_s: others / dt_s,
                busy: mean_s * others / dt_s,
                mean_s,
                stall: 0.0,
                longest_s,
                failed_per_s: failed as f64 / dt_s,
                forks_counted: new.number("total_forks").is_some(),
            },
            buckets,
        ));
    }
    let reads =
        new.number("total_reads_processed").zip(before.number("total_reads_processed")).map(|(new, old)| (new - old) / dt_s);
    let rate = requests(all.iter().map(|(command, _)| command), reads.filter(|n| *n >= 0.0));
    stand_behind(&mut all, rate, clients(new), dt_s);
    let mut all: Vec<CommandFacts> = all.into_iter().map(|(command, _)| command).collect();
    all.sort_by(|a, b| b.stall.total_cmp(&a.stall).then(b.busy.total_cmp(&a.busy)).then(a.name.cmp(&b.name)));
    all
}

/// Histograms by command.
fn by_name(all: &Seen<Arc<Vec<Histogram>>>) -> BTreeMap<&[u8], &Histogram> {
    all.iter().flat_map(|all| all.iter()).map(|h| (h.command.raw(), h)).collect()
}

/// Requests per second: the calls, but for those of a script or a transaction, which are counted as well and are nobody's. Where there are
/// such, the reads of sockets bound them: each brought one request at least.
fn requests<'a>(mut commands: impl Iterator<Item = &'a CommandFacts> + Clone, reads_per_s: Option<f64>) -> f64 {
    let runs = |c: &CommandFacts| ["eval", "fcall", "exec"].iter().any(|word| c.name.starts_with(word));
    let calls: f64 = commands.clone().map(|c| c.per_s).sum();
    reads_per_s.filter(|_| commands.any(runs)).map_or(calls, |reads| calls.min(reads))
}

/// Clients that can stand in the queue: those that are connected, but for those that wait for data by their own wish, and us.
fn clients(info: &Info) -> f64 {
    let connected = info.number("connected_clients").unwrap_or(0.0) - info.number("blocked_clients").unwrap_or(0.0) - 1.0;
    // The link to its primary counts as a client of a replica, and waits for nothing.
    let primary = if info.word("role") == "slave" && info.word("master_link_status") == "up" { 1.0 } else { 0.0 };
    (connected - primary).max(0.0)
}

/// Buckets of one command in the window: upper bound in microseconds, calls.
type Buckets = Vec<(u64, u64)>;

/// Requests that stand still behind each command, on average, by Little's law: while a call of d seconds runs, requests come at λ a
/// second and each waits for what is left of it, so that a call costs λd²/2 request-seconds; no more than d times the clients that there
/// are. Summed over the calls of a second. Modelled; the buckets of a histogram double, and a call is taken for three quarters of its
/// bound. Without histograms (before 7.0) each call is taken for the mean, which is too little where they differ.
fn stand_behind(all: &mut [(CommandFacts, Option<Buckets>)], rate: f64, clients: f64, dt_s: f64) {
    let cost = |d_s: f64, per_s: f64| per_s * d_s * (rate * d_s / 2.0).min(clients);
    for (command, buckets) in all.iter_mut() {
        command.stall = match buckets {
            Some(buckets) => {
                // The bounds say how the calls differ, the clock of commandstats how long they were together.
                let bound = |b: u64| b as f64 / 1e6 * 0.75;
                let (calls, sum) = buckets.iter().fold((0.0, 0.0), |(n, s), (b, k)| (n + *k as f64, s + *k as f64 * bound(*b)));
                let scale = if sum > 0.0 { (command.mean_s * calls / sum).clamp(0.5, 1.5) } else { 1.0 };
                let own = if calls > 0.0 { (command.per_s * dt_s / calls).min(1.0) } else { 0.0 };
                buckets.iter().map(|(b, k)| cost(bound(*b) * scale, *k as f64 * own / dt_s)).sum()
            }
            None => cost(command.mean_s, command.per_s),
        };
    }
}

impl CommandFacts {
    /// A call that takes so long is one that others stand behind; shorter ones are a matter of their number. Milliseconds.
    pub const LONG_MS: f64 = 1.0;

    /// The longest call that is known of, milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> f64 {
        self.longest_s.unwrap_or(self.mean_s).max(self.mean_s) * 1000.0
    }

    /// It forks within its own time: what others stand behind is the fork, which is counted as such.
    #[must_use]
    pub fn forks(&self) -> bool {
        self.forks_counted && ["bgsave", "bgrewriteaof", "psync", "sync", "replconf"].contains(&self.name.as_str())
    }

    /// Others stand behind it.
    #[must_use]
    pub fn long(&self) -> bool {
        self.longest_ms() >= Self::LONG_MS && !self.forks()
    }
}

impl RedisFacts {
    /// Its process runs on this host.
    #[must_use]
    pub fn local(&self) -> bool {
        self.instance.as_ref().is_some_and(|i| i.place == Place::Local)
    }

    /// What a counter grew by per second over the window.
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<f64> {
        let (before, dt_s) = self.before.as_ref()?;
        let grown = self.info.as_ref().ok()?.number(name)? - before.number(name)?;
        (grown >= 0.0).then_some(grown / dt_s)
    }

    /// Errors per second by their first word; what is no error is left out: a script to be loaded, a redirection, a group that is there.
    #[must_use]
    pub fn errors_per_s(&self) -> Vec<(String, f64)> {
        const NONE: [&str; 5] = ["NOSCRIPT", "MOVED", "ASK", "BUSYGROUP", "LOADING"];
        let Some((before, dt_s)) = &self.before else { return Vec::new() };
        let Ok(info) = &self.info else { return Vec::new() };
        let own = |word: &str| self.own_errors.get(word).copied().unwrap_or(0);
        let grown = info.errors.iter().map(|(word, count)| {
            (word, count.saturating_sub(before.errors.get(word).copied().unwrap_or(0)).saturating_sub(own(word)))
        });
        let counted = grown.filter(|(word, grown)| *grown > 0 && !NONE.contains(&word.as_str()));
        let mut all: Vec<(String, f64)> = counted.map(|(word, grown)| (word.clone(), grown as f64 / dt_s)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all
    }

    /// Seconds of CPU per second of the main thread (6.2 and later), else of the whole process without its children: how full the loop is.
    #[must_use]
    pub fn main_thread(&self) -> Option<f64> {
        let both = |user: &str, sys: &str| Some(self.rate(user)? + self.rate(sys)?);
        both("used_cpu_user_main_thread", "used_cpu_sys_main_thread").or_else(|| both("used_cpu_user", "used_cpu_sys"))
    }

    /// Clients that may have a request there: those that are connected, but for those that wait for data by their own wish, and us.
    #[must_use]
    pub fn askers(&self) -> f64 {
        self.known.as_ref().map_or(0.0, |info| clients(info))
    }

    /// Requests that stand still behind long commands, on average. No more than there are clients.
    #[must_use]
    pub fn stalls(&self) -> f64 {
        self.commands.iter().flatten().filter(|c| c.long()).map(|c| c.stall).sum::<f64>().min(self.askers())
    }

    /// Requests that stand in its queue, on average, by Little's law: requests per second x what the median round trip of our own ones,
    /// which stand there too, is above that of a server that rests (`rest_ms`). The median: our own thread may be late once in a while.
    /// No more than there are clients.
    #[must_use]
    pub fn queued(&self, rest_ms: f64) -> Option<f64> {
        let above_ms = (self.trips?.median_ms - rest_ms).max(0.0);
        Some((self.requests_per_s()? * above_ms / 1000.0).min(self.askers()))
    }

    /// Requests per second, those of perftop left out.
    #[must_use]
    pub fn requests_per_s(&self) -> Option<f64> {
        Some(requests(self.commands.as_ref().ok()?.iter(), self.rate("total_reads_processed")))
    }

    /// Share of look-ups that found their key, 0..1; `None` without any.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let (hits, misses) = (self.rate("keyspace_hits")?, self.rate("keyspace_misses")?);
        (hits + misses > 0.0).then(|| hits / (hits + misses))
    }

    /// A setting by its name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref().ok()?.get(name).map(String::as_str)
    }

    /// Why figures of that command are missing.
    #[must_use]
    pub fn missing(&self, command: &str) -> Option<&Lack> {
        self.instance.as_ref()?.missing.get(command)
    }
}
