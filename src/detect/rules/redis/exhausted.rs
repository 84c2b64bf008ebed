//! redis.clients.exhausted: maxclients is reached.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{NONE_IS_FINE, Param, Params};
use crate::detect::redis::{View, cli};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::RedisFacts;
use crate::model::seen::{Lack, Why};
use crate::model::shell::Word;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count, short};

use super::support::{info, instance, rate, set};

const NEARLY: Param = Param {
    name: "nearly",
    unit: Unit::Percent,
    default: 90.0,
    min: 1.0,
    max: 100.0,
    what: "of maxclients from which it is a risk",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.clients.exhausted",
    class: Class::Error,
    culprit: Culprit::One,
    says: "maxclients reached",
    params: &[NEARLY],
    origins: &["redis.clients", "redis.stats"],
    page: "\
New connections are refused while `maxclients` are there (`rejected_connections`): an error while it happens, a risk from
`nearly` of the limit on. The name or address with the most connections is named, often a pool that is too large, or
connections that nobody closes.

**Relief**: a higher limit, as far as the open files of the process allow. **Cure**: pools that fit, `timeout` for idle
clients.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let rejected = match rate(view, "rejected_connections") {
        Ok(rejected) => rejected,
        Err(answer) => return answer,
    };
    let most = info.number("maxclients").or_else(|| r.setting("maxclients")?.parse().ok()).filter(|m| *m > 0.0);
    let Some(now) = info.number("connected_clients") else {
        return Judged::unknown(instance(r), &Lack::new(Why::Absent, "connected_clients of INFO"));
    };
    let subject = noisiest(r).unwrap_or_else(|| instance(r));
    let limit = params.limit(NEARLY, is_held(prev, &subject));
    // Refusals say by themselves that the limit is reached, even where nobody may read it.
    let (class, title) = match (rejected > 0.0, most) {
        (true, most) => (
            Class::Error,
            format!(
                "maxclients is reached{}: {} connections a second are refused",
                most.map_or_else(String::new, |most| format!(" ({})", count(most))),
                short(rejected)
            ),
        ),
        (false, Some(most)) if now / most * 100.0 < limit => {
            return Judged::clear(instance(r), format!("{} of {} clients", count(now), count(most)));
        }
        (false, Some(most)) => {
            (Class::Risk, format!("{} of {} clients are connected: more are refused soon", count(now), count(most)))
        }
        (false, None) => {
            let lack = Lack::new(Why::Absent, "maxclients: of INFO since 6.2, else of CONFIG GET");
            return Judged::unknown(instance(r), &lack);
        }
    };
    let mut found = Found::new(class, title);
    found.failed_per_s = Some(rejected).filter(|n| *n > 0.0);
    found.grows = true;
    found.evidence = vec![
        evidence("connections refused", rejected, Unit::PerSecond, NONE_IS_FINE, "redis.stats"),
        evidence("clients connected", now, Unit::Count, most, "redis.clients").of_capacity(),
    ];
    found.fixes = most.and_then(|most| allow_more(r, most * 2.0, rejected > 0.0)).into_iter().collect();
    found.fixes.extend(set(r, Phase::Cure, "Close connections that are idle for ten minutes", "timeout", "600").map(
        |mut fix| {
            fix.risk = format!("subscribers are exempt; a pool must be able to connect again; {}", fix.risk);
            fix
        },
    ));
    Judged::found(subject, found)
}

/// A higher limit. While every connection is taken, the one that sets it has to wait for a free one as all others do, so it tries again.
fn allow_more(r: &RedisFacts, most: f64, full: bool) -> Option<Fix> {
    let mut fix = set(r, Phase::Relief, "Allow twice as many", "maxclients", &format!("{most:.0}"))?;
    if full && fix.undo.is_some() {
        fix.command = sh!(
            "for i in $(seq 300); do {} CONFIG SET maxclients {} | grep OK && break; sleep 0.1; done",
            cli(r)?,
            Word::quoted(format!("{most:.0}").as_bytes())?
        );
        fix.needs =
            "a connection that becomes free within half a minute: perftop holds one too, and gives it back when it is ended"
                .into();
    }
    Some(fix)
}

/// Who has most of the connections that are listed: by name, else by host.
fn noisiest(r: &RedisFacts) -> Option<Subject> {
    let rows = &r.clients.as_ref().ok()?.rows;
    let key = |c: &crate::model::redis::Client| match c.name.is_empty() {
        true => c.address.shown().rsplit_once(':').map_or(c.address.shown(), |(host, _)| host).to_owned(),
        false => c.name.shown().to_owned(),
    };
    let mut all = std::collections::BTreeMap::<String, usize>::new();
    rows.iter().for_each(|c| *all.entry(key(c)).or_default() += 1);
    let (name, _) = all.into_iter().max_by_key(|(_, n)| *n)?;
    Some(Subject::new(SubjectType::Client, name.as_str(), name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn connected(clients: f64, refused: f64) -> Bench {
        Bench::redis(|r| {
            r.say("connected_clients", clients);
            r.grow("rejected_connections", refused);
        })
    }

    #[test]
    fn refused_connections_are_an_error_and_a_full_server_a_risk() {
        Table {
            clear: connected(6_000.0, 0.0),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: connected(9_100.0, 0.0),
            held: Some(connected(7_000.0, 0.0)),
        }
        .check(&RULE);
        connected(10_000.0, 4.0).must_say(&RULE, "found maxclients is reached (10k): 4.0 connections a second are refused");
        let relief = |b: Bench| b.pastes(&RULE).swap_remove(0);
        assert_eq!(
            relief(connected(10_000.0, 4.0)),
            "for i in $(seq 300); do redis-cli -p 6379 CONFIG SET maxclients 20000 | grep OK && break; sleep 0.1; done"
        );
        assert_eq!(relief(connected(9_100.0, 0.0)), "redis-cli -p 6379 CONFIG SET maxclients 20000");
        // Where nobody may read the limit, refusals are found without it, and their absence says nothing.
        let unread = |refused| {
            Bench::redis(|r| {
                r.grow("rejected_connections", refused);
                r.say("maxclients", 0.0);
                r.settings = Err(Lack::new(Why::Denied, "NOPERM"));
            })
        };
        unread(4.0).must_say(&RULE, "found maxclients is reached: 4.0 connections a second are refused");
        unread(0.0).must_say(&RULE, "unknown");
    }
}
