//! postgres.connections.exhausted: slots nearly or fully used; who holds them.

use super::support::{instance, setting, sql, unknown};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::literal;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, count};

const NEARLY: Param = Param {
    name: "nearly",
    unit: Unit::Percent,
    default: 90.0,
    min: 50.0,
    max: 100.0,
    what: "share of the connection slots for ordinary roles from which it is a risk",
};
const LEFT: Param = Param {
    name: "left",
    unit: Unit::Count,
    default: 0.0,
    min: 0.0,
    max: 100.0,
    what: "free connection slots at or below which it is an error",
};

/// Its id.
pub const ID: &str = RULE.id;

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.connections.exhausted",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "slots nearly or fully used; who holds them",
    params: &[NEARLY, LEFT],
    origins: &["postgres.connections", "postgres.settings"],
    page: "\
`max_connections`, less `superuser_reserved_connections` and `reserved_connections`, is the number of connection slots
for ordinary roles. When they are used up their new connections are refused; sessions that are open go on. It counts
all client sessions, superusers' and perftop's too; refused ones are not seen. A risk from `nearly` on, an error at
`left`. It names the application, role and host with the most sessions: often the idle ones of a pool that is too
large.

**Relief**: end the idle sessions of that application and role, from every host, that have been idle for five seconds.
**Cure**: raise `max_connections` to 1.5 times the slots, at a restart; better, by hand: a pooler, and smaller pools:
more than two or three sessions per CPU make nothing faster.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let number = |name: &str| cluster.number(name).unwrap_or(0.0);
    let slots = number("max_connections") - number("superuser_reserved_connections") - number("reserved_connections");
    if slots <= 0.0 {
        return unknown(pg, &crate::model::seen::Lack::new(crate::model::seen::Why::Absent, "max_connections"));
    }
    // perftop's own count too: they use connection slots.
    let listed: u32 = cluster.connections.iter().map(|c| c.all).sum();
    let used = f64::from(listed.max(cluster.connected));
    let Some(top) = cluster.connections.iter().max_by_key(|c| c.all) else { return Judged::clear(instance(pg), "no connection") };
    let name = if top.application.is_empty() { top.role.shown() } else { top.application.shown() };
    let label = format!("{name} as {}", top.role);
    let subject = Subject::new(SubjectType::Application, name, label.clone());
    let share = used / slots * 100.0;
    let held = is_held(prev, &subject);
    let full = slots - used <= params.get(LEFT);
    if !full && share < params.limit(NEARLY, held) {
        return Judged::clear(instance(pg), format!("{} of {} connection slots in use", count(used), count(slots)));
    }
    let state = match share >= params.get(NEARLY) {
        _ if full => "All",
        true => "Nearly all",
        false => "Many",
    };
    let title = format!(
        "{state} connection slots are in use: {} of {}; {label} has {}, {} of them idle",
        count(used),
        count(slots),
        top.all,
        top.idle
    );
    let mut found = Found::new(if full { Class::Error } else { Class::Risk }, title);
    found.grows = true;
    found.evidence = vec![
        evidence("slots in use", used, Unit::Count, Some(slots), "postgres.connections").of_capacity(),
        evidence("held by the top application", f64::from(top.all), Unit::Count, None, "postgres.connections"),
        evidence("of these, idle", f64::from(top.idle), Unit::Count, None, "postgres.connections"),
        evidence("longest idle for", top.longest_idle_s, Unit::Seconds, None, "postgres.connections"),
    ];
    found.fixes = fixes(pg, top, slots);
    Judged::found(subject, found)
}

fn fixes(pg: &PgFacts, top: &crate::model::postgres::ConnectionRow, slots: f64) -> Vec<Fix> {
    let mut out = Vec::new();
    if let (Some(application), Some(role)) = (literal(&top.application), literal(&top.role))
        && top.idle > 0
    {
        let mut fix = sql(
            pg,
            Phase::Relief,
            Horizon::Immediate,
            &format!("End its idle sessions, from every host: {} from the host named", top.idle),
            format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle' AND application_name = {application} AND usename = {role} \
                 AND state_change < now() - interval '5 s' AND pid <> pg_backend_pid();"
            ),
            &Foreign::default(),
        );
        fix.risk = "the pool must detect closed connections; one that does not returns one error per connection".into();
        fix.needs = format!("role {}, or pg_signal_backend", top.role);
        fix.verify = Command::sql(
            "SELECT count(*), current_setting('max_connections') FROM pg_stat_activity WHERE backend_type = 'client backend';",
        );
        out.push(fix);
    }
    let more = format!("{:.0}", (slots * 1.5).ceil());
    let more = setting(
        pg,
        Phase::Cure,
        Horizon::LongTerm,
        "Raise max_connections; a pooler in front is better",
        "max_connections",
        &more,
    );
    out.extend(more.map(|mut more| {
        more.risk = "each session takes memory and slows everyone's snapshots; a pooler is better".into();
        if pg.cluster.as_ref().is_ok_and(|c| !c.replicas.is_empty()) {
            more.risk += "; raise it on every standby first: one with a lower value stops replaying";
        }
        more
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::setting;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, ConnectionRow};

    /// So many of 97 slots are taken.
    fn taken(all: u32) -> Bench {
        let web = ConnectionRow { application: "web".into(), role: "app".into(), all, ..ConnectionRow::default() };
        let settings = [setting("max_connections", "100"), setting("superuser_reserved_connections", "3")].into();
        Bench::cluster(Cluster { connections: vec![web], settings, ..Cluster::default() })
    }

    #[test]
    fn slots_that_run_out_are_found_and_held() {
        Table { clear: taken(61), unknown: Some(Bench::cluster(Cluster::default())), found: taken(88), held: Some(taken(87)) }
            .check(&RULE);
        taken(88).must_say(&RULE, "found Nearly all connection slots are in use: 88 of 97; web as app has 88");
        taken(97).must_say(&RULE, "found All connection slots are in use");
    }
}
