//! host.kernel.table_full: a table or a limit of the kernel is used up: neighbours, memory of TCP sockets, inotify of a user.

use crate::detect::command::{Command, sh};
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix;
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::host::{InotifyUse, ProcId};
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, count, short};

const FULL: Param =
    Param { name: "full", unit: Unit::Percent, default: 95.0, min: 50.0, max: 100.0, what: "share of the limit in use" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "host.kernel.table_full",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "a kernel table or limit is used up (neighbours, memory of TCP sockets, inotify)",
    params: &[FULL],
    origins: &["host.neighbours", "host.tcp_memory", "host.inotify", "host.kmsg"],
    page: "\
**Neighbours**: the kernel keeps the hardware address of each host of the same link, at most `gc_thresh3` of them. In a flat network
of many hosts or containers the table runs full; then a host that is not in it cannot be reached at all, though nothing is wrong with
it: connects to it wait, the kernel's log says `neighbor table overflow`.

**Memory of TCP sockets**: what all sockets hold together, in pages. Above the second figure of `net.ipv4.tcp_mem` every socket has to
save (small windows, slow transfers), above the third connections are ended. It is one limit for the whole machine, however much
memory is free.

**inotify**: what a user may have of it, all his programs together: instances (often 128) and watches. At the limit programs that
want to watch files say `Too many open files` or `No space left on device`, though there are descriptors and space: log shippers,
`tail -f`, kubelet, editors, containers that do not start. Watches are counted where a user may have no more than 65,536 of them.

Found from `full` of the limit on, a warning; while the kernel turns something away it goes by the share of the attempts (neighbours)
or is critical (connections). More neighbours than the limit are such that it does not count (permanent ones, those of a routing
daemon). Of another network namespace neither is known.

**Relief**: double the limit. **Cure**: the same in the configuration of the system; by hand: smaller networks, sockets that are
read sooner.",
    judge: Judge::Host(judge),
};

/// A table with its limit.
struct Full {
    setting: &'static str,
    title: String,
    used: f64,
    limit: f64,
    unit: Unit,
    refused: Option<f64>,
    /// Attempts per second, where they are counted.
    attempts: Option<f64>,
    /// Beside the setting, where it holds for each of several.
    whose: Option<String>,
    origin: &'static str,
    raise: Command,
    undo: Command,
}

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    let mut fullest: f64 = 0.0;
    let raw = &facts.world.host.limits.raw;
    if raw.neighbours.or(raw.neighbours6).is_none() && raw.tcp_pages.is_none() && facts.world.host.inotify.is_none() {
        return Judged::unknown(
            Subject::host(),
            &Lack::new(Why::Absent, "neighbours, memory of TCP sockets and inotify, with their limits"),
        );
    }
    for full in tables(facts) {
        let mut subject = Subject::new(SubjectType::Setting, full.setting, full.setting);
        subject.also.extend(full.whose.clone());
        let share = full.used / full.limit * 100.0;
        let refused = full.refused.unwrap_or(0.0);
        if share < params.limit(FULL, is_held(prev, &subject)) && refused <= 0.0 {
            fullest = fullest.max(share);
            continue;
        }
        let class = if refused > 0.0 { Class::Error } else { Class::Risk };
        let mut found = Found::new(class, full.title);
        // Full and nothing turned away yet: a warning.
        found.grows = true;
        found.failed_per_s = full.refused.filter(|r| *r > 0.0);
        found.attempts_per_s = full.attempts.filter(|_| refused > 0.0);
        found.evidence = vec![
            params.either("share of the limit in use", share, FULL, full.origin),
            evidence("in use", full.used, full.unit, Some(full.limit), full.origin).of_capacity(),
        ];
        // Where nobody counts what is turned away, none is said.
        found
            .evidence
            .extend(full.refused.map(|refused| evidence("turned away", refused, Unit::PerSecond, NONE_IS_FINE, full.origin)));
        found.fixes = fixes(full.setting, full.raise, full.undo);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        // Where the descriptors of others cannot be seen nothing is said of theirs.
        let seen = facts.world.host.inotify.is_some() && facts.world.host.serving_unreadable == 0;
        let inotify_too = if seen { ", inotify" } else { "" };
        return Judged::clear(
            Subject::host(),
            format!("at most {} % of a limit in use (neighbours, memory of TCP sockets{})", short(fullest), inotify_too),
        );
    }
    judged
}

fn tables(facts: &Facts<'_>) -> Vec<Full> {
    let limits = &facts.world.host.limits;
    let neighbours = |known: Option<(u64, u64)>, setting: &'static str, version: &str| {
        // The limit does not count permanent entries, nor those that a routing daemon learned: of more than it, some are such, and whether it
        // is full is known only once one is refused.
        let refuses = limits.neighbours_refused_per_s.is_some_and(|r| r > 0.0);
        let (used, limit) = known.filter(|(used, limit)| *limit > 0 && (used <= limit || refuses))?;
        // Both versions share the count of refusals: it belongs to the one that is full.
        let refused = limits.neighbours_refused_per_s.filter(|_| used * 10 >= limit * 9);
        Some(Full {
            setting,
            title: format!(
                "The {version} table of neighbours is {}full: {} of {}",
                if refused.is_some_and(|r| r > 0.0) { "" } else { "nearly " },
                count(used as f64),
                count(limit as f64)
            ),
            whose: None,
            attempts: limits.neighbours_made_per_s.zip(refused).map(|(made, refused)| made + refused),
            used: used as f64,
            limit: limit as f64,
            unit: Unit::Count,
            refused,
            origin: "host.neighbours",
            raise: match setting {
                IPV4 => sh!("sysctl -w net.ipv4.neigh.default.gc_thresh3={}", limit.saturating_mul(2)),
                _ => sh!("sysctl -w net.ipv6.neigh.default.gc_thresh3={}", limit.saturating_mul(2)),
            },
            undo: match setting {
                IPV4 => sh!("sysctl -w net.ipv4.neigh.default.gc_thresh3={}", limit),
                _ => sh!("sysctl -w net.ipv6.neigh.default.gc_thresh3={}", limit),
            },
        })
    };
    let page = facts.world.identity.as_ref().map_or(4096, |i| i.page_bytes) as f64;
    let tcp = limits.raw.tcp_pages.filter(|(_, _, most)| *most > 0).and_then(|(used, pressure, most)| {
        let low = pressure.saturating_mul(3) / 4;
        let figures = |times: u64| {
            Word::operand(format!("{low} {} {}", pressure.saturating_mul(times), most.saturating_mul(times)).as_bytes())
        };
        Some(Full {
            setting: "net.ipv4.tcp_mem",
            title: format!(
                "TCP sockets hold {} of the {} that all of them may have together",
                bytes(used as f64 * page),
                bytes(most as f64 * page)
            ),
            used: used as f64 * page,
            // From here on every socket pays.
            limit: pressure as f64 * page,
            unit: Unit::Bytes,
            // Connections are ended for too many orphans as well, which is another limit.
            refused: limits.tcp_aborts_per_s.filter(|_| used * 10 >= most * 9),
            attempts: None,
            whose: None,
            origin: "host.tcp_memory",
            raise: sh!("sysctl -n net.ipv4.tcp_mem; sysctl -w net.ipv4.tcp_mem={}", figures(2)?),
            undo: Command::note("# sysctl -w net.ipv4.tcp_mem='OLD'   # OLD: what was printed before"),
        })
    });
    let of_both = [
        neighbours(limits.raw.neighbours, IPV4, "IPv4"),
        neighbours(limits.raw.neighbours6, "net.ipv6.neigh.default.gc_thresh3", "IPv6"),
    ];
    of_both.into_iter().flatten().chain(tcp).chain(inotify(facts)).collect()
}

/// Of each setting the user who has most.
fn inotify(facts: &Facts<'_>) -> Vec<Full> {
    let known = facts.world.host.inotify.as_ref().and_then(|known| Some((&known.users, known.limits?)));
    let Some((users, (instances, watches))) = known else { return Vec::new() };
    let one = |what: &str, setting: &'static str, limit: u64, has: &dyn Fn(&InotifyUse) -> Option<(u64, ProcId)>| {
        let (user, used, most) =
            users.iter().filter_map(|u| has(u).map(|(n, id)| (u, n, id))).max_by_key(|(u, used, _)| (*used, u.uid))?;
        let process = facts.world.processes().iter().find(|p| p.id == most);
        let most = process.map_or_else(String::new, |p| format!("; {} has more of them than any other", p.label()));
        let name = Word::operand(setting.as_bytes())?;
        (limit > 0).then(|| Full {
            setting,
            title: format!(
                "User {} has {} of the {} inotify {what} that a user may have{most}",
                user.uid,
                count(used as f64),
                count(limit as f64)
            ),
            used: used as f64,
            limit: limit as f64,
            unit: Unit::Count,
            refused: None,
            attempts: None,
            whose: process.map(|p| format!("process:{}", p.id)),
            origin: "host.inotify",
            raise: sh!("sysctl -w {}={}", name.clone(), limit.saturating_mul(2)),
            undo: sh!("sysctl -w {}={}", name.clone(), limit),
        })
    };
    let all = [
        one("instances", "fs.inotify.max_user_instances", instances, &|u| Some((u.instances, u.most))),
        one("watches", "fs.inotify.max_user_watches", watches, &|u| u.watches.zip(u.most_watches)),
    ];
    all.into_iter().flatten().collect()
}

const IPV4: &str = "net.ipv4.neigh.default.gc_thresh3";

fn fixes(setting: &str, command: Command, undo: Command) -> Vec<Fix> {
    let mut raise = fix::shell_fix(Phase::Relief, Horizon::Immediate, "Double the limit", command);
    raise.undo = Some(undo);
    raise.needs = "root".into();
    raise.risk = "some more memory of the kernel".into();
    let mut keep = raise.clone();
    (keep.phase, keep.horizon) = (Phase::Cure, Horizon::ShortTerm);
    keep.title = "Keep it over the next boot".into();
    keep.command = Command::note(format!("# /etc/sysctl.d/90-limits.conf: {setting} = the new value"));
    keep.undo = None;
    keep.takes_s = None;
    vec![raise, keep]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn neighbours(used: u64, refused: f64) -> Bench {
        Bench::quiet().on(|host| {
            host.limits.raw.neighbours = Some((used, 1024));
            host.limits.neighbours_refused_per_s = Some(refused);
            host.limits.neighbours_made_per_s = Some(10.0);
        })
    }

    #[test]
    fn a_full_table_of_neighbours_is_found_and_held() {
        let found = neighbours(1024, 30.0);
        found.must_say(&RULE, "found The IPv4 table of neighbours is full: 1.0k of 1.0k");
        Table { clear: neighbours(500, 0.0), unknown: Some(Bench::quiet()), found, held: Some(neighbours(800, 0.0)) }
            .check(&RULE);
        neighbours(200, 30.0).must_say(&RULE, "clear");
        // Learned by a routing daemon: the limit does not count them.
        neighbours(10_000, 0.0).must_say(&RULE, "clear");
        neighbours(1030, 30.0).must_say(&RULE, "found The IPv4 table of neighbours is full");
        assert_eq!(neighbours(1024, 1.0).pastes(&RULE)[0], "sysctl -w net.ipv4.neigh.default.gc_thresh3=2048");
    }

    #[test]
    fn a_user_at_his_limit_of_inotify_is_found() {
        let has = |instances: u64, watches: Option<u64>| {
            Bench::quiet().on(|host| {
                let used = InotifyUse {
                    uid: 1000,
                    instances,
                    watches,
                    most: ProcId { pid: 7, start: 1 },
                    most_watches: watches.map(|_| ProcId { pid: 7, start: 1 }),
                };
                host.inotify = Some(crate::model::host::Inotify { users: vec![used], limits: Some((128, 8192)) });
            })
        };
        has(60, Some(100)).must_say(&RULE, "clear");
        has(60, None).must_say(&RULE, "clear");
        has(128, Some(100)).must_say(&RULE, "found User 1000 has 128 of the 128 inotify instances");
        has(3, Some(8_190)).must_say(&RULE, "found User 1000 has 8.2k of the 8.2k inotify watches");
        assert_eq!(has(128, None).pastes(&RULE)[0], "sysctl -w fs.inotify.max_user_instances=256");
    }

    #[test]
    fn sockets_that_hold_all_that_they_may_are_found() {
        let holds = |pages: u64| Bench::quiet().on(|host| host.limits.raw.tcp_pages = Some((pages, 1_000, 1_500)));
        holds(900).must_say(&RULE, "clear");
        holds(960).must_say(&RULE, "found TCP sockets hold 3.8 MiB of the 5.9 MiB that all of them may have together");
        holds(1_100).must_say(&RULE, "found TCP sockets");
    }
}
