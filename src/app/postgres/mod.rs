//! The screen of PostgreSQL: its tables, and what can be done with their rows. Pure.

mod query;
mod rows;
mod upkeep;

use crate::detect::rules::postgres::support::terminate as end_session;
use crate::model::facts::{Facts, PgFacts, Root};
use crate::model::postgres::Session;
use crate::model::seen::Lack;
use crate::model::source::SourceKind;

use super::pasted::pasted;
use super::tables::{Copied, Row, ServerScreen, Tab, figure, words};

/// Its tables.
pub const SCREEN: ServerScreen = ServerScreen::plain(SourceKind::Postgres, ('3', "3"), TABS, |facts| {
    facts.servers.postgres.iter().map(|pg| pg.id.as_str()).collect()
});

const TABS: &[Tab] = &[
    Tab {
        word: "Queries",
        columns: &[
            figure("BUSY", 8, 0),
            figure("CALLS/s", 9, 0),
            figure("MEAN ms", 9, 0),
            figure("ROWS", 8, 70),
            figure("HIT %", 6, 90),
            figure("TEMP/s", 9, 110),
            figure("WAL/s", 9, 120),
            figure("USUAL", 7, 100),
            words("DATABASE", 12, 100),
            words("QUERY", 0, 0),
        ],
        sort: Some(0),
        cumulative: true,
        rows: |facts, id, all_time| server(facts, id).map_or_else(Vec::new, |pg| rows::queries(pg, all_time)),
        nothing: |facts, id| {
            let lack = |pg: &PgFacts| pg.statements.as_ref().err().cloned().or_else(|| pg.narrow());
            nothing(facts, id, lack, "no calls since the previous reading")
        },
        copy: no_copy,
        query: |_, _, key| key.split('/').nth(2)?.parse().ok(),
        card: |_, _, _| None,
        asks: |_, _| None,
    },
    Tab {
        word: "Sessions",
        columns: &[
            figure("PID", 8, 0),
            figure("AGE", 8, 0),
            figure("OPEN", 8, 70),
            words("WAIT", 22, 0),
            words("STATE", 10, 60),
            words("DATABASE", 10, 100),
            words("ROLE", 10, 100),
            words("APPLICATION", 16, 120),
            words("CLIENT", 20, 150),
            words("QUERY", 0, 0),
        ],
        rows: |facts, id, _| of(facts, id, rows::sessions),
        nothing: |facts, id| {
            let lack = |pg: &PgFacts| pg.activity.as_ref().err().cloned().or_else(|| pg.narrow());
            nothing(facts, id, lack, "every session is idle")
        },
        copy: end,
        query: query_of_session,
        ..PLAIN
    },
    Tab {
        word: "Locks",
        columns: &[figure("WAITING", 8, 0), figure("FOR", 8, 0), words("LOCK", 22, 70), words("WHO", 0, 0)],
        rows: |facts, id, _| of(facts, id, rows::locks),
        nothing: |facts, id| {
            let lack = |pg: &PgFacts| pg.chains.as_ref().err().cloned().or_else(|| pg.narrow());
            nothing(facts, id, lack, "no session waits for a lock")
        },
        copy: end,
        query: query_of_session,
        ..PLAIN
    },
    Tab {
        word: "Tables, indexes",
        columns: &[
            figure("SIZE", 9, 0),
            figure("ROWS", 8, 60),
            figure("DEAD", 8, 0),
            figure("DUE", 7, 70),
            figure("SEQ ROWS", 9, 80),
            figure("INDEX", 8, 80),
            figure("WRITES", 8, 90),
            figure("CLEANED", 9, 100),
            words("TABLE OR INDEX", 0, 0),
        ],
        rows: |facts, id, _| of(facts, id, rows::tables),
        nothing: |facts, id| nothing(facts, id, |_| None, "not read yet"),
        ..PLAIN
    },
    Tab {
        word: "WAL, vacuum, replication",
        columns: &[words("WHAT", 30, 0), words("FIGURE", 24, 0), words("MORE", 0, 0)],
        rows: |facts, id, _| of(facts, id, upkeep::rows),
        ..PLAIN
    },
    Tab {
        word: "Settings",
        columns: &[
            words("SETTING", 38, 0),
            words("VALUE", 30, 0),
            words("UNIT", 6, 60),
            words("FROM", 20, 80),
            words("TAKES EFFECT", 0, 0),
        ],
        rows: |facts, id, _| of(facts, id, rows::settings),
        ..PLAIN
    },
];

/// What most tables have in common: rows in the order in which they come, from the cluster's figures.
const PLAIN: Tab = Tab {
    word: "",
    columns: &[],
    sort: None,
    cumulative: false,
    rows: |_, _, _| Vec::new(),
    nothing: |facts, id| nothing(facts, id, |pg| pg.cluster.as_ref().err().cloned(), "not read yet"),
    copy: no_copy,
    query: query_of_session,
    card: |_, _, _| None,
    asks: |_, _| None,
};

fn server<'a>(facts: &'a Facts, id: &str) -> Option<&'a PgFacts> {
    facts.servers.postgres.iter().find(|pg| pg.id == id)
}

fn of(facts: &Facts, id: &str, rows: fn(&PgFacts) -> Vec<Row>) -> Vec<Row> {
    server(facts, id).map_or_else(Vec::new, rows)
}

/// Why a table is empty: what keeps it from being read, with the way in; a role that sees itself only may not say that nobody waits.
fn nothing(facts: &Facts, id: &str, lack: impl Fn(&PgFacts) -> Option<Lack>, fine: &str) -> String {
    match server(facts, id).and_then(lack) {
        Some(lack) => {
            let lift = lack.lift.as_ref().map_or_else(String::new, |l| format!(" -> {l}"));
            format!("? {lack}{lift}")
        }
        None => fine.to_owned(),
    }
}

fn no_copy(_: &Facts, _: &str, _: Option<&str>) -> Result<Copied, &'static str> {
    Err("nothing to copy in this table; copy a finding's fix on the triage screen")
}

/// The way to end the session of a row.
fn end(facts: &Facts, id: &str, key: Option<&str>) -> Result<Copied, &'static str> {
    let (pg, session) = key.and_then(|key| session(facts, id, key)).ok_or("nothing to copy: select a session first")?;
    let blocks = |root: &&Root| !root.gone && root.session().is_some_and(|s| s.pid == session.pid);
    let frees = pg.chains.as_ref().map_or(0, |c| c.roots.iter().find(blocks).map_or(0, |root| root.waiters.len()));
    let fix = end_session(pg, &session, frees).ok_or("nothing to copy: that server process must not be terminated")?;
    Ok(Copied { text: pasted(&fix), what: format!("{} (pid {}) [{}]", fix.title, session.pid, fix.target) })
}

/// The session of a row, with its server.
fn session<'a>(facts: &'a Facts, id: &str, key: &str) -> Option<(&'a PgFacts, Session)> {
    let pg = server(facts, id)?;
    // A holder that sleeps is in no newest sample.
    let holder =
        || pg.chains.as_ref().ok()?.roots.iter().filter(|r| !r.gone).filter_map(Root::session).find(|s| s.key() == key).cloned();
    Some((pg, rows::session(pg, key).or_else(holder)?))
}

fn query_of_session(facts: &Facts, id: &str, key: &str) -> Option<i64> {
    rows::session(server(facts, id)?, key)?.query_id
}
