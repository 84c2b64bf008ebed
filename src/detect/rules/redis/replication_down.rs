//! redis.replication.down: a replica has lost its primary.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Phase};
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, seconds};

use super::support::{info, instance, look};

const DOWN: Param = Param {
    name: "down",
    unit: Unit::Seconds,
    default: 3.0,
    min: 0.0,
    max: 86_400.0,
    what: "seconds that the link has been down: a restart takes a moment",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.replication.down",
    class: Class::Risk,
    culprit: Culprit::One,
    says: "a replica has lost its primary: it answers with old data",
    params: &[DOWN],
    origins: &["redis.replication"],
    page: "\
`master_link_status` of a replica is down for `down`: it serves what it has, older by the second. While it reads a whole
copy it is not down but behind (`redis.replication.resync_loop` where that does not end).

**Relief**: see from the replica whether its primary answers. **Cure**: the network, the password (`masterauth`), the
primary itself.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    if info.word("role") != "slave" {
        return Judged::clear(instance(r), "it is a primary");
    }
    let host = info.word("master_host").to_owned();
    let label = format!("{host}:{:.0}", info.number("master_port").unwrap_or(0.0));
    let subject = Subject::new(SubjectType::Replica, label.as_str(), label.as_str());
    // One that never stood says no time: -1 there, and before 7.0 the whole time since 1970. It is down since it was seen so.
    let number = |name: &str| info.number(name).unwrap_or(0.0);
    let (since, uptime) = (number("master_link_down_since_seconds"), number("uptime_in_seconds"));
    // A primary waits for others before it sends its copy, five seconds by default.
    const BEGINS_S: f64 = 12.0;
    let seen_s = view.facts.learned.servers.redis.unlinked.get(&r.id).map_or(0.0, |(first, last)| last - first);
    let down = if since < 0.0 || since > uptime { Some(seen_s).filter(|s| *s >= BEGINS_S).unwrap_or(0.0) } else { since };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let syncing = info.is_set("master_sync_in_progress");
    let is_down = info.word("master_link_status") == "down";
    if !is_down || syncing || down < params.limit(DOWN, held) {
        let why = match (syncing, is_down) {
            (true, _) => "it reads a whole copy",
            (false, true) => "the link to its primary is down for a moment",
            (false, false) => "the link to its primary is up",
        };
        return Judged::clear(subject, why);
    }
    let mut found =
        Found::new(Class::Risk, format!("{} has lost its primary {label} for {}: it serves old data", r.id, seconds(down)));
    found.grows = true;
    found.age_s = Some(down);
    found.evidence = vec![params.row("link down", down, DOWN, "redis.replication")];
    found.fixes = look(r, Phase::Relief, "See what the replica says of its primary", |cli| sh!("{} INFO replication", cli))
        .into_iter()
        .collect();
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::redis::SERVER;
    use crate::detect::bench::{Bench, Table};

    fn replica(link: &str, down_s: f64) -> Bench {
        Bench::redis(|r| {
            r.word("role", "slave");
            r.word("master_host", "10.0.0.2");
            r.say("master_port", 6379.0);
            r.word("master_link_status", link);
            r.say("master_link_down_since_seconds", down_s);
        })
    }

    #[test]
    fn a_lost_primary_is_found_and_held() {
        Table {
            clear: replica("up", 0.0),
            unknown: Some(Bench::silent_redis()),
            found: replica("down", 4.0),
            held: Some(replica("down", 2.5)),
        }
        .check(&RULE);
        // It was told to replicate a moment ago, and one that never could.
        let never = |seen_s: f64| {
            replica("down", -1.0)
                .knowing(|learned| _ = learned.servers.redis.unlinked.insert(SERVER.to_owned(), (10.0, 10.0 + seen_s)))
        };
        never(1.0).must_say(&RULE, "clear");
        never(6.0).must_say(&RULE, "clear");
        never(19.0).must_say(&RULE, "found redis:6379 has lost its primary 10.0.0.2:6379 for 19 s");
        replica("down", 40.0).must_say(&RULE, "found redis:6379 has lost its primary 10.0.0.2:6379 for 40 s");
    }
}
