//! redis.command.slow: one command blocks the event loop.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::fix::go_on;
use crate::detect::ledger::State;
use crate::detect::params::Params;
use crate::detect::redis::{SILENT_S, View, losses};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::facts::{CommandFacts, RedisFacts};
use crate::model::unit::{Unit, seconds, short};

use super::commands::{self, LONG, LOST, entry};
use super::support::{fix, in_application, instance, kill, look, sender, set};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.command.slow",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "one command blocks the event loop (KEYS, HGETALL, DEL of a big key …)",
    params: &[LOST, LONG],
    origins: &["redis.commands", "redis.latency", "redis.round_trip", "redis.slowlog", "redis.clients"],
    page: "\
Redis runs one command at a time: while a call lasts, all other requests stand still. A call of d seconds costs
λ d² / 2 request-seconds at λ requests per second, d times the clients at most, so that one KEYS of 76 ms a second, 7 %
of the thread, keeps 28 requests waiting at 10,000 requests/s. The loss is the sum over the calls of a second, by the
histogram of the command (7.0 and later), else by its mean. `lost` of them and a call of `long` make a finding. While a
server does not answer for a second or longer, those who have asked since then count, as often as they asked before.

**What looks like it**: commands that are short and many are `redis.main_thread.saturated`; scripts have their own
rule; a stopped process (`SIGSTOP`) does not answer either.

**Relief**: end the client that sends it, by the slow log; for DEL of big keys: free them in the background. **Cure**:
SCAN, HSCAN and ranges instead of the whole; forbid the command by ACL.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    if let Some(silent) = silent(view) {
        return Judged::found(instance(view.server), silent);
    }
    let mut judged = commands::judge(view, params, prev, |name| !commands::runs_code(name), fixes);
    judged.demands.extend(commands::unknown_client(view.server, &judged));
    judged
}

/// It does not answer: what runs there, nobody can ask.
fn silent(view: &View<'_>) -> Option<Found> {
    let r = view.server;
    let clients = losses(r).silent;
    if r.silent_s < SILENT_S || clients < 0.5 {
        return None;
    }
    let id = r.instance.as_ref().and_then(|i| i.process);
    let process = id.and_then(|id| view.facts.world.processes().iter().find(|p| p.id == id));
    let stopped = process.filter(|p| p.state == 'T');
    let why = match process {
        Some(p) if p.state == 'T' => ", its process is stopped",
        Some(p) if p.cpu.is_some_and(|cpu| cpu > 0.5) => ", its process is busy",
        _ => "",
    };
    let title = format!("{} has not answered for {}{why}: {} requests can only wait", r.id, seconds(r.silent_s), short(clients));
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::RedisStall, clients)];
    found.victims_time = clients;
    // From another host it may be the way that is gone, for perftop alone.
    found.never_critical = !r.local();
    found.age_s = Some(r.silent_s);
    found.confidence = 0.6;
    found.evidence = vec![
        evidence("without an answer", r.silent_s, Unit::Seconds, Some(SILENT_S), "redis.round_trip"),
        evidence("clients connected", r.askers(), Unit::Count, None, "redis.clients"),
        evidence("requests before that", r.usual_per_s, Unit::PerSecond, None, "redis.commands"),
    ];
    found.fixes = stopped.map(go_on).into_iter().collect();
    let script = fix(r, Phase::Relief, "End a script that runs, unless it has written", |cli| sh!("{} SCRIPT KILL", cli));
    found.fixes.extend(script.filter(|_| stopped.is_none()));
    found.fixes.extend(id.map(|id| {
        crate::detect::fix::look(
            "See whether its process runs, waits or is stopped, and where",
            sh!("ps -o pid,stat,wchan:24,pcpu,args -p {}; cat /proc/{}/stack", id.pid, id.pid),
        )
    }));
    Some(found)
}

fn fixes(r: &RedisFacts, command: &CommandFacts) -> Vec<Fix> {
    let mut fixes = Vec::new();
    // Which setting frees in the background what the command takes away.
    let lazy = match command.name.as_str() {
        "del" => Some("lazyfree-lazy-user-del"),
        // What is overwritten or stored anew was a key before.
        "rename" | "set" | "restore" | "sunionstore" | "sinterstore" | "sdiffstore" | "zunionstore" | "zinterstore" | "sort" => {
            Some("lazyfree-lazy-server-del")
        }
        "expire" | "pexpire" => Some("lazyfree-lazy-expire"),
        "flushall" | "flushdb" => Some("lazyfree-lazy-user-flush"),
        _ => None,
    };
    let lazy = lazy.filter(|setting| r.setting(setting) == Some("no"));
    fixes.extend(lazy.and_then(|setting| set(r, Phase::Relief, "Free in the background what it takes away", setting, "yes")));
    let culprit = entry(r, command).and_then(|e| sender(r, e));
    fixes.extend(culprit.and_then(|client| kill(r, client)));
    // A transaction is in no slow log: its own commands are.
    let from_log = command.name != "exec";
    let title = if from_log { "See who sends it, with which key" } else { "See whose last command it is (cmd=exec)" };
    fixes.extend(look(r, Phase::Relief, title, |cli| match from_log {
        true => sh!("{} SLOWLOG GET 32", cli),
        false => sh!("{} CLIENT LIST", cli),
    }));
    let instead = match command.name.as_str() {
        "keys" => "SCAN with MATCH and COUNT instead of KEYS",
        "scan" | "hscan" | "sscan" | "zscan" => "a lower COUNT, such as 100 or 1000",
        "hgetall" | "hkeys" | "hvals" => "HSCAN, or HMGET of the fields that are needed",
        "smembers" | "sunion" | "sinter" | "sdiff" => "SSCAN, or SMISMEMBER and the like for what is asked",
        "sunionstore" | "sinterstore" | "sdiffstore" | "zunionstore" | "zinterstore" => {
            "smaller sets; the result in parts, or on a replica"
        }
        "lrange" | "zrange" | "zrangebyscore" | "sort" => "ranges of a bounded length",
        "exec" => "fewer commands in each transaction, or pipelines without MULTI",
        "mget" | "mset" => "fewer keys in each call",
        "del" => "UNLINK instead of DEL",
        "rename" => "UNLINK of the old key first: what a rename overwrites is freed inside of it",
        "flushall" | "flushdb" => "FLUSHALL ASYNC",
        _ => "smaller keys, or a part of them for each call",
    };
    let mut cure = in_application(r, "Let the application ask for less at a time", instead);
    cure.horizon = Horizon::LongTerm;
    fixes.push(cure);
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::redis::command;
    use crate::detect::bench::{Bench, Table};

    /// KEYS once a second, for so many milliseconds, at 1,000 requests a second.
    fn keys(ms: f64) -> Bench {
        among(1_000.0, ms)
    }

    /// The same at that many requests a second.
    fn among(rate: f64, ms: f64) -> Bench {
        Bench::redis(|r| {
            let d_s = ms / 1000.0;
            let stall = d_s * (rate * d_s / 2.0).min(20.0);
            let keys = CommandFacts { stall, longest_s: Some(d_s), ..command("keys", 1.0, d_s) };
            r.commands.as_mut().unwrap().push(keys);
        })
    }

    #[test]
    fn a_command_that_blocks_is_found_and_held() {
        let table = |clear| Table {
            clear,
            unknown: Some(Bench::silent_redis()),
            found: among(300.0, 15.0),
            held: Some(among(200.0, 15.0)),
        };
        // Too few stand behind it; for too short a time.
        table(among(150.0, 15.0)).check(&RULE);
        table(keys(0.9)).check(&RULE);
        keys(100.0).must_say(&RULE, "found KEYS blocks the event loop for 100 ms, 1.0 times a second: 2.0 requests stand");
        // A save stands still for its fork, which has a rule of its own.
        let save = CommandFacts { stall: 2.0, longest_s: Some(0.1), ..command("bgsave", 1.0, 0.1) };
        Bench::redis(|r| r.commands = Ok(vec![save])).must_say(&RULE, "clear");
        // As much of the thread by calls that are short: nobody stands for long.
        Bench::redis(|r| r.commands = Ok(vec![command("get", 50_000.0, 0.000_015)])).must_say(&RULE, "clear");
    }

    #[test]
    fn a_server_that_does_not_answer_keeps_all_its_clients() {
        let silent = |s: f64, per_s: f64| Bench::redis(|r| (r.silent_s, r.usual_per_s) = (s, per_s));
        silent(0.9, 1_000.0).must_say(&RULE, "clear");
        silent(3.0, 1_000.0).must_say(&RULE, "found redis:6379 has not answered for 3.0 s: 20 requests can only wait");
        silent(3.0, 2.0).must_say(&RULE, "found redis:6379 has not answered for 3.0 s: 6.0 requests can only wait");
        // Connected, and nobody asks.
        silent(3.0, 0.0).must_say(&RULE, "clear");
    }
}
