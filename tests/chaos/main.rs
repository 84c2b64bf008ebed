//! Lines that drop, drip and are cut between perftop and real servers, and servers that are stopped: the others are read on, what is
//! wrong is said, and what comes back is read again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

#[path = "../postgres/server.rs"]
#[allow(dead_code, reason = "shared with the tests of its kind")]
mod postgres;
#[path = "../redis/server.rs"]
#[allow(dead_code, reason = "shared with the tests of its kind")]
mod redis;
mod relay;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use relay::{Line, Relay};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No line of `check --watch 1s` may be so late, whatever the servers do: half a minute is what a loaded machine may take, and no hang.
const PATIENCE: Duration = Duration::from_secs(30);

struct Watch {
    child: Child,
    said: Receiver<Value>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Watch {
    fn start(urls: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
            .args(["check", "--no-config", "--no-discover", "--watch", "1s", "--format", "json"])
            .args(urls)
            .env_remove("PGPASSWORD")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, said) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|l| tell.send(serde_json::from_str(&l).unwrap()).is_ok()));
        Self { child, said }
    }

    /// Waits until the states of PostgreSQL and of Redis are these (`-`: any other than ok).
    fn until(&self, what: &str, postgres: &str, redis: &str) -> Value {
        let (begin, mut last) = (Instant::now(), Value::Null);
        while begin.elapsed() < 2 * PATIENCE {
            last = self.said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: nothing is said any more"));
            let state = |kind: &str| last["sources"].as_array()?.iter().find(|s| s["kind"] == kind)?["state"].as_str();
            let fits = |is: Option<&str>, wanted: &str| is.is_some_and(|is| is == wanted || (wanted == "-" && is != "ok"));
            if fits(state("postgres"), postgres) && fits(state("redis"), redis) {
                return last;
            }
        }
        panic!("{what}: not within a minute: {}", last["sources"])
    }
}

#[test]
fn lines_and_servers_come_and_go_and_nothing_else_suffers() {
    let (Some(bin), Some(program)) = (postgres::installed().pop(), redis::installed().pop()) else { return };
    let database = postgres::Server::start(&bin, &["shared_preload_libraries = 'pg_stat_statements'"]);
    database.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    let cache = redis::Server::start(&program, &[]);
    let (to_database, to_cache) = (Relay::to(database.port), Relay::to(cache.port));
    let (pg, rd) = (
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", to_database.port),
        format!("redis://127.0.0.1:{}", to_cache.port),
    );
    let watch = Watch::start(&["--postgres", &pg, "--redis", &rd]);
    watch.until("at first", "ok", "ok");
    for line in [Line::Drops, Line::Cut] {
        to_database.is(line);
        watch.until("the database's line", "-", "ok");
        to_database.is(Line::Passes);
        watch.until("the database's line is back", "ok", "ok");
        to_cache.is(line);
        watch.until("the cache's line", "ok", "-");
        to_cache.is(Line::Passes);
        watch.until("the cache's line is back", "ok", "ok");
    }
    // Fifty bytes a second: too little for an answer, and it never stands still.
    to_database.is(Line::Drips);
    to_cache.is(Line::Drips);
    watch.until("both drip", "-", "-");
    to_database.is(Line::Passes);
    to_cache.is(Line::Passes);
    watch.until("both are back", "ok", "ok");
    // A server that is stopped takes connections and says nothing.
    let pid = Pid::from_raw(i32::try_from(cache.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let stopped = watch.until("the cache is stopped", "ok", "-");
    assert!(stopped["time"]["foreground_s_per_s"].is_number());
    kill_process(pid, Signal::CONT).unwrap();
    watch.until("the cache goes on", "ok", "ok");
}
