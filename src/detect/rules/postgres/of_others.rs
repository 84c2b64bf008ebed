//! What rules of other kinds ask about servers of PostgreSQL: a session and what it waits for, and how a server is seen whole.

use crate::detect::command::{Command, Language};
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::kind::SessionOf;
use crate::detect::ledger::{Actor, State};
use crate::detect::postgres::backends::actor_id;
use crate::detect::rules::source::blind::way_in;
use crate::model::facts::{Facts as World, PgFacts};
use crate::model::postgres::{Session, StatementsView, Takes, identifier};
use crate::model::source::SourceStatus;

use super::support::{sql, who};

/// The session that an actor is, with how to see its wait event.
#[must_use]
pub fn session_of<'a>(world: &'a World, actor: &Actor, state: State) -> Option<SessionOf<'a>> {
    world.servers.postgres.iter().find_map(|pg| {
        let activity = pg.activity.as_ref().ok()?;
        let facts = activity.sessions.iter().find(|s| actor_id(s) == actor.id)?;
        let session = activity.newest.sessions.iter().find(|s| s.pid == facts.pid)?;
        Some(SessionOf { source: &pg.id, label: who(session), look: look(pg, session, state) })
    })
}

/// The wait event of the session, and what that kind of event means.
fn look(pg: &PgFacts, s: &Session, state: State) -> Fix {
    let title = match state {
        State::PostgresClient => {
            "See the wait event: Client events mean that the client, or the network to it, does not read the result fast enough"
        }
        State::PostgresLwlock => "See the wait event: LWLock events are internal locks; the event's name says which",
        State::PostgresOther => {
            "See the wait event: IPC waits for other server processes; Extension and Timeout come from the statement itself"
        }
        _ => "See what each session waits for, and in which statement",
    };
    let command = "SELECT pid, application_name, client_addr, state, wait_event_type, wait_event, now() - query_start AS running, left(query, 80) \
                   FROM pg_stat_activity WHERE state <> 'idle' AND wait_event IS NOT NULL ORDER BY query_start;";
    let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command.into(), &s.database);
    fix.risk = "none: read-only".into();
    fix.needs = "pg_monitor".into();
    fix
}

/// What lifts that parts of it are missing; `None`: nothing that is known.
#[must_use]
pub fn see_whole(world: &World, source: &SourceStatus) -> Option<Fix> {
    let pg = world.servers.postgres.iter().find(|pg| pg.id == source.id);
    // The role's name comes from the server; what a source says of itself is only to be read.
    let role = pg.filter(|pg| pg.narrow().is_some()).and_then(|pg| identifier(&pg.server.as_ref()?.login.role));
    let takes = pg.and_then(|pg| match &pg.server.as_ref()?.statements {
        StatementsView::Missing { takes, .. } => Some(*takes),
        StatementsView::Ready { .. } => None,
    });
    let command = match (role, takes) {
        (Some(role), _) => Command::sql(format!("GRANT pg_monitor TO {role};")),
        (None, Some(Takes::Extension)) => Command::sql("CREATE EXTENSION pg_stat_statements;"),
        _ => Command::read_only(source.way_in.as_deref()?),
    };
    let grants = command.language() == Language::Sql;
    let mut fix = way_in(&command, "findings about what is hidden");
    fix.needs = "an administrator of that server".into();
    fix.target = format!("any database on {}", source.id);
    match takes.filter(|_| pg.is_some_and(|pg| pg.narrow().is_none())) {
        Some(Takes::Extension) => {
            let database = pg.and_then(|pg| Some(pg.server.as_ref()?.database.shown())).unwrap_or_default();
            fix.target = format!("database {database} on {}", source.id);
            fix.risk =
                "no effect on running sessions; without the library in shared_preload_libraries a restart is needed too".into();
        }
        Some(Takes::Restart) => fix.risk = "a server restart ends every connection".into(),
        _ if !grants => fix.risk = "read it first: it says what to do, not how".into(),
        _ => {}
    }
    Some(fix)
}
