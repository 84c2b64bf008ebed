//! redis.clients.churn: a connection for each command.

use crate::detect::finding::Class;
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::unit::{Unit, count, short};

use super::support::{in_application, info, instance, rate};

const OPENED: Param =
    Param { name: "opened", unit: Unit::PerSecond, default: 100.0, min: 1.0, max: 1e6, what: "connections opened per second" };
const FEW: Param = Param {
    name: "commands",
    unit: Unit::Count,
    default: 10.0,
    min: 1.0,
    max: 1000.0,
    what: "commands per connection, at most: more make good use of one",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.clients.churn",
    class: Class::Hygiene,
    culprit: Culprit::One,
    says: "connections per command",
    params: &[OPENED, FEW],
    origins: &["redis.stats", "redis.commands"],
    page: "\
Clients connect for each command or two: a connection costs the server several times what a GET costs, and its client a
round trip or three. What that costs them is not measured here, so that it is a note.

**Cure**: a pool of connections in the application.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let opened = match info(view).and(rate(view, "total_connections_received")) {
        Ok(opened) => opened,
        Err(answer) => return answer,
    };
    let held = prev.is_some_and(|p| !p.held.is_empty());
    let each = r.requests_per_s().unwrap_or(0.0) / opened.max(1e-9);
    if opened < params.limit(OPENED, held) || each > params.most(FEW, held) {
        return Judged::clear(instance(r), format!("{} connections/s opened", short(opened)));
    }
    let title = format!("{} connections a second are opened, for {} commands each", count(opened), short(each));
    let mut found = Found::new(Class::Hygiene, title);
    found.evidence = vec![
        params.row("connections opened", opened, OPENED, "redis.stats"),
        params.row_below("commands per connection", each, FEW, "redis.commands"),
        evidence("requests", r.requests_per_s().unwrap_or(0.0), Unit::PerSecond, None, "redis.commands"),
    ];
    found.fixes =
        vec![in_application(r, "Keep connections open", "a pool of the client library, or one connection for each thread")];
    Judged::found(instance(r), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    fn opened(per_s: f64) -> Bench {
        Bench::redis(|r| r.grow("total_connections_received", per_s))
    }

    #[test]
    fn a_connection_for_each_command_is_found_and_held() {
        Table {
            clear: opened(60.0),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: opened(150.0),
            held: Some(opened(80.0)),
        }
        .check(&RULE);
        // Many, for many commands each.
        let busy = Bench::redis(|r| {
            r.grow("total_connections_received", 150.0);
            r.commands = Ok(vec![crate::detect::bench::redis::command("get", 50_000.0, 0.000_01)]);
        });
        busy.must_say(&RULE, "clear");
    }
}
