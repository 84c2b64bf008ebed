//! What kind of root a chain of locks has: each root belongs to one rule. And the finding that they share.

use crate::detect::finding::{Class, Fix, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::postgres::internal;
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::{Chains, Holder, PgFacts, Root};
use crate::model::postgres::{Wait, WaitKind};
use crate::model::subject::Subject;
use crate::model::unit::{Unit, seconds, short};

use super::support::{self, confidence, instance, interval};

/// The rules that share the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A prepared transaction.
    Prepared,
    /// A strong lock that is queued for, with others behind it.
    DdlQueue,
    /// An idle transaction.
    IdleInTransaction,
    /// An advisory lock.
    Advisory,
    /// The same rows, by transactions that do not last.
    HotRow,
    /// None: a lock of the server's own, held for the moment in which a table is extended.
    Internal,
    /// Any other.
    Blocked,
}

/// A transaction younger than this is no long one: those who queue for its rows queue for the rows.
const YOUNG_S: f64 = 2.0;

/// Of the window: one that waited for so much of it holds what it waited for, and its transaction is as old as the queue is long.
const TURNS: f64 = 0.3;

/// The rule that a root belongs to.
#[must_use]
pub fn kind(root: &Root) -> Kind {
    let rows = matches!(root.kind.as_str(), "transactionid" | "tuple" | "spectoken");
    match &root.holder {
        // Who commits with a NOTIFY stands in one queue with all that do: the one in front a moment ago is to blame for nothing.
        _ if matches!(root.kind.as_str(), "extend" | "page" | "notify") => Kind::Internal,
        Holder::Session(s) if root.kind == "object" && commits(s.query.raw()) => Kind::Internal,
        Holder::Prepared(_) => Kind::Prepared,
        Holder::Unknown(0) => Kind::Prepared,
        _ if root.queue.is_some() => Kind::DdlQueue,
        _ if root.kind == "advisory" => Kind::Advisory,
        Holder::Session(s) if s.idle_in_transaction() && s.state_s.is_none_or(|age| age >= 1.0 || !rows) => {
            Kind::IdleInTransaction
        }
        Holder::Session(s) if rows && (root.waited >= TURNS || s.xact_s.is_none_or(|age| age < YOUNG_S)) => Kind::HotRow,
        // It ended between two samples.
        Holder::Unknown(_) if rows => Kind::HotRow,
        _ => Kind::Blocked,
    }
}

/// Its statement is the end of a transaction, or a NOTIFY.
fn commits(statement: &[u8]) -> bool {
    let object = Wait { kind: WaitKind::Lock, event: "object".into() };
    internal::in_turn(&object, statement)
}

/// Its holder has been idle in its transaction for less than a second, and nobody has waited for long: what kind it is a moment later tells.
#[must_use]
pub fn just_idle(root: &Root) -> bool {
    root.session().is_some_and(|s| s.idle_in_transaction() && s.state_s.is_some_and(|age| age < 1.0)) && root.waited < TURNS
}

/// The threshold that all of them have.
pub const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.1,
    min: 0.001,
    max: 1000.0,
    what: "sessions waiting because of it, on average",
};

/// The chains of the server, or the answer when there are none or they are not known.
///
/// # Errors
/// That answer.
pub fn chains<'a>(facts: &View<'a>) -> Result<(&'a PgFacts, &'a Chains), Judged> {
    let pg = facts.pg;
    let chains = pg.chains.as_ref().map_err(|lack| support::unknown(pg, lack))?;
    if chains.roots.is_empty() {
        return Err(Judged::clear(instance(pg), "no session waits for a lock"));
    }
    Ok((pg, chains))
}

/// Judges the roots of one kind, each as `made` says: subject, title and fixes.
pub fn judge(
    facts: &View<'_>,
    params: &Params<'_>,
    prev: Option<&Prev>,
    mine: Kind,
    made: impl Fn(&PgFacts, &Chains, &Root) -> Option<(Subject, String, Vec<Fix>)>,
) -> Judged {
    let (pg, chains) = match chains(facts) {
        Ok(known) => known,
        Err(answer) => return answer,
    };
    let mut judged = Judged::default();
    for root in chains.roots.iter().filter(|r| kind(r) == mine) {
        let Some((subject, title, fixes)) = made(pg, chains, root) else { continue };
        if root.waiting < params.limit(LOST, is_held(prev, &subject)) {
            let why = format!("{} sessions wait for it on average", short(root.waiting));
            judged.verdicts.push((subject, Verdict::Clear(why)));
            continue;
        }
        let mut found = found(pg, &[root], root.waiting, title, params.get(LOST));
        found.evidence.extend(own_wait(root));
        found.fixes = fixes;
        if root.gone {
            past(&mut found);
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(
            instance(pg),
            format!("{} sessions wait for locks, covered by other rules", short(chains.waiting())),
        );
    }
    judged
}

/// The finding that these roots make, for whom so many wait; `limit` as it is configured.
#[must_use]
pub fn found(pg: &PgFacts, roots: &[&Root], waiting: f64, title: String, limit: f64) -> Found {
    let mut found = Found::new(Class::Live, title);
    found.losses = vec![(State::PostgresLock, waiting)];
    let victims = roots.iter().flat_map(|r| &r.waiters);
    if let Ok(activity) = &pg.activity {
        let time = |pid: &i32| activity.facts(*pid).map_or(0.0, |f| f.active() * f.weight);
        found.victims_time = victims.clone().map(time).sum::<f64>().max(waiting);
        let culprits = roots.iter().filter_map(|r| r.session());
        found.own_time = culprits.map(|s| time(&s.pid)).sum();
    }
    let longest = roots.iter().map(|r| r.longest_s).fold(0.0, f64::max);
    found.age_s = Some(longest);
    found.ci = Some(interval(pg, waiting));
    found.confidence = confidence(pg, waiting);
    found.evidence = vec![
        evidence("sessions waiting for it, on average", waiting, Unit::Count, Some(limit), "postgres.activity"),
        evidence("sessions in its lock chain now", victims.count() as f64, Unit::Count, None, "postgres.locks"),
        evidence("longest wait", longest, Unit::Seconds, None, "postgres.locks"),
    ];
    if let Some(s) = roots.iter().find_map(|r| r.session()) {
        if let Some(age) = s.xact_s {
            found.evidence.push(evidence("transaction open for", age, Unit::Seconds, None, "postgres.activity"));
        }
        if let (true, Some(idle)) = (s.idle_in_transaction(), s.state_s) {
            found.evidence.push(evidence("idle for", idle, Unit::Seconds, None, "postgres.activity"));
        }
    }
    found
}

/// It stands in nobody's way now: nobody is to be ended, nobody to be woken. It may come back.
fn past(found: &mut Found) {
    (found.ended, found.never_critical) = (true, true);
    found.fixes.retain(|fix| fix.phase == Phase::Cure);
}

/// What an active root itself waits for.
fn own_wait(root: &Root) -> Option<crate::detect::finding::Evidence> {
    let s = root.session().filter(|s| s.active())?;
    let what = format!("the root's wait event is {} ({})", s.wait.word(), support::brief(s.query.shown(), 60));
    Some(evidence(what, s.query_s.unwrap_or(0.0), Unit::Seconds, None, "postgres.activity"))
}

/// The relation that is waited for, as SQL writes it, or by its number.
#[must_use]
pub fn relation(pg: &PgFacts, root: &Root) -> Option<String> {
    let (database, oid, name) = root.relations.first()?;
    if let Some(name) = name {
        return Some(name.shown().to_owned());
    }
    let known = pg.cluster.as_ref().ok().and_then(|c| c.databases.iter().find(|d| d.oid == *database));
    Some(format!("relation {oid} of {}", known.map_or("another database", |d| d.name.shown())))
}

/// ` on public.orders`, or nothing.
#[must_use]
pub fn on_relation(pg: &PgFacts, root: &Root) -> String {
    relation(pg, root).map_or_else(String::new, |name| format!(" on {name}"))
}

/// `1 session waits`, `3 sessions wait`.
#[must_use]
pub fn wait(n: usize) -> String {
    if n == 1 { "1 session waits".to_owned() } else { format!("{n} sessions wait") }
}

/// `1 session`, `3 sessions`.
#[must_use]
pub fn sessions(n: usize) -> String {
    if n == 1 { "1 session".to_owned() } else { format!("{n} sessions") }
}

/// How long, in words.
#[must_use]
pub fn age(s: Option<f64>) -> String {
    s.map_or_else(|| "an unknown time".to_owned(), seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::postgres::Session;

    fn root(kind: &str, state: &str, state_s: f64, xact_s: f64) -> Root {
        let session = Session { state: state.into(), state_s: Some(state_s), xact_s: Some(xact_s), ..Session::default() };
        Root {
            holder: Holder::Session(Box::new(session)),
            waiters: vec![2],
            direct: vec![2],
            waiting: 1.0,
            queue: None,
            kind: kind.into(),
            relations: Vec::new(),
            longest_s: 1.0,
            ring: false,
            waited: 0.0,
            gone: false,
        }
    }

    #[test]
    fn each_root_belongs_to_one_rule() {
        let idle = "idle in transaction";
        assert_eq!(kind(&root("advisory", idle, 9.0, 9.0)), Kind::Advisory);
        assert_eq!(kind(&root("extend", "active", 9.0, 9.0)), Kind::Internal);
        assert_eq!(
            (kind(&root("notify", "active", 9.0, 9.0)), kind(&root("object", "active", 9.0, 9.0))),
            (Kind::Internal, Kind::Blocked)
        );
        assert_eq!(kind(&root("tuple", idle, 9.0, 9.0)), Kind::IdleInTransaction);
        assert_eq!(kind(&root("tuple", idle, 0.5, 0.6)), Kind::HotRow);
        assert_eq!(kind(&root("tuple", idle, 0.5, 9.0)), Kind::Blocked);
        assert_eq!(kind(&root("relation", idle, 0.5, 0.6)), Kind::IdleInTransaction);
        assert_eq!(kind(&root("tuple", "active", 0.5, 0.6)), Kind::HotRow);
        assert_eq!(kind(&root("relation", "active", 0.5, 0.6)), Kind::Blocked);
        // Its transaction is old because it stood in the queue itself.
        assert_eq!(kind(&root("tuple", "active", 0.5, 3.0)), Kind::Blocked);
        assert_eq!(kind(&Root { waited: 0.6, ..root("tuple", "active", 0.5, 3.0) }), Kind::HotRow);
        assert_eq!(kind(&Root { waited: 0.6, ..root("relation", "active", 0.5, 3.0) }), Kind::Blocked);
        assert_eq!(kind(&Root { holder: Holder::Unknown(7), ..root("tuple", "", 0.0, 0.0) }), Kind::HotRow);
        assert_eq!(kind(&Root { holder: Holder::Unknown(7), ..root("relation", "", 0.0, 0.0) }), Kind::Blocked);
        assert_eq!(kind(&Root { holder: Holder::Unknown(0), ..root("relation", "", 0.0, 0.0) }), Kind::Prepared);
    }
}
