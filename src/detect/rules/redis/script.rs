//! redis.command.script: a script or a function hogs the loop.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::params::Params;
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{CommandFacts, RedisFacts};

use super::commands::{self, LONG, LOST, entry};
use super::support::{fix, in_application, kill as end_client, sender};

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.command.script",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a script or function hogs the loop",
    params: &[LOST, LONG],
    origins: &["redis.commands", "redis.latency", "redis.round_trip"],
    page: "\
EVAL, EVALSHA, FCALL and their kin run to their end before anybody else is served. The loss is computed as that of
`redis.command.slow`: λ d² / 2 for each call of d seconds at λ requests per second, d times the clients at most.

A script that has run for longer than `busy-reply-threshold` (5 s) makes the server answer BUSY to everything but SCRIPT
KILL, which works as long as the script has written nothing.

**Relief**: SCRIPT KILL or FUNCTION KILL while one runs. **Cure**: shorter scripts, work in parts.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let mut judged = commands::judge(view, params, prev, commands::runs_code, fixes);
    judged.demands.extend(commands::unknown_client(view.server, &judged));
    judged
}

fn fixes(r: &RedisFacts, command: &CommandFacts) -> Vec<Fix> {
    let culprit = entry(r, command).and_then(|e| sender(r, e));
    let mut fixes: Vec<Fix> = culprit.and_then(|client| end_client(r, client)).into_iter().collect();
    let function = command.name.starts_with("fcall");
    let kill = fix(r, Phase::Relief, "End the script that runs, unless it has written", |cli| match function {
        true => sh!("{} FUNCTION KILL", cli),
        false => sh!("{} SCRIPT KILL", cli),
    });
    fixes.extend(kill.map(|mut fix| {
        fix.risk = "refused with NOTBUSY when none runs, with UNKILLABLE when it has written".into();
        fix
    }));
    fixes.push(in_application(
        r,
        "Split the script into calls of a few milliseconds",
        "a script that does a part, and says where to go on",
    ));
    fixes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::redis::command;
    use crate::detect::bench::{Bench, Table};

    fn script(ms: f64, name: &str) -> Bench {
        Bench::redis(|r| {
            let stall = ms / 1000.0 * (ms / 2.0).min(20.0);
            r.commands.as_mut().unwrap().push(CommandFacts { stall, ..command(name, 1.0, ms / 1000.0) });
        })
    }

    #[test]
    fn a_script_that_hogs_is_found_and_held() {
        Table { clear: script(7.0, "eval"), unknown: Some(Bench::silent_redis()), found: script(15.0, "evalsha"), held: None }
            .check(&RULE);
        script(7.0, "eval").must_say_after(&RULE, Some(&script(15.0, "eval")), "found EVAL");
        script(15.0, "keys").must_say(&RULE, "clear");
    }
}
