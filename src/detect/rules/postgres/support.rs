//! What several rules of PostgreSQL need: subjects, statements to paste with their guards, the time of a query by state.

use crate::detect::command::{Command, named, sh};
use crate::detect::finding::{Fix, Horizon, Phase, Preflight};
use crate::detect::postgres::backends::state_of;
use crate::detect::verdict::{Facts, Judged, Verdict};
use crate::model::demand::Demand;
use crate::model::facts::{Activities, PgFacts};
use crate::model::foreign::Foreign;
use crate::model::postgres::{Catalog, PgAsk, Session, StatementRow, WaitClass, identifier, literal};
use crate::model::seen::{Lack, Why};
use crate::model::server::ServerAsk;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::seconds;

/// The server as a whole.
#[must_use]
pub fn instance(pg: &PgFacts) -> Subject {
    Subject::new(SubjectType::Instance, pg.id.as_str(), pg.id.as_str())
}

/// Unknown, on the whole server.
#[must_use]
pub fn unknown(pg: &PgFacts, lack: &Lack) -> Judged {
    Judged::unknown(instance(pg), lack)
}

/// The activity, or an answer that says why it is not known.
///
/// # Errors
/// That answer.
pub fn activity(pg: &PgFacts) -> Result<&Activities, Judged> {
    pg.activity.as_ref().map_err(|lack| unknown(pg, lack))
}

/// Sessions that wait in a class, and of them those beyond the disk's baseline.
#[must_use]
pub fn beyond_baseline(facts: &Facts<'_>, activity: &Activities, class: WaitClass) -> (f64, f64) {
    let waiting = activity.class(class);
    let Some(state) = state_of(class) else { return (waiting, waiting) };
    let all = facts.ledger.state(state);
    let baseline = if all > 0.0 { facts.ledger.baseline(state) / all } else { 0.0 };
    (waiting, waiting * (1.0 - baseline))
}

/// A session as a subject: `app as shop from 10.0.0.5 (pid 4242)`.
#[must_use]
pub fn session_subject(pg: &PgFacts, s: &Session) -> Subject {
    let mut subject = Subject::new(SubjectType::Backend, s.key(), who(s));
    if let Some(id) = pg.activity.as_ref().ok().and_then(|a| a.facts(s.pid)?.process) {
        subject.also.push(format!("process:{id}"));
    }
    if let Some(query) = s.query_id {
        subject.also.push(format!("query:{}/{query}", s.database.shown()));
    }
    subject
}

/// Application, role and address of a session.
#[must_use]
pub fn who(s: &Session) -> String {
    let application = if s.application.is_empty() { "a client" } else { s.application.shown() };
    let from = if s.client.is_empty() { "the local socket".to_owned() } else { s.client.shown().to_owned() };
    format!("{application} as {} from {from} (pid {})", s.role, s.pid)
}

/// A query as a subject.
#[must_use]
pub fn query_subject(pg: &PgFacts, row: &StatementRow) -> Subject {
    let key = format!("{}/{}", row.database.shown(), row.key.query);
    Subject::new(SubjectType::Query, key, format!("query {}: {}", row.key.query, brief(pg.text(row.key.query), 60)))
}

/// A query as a title names it: by the beginning of its text, else by its id.
#[must_use]
pub fn called(pg: &PgFacts, row: &StatementRow) -> String {
    match pg.text(row.key.query) {
        "" => format!("query {}", row.key.query),
        text => format!("`{}`", brief(text, 48)),
    }
}

/// The first characters of a text.
#[must_use]
pub fn brief(text: &str, most: usize) -> String {
    if text.is_empty() {
        return "text unknown".to_owned();
    }
    let mut out: String = text.chars().take(most).collect();
    if text.chars().count() > most {
        out.push('…');
    }
    out
}

/// A statement to paste: `target` names database and server.
#[must_use]
pub fn sql(pg: &PgFacts, phase: Phase, horizon: Horizon, title: &str, command: String, database: &Foreign) -> Fix {
    let role = pg.server.as_ref().map_or("server", |s| if s.standby { "standby" } else { "primary" });
    let database = if database.is_empty() { "any database" } else { database.shown() };
    Fix {
        phase,
        horizon,
        title: title.to_owned(),

        target: format!("{database} on {} ({role})", pg.id),
        command: Command::sql(command),
        undo: None,
        risk: String::new(),
        needs: String::new(),
        takes_s: Some(1.0),
        needs_bytes: None,
        preflight: Vec::new(),
        waits: false,
        verify: sh!("perftop check --for 5s --only 'postgres.*'"),
    }
}

/// What only the application can do.
#[must_use]
pub fn in_application(pg: &PgFacts, horizon: Horizon, title: &str, how: &str, whose: String, risk: &str) -> Fix {
    let mut fix = sql(pg, Phase::Cure, horizon, title, String::new(), &Foreign::default());
    fix.command = Command::note(format!("# application: {how}"));
    fix.needs = whose;
    fix.risk = risk.to_owned();
    fix.takes_s = None;
    fix
}

/// The databases that were visited, or an answer that says that none was yet.
///
/// # Errors
/// That answer.
pub fn visited(pg: &PgFacts) -> Result<impl Iterator<Item = &Catalog>, Judged> {
    if pg.catalogs.is_empty() {
        let lack = pg.unvisited.values().next().cloned();
        return Err(unknown(pg, &lack.unwrap_or_else(|| Lack::new(Why::NotYet, "no database was read yet"))));
    }
    Ok(pg.catalogs.values().map(|c| &**c))
}

/// The request to read again where something was found, once the reading is ten seconds old.
#[must_use]
pub fn again(pg: &PgFacts, catalog: &Catalog) -> Option<Demand> {
    let now_us = pg.cluster.as_ref().ok()?.server_us;
    let old = now_us - catalog.server_us > 10_000_000;
    old.then(|| PgAsk::Visit { database: catalog.database.clone() }.of(&pg.id))
}

/// What was found in the databases that were visited: the `most` that are largest by the first figure of their evidence. With nothing found,
/// clear in the databases that were visited, and unknown in the others.
#[must_use]
pub fn of_visited(pg: &PgFacts, mut judged: Judged, most: usize, clear: &str) -> Judged {
    let size = |verdict: &Verdict| match verdict {
        Verdict::Found(found) => found.evidence.first().map_or(0.0, |e| e.value),
        _ => 0.0,
    };
    judged.verdicts.sort_by(|(_, a), (_, b)| size(b).total_cmp(&size(a)));
    judged.verdicts.truncate(most);
    // One visit at a time: the oldest reading first.
    let looked = |demand: &Demand| match demand {
        Demand::Server { ask: ServerAsk::Postgres(PgAsk::Visit { database }), .. } => {
            pg.catalogs.get(database.shown()).map_or(0, |c| c.server_us)
        }
        _ => i64::MAX,
    };
    judged.demands.sort_by_key(looked);
    judged.demands.truncate(1);
    if !judged.verdicts.is_empty() {
        return judged;
    }
    let Some((database, lack)) = pg.unvisited.iter().next() else {
        judged.verdicts = Judged::clear(instance(pg), clear).verdicts;
        return judged;
    };
    let others = match pg.unvisited.len() {
        1 => String::new(),
        n => format!(" and {} more databases", n - 1),
    };
    judged.verdicts =
        Judged::clear(instance(pg), format!("{clear}, in {} of {} databases", pg.catalogs.len(), pg.databases())).verdicts;
    let lack = Lack { what: format!("{database}{others}: {}", lack.what), ..lack.clone() };
    judged.verdicts.extend(unknown(pg, &lack).verdicts);
    judged
}

/// A moment as SQL writes it, to the microsecond.
#[must_use]
pub fn moment(us: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    format!("'{}+00'", at.strftime("%Y-%m-%d %H:%M:%S%.6f"))
}

/// That very session, and no later one with its pid; and in it the transaction, or the statement, that was seen, and none that began since.
fn guard(pg: &PgFacts, s: &Session, (column, age_s): (&str, Option<f64>)) -> String {
    // Sessions and those who hold locks are sampled up to two seconds apart.
    const APART_US: i64 = 2_000_000;
    let looked_us = pg.activity.as_ref().map_or(0, |a| a.newest.server_us);
    let began = age_s.filter(|_| looked_us > 0).map(|age| looked_us - (age * 1e6) as i64 + APART_US);
    let since = began.map_or_else(String::new, |us| format!(" AND {column} <= {}", moment(us)));
    let idle = if s.idle_in_transaction() && column == "xact_start" { " AND state LIKE 'idle in transaction%'" } else { "" };
    format!("FROM pg_stat_activity WHERE pid = {} AND backend_start = {}{since}{idle}", s.pid, moment(s.started_us))
}

/// Ends a session; never offered for what must not be ended.
#[must_use]
pub fn terminate(pg: &PgFacts, s: &Session, frees: usize) -> Option<Fix> {
    if !may_end(s) {
        return None;
    }
    let title = match frees {
        0 => "End the session".to_owned(),
        1 => "End the session: 1 other continues".to_owned(),
        n => format!("End the session: {n} others continue"),
    };
    let guard = guard(pg, s, ("xact_start", s.xact_s));
    let command = format!("SELECT pg_terminate_backend(pid) {guard};");
    let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, &title, command, &Foreign::default());
    fix.risk = match (s.has_xid, s.xact_s) {
        (true, Some(age)) => {
            format!("what it wrote in the last {} is rolled back; its client sees a broken connection", seconds(age))
        }
        _ => "its client sees a broken connection; no data is lost: it has written nothing".into(),
    };
    fix.needs = signal(pg, s);
    fix.verify = Command::sql(format!("SELECT count(*) = 0 AS gone {guard};"));
    fix.preflight = allowed(pg);
    Some(fix)
}

/// Cancels the statement of a session; the session stays.
#[must_use]
pub fn cancel(pg: &PgFacts, s: &Session, title: &str) -> Option<Fix> {
    if !may_end(s) || !s.active() {
        return None;
    }
    let guard = guard(pg, s, ("query_start", s.query_s));
    let command = format!("SELECT pg_cancel_backend(pid) {guard} AND state = 'active';");
    let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, &Foreign::default());
    fix.risk = "its statement fails with an error; the transaction around it is aborted".into();
    fix.needs = signal(pg, s);
    fix.verify = Command::sql(format!("SELECT state, query {guard};"));
    fix.preflight = allowed(pg);
    Some(fix)
}

fn may_end(s: &Session) -> bool {
    let kind = s.kind.raw();
    let wraparound = s.query.shown().contains("to prevent wraparound");
    (kind == b"client backend" || kind == b"autovacuum worker" || kind == b"parallel worker") && !wraparound
}

fn signal(pg: &PgFacts, s: &Session) -> String {
    let role = identifier(&s.role).unwrap_or_else(|| "its role".into());
    match pg.server.as_ref().and_then(|server| server.managed.as_deref()) {
        Some(_) => format!("role {role}, or the service's administrator role"),
        None => format!("role {role}, or pg_signal_backend; a superuser for a superuser's session"),
    }
}

fn allowed(pg: &PgFacts) -> Vec<Preflight> {
    let Some(server) = &pg.server else { return Vec::new() };
    let what = format!(
        "perftop's own role {} {} end other sessions",
        server.login.role,
        if server.login.signal { "may" } else { "may not" }
    );
    vec![Preflight { ok: server.login.signal, what }]
}

/// A setting for the whole server: by SQL, or by what a managed service has for it. `None` for one that was not read: whether it needs a
/// restart, and what leads back, is not known then.
#[must_use]
pub fn setting(pg: &PgFacts, phase: Phase, horizon: Horizon, title: &str, name: &str, value: &str) -> Option<Fix> {
    let row = pg.cluster.as_ref().ok().and_then(|c| c.settings.get(name))?;
    let restart = row.context == "postmaster";
    let managed = pg.server.as_ref().and_then(|s| s.managed.clone());
    let mut fix = sql(pg, phase, horizon, title, format!("ALTER SYSTEM SET {name} = '{value}';"), &Foreign::default());
    if let Some(service) = &managed {
        let note = format!(
            "-- {}: set {name} = {value} in the instance's parameters (parameter group, database flags)",
            named(service.as_bytes())
        );
        fix.command = Command::note(note);
    }
    let after = if restart { "a server restart" } else { "SELECT pg_reload_conf();" };
    fix.preflight = vec![Preflight { ok: !restart, what: format!("takes effect after {after}") }];
    fix.waits = restart;
    // To the value of now, in its base unit: a reset would take an earlier ALTER SYSTEM with it.
    if row.source == "command line" && managed.is_none() {
        let what = format!("{name} is set on the server's command line, which overrides ALTER SYSTEM: change it there");
        fix.preflight.push(Preflight { ok: false, what });
    }
    let undo = || match row.source.as_str() {
        "default" => Some(Command::sql(format!("ALTER SYSTEM RESET {name};   -- then SELECT pg_reload_conf();"))),
        _ => literal(&row.setting.as_str().into())
            .map(|old| Command::sql(format!("ALTER SYSTEM SET {name} = {old};   -- then SELECT pg_reload_conf();"))),
    };
    fix.undo = if managed.is_none() { undo() } else { None };
    fix.needs = if managed.is_some() { "the service's console".into() } else { "superuser".into() };
    fix.verify = Command::sql(format!("SELECT setting, unit, pending_restart FROM pg_settings WHERE name = '{name}';"));
    Some(fix)
}

/// The half width of the 95 % interval of a mean seen in the samples of the window.
#[must_use]
pub fn interval(pg: &PgFacts, mean: f64) -> f64 {
    let rounds = pg.activity.as_ref().map_or(0, |a| a.rounds);
    crate::detect::rules::support::interval(mean, rounds)
}

/// coverage x sampling; the part of the evidence is counted for all rules alike (`Found::met`).
#[must_use]
pub fn confidence(pg: &PgFacts, lost: f64) -> f64 {
    sure(pg, (lost, interval(pg, lost)))
}

/// The same of a loss with its own interval.
#[must_use]
pub fn sure(pg: &PgFacts, (lost, ci): (f64, f64)) -> f64 {
    let Ok(activity) = &pg.activity else { return 0.5 };
    let hidden = f64::from(activity.newest.hidden);
    let coverage = 1.0 - hidden / (hidden + activity.newest.sessions.len() as f64).max(1.0);
    let sampling = if lost > 0.0 { (1.0 - ci / 1.96 / lost).clamp(0.0, 1.0) } else { 1.0 };
    (coverage * sampling).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_exact() {
        assert_eq!(moment(1_763_751_234_123_456), "'2025-11-21 18:53:54.123456+00'");
        assert_eq!(moment(1_763_751_234_000_000), "'2025-11-21 18:53:54.000000+00'");
    }
}
