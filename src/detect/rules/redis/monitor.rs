//! redis.clients.monitor: MONITOR is attached.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::redis::RedisAsk;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes};

use super::support::{info, instance, kill};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.clients.monitor",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "MONITOR is attached",
    params: &[],
    origins: &["redis.clients"],
    page: "\
A client in MONITOR is sent every command of all others: one took a fifth of the throughput of a server that was full,
and shows data and passwords to whoever looks. CLIENT LIST is read each 30 s while there are fewer than 2,000 clients, and
when the command was called.

**Relief**: end it, by its id and address: it may be a colleague's.",
    judge: Judge::Redis(judge),
};

/// Clients are asked for once somebody came with MONITOR, and not more often than this.
const AGAIN_S: f64 = 3.0;

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let r = view.server;
    if let Err(answer) = info(view) {
        return answer;
    }
    let mut judged = Judged::default();
    let came = r.commands.iter().flatten().any(|c| c.name == "monitor");
    // One that was there may be gone by now.
    let there = r.clients.iter().flat_map(|c| &c.rows).any(|c| c.is('O'));
    if (came || there) && r.clients_age_s > AGAIN_S {
        judged.demands.push(RedisAsk::Clients.of(&r.id));
    }
    let clients = match &r.clients {
        Ok(clients) => clients,
        Err(lack) => {
            judged.verdicts = Judged::unknown(instance(r), lack).verdicts;
            return judged;
        }
    };
    for client in clients.rows.iter().filter(|c| c.is('O')) {
        let subject = Subject::new(SubjectType::Client, client.id.to_string(), client.label());
        let buffer = client.total_bytes.max(client.output_bytes) as f64;
        let mut found =
            Found::new(Class::Hygiene, format!("{} is in MONITOR: it is sent every command of all others", client.label()));
        found.age_s = Some(client.age_s as f64);
        found.evidence = vec![
            evidence("connected for", client.age_s as f64, Unit::Seconds, None, "redis.clients"),
            evidence("its buffers", buffer, Unit::Bytes, None, "redis.clients"),
        ];
        if buffer > 1e6 {
            found.title = format!("{}, and does not read it: {} wait", found.title, bytes(buffer));
        }
        found.fixes = kill(r, client).into_iter().collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        judged.verdicts = Judged::clear(instance(r), "nobody is in MONITOR").verdicts;
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    use crate::detect::bench::redis::client;

    fn flags(flags: &str) -> Bench {
        let row = crate::model::redis::Client { flags: flags.into(), ..client(7, "10.0.0.9:5000") };
        Bench::redis(|r| r.clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row], all: 1 })))
    }

    #[test]
    fn a_monitor_is_found_a_subscriber_is_not() {
        Table { clear: flags("P"), unknown: Some(Bench::silent_redis()), found: flags("O"), held: None }.check(&RULE);
        flags("O").must_say(&RULE, "found 10.0.0.9:5000 is in MONITOR");
    }
}
