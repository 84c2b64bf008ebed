//! What the judgement of Redis needs beside its rules: what its clients lose, and the commands that mend it.

mod cli;
pub mod joined;
mod misses;
pub mod refill;

pub use cli::{Cli, cli};

use std::collections::BTreeMap;

use crate::detect::asked::Plain;
use crate::detect::kind::{Count, Kind, Work};
use crate::detect::ledger::{State, Told};
use crate::detect::memory::RuleMemory;
use crate::detect::params::ParamOverrides;
use crate::detect::verdict::Facts;
use crate::model::facts::{CommandFacts, Facts as World, RedisFacts};
use crate::model::source::SourceKind;

pub use crate::detect::nothing::{ShowsNothing as Shown, shows_nothing as shown};
pub use trends::Learning;

mod trends;

/// Its row.
pub const KIND: Kind = Kind {
    tell,
    recall: |world, learned| {
        for r in &mut world.servers.redis {
            r.rest_ms = learned.servers.redis.rest(&r.id);
            r.usual_per_s = learned.servers.redis.requests.get(&r.id).copied().unwrap_or(0.0);
        }
        refill::recall(world, |id| learned.servers.redis.misses.get(id)?.refilled_by());
    },
    throughput: |world, id| server(world, id)?.requests_per_s(),
    by_hand: |world, id, command| {
        let way = server(world, id).and_then(cli);
        match (way, command.strip_prefix("redis-cli")) {
            (Some(way), Some(rest)) => format!("{}{rest}", way.text()),
            _ => command.to_owned(),
        }
    },
    refuses: &["redis.clients.exhausted", "redis.memory.oom_refused", "redis.persistence.failing"],
    programs: |world| world.servers.redis.iter().filter_map(|r| r.instance.as_ref()?.process).collect(),
    settings: |world, id| server(world, id).and_then(|r| Some((**r.settings.as_ref().ok()?).clone())).unwrap_or_default(),
    ages: |world, id| {
        let up = server(world, id).and_then(|r| r.info.as_ref().ok()?.number("uptime_in_seconds"));
        up.map(|s| ("the server started", s)).into_iter().collect()
    },
    work: |world, id| {
        let commands = server(world, id).and_then(|r| r.commands.as_ref().ok());
        let work = |c: &CommandFacts| Work { name: c.name.clone(), per_s: c.per_s, busy: c.busy };
        commands.into_iter().flatten().map(work).collect()
    },
    counts,
    ..Kind::plain(SourceKind::Redis, |world| world.servers.redis.iter().map(|r| r.id.as_str()).collect())
};

/// What a rule is given.
pub type View<'a> = Plain<'a, RedisFacts>;
/// The same, before it is asked.
pub type Prepared<'a> = Plain<'a, RedisFacts>;

/// All servers.
#[must_use]
pub fn prepare<'a>(facts: &Facts<'a>, _: &ParamOverrides, _: &BTreeMap<String, RuleMemory>) -> Vec<Prepared<'a>> {
    facts.world.servers.redis.iter().map(|server| Plain { facts: *facts, id: &server.id, server }).collect()
}

fn server<'a>(world: &'a World, id: &str) -> Option<&'a RedisFacts> {
    world.servers.redis.iter().find(|r| r.id == id)
}

/// What its servers tell: what their clients lose. A client's own wait for a server elsewhere is in these figures and not counted again.
fn tell(world: &World, told: &mut Told) {
    for r in &world.servers.redis {
        let losses = losses(r);
        told.modelled.extend([
            (State::RedisStall, losses.stall()),
            (State::RedisFork, losses.fork),
            (State::RedisFsync, losses.fsync),
            (State::RedisMiss, losses.miss),
        ]);
        told.servers.extend(r.instance.as_ref().and_then(|i| i.process));
        if let Some(instance) = r.instance.as_ref().filter(|_| !r.local()) {
            told.addresses.extend(&instance.dialled);
        }
    }
}

/// Requests that stand still, on average, by what keeps them. Each rule claims its own part.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// Nothing is answered.
    pub silent: f64,
    /// Behind long commands.
    pub named: f64,
    /// In the queue of a full main thread.
    pub full: f64,
    /// In that queue because each command is written once more for whoever is in MONITOR.
    pub monitor: f64,
    /// Behind slices of active expiry.
    pub expiry: f64,
    /// During forks.
    pub fork: f64,
    /// For flushes to disk in the main thread.
    pub fsync: f64,
    /// For keys that were evicted and are fetched again.
    pub miss: f64,
}

impl Losses {
    /// What counts as `redis.stall`.
    #[must_use]
    pub fn stall(&self) -> f64 {
        self.silent + self.named + self.full + self.monitor + self.expiry
    }
}

/// A miss costs its client so much, seconds, where nobody says better: a query of a database.
pub const MISS_S: f64 = 0.002;
/// From this hit rate on a cache that evicts does its work, percent.
pub const HITS: f64 = 95.0;
/// From here on the main thread has a queue that no single command explains, percent of a core.
pub const FULL: f64 = 70.0;
/// From here on active expiry is worth a word, percent of the main thread.
pub const EXPIRES: f64 = 10.0;
/// A server that does not answer for so long stands still, seconds.
pub const SILENT_S: f64 = 1.0;
/// The round trip to a server that rests, where it never rested while it was watched: on one host it is shorter.
const REST_MS: f64 = 0.15;

/// What the clients of a server lose. Each request is counted once, and no more of them than there are clients.
#[must_use]
pub fn losses(r: &RedisFacts) -> Losses {
    let askers = r.askers();
    if r.silent_s >= SILENT_S {
        // Who has not asked since then waits for nothing.
        return Losses { silent: askers.min(r.usual_per_s * r.silent_s), ..Losses::default() };
    }
    let mut left = askers;
    let mut take = |wanted: f64| {
        let taken = if wanted.is_finite() { wanted.clamp(0.0, left.max(0.0)) } else { 0.0 };
        left -= taken;
        taken
    };
    let named = take(r.stalls());
    let newest = r.known.as_ref().and_then(|i| i.number("latest_fork_usec")).unwrap_or(0.0) / 1e6;
    let fork = take(stall_of(r, newest, r.rate("total_forks").unwrap_or(0.0)));
    let queued = r.queued(rest_ms(r)).unwrap_or(0.0);
    // At ten slices a second none is longer than a tenth of what all take.
    let busy = expire_busy(r);
    let slice_s = (busy / 10.0).min(0.025);
    let expiry = match busy * 100.0 >= EXPIRES * 0.7 {
        true => take(stall_of(r, slice_s, busy / slice_s.max(1e-9))),
        false => 0.0,
    };
    let rest = (queued - named - fork - expiry).max(0.0);
    // A full thread makes everybody wait, also where each command is short.
    let thread = r.main_thread().unwrap_or(0.0) * 100.0;
    let fsync = if flushes(r) { take(rest) } else { 0.0 };
    let full = if fsync <= 0.0 && thread >= FULL { take(rest) } else { 0.0 };
    let monitor = full * monitored(r);
    let full = full - monitor;
    // What a query of a server that is watched takes stands in the time of its sessions already.
    let serves = r.refilled_by.is_some() || r.hit_rate().is_none_or(|h| h * 100.0 >= HITS);
    let missed = r.rate("evicted_keys").unwrap_or(0.0).min(r.rate("keyspace_misses").unwrap_or(0.0));
    Losses { silent: 0.0, named, full, monitor, expiry, fork, fsync, miss: if serves { 0.0 } else { missed * MISS_S } }
}

/// The part of the queue of a full main thread that would not be there without MONITOR: each command is written once more, whoever reads
/// it. Measured with Redis 7.0.15: 1 µs for each command and 26 ns for each byte of it, which are escaped one by one. Queues by M/M/1,
/// ρ² / (1 - ρ), with what the thread is busy now and what it would be without that.
fn monitored(r: &RedisFacts) -> f64 {
    const COMMAND_S: f64 = 1e-6;
    const BYTE_S: f64 = 26e-9;
    if !r.clients.iter().flat_map(|c| &c.rows).any(|c| c.is('O')) {
        return 0.0;
    }
    let queue = |busy: f64| busy * busy / (1.0 - busy);
    let busy = r.main_thread().unwrap_or(0.0).clamp(0.0, 0.99);
    let read = r.rate("total_net_input_bytes").unwrap_or(0.0);
    let taken = r.requests_per_s().unwrap_or(0.0) * COMMAND_S + read * BYTE_S;
    if busy > 0.0 { 1.0 - queue((busy - taken).max(0.0)) / queue(busy) } else { 0.0 }
}

/// The round trip of rest. To another host it is never less than the window's own shortest one: the way changes.
fn rest_ms(r: &RedisFacts) -> f64 {
    let learned = r.rest_ms.unwrap_or(REST_MS);
    match r.local() {
        true => learned.min(REST_MS),
        false => r.trips.map_or(learned, |t| t.least_ms.max(learned)),
    }
}

/// Seconds per second of the main thread that active expiry takes.
#[must_use]
pub fn expire_busy(r: &RedisFacts) -> f64 {
    (r.rate("expire_cycle_cpu_milliseconds").unwrap_or(0.0) / 1000.0).clamp(0.0, 1.0)
}

/// Requests that stand still because the main thread stands for `d_s` seconds, so many times a second.
#[must_use]
pub fn stall_of(r: &RedisFacts, d_s: f64, per_s: f64) -> f64 {
    per_s * d_s * (r.requests_per_s().unwrap_or(0.0) * d_s / 2.0).min(r.askers())
}

/// Its main thread waits for flushes to disk: with each write, or because the last one is not done.
#[must_use]
pub fn flushes(r: &RedisFacts) -> bool {
    let enabled = r.known.as_ref().is_some_and(|i| i.is_set("aof_enabled"));
    let always = r.setting("appendfsync") == Some("always");
    enabled && (always || r.rate("aof_delayed_fsync").is_some_and(|n| n > 0.0))
}

/// What is kept over time.
fn counts(world: &World, id: &str) -> Vec<Count> {
    let r = server(world, id);
    let rate = |name: &str| r.and_then(|r| r.rate(name));
    vec![
        ("requests", r.and_then(RedisFacts::requests_per_s)),
        ("busy", r.and_then(RedisFacts::main_thread)),
        ("waiting", r.map(losses).map(|l| l.stall() + l.fork + l.fsync)),
        ("hit", r.and_then(RedisFacts::hit_rate)),
        ("evicted", rate("evicted_keys")),
        ("memory", r.and_then(|r| r.known.as_ref()?.number("used_memory"))),
    ]
}
