//! Replicas: one that stands still is behind and named; one that follows is quiet.

use std::time::Duration;

use super::server::{Load, Server, finding, installed};
use super::start;

fn pair(program: &std::path::Path) -> (Server, Server) {
    let primary = start(program, &["--repl-diskless-sync-delay", "0"]);
    let replica = start(program, &["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
    primary.until("the replica follows", || primary.ask(&["INFO", "replication"]).contains("state=online"));
    (primary, replica)
}

#[test]
fn a_replica_that_stands_still_is_behind_and_one_that_follows_is_not() {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(program) = installed().into_iter().next() else { return };
    let (primary, replica) = pair(&program);
    let _writers = Load::of(&primary, 2, Duration::from_millis(2), &["SET", "a", &"x".repeat(4000)]);
    let quiet = primary.check(&["--for", "6s", "--only", "redis.replication.*"], &[]);
    assert!(quiet["findings"].as_array().unwrap().is_empty(), "{}", quiet["findings"]);
    let pid = Pid::from_raw(replica.pid() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let said = primary.check(&["--for", "18s", "--only", "redis.replication.*"], &[]);
    kill_process(pid, Signal::CONT).unwrap();
    let found = finding(&said, "redis.replication.lag");
    assert_eq!((found["subject"]["type"].as_str(), found["severity"].as_str()), (Some("replica"), Some("warning")), "{found}");
    assert!(found["title"].as_str().unwrap().contains(&replica.port.to_string()), "{found}");
    assert_eq!(found["impact"]["lost_s_per_s"].as_f64().unwrap_or(0.0), 0.0, "a replica that is behind loses nobody's time");
}

/// What is recorded of a server that is reached by its address comes back, and gives the diagnosis that it gave.
#[test]
fn a_recording_of_a_server_is_read_and_agrees_with_itself() {
    use std::process::Command;
    let Some(program) = installed().into_iter().next() else { return };
    let (primary, _replica) = pair(&program);
    let _load = Load::of(&primary, 2, Duration::from_millis(5), &["GET", "a"]);
    let file = std::env::temp_dir().join(format!("perftop-redis-{}.perftop", primary.port));
    let perftop = |words: &[&str]| Command::new(env!("CARGO_BIN_EXE_perftop")).args(words).arg("--no-config").output().unwrap();
    let path = file.to_str().unwrap();
    perftop(&["record", "--every", "1s", "--for", "5s", "--no-discover", "--redis", &primary.url(), path]);
    let read = perftop(&["replay", "--json", path]);
    let last: serde_json::Value =
        String::from_utf8_lossy(&read.stdout).lines().last().map(serde_json::from_str).unwrap().unwrap();
    let rows = last["sources"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["id"] == primary.id().as_str() && row["state"] == "ok"), "{rows:?}");
    let verified = perftop(&["replay", "--verify", path]);
    _ = std::fs::remove_file(&file);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
