//! redis.errors: commands fail.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::redis::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

use super::support::{errors, instance, look};

const FAILED: Param =
    Param { name: "failed", unit: Unit::PerSecond, default: 0.5, min: 0.01, max: 1e6, what: "errors of one kind per second" };

/// What other rules say.
const OF_OTHERS: [&str; 3] = ["OOM", "MISCONF", "READONLY"];

/// The rule.
pub const RULE: Rule = Rule {
    id: "redis.errors",
    class: Class::Error,
    culprit: Culprit::Many,
    says: "commands fail (NOPERM, WRONGTYPE …) per second",
    params: &[FAILED],
    origins: &["redis.errors", "redis.commands"],
    page: "\
Errors by their first word, per second (errorstats, 6.2 and later). The share of all requests decides: critical from 5 %
and one a second on, a warning from 0.5 % on. NOSCRIPT, MOVED, ASK and BUSYGROUP are the protocol's way to say something
else and never count; OOM, MISCONF and READONLY have rules of their own. perftop's own are taken away.

**Cure**: what the error says: rights, types, names of commands. `ACL LOG` and the failed calls of commandstats say who
and which.",
    judge: Judge::Redis(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let r = view.server;
    let errors = match errors(view) {
        Ok(errors) => errors,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    let worst =
        r.commands.iter().flatten().max_by(|a, b| a.failed_per_s.total_cmp(&b.failed_per_s)).filter(|c| c.failed_per_s > 0.0);
    for (word, failed) in errors.into_iter().filter(|(word, _)| !OF_OTHERS.contains(&word.as_str())) {
        let subject = Subject::new(SubjectType::Error, word.as_str(), word.as_str());
        if failed < params.limit(FAILED, is_held(prev, &subject)) {
            continue;
        }
        let mostly = worst.map_or_else(String::new, |c| format!(", mostly {}", c.name.to_uppercase()));
        let mut found = Found::new(Class::Error, format!("{} commands a second fail with {word}{mostly}", short(failed)));
        found.failed_per_s = Some(failed);
        found.attempts_per_s = Some(r.requests_per_s().unwrap_or(0.0).max(failed));
        found.evidence = vec![
            params.row(format!("failed with {word}"), failed, FAILED, "redis.errors"),
            evidence("requests", r.requests_per_s().unwrap_or(0.0), Unit::PerSecond, None, "redis.commands"),
        ];
        let look = match word.as_str() {
            "NOPERM" | "WRONGPASS" | "NOAUTH" => look(r, Phase::Relief, "See who was refused", |cli| sh!("{} ACL LOG 10", cli)),
            _ => look(r, Phase::Relief, "See which commands fail", |cli| sh!("{} INFO commandstats", cli)),
        };
        found.fixes = look.into_iter().collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(r), "no command fails");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn errors_are_found_and_those_that_are_none_are_not() {
        Table {
            clear: Bench::redis(|r| r.fail("MOVED", 100.0)),
            unknown: Some(Bench::redis(|r| r.before = None)),
            found: Bench::redis(|r| r.fail("NOPERM", 0.6)),
            held: Some(Bench::redis(|r| r.fail("NOPERM", 0.4))),
        }
        .check(&RULE);
        // Our own, while we ask what we may.
        let own = Bench::redis(|r| {
            r.fail("NOPERM", 0.6);
            r.own_errors = [("NOPERM".to_owned(), 3)].into();
        });
        own.must_say(&RULE, "clear");
        Bench::redis(|r| r.fail("OOM", 9.0)).must_say(&RULE, "clear");
    }
}
