//! postgres.query.long_running: one statement has run for long (info: other findings show its impact).

use super::support::{self, instance};
use crate::detect::finding::Class;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict};
use crate::model::postgres::WaitClass;
use crate::model::unit::{Unit, seconds};

const RUNS: Param =
    Param { name: "runs", unit: Unit::Seconds, default: 60.0, min: 1.0, max: 864000.0, what: "seconds a statement has run" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.long_running",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "one statement has run for long (info: other findings show its impact)",
    params: &[RUNS],
    origins: &["postgres.activity"],
    page: "\
A statement of a client runs for `runs` seconds or longer, and does not wait for a lock. That alone is not a fault: a
report takes as long as it takes. It is always info: whom it blocks, what it costs, and whether it holds back the
horizon are other findings. Five are listed at most, the oldest transactions first.

**Relief**: cancel it, when nobody needs it.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    // Who waits for a lock runs long because of its holder.
    let long = |s: &&crate::model::postgres::Session| {
        s.client_backend() && s.active() && s.query_s.is_some() && s.wait.class() != WaitClass::Lock
    };
    for s in activity.newest.sessions.iter().filter(long) {
        let subject = support::session_subject(pg, s);
        let age = s.query_s.unwrap_or(0.0);
        if age < params.limit(RUNS, is_held(prev, &subject)) {
            continue;
        }
        let mut found = Found::new(
            Class::Live,
            format!("{} has run `{}` for {}", support::who(s), support::brief(s.query.shown(), 50), seconds(age)),
        );
        found.age_s = Some(age);
        found.evidence = vec![params.row("running for", age, RUNS, "postgres.activity")];
        found.fixes = support::cancel(pg, s, "Cancel it").into_iter().collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
        if judged.verdicts.len() >= 5 {
            break;
        }
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no statement has run that long");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Bench;
    use crate::model::postgres::{PgState, Session};

    fn runs(seconds: f64, change: impl Fn(&mut Session)) -> Bench {
        let mut session = Session {
            pid: 7,
            started_us: 1,
            kind: "client backend".into(),
            state: "active".into(),
            query: "SELECT 1".into(),
            query_s: Some(seconds),
            xact_s: Some(seconds),
            ..Session::default()
        };
        change(&mut session);
        Bench::sessions(vec![session])
    }

    #[test]
    fn a_statement_is_long_from_its_threshold_on_and_stays_so_a_little_below() {
        let plain = |_: &mut Session| ();
        runs(61.0, plain).must_say(&RULE, "found");
        runs(59.0, plain).must_say(&RULE, "clear");
        // Held, it stays a little below; another one does not.
        runs(59.0, plain).must_say_after(&RULE, Some(&runs(61.0, plain)), "found");
        runs(59.0, plain).must_say_after(&RULE, Some(&runs(61.0, |s| s.pid = 8)), "clear");
        runs(30.0, plain).must_say_after(&RULE, Some(&runs(61.0, plain)), "clear");
        runs(61.0, |s| s.state = "idle in transaction".into()).must_say(&RULE, "clear");
        Bench::postgres(PgState::default()).must_say(&RULE, "unknown");
    }
}
