//! The second connection: one database at a time. It visits each in turn for its tables and indexes, and makes the plans that are asked
//! for. A visit that fails is left for the next turn; the sampling never waits for it.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::collect::clock;
use crate::model::demand::{Answer, Demand, Detail};
use crate::model::foreign::{Foreign, Private};
use crate::model::postgres::plan::TrialIndex;
use crate::model::postgres::{PgAsk, PgDetail, identifier};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::server::ServerAsk;

use super::connect::{self, Who};
use super::credentials::Credentials;
use super::hello::Hello;
use super::session::{Cells, Limits, Session};
use super::slot::Shared;
use super::target::Target;
use super::trouble::Trouble;
use super::turns::Turns;
use super::{catalog, plan, trial};

const STATEMENT: Duration = Duration::from_secs(2);
/// A whole visit: several statements that may each take so long.
const BATCH: Duration = Duration::from_secs(9);

/// What it works with.
pub struct Visitor {
    /// The server.
    pub target: Target,
    /// As whom.
    pub who: Who,
    /// Passwords.
    pub credentials: Credentials,
    /// A password that the server refused: it is not sent again.
    pub refused: Option<Private<String>>,
    /// What the server said of itself.
    pub hello: Hello,
    /// Where the findings go.
    pub slot: Shared,
    /// Requests.
    pub asked: mpsc::Receiver<Demand>,
}

/// A connection and the database it is in.
struct Open {
    session: Session,
    database: String,
}

impl Visitor {
    /// Runs until it is aborted.
    pub async fn run(mut self) {
        let mut open: Option<Open> = None;
        let mut turns = Turns::default();
        let mut due = clock::instant() + turns.pause(&[], Duration::ZERO);
        let mut again = clock::instant();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {
                    let (all, start) = (self.slot.databases(), clock::instant());
                    if let Some(database) = turns.next(&all, start) {
                        let seen = self.look_into(&mut open, database).await;
                        turns.visited(database, &all, start, seen);
                    }
                    due = clock::instant() + turns.pause(&all, start.elapsed());
                }
                Some(demand) = self.asked.recv() => match &demand {
                    Demand::Server { ask: ServerAsk::Postgres(PgAsk::Visit { database }), .. } => {
                        let (all, start) = (self.slot.databases(), clock::instant());
                        if start >= again && let Ok(name) = std::str::from_utf8(database.raw()) {
                            let seen = self.look_into(&mut open, name).await;
                            turns.visited(name, &all, start, seen);
                            again = clock::instant() + Turns::again(start.elapsed(), seen);
                        }
                    }
                    Demand::Server { ask: ServerAsk::Postgres(PgAsk::Plan { query, database, role }), .. } => {
                        let detail = self.plan(&mut open, *query, database, role).await;
                        self.slot.answered(Answer { demand, detail });
                    }
                    Demand::Server { ask: ServerAsk::Postgres(PgAsk::Trial { query, database, role, index }), .. } => {
                        let detail = self.trial(&mut open, *query, database, role, index).await;
                        self.slot.answered(Answer { demand, detail });
                    }
                    _ => {}
                }
            }
        }
    }

    /// A visit, or why there was none. False: there was none.
    async fn look_into(&mut self, open: &mut Option<Open>, database: &str) -> bool {
        let mut alone_in = false;
        let entered =
            self.enter(open, database).await.map(|_| ()).map_err(|trouble| not_let_in(&trouble, &self.who.role, database));
        let visited = match entered {
            Ok(()) => self.visit(open, database).await.map(|alone| alone_in = alone).map_err(|trouble| {
                if trouble.fatal() {
                    *open = None;
                }
                let why = if trouble.code().is_empty() { Why::TimedOut } else { Why::Garbage };
                Lack::new(why, format!("could not be read: {trouble}"))
            }),
            Err(lack) => Err(lack),
        };
        // Whoever is the last one in a database keeps it from being dropped, renamed or copied.
        if alone_in && let Some(open) = open.take() {
            open.session.close().await;
        }
        visited.map_err(|lack| self.slot.unvisited(database, lack)).is_ok()
    }

    /// True when nobody else is in that database.
    async fn visit(&mut self, open: &mut Option<Open>, database: &str) -> Result<bool, Trouble> {
        let session = self.enter(open, database).await?;
        let (mut answers, _) = session.ask(&catalog::sql()).await?;
        // By itself: it takes a lock on each sequence, and one that is being altered must not hide tables and indexes.
        let sequences = match session.ask(&[catalog::SEQUENCES.to_owned()]).await {
            Ok((more, _)) => {
                answers.extend(more);
                true
            }
            Err(trouble) if trouble.fatal() => return Err(trouble),
            Err(_) => false,
        };
        self.slot.visited(catalog::parse(&answers, sequences));
        let about = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'), \
                     pg_catalog.pg_stat_get_db_numbackends(d.oid) <= 1 FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
        let Ok((answers, _)) = session.ask(&[about.to_owned()]).await else { return Ok(false) };
        let mut cells = answers.first().and_then(|rows| rows.first()).map(Cells::of);
        let mut flag = || cells.as_mut().and_then(Cells::flag).unwrap_or(false);
        let (installed, alone) = (flag(), flag());
        if installed && database.as_bytes() != self.hello.server.database.raw() {
            self.slot.has_statements(database);
        }
        Ok(alone)
    }

    /// The session in that database: the one that is open, or a new one in its place.
    async fn enter<'a>(&mut self, open: &'a mut Option<Open>, database: &str) -> Result<&'a mut Session, Trouble> {
        if open.as_ref().is_some_and(|o| o.database != database)
            && let Some(old) = open.take()
        {
            old.session.close().await;
        }
        if open.is_none() {
            if self.refused.is_some() {
                self.credentials = Credentials::read();
                self.target.reread();
                if self.target.secret(&self.who.role, database, &self.credentials) == self.refused {
                    return Err(Trouble::Lost("the password was refused, and is not sent again".into()));
                }
            }
            let connected = connect::connect(&self.target, &self.who, database, &self.credentials).await;
            if connected.as_ref().is_err_and(Trouble::refused_password) {
                self.refused = self.target.secret(&self.who.role, database, &self.credentials);
            }
            let connection = connected?;
            let limits = Limits {
                statement: STATEMENT,
                batch: BATCH,
                role: None,
                checks_client: self.hello.server.major() >= 14,
                work_mem: "16MB",
            };
            *open = Some(Open { session: Session::new(connection, limits), database: database.to_owned() });
        }
        open.as_mut().map(|o| &mut o.session).ok_or_else(|| Trouble::Lost("no connection".into()))
    }

    async fn plan(&mut self, open: &mut Option<Open>, query: i64, database: &Foreign, role: &Foreign) -> Seen<Detail> {
        let (name, text) = self.statement(query, database)?;
        let made = match self.enter(open, &name).await {
            Ok(session) => plan::make(session, &self.hello, self.slot.pooled(), &text, role).await,
            Err(trouble) => Err(trouble),
        };
        if made.as_ref().is_err_and(Trouble::fatal) {
            *open = None;
        }
        made.map(|plan| PgDetail::Plan(plan).into()).map_err(|trouble| no_plan(&trouble))
    }

    async fn trial(
        &mut self,
        open: &mut Option<Open>,
        query: i64,
        database: &Foreign,
        role: &Foreign,
        index: &TrialIndex,
    ) -> Seen<Detail> {
        let (name, text) = self.statement(query, database)?;
        let made = match self.enter(open, &name).await {
            Ok(session) => trial::make(session, &self.hello, self.slot.pooled(), &text, role, index).await,
            Err(trouble) => Err(trouble),
        };
        // What was made in the session goes with it.
        if made.is_err() {
            *open = None;
        }
        made.map(|trial| PgDetail::Trial(trial).into()).map_err(|trouble| no_plan(&trouble))
    }

    /// The name of its database, and the text of a statement.
    fn statement(&self, query: i64, database: &Foreign) -> Seen<(String, String)> {
        let name =
            std::str::from_utf8(database.raw()).map_err(|_| Lack::new(Why::Garbage, "the database name is not valid UTF-8"))?;
        let text = self.slot.raw_text(query);
        let text = text.ok_or_else(|| Lack::new(Why::NotYet, "statement text not known yet"))?;
        Ok((name.to_owned(), text))
    }
}

fn no_plan(trouble: &Trouble) -> Lack {
    // What the server says of a statement may quote it.
    let (why, said) = match trouble {
        Trouble::Refused { code, message, .. } if code == plan::OWN => (Why::Unsupported, message.clone()),
        Trouble::Refused { code, .. } if code == "42501" => (Why::Denied, "the server refused it (42501)".to_owned()),
        Trouble::Refused { code, .. } => (Why::Unsupported, format!("the server refused it ({code})")),
        other => (Why::TimedOut, other.to_string()),
    };
    Lack::new(why, format!("no plan: {said}"))
}

/// Why a database lets nobody in, and the way in.
fn not_let_in(trouble: &Trouble, role: &str, database: &str) -> Lack {
    let lack = |why| match why {
        Why::Denied => Lack::new(why, "perftop's role may not connect"),
        why => Lack::new(why, format!("could not be read: {trouble}")),
    };
    let names = identifier(&database.into()).zip(identifier(&role.into()));
    match (trouble.code(), names) {
        ("42501", Some((database, role))) => {
            lack(Why::Denied).lifted_by(format!("GRANT CONNECT ON DATABASE {database} TO {role};"))
        }
        ("28000", Some((database, role))) => {
            lack(Why::Denied).lifted_by(format!("a line in pg_hba.conf that allows {role} into {database}"))
        }
        ("28P01", Some((database, role))) => {
            lack(Why::Denied).lifted_by(format!("the password of {role} for {database} in PGPASSWORD or ~/.pgpass"))
        }
        ("42501" | "28000" | "28P01", None) => lack(Why::Denied),
        ("", _) => lack(Why::TimedOut),
        _ => lack(Why::Garbage),
    }
}
