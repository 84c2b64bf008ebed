//! What the kernel itself refuses a running perftop, on every thread that it has.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test may fail loudly, and waits for what it started")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The value of a field of `/proc/PID/task/TID/status`.
fn field(status: &str, name: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// A check and a recorder work on with all their sources while calls that change a machine, and the start of programs, are refused.
#[test]
fn every_thread_of_a_run_is_confined() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--watch", "1s", "--format", "json", "--no-config"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let statuses: Vec<String> =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(first["schema"], 1);
    assert!(statuses.len() > 1, "one thread alone");
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u32>().unwrap_or(0));
    let before_5_16 = cfg!(target_arch = "x86_64") && (parts.next().unwrap(), parts.next().unwrap()) < (5, 16);
    for status in &statuses {
        assert_eq!(field(status, "NoNewPrivs"), Some(1));
        // A kernel that cannot filter says nothing of it.
        if let Some(filters) = field(status, "Seccomp_filters") {
            // A container has filters of its own, and on an old kernel perftop has none.
            let added = filters - field(&own, "Seccomp_filters").unwrap_or(0);
            assert_eq!((field(status, "Seccomp"), added), (Some(2), if before_5_16 { 0 } else { 2 }), "{status}");
        }
    }
}
