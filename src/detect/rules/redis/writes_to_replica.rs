//! redis.replication.writes_to_replica: clients write to a replica.

use crate::detect::command::{named, sh};
use crate::detect::finding::{Class, Phase};
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::unit::{Unit, short};

use super::support::{failed, in_application, info, instance, look};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.replication.writes_to_replica",
    class: Class::Error,
    culprit: Culprit::One,
    says: "clients write to a replica, as after a failover",
    params: &[],
    origins: &["redis.errors", "redis.replication"],
    page: "\
Writes fail with READONLY: this server is a replica, and clients take it for the primary, mostly since a failover. No
time is lost by it, only writes. INFO names the primary.

**Relief**: let the clients ask the primary that is named. **Cure**: clients that follow a failover (Sentinel, the
cluster, a name that moves). To make this server a primary too would split the data: it is never suggested.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let failed = match failed(view, "READONLY") {
        Ok(failed) => failed,
        Err(answer) => return answer,
    };
    if failed <= 0.0 {
        return Judged::clear(instance(r), "no write to a replica");
    }
    let primary = format!("{}:{:.0}", info.word("master_host"), info.number("master_port").unwrap_or(0.0));
    let title = format!("{} writes a second go to a replica and fail (READONLY): its primary is {primary}", short(failed));
    let mut found = Found::new(Class::Error, title);
    found.failed_per_s = Some(failed);
    found.evidence = vec![evidence("refused with READONLY", failed, Unit::PerSecond, NONE_IS_FINE, "redis.errors")];
    let look = look(r, Phase::Relief, "See who is connected there", |cli| sh!("{} CLIENT LIST TYPE normal", cli));
    found.fixes = look.into_iter().collect();
    found.fixes.push(in_application(
        r,
        "Let clients write to the primary",
        format!("the primary of this replica is {}", named(primary.as_bytes())),
    ));
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn writes_to_a_replica_are_found_with_its_primary() {
        let failed = |per_s: f64| {
            Bench::redis(|r| {
                r.word("master_host", "10.0.0.2");
                r.say("master_port", 6379.0);
                r.fail("READONLY", per_s);
            })
        };
        Table { clear: failed(0.0), unknown: Some(Bench::silent_redis()), found: failed(5.0), held: None }.check(&RULE);
        failed(5.0)
            .must_say(&RULE, "found 5.0 writes a second go to a replica and fail (READONLY): its primary is 10.0.0.2:6379");
        Bench::redis(|r| r.before = None).must_say(&RULE, "unknown");
    }
}
