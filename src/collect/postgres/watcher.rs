//! One server: a thread and a runtime of its own, so that a server that hangs delays nobody; the way in, again and again. What the first
//! connection reads stands in `sampling`; the second one belongs to the `visitor`.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::collect::clock;
use crate::collect::root::Roots;
use crate::model::demand::Demand;
use crate::model::foreign::Private;

use super::connect::{self, Who};
use super::credentials::Credentials;
use super::hello;
use super::sampling::Sampling;
use super::session::{Limits, Session};
use super::slot::Shared;
use super::target::Target;
use super::trouble::Trouble;
use super::visitor;

/// A connection that held so long was a good one: the next break is not waited for as the one after the other.
const SETTLED: Duration = Duration::from_secs(60);
/// A server that is not there, or does not let us in, is tried again so often: what was mended is read within ten seconds.
const AGAIN: Duration = Duration::from_secs(5);
/// A statement of the sampling connection may take so long.
const STATEMENT: Duration = Duration::from_secs(1);
/// A batch of it; a server that gives no answer for longer is not there.
const BATCH: Duration = Duration::from_millis(1500);

/// What a watcher runs with.
pub struct Watcher {
    /// The server.
    pub target: Target,
    /// Where /proc is.
    pub roots: Roots,
    /// Where it puts what it finds.
    pub slot: Shared,
    /// Requests of the rules and of the screen.
    pub asked: mpsc::Receiver<Demand>,
    /// The password with which the server let us in last.
    pub accepted: Option<Private<String>>,
}

impl Watcher {
    /// Reads the server until the thread is told to stop.
    pub async fn run(mut self) {
        let mut credentials = Credentials::read();
        let mut pause = Duration::from_secs(1);
        let mut database = self.target.database.clone();
        let mut refusals = 0;
        loop {
            let who = connect::who(&self.target);
            let (began, asked_for) = (clock::instant(), database.clone());
            let served = self.serve(&who, &mut database, &credentials).await;
            if began.elapsed() >= SETTLED {
                (pause, refusals) = (Duration::from_secs(1), 0);
            }
            match served {
                // The database is gone, and there is another to sit in.
                Err(trouble) if database != asked_for => self.slot.lost(&self.target, &trouble),
                Err(trouble) if refused(&trouble) => {
                    self.slot.refused(&self.target, &who, &trouble);
                    refusals += 1;
                    self.mended((&who, &asked_for), &mut credentials, &trouble, refusals).await;
                    continue;
                }
                Err(trouble) => self.slot.lost(&self.target, &trouble),
                Ok(()) => pause = Duration::from_millis(100),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).clamp(Duration::from_secs(1), AGAIN);
        }
    }

    /// Waits until it is worth another try. A password that was refused is not sent again, lest it locks an account: it must be another one.
    /// One that was right before is tried twice more, and then once a minute. Where none was sent, the server is asked again and again.
    async fn mended(&mut self, (who, database): (&Who, &str), credentials: &mut Credentials, trouble: &Trouble, refusals: u32) {
        const SELDOM: u32 = 12;
        let sent = self.target.secret(&who.role, database, credentials).filter(|_| trouble.refused_password());
        let waits = match &sent {
            None => 1,
            Some(_) if sent == self.accepted && refusals <= 2 => 1,
            Some(_) if sent == self.accepted => SELDOM,
            Some(_) => u32::MAX,
        };
        for _ in 0..waits {
            tokio::time::sleep(AGAIN).await;
            *credentials = Credentials::read();
            self.target.reread();
            if sent.is_some() && self.target.secret(&who.role, database, credentials) != sent {
                return;
            }
        }
    }

    /// Connects and samples until the connection breaks, or (`Ok`) another database is better to sit in.
    async fn serve(&mut self, who: &Who, database: &mut String, credentials: &Credentials) -> Result<(), Trouble> {
        let connection = match connect::connect(&self.target, who, database, credentials).await {
            Err(trouble)
                if trouble.code() == "3D000"
                    && *database != "postgres"
                    && (self.target.discovered || *database != self.target.database) =>
            {
                "postgres".clone_into(database);
                return Err(trouble);
            }
            other => other?,
        };
        let limits = Limits { statement: STATEMENT, batch: BATCH, role: None, checks_client: false, work_mem: "4MB" };
        let mut session = Session::new(connection, limits);
        self.accepted = self.target.secret(&who.role, database, credentials).filter(|_| session.asked_for_password());
        let hello = hello::ask(&mut session, &self.target, &self.roots).await?;
        let limits = Limits {
            statement: STATEMENT,
            batch: BATCH,
            role: hello.server.login.superuser.then(|| "pg_monitor".to_owned()),
            checks_client: hello.server.major() >= 14,
            work_mem: "16MB",
        };
        session.limit(limits);
        self.slot.introduced(&self.target, &hello.server);
        let (questions, inbox) = mpsc::channel(8);
        let visits = visitor::Visitor {
            target: self.target.clone(),
            who: who.clone(),
            credentials: credentials.clone(),
            refused: None,
            hello: hello.clone(),
            slot: self.slot.clone(),
            asked: inbox,
        };
        let visitor = tokio::spawn(visits.run());
        let sampled = Sampling::new(session, hello).run(&self.slot, &mut self.asked, &questions, database).await;
        visitor.abort();
        sampled
    }
}

/// Authentication failed, or the role or database does not exist.
fn refused(trouble: &Trouble) -> bool {
    trouble.code().starts_with("28") || trouble.code() == "3D000" || trouble.code() == "42501"
}
