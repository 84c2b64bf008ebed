//! postgres.locks.blocked: any other session that blocks others, mostly an active one.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Judged, Prev};
use crate::model::facts::{Chains, Holder, PgFacts, Root};
use crate::model::postgres::Session;
use crate::model::subject::{Subject, SubjectType};

use super::role_setting::role_setting;
use super::roots::{self, Kind, LOST};
use super::support::{brief, cancel, in_application, session_subject, terminate, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.blocked",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "any other session that blocks others, mostly an active one",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
A session holds locks that others need, and is not one of the other kinds of roots: it is active (a long update, a
migration, a vacuum against wraparound that DDL waits for), or paused within its transaction less than a second ago.
Those who wait for its rows count here when its transaction is two seconds old; behind a younger one it is a hot row.
What an active root itself waits for is shown with it; when it runs a query that is found as missing_index,
stale_statistics or expensive, that is the cause and this is listed under it. Of more than 32 waiters the title counts
those that were checked.

**Relief**: cancel its statement (a cancelled update is rolled back) or end the session; by hand: let it finish when
it is nearly done. Never end a vacuum that prevents wraparound: by hand, cancel who waits for it.
**Cure**: `lock_timeout` for the role that waits longest, when it can try again; by hand: shorter transactions, the
same order of locks everywhere.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::Blocked, made)
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let frees = root.waiters.len();
    let s = match &root.holder {
        Holder::Session(s) => s,
        Holder::Unknown(pid) => {
            let subject = Subject::new(SubjectType::Backend, format!("{pid}@0"), format!("pid {pid}"));
            return Some((subject, format!("pid {pid} (not visible) blocks {}", roots::sessions(frees)), Vec::new()));
        }
        Holder::Prepared(_) => return None,
    };
    let title = format!(
        "{} blocks {}{} with `{}`, {} old",
        who(s),
        roots::sessions(frees),
        roots::on_relation(pg, root),
        brief(s.query.shown(), 50),
        roots::age(s.xact_s)
    );
    let mut fixes: Vec<Fix> = Vec::new();
    fixes.extend(cancel(
        pg,
        s,
        &format!("Cancel its statement: {} behind it continue once it has rolled back", roots::sessions(frees)),
    ));
    fixes.extend(terminate(pg, s, frees));
    match refreshed(pg, root, s) {
        // Its readers wait for less than any time-out that one would set.
        Some(name) => fixes.push(in_application(
            pg,
            Horizon::ShortTerm,
            "Refresh it without keeping its readers waiting",
            &format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {name}; needs a unique index of it over columns alone, without a condition"),
            if s.application.is_empty() { format!("role {}", s.role) } else { format!("whoever runs {}", s.application) },
            "it takes longer and writes more",
        )),
        None => fixes.extend(give_up(pg, root)),
    }
    Some((session_subject(pg, s), title, fixes))
}

/// The materialised view that it refreshes with its readers locked out.
fn refreshed(pg: &PgFacts, root: &Root, s: &Session) -> Option<String> {
    let words = s.query.shown().split_whitespace().take(4).map(str::to_ascii_uppercase).collect::<Vec<_>>();
    let [refresh, materialized, view, next] = words.as_slice() else { return None };
    let plain = refresh == "REFRESH" && materialized == "MATERIALIZED" && view == "VIEW" && next != "CONCURRENTLY";
    if plain { roots::relation(pg, root) } else { None }
}

/// The role of those who wait may give up by itself. Never for the whole server: dumps, migrations and builds of indexes wait for good reasons.
fn give_up(pg: &PgFacts, root: &Root) -> Option<Fix> {
    let activity = pg.activity.as_ref().ok()?;
    let waits = root.waiters.iter().filter_map(|pid| activity.session(*pid));
    let victim = waits.filter(|s| s.client_backend() && !s.maintenance()).max_by(|a, b| {
        let waited = |s: &Session| s.state_s.unwrap_or(0.0);
        waited(a).total_cmp(&waited(b))
    })?;
    let title = "Time out this role's waits for locks";
    let setting = ("lock_timeout", "5s");
    let mut fix = role_setting(pg, Phase::Cure, Horizon::LongTerm, title, &victim.role, setting)?;
    fix.risk = "its statements fail after five seconds of lock wait and must be retried; not for a role that runs migrations or \
                builds indexes (a failed build leaves an invalid index). Applies to new sessions only"
        .into();
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{blocked, chain, client, waiter};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::PgState;

    fn behind(xact_s: f64, looks: u32) -> Bench {
        blocked(Session { xact_s: Some(xact_s), ..client(10) }, "transactionid", looks)
    }

    #[test]
    fn a_refresh_is_told_to_let_its_readers_in() {
        let refresh = |text: &str| {
            let session = Session { xact_s: Some(0.4), query: text.into(), ..client(10) };
            let mut waiter = waiter(20, &[10], "relation");
            (waiter.database, waiter.relation, waiter.name) = (Some(1), Some(7), Some("public.sales".into()));
            Bench::postgres(chain(vec![session], vec![waiter], 800)).pastes(&RULE).join("\n")
        };
        assert!(refresh("REFRESH MATERIALIZED VIEW sales;").contains("REFRESH MATERIALIZED VIEW CONCURRENTLY public.sales"));
        assert!(!refresh("refresh materialized view concurrently sales").contains("CONCURRENTLY"));
    }

    #[test]
    fn a_long_transaction_that_blocks_is_found_and_held() {
        Table {
            clear: behind(30.0, 60),
            unknown: Some(Bench::postgres(PgState::default())),
            found: behind(30.0, 110),
            held: Some(behind(30.0, 80)),
        }
        .check(&RULE);
        behind(30.0, 110)
            .must_say(&RULE, "found a client as app from the local socket (pid 10) blocks 1 session with `SELECT 1`");
        // Behind a young one they queue for the row.
        behind(1.0, 110).must_say(&RULE, "clear");
    }
}
