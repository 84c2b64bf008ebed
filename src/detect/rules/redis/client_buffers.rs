//! redis.memory.client_buffers: buffers of clients grow.

use crate::detect::finding::{Class, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::redis::RedisAsk;
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes};

use super::support::{info, instance, kill, set};

const LARGE: Param = Param {
    name: "large",
    unit: Unit::Bytes,
    default: 67_108_864.0,
    min: 65_536.0,
    max: 1e13,
    what: "bytes in the buffers of ordinary clients, together",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.memory.client_buffers",
    class: Class::Risk,
    culprit: Culprit::One,
    says: "client buffers grow; names the client",
    params: &[LARGE],
    origins: &["redis.clients", "redis.memory"],
    page: "\
What a client does not read stays in the server's memory: a subscriber or a MONITOR that stands, a reader of huge
answers. `mem_clients_normal` is all of it; the client with the largest buffer is named, by CLIENT LIST, which is read
each 30 s while there are fewer than 2,000 clients, and when this is found. With `maxmemory` such buffers drive out
keys, or make writes fail.

**Relief**: end that client, by its id and address. **Cure**: limits for buffers (`client-output-buffer-limit`,
`maxmemory-clients`), a client that reads.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let info = match info(view) {
        Ok(info) => info,
        Err(answer) => return answer,
    };
    let Some(all) = info.number("mem_clients_normal") else {
        return Judged::unknown(instance(r), &Lack::new(Why::Absent, "mem_clients_normal of INFO"));
    };
    let largest = r.clients.as_ref().ok().and_then(|c| c.rows.iter().max_by_key(|c| c.total_bytes.max(c.output_bytes)));
    let subject = largest.map_or_else(|| instance(r), |c| Subject::new(SubjectType::Client, c.id.to_string(), c.label()));
    if all < params.limit(LARGE, is_held(prev, &subject)) {
        return Judged::clear(instance(r), format!("{} in buffers of clients", bytes(all)));
    }
    let held = largest.map_or(0.0, |c| c.total_bytes.max(c.output_bytes) as f64);
    let who = largest.map_or_else(String::new, |c| format!(", {} of them for {}", bytes(held), c.label()));
    let mut found = Found::new(Class::Risk, format!("{} wait in buffers of clients{who}", bytes(all)));
    found.grows = true;
    found.never_critical = true;
    found.evidence = vec![params.row("buffers of ordinary clients", all, LARGE, "redis.memory")];
    found.evidence.extend(largest.map(|_| evidence("of these the largest", held, Unit::Bytes, None, "redis.clients")));
    found.fixes = largest.filter(|_| held >= all * 0.3).and_then(|c| kill(r, c)).into_iter().collect();
    found.fixes.extend(set(r, Phase::Cure, "Limit what all clients take (7.0 and later)", "maxmemory-clients", "5%"));
    let mut judged = Judged::found(subject, found);
    if r.clients_age_s > 5.0 {
        judged.demands.push(RedisAsk::Clients.of(&r.id));
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    use crate::detect::bench::redis::client;

    fn buffers(all: f64) -> Bench {
        Bench::redis(|r| {
            r.say("mem_clients_normal", all);
            let row = crate::model::redis::Client { total_bytes: all as u64, ..client(7, "10.0.0.9:5000") };
            r.clients = Ok(std::sync::Arc::new(crate::model::redis::Clients { rows: vec![row], all: 1 }));
        })
    }

    #[test]
    fn buffers_that_grow_are_found_with_their_client() {
        Table { clear: buffers(4e7), unknown: Some(Bench::silent_redis()), found: buffers(7e7), held: Some(buffers(6e7)) }
            .check(&RULE);
        buffers(7e7).must_say(&RULE, "found 67 MiB wait in buffers of clients, 67 MiB of them for 10.0.0.9:5000");
    }
}
