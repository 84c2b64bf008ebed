//! A server of Redis on the bench: 7.0, twenty clients that ask 1,000 times a second for what takes ten microseconds.

use std::sync::Arc;

use crate::model::facts::{CommandFacts, RedisFacts, Trips};
use crate::model::foreign::Foreign;
use crate::model::host::ProcId;
use crate::model::redis::{Client, Clients, Flavour, Info, Instance, Mode, Reached, ReplicaRow};
use crate::model::seen::{Lack, Why};
use crate::model::source::Place;

use super::Bench;

/// Its source id.
pub const SERVER: &str = "redis:6379";
/// Seconds between its two readings.
const WINDOW_S: f64 = 5.0;

/// That server.
pub fn quiet() -> RedisFacts {
    let mut info = Info::default();
    for (name, value) in [
        ("connected_clients", 21.0),
        ("maxclients", 10_000.0),
        ("blocked_clients", 0.0),
        ("used_memory", 5e7),
        ("total_system_memory", 8e9),
        ("uptime_in_seconds", 3_600.0),
        ("maxmemory", 1e8),
        ("mem_clients_normal", 1e6),
        ("allocator_frag_bytes", 1e6),
        ("allocator_frag_ratio", 1.1),
        ("repl_backlog_size", 1_048_576.0),
        ("evicted_keys", 0.0),
        ("keyspace_hits", 5_000.0),
        ("keyspace_misses", 0.0),
        ("rejected_connections", 0.0),
        ("total_connections_received", 5.0),
        ("expire_cycle_cpu_milliseconds", 0.0),
        ("expired_keys", 0.0),
        ("total_forks", 0.0),
        ("latest_fork_usec", 0.0),
        ("sync_full", 0.0),
        ("master_repl_offset", 0.0),
        ("total_net_input_bytes", 0.0),
        ("total_net_output_bytes", 0.0),
        ("used_cpu_user_main_thread", 0.25),
        ("used_cpu_sys_main_thread", 0.25),
    ] {
        info.numbers.insert(name.to_owned(), value);
    }
    for (name, word) in [("maxmemory_policy", "noeviction"), ("rdb_last_bgsave_status", "ok"), ("role", "master")] {
        info.words.insert(name.to_owned(), Foreign::from(word));
    }
    let before = Info { numbers: info.numbers.keys().map(|name| (name.clone(), 0.0)).collect(), ..Info::default() };
    let info = Arc::new(info);
    let settings = [("appendfsync", "everysec"), ("maxmemory", "100000000"), ("maxclients", "10000"), ("save", "3600 1")];
    RedisFacts {
        id: SERVER.to_owned(),
        instance: Some(Arc::new(instance())),
        info: Ok(info.clone()),
        known: Some(info),
        before: Some((Arc::new(before), WINDOW_S)),
        commands: Ok(vec![command("get", 1_000.0, 0.000_01)]),
        silent_s: 0.0,
        trips: Some(trips(0.1)),
        rest_ms: Some(0.1),
        usual_per_s: 1_000.0,
        refilled_by: None,
        slowlog: Ok(Arc::default()),
        clients: Ok(Arc::new(Clients { rows: vec![client(7, "10.0.0.9:5000")], all: 20 })),
        clients_age_s: 1.0,
        own_errors: std::collections::BTreeMap::new(),
        keys: Err(Lack::new(Why::NotYet, "big keys")),
        keys_age_s: 0.0,
        settings: Ok(Arc::new(settings.map(|(n, v)| (n.to_owned(), v.to_owned())).into())),
    }
}

/// Our own requests all take so long.
pub const fn trips(ms: f64) -> Trips {
    Trips { least_ms: ms, median_ms: ms, longest_ms: ms }
}

fn instance() -> Instance {
    Instance {
        flavour: Flavour::Redis,
        version: "7.0.15".into(),
        mode: Mode::Standalone,
        replica: false,
        run_id: "r".into(),
        place: Place::Local,
        process: Some(ProcId { pid: 100, start: 1100 }),
        port: Some(6379),
        dialled: Vec::new(),
        reached: Reached { host: "localhost".into(), port: 6379, ..Reached::default() },
        own_id: Some(1),
        missing: std::collections::BTreeMap::new(),
    }
}

/// A client.
pub fn client(id: i64, address: &str) -> Client {
    Client { id, address: address.into(), flags: "N".into(), command: "get".into(), ..Client::default() }
}

/// A command that is called so often and takes so long, of which nobody stands behind.
pub fn command(name: &str, per_s: f64, mean_s: f64) -> CommandFacts {
    CommandFacts {
        name: name.to_owned(),
        per_s,
        busy: per_s * mean_s,
        mean_s,
        stall: 0.0,
        longest_s: None,
        failed_per_s: 0.0,
        forks_counted: true,
    }
}

impl Bench {
    /// That server, changed.
    pub fn redis(change: impl FnOnce(&mut RedisFacts)) -> Self {
        let mut server = quiet();
        change(&mut server);
        Self::quiet().with(|world| world.servers.redis = vec![server])
    }

    /// The server did not say anything.
    pub fn silent_redis() -> Self {
        Self::redis(|r| r.info = Err(Lack::new(Why::TimedOut, "INFO")))
    }
}

impl RedisFacts {
    /// A figure.
    pub fn say(&mut self, name: &str, value: f64) {
        self.change(|info| _ = info.numbers.insert(name.to_owned(), value));
    }

    /// A counter that grows by so much per second.
    pub fn grow(&mut self, name: &str, per_s: f64) {
        self.say(name, per_s * WINDOW_S);
    }

    /// These replicas.
    pub fn replicas(&mut self, rows: Vec<ReplicaRow>) {
        self.change(|info| info.replicas = rows);
    }

    /// A word.
    pub fn word(&mut self, name: &str, word: &str) {
        self.change(|info| _ = info.words.insert(name.to_owned(), word.into()));
    }

    /// So many errors per second.
    pub fn fail(&mut self, word: &str, per_s: f64) {
        self.change(|info| _ = info.errors.insert(word.to_owned(), (per_s * WINDOW_S) as u64));
    }

    /// A setting.
    pub fn set(&mut self, name: &str, value: &str) {
        if let Ok(settings) = &mut self.settings {
            Arc::make_mut(settings).insert(name.to_owned(), value.to_owned());
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Info)) {
        if let Ok(info) = &mut self.info {
            change(Arc::make_mut(info));
            self.known = Some(info.clone());
        }
    }
}
