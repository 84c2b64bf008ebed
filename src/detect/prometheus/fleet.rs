//! Which of many hosts to log in to: each by what it loses, by what is trouble by itself, and by how far it is from its peers. How busy it is
//! says nothing: a full CPU that nobody waits for is work.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::detect::command::{Command, sh};
use crate::detect::finding::Severity;
use crate::model::prometheus::signals::{GROUPS, Means, Signal, find};
use crate::model::prometheus::{Fleet, FleetHost};
use crate::model::shell::Word;
use crate::model::unit::{Unit, seconds, short};

/// From here on what a host loses is a warning, and critical, s/s.
const LOST: (f64, f64) = (0.25, 0.60);
/// A host is told apart from its peers from so many on …
const PEERS: usize = 5;
/// … by so many spreads.
const FAR: f64 = 6.0;
/// Where there are no peers: so many times what it was before.
const GREW: f64 = 3.0;
/// A file system that is full within this is a warning: seconds.
const FULL_S: f64 = 86_400.0;
/// A miss costs its client so much, seconds.
const MISS_S: f64 = 0.002;
/// A cache that evicts does its work from this hit rate on.
const HITS: f64 = 0.8;

/// A host with what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// Its name.
    pub host: String,
    /// How bad; `None`: nothing is wrong.
    pub severity: Option<Severity>,
    /// What it loses, as far as its metrics say: seconds per second.
    pub lost: f64,
    /// What is wrong, worst first.
    pub why: Vec<Trouble>,
}

/// What is wrong with a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    /// The signal; `targets` for what does not answer.
    pub signal: &'static str,
    /// How bad.
    pub severity: Severity,
    /// In words, with its figure.
    pub says: String,
}

/// What is usual among the hosts.
struct Usual {
    median: f64,
    spread: f64,
}

/// A fleet, and its hosts by rank.
type Known = (Arc<Fleet>, Arc<Vec<Ranked>>);

thread_local! {
    /// The fleet that was ranked last: a frame and a key ask for the same several times.
    static LAST: RefCell<Option<Known>> = const { RefCell::new(None) };
}

/// As [`rank`]: of a fleet that was ranked last it is known.
#[must_use]
pub fn ranked(fleet: &Arc<Fleet>) -> Arc<Vec<Ranked>> {
    LAST.with_borrow_mut(|last| match last {
        Some((of, ranked)) if Arc::ptr_eq(of, fleet) => ranked.clone(),
        _ => last.insert((fleet.clone(), Arc::new(rank(fleet)))).1.clone(),
    })
}

/// All hosts, those that are worst first; those of which nothing is wrong by what they lose.
#[must_use]
pub fn rank(fleet: &Fleet) -> Vec<Ranked> {
    let usual: BTreeMap<&str, Usual> =
        GROUPS.iter().flat_map(|g| g.signals).filter_map(|s| Some((s.k, usual(fleet, s)?))).collect();
    let mut all: Vec<Ranked> = fleet.hosts.iter().map(|(name, host)| judge(name, host, &usual)).collect();
    let troubles = |r: &Ranked| r.why.iter().filter(|w| Some(w.severity) == r.severity).count();
    all.sort_by(|a, b| {
        let bad = |r: &Ranked| r.severity.map_or(3, |s| s as u8);
        bad(a).cmp(&bad(b)).then(b.lost.total_cmp(&a.lost)).then(troubles(b).cmp(&troubles(a))).then(a.host.cmp(&b.host))
    });
    all
}

fn usual(fleet: &Fleet, signal: &Signal) -> Option<Usual> {
    let mut values: Vec<f64> = fleet.hosts.values().filter_map(|h| h.now.get(signal.k).copied()).collect();
    if values.len() < PEERS {
        return None;
    }
    let median = middle(&mut values)?;
    let mut apart: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
    // Twentieths of the median, and of what is worth a word: where nearly all are alike the spread would be nothing.
    let least = match signal.means {
        Means::Peers(least) => least / 10.0,
        Means::Loss => LOST.0 / 10.0,
        _ => 0.0,
    };
    let spread = (1.4826 * middle(&mut apart)?).max(0.05 * median.abs()).max(least);
    Some(Usual { median, spread })
}

fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn judge(name: &str, host: &FleetHost, usual: &BTreeMap<&str, Usual>) -> Ranked {
    let mut why = Vec::new();
    let mut lost = 0.0;
    for (k, value) in &host.now {
        let Some(signal) = find(k) else { continue };
        match signal.means {
            // Blocks that a session of PostgreSQL waits for are what its host's disks are waited for: counted once.
            Means::Loss if signal.k == "pg_io" => lost += (value - host.now.get("psi_io").copied().unwrap_or(0.0)).max(0.0),
            Means::Loss => lost += paid(host, signal, *value),
            Means::Trouble(low, high) if *value >= low => {
                let severity = if *value >= high { Severity::Critical } else { Severity::Warning };
                why.push(Trouble { signal: signal.k, severity, says: says(host, signal, *value) });
            }
            // An estimate from one hour: never more than a warning.
            Means::Eta if *value > 0.0 && *value < FULL_S => {
                let severity = Severity::Warning;
                why.push(Trouble { signal: signal.k, severity, says: says(host, signal, *value) });
            }
            Means::Peers(least) if *value >= least => {
                if let Some(apart) = apart(host, signal, *value, usual) {
                    let says = format!("{}, {apart}", says(host, signal, *value));
                    why.push(Trouble { signal: signal.k, severity: Severity::Warning, says });
                }
            }
            Means::Trouble(..) | Means::Eta | Means::Peers(_) | Means::Level => {}
        }
    }
    // Before the misses: what they cost is no wait.
    waits(host, lost, usual, &mut why);
    lost += missed(host, &mut why);
    blind(host, &mut why);
    why.sort_by_key(|w| w.severity);
    Ranked { host: name.to_owned(), severity: why.first().map(|w| w.severity), lost, why }
}

/// What is lost by a wait: who is niced waits for a CPU by choice.
fn paid(host: &FleetHost, signal: &Signal, value: f64) -> f64 {
    if signal.k != "psi_cpu" {
        return value;
    }
    let of = |k: &str| host.now.get(k).copied().unwrap_or(0.0);
    let niced = if of("cpu_util") > 0.01 { (of("cpu_nice") / of("cpu_util")).clamp(0.0, 1.0) } else { 0.0 };
    value * (1.0 - niced)
}

/// Evictions count by the misses that they cause.
fn missed(host: &FleetHost, why: &mut Vec<Trouble>) -> f64 {
    let of = |k: &str| host.now.get(k).copied().unwrap_or(0.0);
    let (evicted, misses, hits) = (of("redis_evict"), of("redis_miss"), of("redis_hit"));
    let rate = hits / (hits + misses).max(1e-9);
    if evicted < 1.0 || misses < 1.0 || rate >= HITS {
        return 0.0;
    }
    let says = format!("{} keys evicted a second, and only {} % of look-ups hit", short(evicted), short(rate * 100.0));
    let cost = evicted.min(misses) * MISS_S;
    let severity = if cost >= LOST.1 { Severity::Critical } else { Severity::Warning };
    why.push(Trouble { signal: "redis_evict", severity, says });
    cost
}

/// What is lost altogether, by the signal that takes most.
fn waits(host: &FleetHost, lost: f64, usual: &BTreeMap<&str, Usual>, why: &mut Vec<Trouble>) {
    if lost < LOST.0 {
        return;
    }
    let losses = host.now.iter().filter_map(|(k, v)| Some((find(k)?, *v))).filter(|(s, _)| s.means == Means::Loss);
    let Some((signal, value)) = losses.map(|(s, v)| (s, paid(host, s, v))).max_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    let severity = if lost >= LOST.1 { Severity::Critical } else { Severity::Warning };
    let apart = apart(host, signal, value, usual).map_or_else(String::new, |apart| format!(", {apart}"));
    why.push(Trouble { signal: signal.k, severity, says: format!("{}{apart}", says(host, signal, value)) });
}

fn blind(host: &FleetHost, why: &mut Vec<Trouble>) {
    if host.down.is_empty() {
        return;
    }
    let all = host.down.len() as u32 >= host.targets;
    let jobs: Vec<&str> = host.down.iter().map(|j| j.shown()).collect();
    let (severity, says) = match all {
        true => (Severity::Critical, format!("none of its targets answers: {}", jobs.join(", "))),
        false => (Severity::Warning, format!("targets do not answer: {}", jobs.join(", "))),
    };
    why.push(Trouble { signal: "targets", severity, says });
}

/// How far it is from its peers; without peers, from what it was.
fn apart(host: &FleetHost, signal: &Signal, value: f64, usual: &BTreeMap<&str, Usual>) -> Option<String> {
    if let Some(usual) = usual.get(signal.k) {
        let far = (value - usual.median) / usual.spread;
        return (far > FAR).then(|| format!("its peers {}", shown(signal, usual.median)));
    }
    let past = host.past.get(signal.k).copied()?;
    (value > past * GREW).then(|| format!("before {}", shown(signal, past)))
}

/// The line that leads to a host. Its name comes from whoever is scraped: only what can be nothing but a host's name is handed to ssh, and
/// nothing that leads back here.
#[must_use]
pub fn way(host: &str) -> Option<Command> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '-');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let word = Word::operand(host.as_bytes()).filter(|_| host.chars().all(plain) && !loopback)?;
    Some(sh!("ssh {} -t perftop", word))
}

/// A reading as people read it.
#[must_use]
pub fn shown(signal: &Signal, value: f64) -> String {
    match signal.unit {
        // All but full is not full.
        Unit::Ratio if (0.99..1.0).contains(&value) => format!("{:.1} %", (value * 1000.0).floor() / 10.0),
        Unit::Ratio => format!("{} %", short(value * 100.0)),
        Unit::Seconds => seconds(value),
        unit => unit.show(value),
    }
}

fn says(host: &FleetHost, signal: &Signal, value: f64) -> String {
    let about = host.about.get(signal.k).map_or_else(String::new, |a| format!(" {}", a.shown()));
    // What only is or is not has no figure.
    if signal.unit == Unit::Count && matches!(signal.means, Means::Trouble(low, _) if low == 1.0) && value < 1.5 {
        return format!("{}{about}", signal.says);
    }
    format!("{}{about}: {}", signal.says, shown(signal, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::foreign::Foreign;

    fn fleet(hosts: &[(&str, &[(&str, f64)])]) -> Fleet {
        let mut fleet = Fleet::default();
        for n in 0..50 {
            let mut host = FleetHost { targets: 3, ..FleetHost::default() };
            let wobble = f64::from(n % 7) / 100.0;
            for (k, v) in [("psi_cpu", 0.02), ("psi_io", 0.01), ("cpu_util", 0.3), ("retrans", 0.001), ("disk_await", 0.004)] {
                host.now.insert(k.into(), v * (1.0 + wobble));
            }
            fleet.hosts.insert(format!("calm{n:02}"), host);
        }
        for (name, changes) in hosts {
            let mut host = fleet.hosts["calm00"].clone();
            host.now.extend(changes.iter().map(|(k, v)| ((*k).to_owned(), *v)));
            fleet.hosts.insert((*name).to_owned(), host);
        }
        fleet
    }

    fn wrong(fleet: &Fleet) -> Vec<String> {
        rank(fleet).into_iter().filter(|r| r.severity.is_some()).map(|r| format!("{} {}", r.host, r.why[0].says)).collect()
    }

    #[test]
    fn what_costs_or_breaks_comes_first_and_says_why() {
        let fleet = fleet(&[
            ("cpu", &[("psi_cpu", 0.8), ("cpu_util", 0.99)]),
            ("disk", &[("psi_io", 0.4), ("disk_await", 0.2)]),
            ("full", &[("fs_used", 0.995)]),
            ("lossy", &[("retrans", 0.05)]),
            ("cache", &[("redis_evict", 200.0), ("redis_miss", 300.0), ("redis_hit", 100.0)]),
        ]);
        assert_eq!(
            wrong(&fleet),
            [
                "cpu tasks wait for a CPU: 0.8 s/s, its peers 0.02 s/s",
                "full fullest file system: 99.5 %",
                "cache 200 keys evicted a second, and only 25 % of look-ups hit",
                "disk time per disk request: 200 ms, its peers 4.1 ms",
                "lossy TCP segments sent again: 5.0 %, its peers 0.1 %",
            ]
        );
    }

    #[test]
    fn what_misses_cost_is_laid_on_no_wait() {
        let fleet = fleet(&[("cache", &[("redis_evict", 800.0), ("redis_miss", 2_000.0), ("redis_hit", 500.0)])]);
        let worst = rank(&fleet).remove(0);
        let told: Vec<_> = worst.why.iter().map(|w| (w.signal, w.severity)).collect();
        assert_eq!((worst.host.as_str(), told), ("cache", vec![("redis_evict", Severity::Critical)]));
        assert!(worst.lost >= 1.6, "{}", worst.lost);
    }

    #[test]
    fn busy_is_not_sick() {
        let fleet = fleet(&[
            ("batch", &[("psi_cpu", 0.9), ("cpu_util", 0.99), ("cpu_nice", 0.95)]),
            ("backup", &[("disk_util", 1.0), ("disk_queue", 4.0), ("disk_await", 0.006)]),
            ("cached", &[("mem_free", 0.02)]),
            ("loaded", &[("load", 64.0), ("cpu_util", 0.95)]),
            ("lru", &[("redis_evict", 500.0), ("redis_miss", 100.0), ("redis_hit", 9_900.0)]),
            ("busy", &[("pg_active", 90.0), ("pg_conn", 0.8)]),
        ]);
        assert_eq!(wrong(&fleet), Vec::<String>::new());
    }

    #[test]
    fn what_does_not_answer_is_no_healthy_host() {
        let mut fleet = fleet(&[]);
        let down = |jobs: &[&str]| FleetHost {
            down: jobs.iter().map(|j| Foreign::from(*j)).collect(),
            targets: 2,
            ..FleetHost::default()
        };
        fleet.hosts.insert("dead".into(), down(&["node", "redis"]));
        fleet.hosts.insert("half".into(), down(&["redis"]));
        assert_eq!(wrong(&fleet), ["dead none of its targets answers: node, redis", "half targets do not answer: redis"]);
    }

    #[test]
    fn a_name_that_is_an_option_leads_nowhere() {
        let of = |host: &str| way(host).map(|c| c.to_string());
        assert_eq!(of("db-3.example").as_deref(), Some("ssh db-3.example -t perftop"));
        for none in ["-oProxyCommand=touch /tmp/x", "-v", "localhost", "127.0.0.1", "::1", "https://a/b", "a b", "", "a;b"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn without_peers_the_past_says_what_is_usual() {
        let mut fleet = Fleet::default();
        let mut host = FleetHost { targets: 1, ..FleetHost::default() };
        host.now.insert("retrans".into(), 0.04);
        host.past.insert("retrans".into(), 0.001);
        fleet.hosts.insert("alone".into(), host.clone());
        assert_eq!(wrong(&fleet), ["alone TCP segments sent again: 4.0 %, before 0.1 %"]);
        host.past.insert("retrans".into(), 0.03);
        fleet.hosts.insert("alone".into(), host);
        assert_eq!(wrong(&fleet), Vec::<String>::new());
    }
}
