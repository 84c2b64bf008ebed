//! Whom a fix may touch: to slow a process down or to stop it must not hurt those who wait. One place for all rules.
//!
//! Never the first process, a supervisor, what the operator stands on (a login session, everything above perftop), a server or a process of a
//! database, or anyone whose clients would wait for it.

use crate::model::facts::{Facts, ProcFacts};

/// Programs that start and watch others: to stop one stops what it holds, or makes it start everything again.
const SUPERVISORS: [&str; 30] = [
    "systemd",
    "init",
    "upstart",
    "runit",
    "runsv",
    "runsvdir",
    "s6-svscan",
    "s6-supervise",
    "supervisord",
    "monit",
    "god",
    "tini",
    "dumb-init",
    "catatonit",
    "conmon",
    "containerd",
    "containerd-shim",
    "dockerd",
    "docker-proxy",
    "crio",
    "podman",
    "kubelet",
    "sshd",
    "login",
    "getty",
    "agetty",
    "cron",
    "crond",
    "tmux: server",
    "screen",
];

/// Servers of databases, by the names of their processes: their maintenance serves nobody by itself and everybody by its work.
const DATABASES: [&str; 14] = [
    "postgres",
    "postmaster",
    "mysqld",
    "mariadbd",
    "mongod",
    "redis-server",
    "valkey-server",
    "memcached",
    "clickhouse-serv",
    "cassandra",
    "etcd",
    "oracle",
    "sqlservr",
    "cockroach",
];

/// Those of `members` that may be slowed down or stopped, when they are at least half of what all of them use; else nobody, because
/// it would not help.
#[must_use]
pub fn touchable<'a>(facts: &Facts, members: &[&'a ProcFacts]) -> Vec<&'a ProcFacts> {
    let above = ancestors(facts);
    let used = |all: &[&ProcFacts]| -> f64 { all.iter().map(|p| p.cpu.unwrap_or(0.0)).sum() };
    let all = used(members);
    let counted = culprits(members);
    let free: Vec<&ProcFacts> = counted.iter().copied().filter(|p| may(facts, &above, p)).collect();
    let enough = if all > 0.01 { used(&free) * 2.0 >= all } else { free.len() * 2 >= counted.len() };
    if enough { free } else { Vec::new() }
}

/// Those that use the CPU, disk or memory in question. Who uses next to nothing beside the one that uses most is not a culprit:
/// stopping it hurts whoever runs it and helps nobody.
fn culprits<'a>(members: &[&'a ProcFacts]) -> Vec<&'a ProcFacts> {
    const PART: f64 = 0.1;
    // CPUs, B/s and bytes that all of them together use before that can be the trouble.
    const LEAST: [f64; 3] = [0.1, 1e6, 256e6];
    let moved = |p: &ProcFacts| p.read_bytes_per_s.unwrap_or(0.0) + p.write_bytes_per_s.unwrap_or(0.0);
    let used: Vec<[f64; 3]> = members.iter().map(|p| [p.cpu.unwrap_or(0.0), moved(p), p.rss_bytes as f64]).collect();
    let all = |at: usize| used.iter().map(|u| u[at]).sum::<f64>();
    let most = |at: usize| used.iter().map(|u| u[at]).fold(0.0, f64::max);
    let trouble: Vec<(usize, f64)> = (0..3).filter(|at| all(*at) >= LEAST[*at]).map(|at| (at, most(at))).collect();
    let counts = |u: &[f64; 3]| trouble.is_empty() || trouble.iter().any(|(at, most)| u[*at] >= PART * most);
    members.iter().zip(&used).filter(|(_, u)| counts(u)).map(|(p, _)| *p).collect()
}

/// True when stopping any of them stops nobody else.
#[must_use]
pub fn may_touch(facts: &Facts, members: &[&ProcFacts]) -> bool {
    let above = ancestors(facts);
    members.iter().all(|p| may(facts, &above, p))
}

fn may(facts: &Facts, above: &[i32], p: &ProcFacts) -> bool {
    const KTHREADD: i32 = 2;
    let name = p.name.shown();
    // `sshd: alice`, `sshd-session`, `systemd-udevd`; a script may well be called init-db or cron-report.
    let family =
        ["systemd", "sshd", "containerd", "docker"].iter().any(|s| name.strip_prefix(s).is_some_and(|r| r.starts_with('-')));
    let titled = |s: &&str| name.strip_prefix(*s).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', ' ', '(']));
    // pm2 calls itself `PM2 v5.3: God`.
    let supervises = family || name.starts_with("PM2 ") || SUPERVISORS.iter().any(titled);
    let vital = p.kernel || p.id.pid <= KTHREADD || above.contains(&p.id.pid) || supervises;
    let login = p.session_leader;
    // Another one's perftop is an operator's too.
    let vital = vital || name == env!("CARGO_PKG_NAME");
    let database = DATABASES.iter().any(|d| name.starts_with(d))
        || facts.servers.here().filter_map(|s| s.root).any(|root| p.id == root || p.ppid == root.pid);
    !vital && !login && !database && p.serves != Some(true)
}

/// perftop's own pid and those above it.
fn ancestors(facts: &Facts) -> Vec<i32> {
    const DEPTH: usize = 64;
    let mut at = facts.identity.as_ref().map_or(0, |i| i.self_pid);
    let mut found = vec![at];
    while let Some(p) = facts.processes().iter().find(|p| p.id.pid == at) {
        at = p.ppid;
        found.push(at);
        if found.len() > DEPTH || at <= 1 {
            break;
        }
    }
    found
}
