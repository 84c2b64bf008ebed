//! Suggested commands do what they say when they are pasted, on a real process with several threads; their undo takes
//! it back; and they leave another process alone that got the same pid.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use perftop::collect::host::identity;
use perftop::collect::host::sweep::Sweeper;
use perftop::collect::root::Roots;
use perftop::detect::fix;
use perftop::detect::touch::touchable;
use perftop::model::facts::{Facts, ProcFacts, WeightOverrides};
use perftop::model::host::HostSample;
use perftop::model::sample::{Sample, Snapshot};

/// perftop under another name (its own is never touched): it has several threads and is there on every machine that runs this test.
struct Target(Child);

impl Target {
    fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = std::env::temp_dir().join(format!("worker{number}-{}", std::process::id()));
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_perftop"), &name).unwrap();
        let child = Command::new(&name).args(["check", "--watch", "1s", "--for", "60s"]).stdout(Stdio::null()).spawn().unwrap();
        _ = std::fs::remove_file(&name);
        let target = Self(child);
        let start = Instant::now();
        // Until it starts no more threads: one that comes while a command goes through them is not what is tested.
        let (mut threads, mut since) = (0, Instant::now());
        while threads < 3 || since.elapsed() < Duration::from_millis(500) {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(20));
            let now = target.threads().len();
            if now != threads {
                (threads, since) = (now, Instant::now());
            }
        }
        target
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// State and nice value of each thread.
    fn threads(&self) -> Vec<(String, String)> {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.pid())) else { return Vec::new() };
        let stats = tasks.flatten().filter_map(|t| std::fs::read_to_string(t.path().join("stat")).ok());
        stats
            .map(|stat| {
                let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
                (fields[0].to_owned(), fields[16].to_owned())
            })
            .collect()
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&(String, String)) -> bool) {
        let start = Instant::now();
        while !self.threads().iter().all(&holds) {
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.threads());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn facts(pid: i32) -> Facts {
    let roots = Roots::default();
    let mut identity = identity::read(&roots);
    // The target is a perftop, and above this test stands the operator: neither is what is tested.
    identity.self_pid = 0;
    // The first sweep takes no longer than a first frame may: a busy machine shows some processes in the next only.
    let (mut sweeper, start) = (Sweeper::new(roots), Instant::now());
    let sweep = loop {
        let sweep = sweeper.sweep(1.0);
        if sweep.processes.as_ref().is_ok_and(|all| all.rows.iter().any(|row| row.id.pid == pid)) {
            break sweep;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "pid {pid} is not seen");
    };
    let at = sweep.at;
    let host = HostSample { identity: Some(identity), sweep: Some(sweep.into()), ..HostSample::default() };
    let snapshot = Snapshot::default().fold(&Sample { at, host, ..Sample::default() });
    Facts::derive(&[Arc::new(snapshot)], &WeightOverrides::default())
}

fn find(facts: &Facts, pid: i32) -> ProcFacts {
    facts.processes().iter().find(|p| p.id.pid == pid).unwrap().clone()
}

fn paste(command: &str) {
    let status = Command::new("bash").args(["-c", command]).status().unwrap();
    assert!(status.code().is_some(), "{command}");
}

#[test]
fn renice_reaches_every_thread_and_is_taken_back() {
    let target = Target::start();
    let facts = facts(target.pid());
    let process = find(&facts, target.pid());
    let fix = fix::renice(&facts, &[&process]).unwrap();
    paste(&fix.command);
    target.wait_until("reniced", |(_, nice)| nice == "19");
    if rustix::process::geteuid().is_root() {
        paste(fix.undo.as_ref().unwrap());
        target.wait_until("taken back", |(_, nice)| *nice == process.nice.to_string());
    }
}

#[test]
fn pause_stops_and_undo_lets_it_go_on() {
    let target = Target::start();
    let facts = facts(target.pid());
    let process = find(&facts, target.pid());
    let fix = fix::pause(&facts, &[&process]).unwrap();
    paste(&fix.command);
    target.wait_until("stopped", |(state, _)| state == "T");
    paste(fix.undo.as_ref().unwrap());
    target.wait_until("going on", |(state, _)| state != "T");
}

#[test]
fn what_serves_others_is_not_paused() {
    let target = Target::start();
    let facts = facts(target.pid());
    let mut process = find(&facts, target.pid());
    assert!(fix::pause(&facts, &[&process]).is_some());
    process.serves = Some(true);
    assert!(fix::pause(&facts, &[&process]).is_none());
}

#[test]
fn another_perftop_is_left_alone() {
    let child = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--watch", "1s", "--for", "60s"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let target = Target(child);
    let process = find(&facts(target.pid()), target.pid());
    let named = ProcFacts { name: "perftop".into(), ..process };
    assert!(fix::pause(&facts(target.pid()), &[&named]).is_none());
    let other = ProcFacts { name: "worker".into(), ..named };
    assert!(fix::pause(&facts(target.pid()), &[&other]).is_some());
}

/// However many workers share the work, they are culprits; who does nothing beside them is not.
#[test]
fn many_equal_workers_are_culprits_and_idle_neighbours_are_not() {
    let target = Target::start();
    let facts = facts(target.pid());
    let process = find(&facts, target.pid());
    let of = |cpu: f64| ProcFacts { cpu: Some(cpu), rss_bytes: 1 << 20, ..process.clone() };
    let workers: Vec<ProcFacts> = (0..64).map(|_| of(0.03)).chain([of(0.0), of(0.001)]).collect();
    assert_eq!(touchable(&facts, &workers.iter().collect::<Vec<_>>()).len(), 64);
    let idle = [of(0.0), of(0.0)];
    assert_eq!(touchable(&facts, &idle.iter().collect::<Vec<_>>()).len(), 2, "where nothing is used nobody is told from another");
}

#[test]
fn a_pid_that_was_reused_is_left_alone() {
    let target = Target::start();
    let facts = facts(target.pid());
    let mut process = find(&facts, target.pid());
    process.id.start += 1;
    paste(&fix::renice(&facts, &[&process]).unwrap().command);
    paste(&fix::pause(&facts, &[&process]).unwrap().command);
    let nice = process.nice.to_string();
    assert!(target.threads().iter().all(|(state, now)| state != "T" && *now == nice), "{:?}", target.threads());
}

#[test]
fn what_the_operator_stands_on_is_never_paused() {
    let mut facts = facts(std::process::id().cast_signed());
    let mut identity = (**facts.identity.as_ref().unwrap()).clone();
    identity.self_pid = std::process::id().cast_signed();
    facts.identity = Some(Arc::new(identity));
    let own = find(&facts, std::process::id().cast_signed());
    assert!(fix::pause(&facts, &[&own]).is_none());
    let parent = facts.processes().iter().find(|p| p.id.pid == own.ppid);
    if let Some(parent) = parent {
        assert!(fix::pause(&facts, &[parent]).is_none());
    }
}
