//! postgres.locks.blocked: any other root blocker, one that works.

use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Judged, Prev, Rule};
use crate::model::facts::{Chains, Holder, PgFacts, Root};
use crate::model::postgres::Session;
use crate::model::source::SourceKind;
use crate::model::subject::{Subject, SubjectType};

use super::role_setting::role_setting;
use super::roots::{self, Kind, LOST};
use super::support::{brief, cancel, session_subject, terminate, who};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.locks.blocked",
    class: Class::Live,
    source: SourceKind::Postgres,
    says: "any other root blocker (an active one)",
    params: &[LOST],
    origins: &["postgres.activity", "postgres.locks", "ledger"],
    page: "\
A transaction holds locks that others need, and works: a long update, a migration, a vacuum against wraparound that DDL waits for. What the root itself
waits for is said with it; when that is a slow query, the query is the cause and this hangs under it.

**Relief**: cancel its statement, or let it finish when it is nearly done; a cancelled update is rolled back. A vacuum that prevents wraparound is never
to be ended: cancel who waits for it. **Cure**: shorter transactions, the same order of locks everywhere, `lock_timeout` for who can try again.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    roots::judge(facts, params, prev, Kind::Blocked, made)
}

fn made(pg: &PgFacts, _: &Chains, root: &Root) -> Option<(Subject, String, Vec<Fix>)> {
    let frees = root.waiters.len();
    let s = match &root.holder {
        Holder::Session(s) => s,
        Holder::Unknown(pid) => {
            let subject = Subject::new(SubjectType::Backend, format!("{pid}@0"), format!("pid {pid}"));
            return Some((subject, format!("pid {pid}, which cannot be seen, blocks {frees} sessions"), Vec::new()));
        }
        Holder::Prepared(_) => return None,
    };
    let title = format!(
        "{} blocks {frees} sessions{} with `{}`, {} old",
        who(s),
        roots::on_relation(pg, root),
        brief(s.query.shown(), 50),
        roots::age(s.xact_s)
    );
    let mut fixes: Vec<Fix> = Vec::new();
    fixes.extend(cancel(pg, s, &format!("Cancel its statement: {frees} others go on when it has rolled back")));
    fixes.extend(terminate(pg, s, frees));
    fixes.extend(give_up(pg, root));
    Some((session_subject(pg, s), title, fixes))
}

/// The role of those who wait may give up by itself. Never for the whole server: dumps, migrations and builds of indexes wait for good reasons.
fn give_up(pg: &PgFacts, root: &Root) -> Option<Fix> {
    let activity = pg.activity.as_ref().ok()?;
    let waits = root.waiters.iter().filter_map(|pid| activity.session(*pid));
    let victim = waits.filter(|s| s.client_backend() && !s.maintenance()).max_by(|a, b| {
        let waited = |s: &Session| s.state_s.unwrap_or(0.0);
        waited(a).total_cmp(&waited(b))
    })?;
    let title = "Let this role's waits for locks end by themselves";
    let setting = ("lock_timeout", "5s");
    let mut fix = role_setting(pg, Phase::Cure, Horizon::LongTerm, title, &victim.role, setting)?;
    fix.risk = "its statements fail after five seconds behind a lock: it must try again; not for a role that migrates or builds indexes \
                (one that gives up leaves an invalid index). Counts for new sessions only"
        .into();
    Some(fix)
}
