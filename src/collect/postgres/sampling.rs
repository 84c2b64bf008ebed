//! The sampling connection at work: sessions a few times a second, the rest in its turn, each as seldom as its cost demands.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::collect::{clock, pace};
use crate::model::demand::Demand;
use crate::model::postgres::StatementsView;

use super::figures::Figures;
use super::haste::Haste;
use super::hello::{self, Hello};
use super::session::{Limits, Session};
use super::slot::Shared;
use super::statements::Before;
use super::status::Part;
use super::trouble::Trouble;
use super::{activity, locks, statements};

/// Sessions are sampled so often, while a sample costs next to nothing …
const LOOK_LEAST: Duration = Duration::from_millis(100);
/// … and so seldom at most.
const LOOK_MOST: Duration = Duration::from_millis(1000);
/// Of the server's time that sampling may take, ms per s.
const LOOK_COST: f64 = 0.8;
const LOCKS_EVERY: Duration = Duration::from_millis(900);
/// A sample of the locks that costs more than this is repeated half as often.
const LOCKS_COSTLY_MS: f64 = 4.0;
const STATEMENTS_EVERY: Duration = Duration::from_secs(10);
/// Of the server's time that reading them may take, ms per s, and how seldom they are read for that at most.
const STATEMENTS_COST: f64 = 0.6;
const STATEMENTS_MOST: Duration = Duration::from_secs(20);
/// The first ones come early: for a first verdict, and to know soon what is usual.
const STATEMENTS_FIRST: Duration = Duration::from_secs(2);
const STATEMENTS_EARLY: u32 = 4;
/// What our role may see is asked for so often.
const RIGHTS_EVERY: Duration = Duration::from_secs(4);
const CLUSTER_EVERY: Duration = Duration::from_secs(5);
/// A reading of the cluster that costs more than this is repeated half as often.
const CLUSTER_COSTLY_MS: f64 = 2.0;
/// Texts of statements that cost little: what reading them may cost the server, ms per s, and their longest distance.
const TEXTS_COST: f64 = 0.2;
const TEXTS_EVERY: Duration = Duration::from_secs(60);
const NAMES_EVERY: Duration = Duration::from_secs(60);

/// The sampling connection at work.
pub struct Sampling {
    session: Session,
    hello: Hello,
    before: Before,
    /// Without dropping the role: a superuser whose pg_stat_statements is in a schema of its own.
    keep_role: bool,
    look_every: Duration,
    figures: Figures,
    statements_every: Duration,
    /// When texts that nobody waits for may be asked for again.
    texts_due: Instant,
    haste: Haste,
    /// Samples so far.
    looks: u32,
}

impl Sampling {
    /// With a session that was introduced.
    #[must_use]
    pub fn new(session: Session, hello: Hello) -> Self {
        Self {
            session,
            hello,
            before: Before::default(),
            keep_role: false,
            look_every: Duration::from_millis(250),
            figures: Figures::default(),
            statements_every: STATEMENTS_EVERY,
            texts_due: clock::instant(),
            haste: Haste::new(clock::instant()),
            looks: 0,
        }
    }

    /// Samples until the connection breaks, or (`Ok`) the server should introduce itself again: another database is better to sit in, our
    /// role is not what it was.
    ///
    /// # Errors
    /// What broke it.
    pub async fn run(
        mut self,
        slot: &Shared,
        asked: &mut mpsc::Receiver<Demand>,
        questions: &mpsc::Sender<Demand>,
        database: &mut String,
    ) -> Result<(), Trouble> {
        let now = clock::instant();
        let (mut look, mut chains, mut figures, mut used, mut names) = (now, now, now, now, now);
        let mut rights = now + RIGHTS_EVERY;
        let mut read = now;
        let mut readings = 0_u32;
        loop {
            let now = clock::instant();
            if now >= look {
                self.look(slot).await?;
                look = now.max(look + self.look_every.mul_f64(pace::unsteady(self.looks)));
                self.looks = self.looks.wrapping_add(1);
                self.haste.looked(&slot.running());
                if used > now && now >= read + STATEMENTS_FIRST && self.haste.wants(now) {
                    used = now;
                }
            }
            if !slot.someone_waits() {
                slot.mended(Part::Locks);
            } else if now >= chains {
                let costly = self.chains(slot).await? > LOCKS_COSTLY_MS;
                chains = now + LOCKS_EVERY * if costly { 2 } else { 1 };
            }
            if now >= rights {
                if !self.still_who_we_were().await? {
                    return Ok(());
                }
                rights = now + RIGHTS_EVERY;
            }
            if now >= figures {
                let costly = self.figures(slot).await? > CLUSTER_COSTLY_MS;
                figures = now + CLUSTER_EVERY * if costly { 2 } else { 1 };
            }
            if now >= names {
                self.names().await?;
                names = now + NAMES_EVERY;
            }
            if now >= used {
                read = now;
                let again = self.statements(slot).await?;
                readings += u32::from(!again);
                // One that was dropped meanwhile has no name: that is asked for once a minute only.
                if readings == 1 && self.before.lacks_names() {
                    names = now;
                }
                used = now
                    + match readings {
                        _ if again => Duration::ZERO,
                        ..=STATEMENTS_EARLY => STATEMENTS_FIRST,
                        _ => self.statements_every,
                    };
            }
            if let Some(better) = slot.better_database() {
                better.clone_into(database);
                return Ok(());
            }
            let next = look.min(figures).min(used);
            tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                Some(demand) = asked.recv() => drop(questions.try_send(demand)),
            }
        }
    }

    /// A part that fails is said, and fails alone; what breaks the connection ends it.
    fn harmless(&self, slot: &Shared, part: Part, trouble: Trouble) -> Result<(), Trouble> {
        if trouble.fatal() {
            return Err(trouble);
        }
        slot.failed(part, trouble);
        Ok(())
    }

    /// False once our role was dropped, or may see more or less than when it came: the server must introduce itself again.
    async fn still_who_we_were(&mut self) -> Result<bool, Trouble> {
        match self.session.ask(&[hello::RIGHTS.to_owned()]).await {
            Ok((answers, _)) => Ok(answers.first().and_then(|rows| rows.first()).is_none_or(|row| hello::same(row, &self.hello))),
            Err(trouble) if trouble.fatal() => Err(trouble),
            // A role that is not there has no name; whatever else it is, a lock on the catalogs, says nothing of our rights.
            Err(trouble) => Ok(trouble.code() != "42704"),
        }
    }

    async fn look(&mut self, slot: &Shared) -> Result<(), Trouble> {
        let sql = activity::sql(&self.hello.columns, self.hello.server.login.monitor);
        match self.session.ask(&sql).await {
            Ok((answers, took_ms)) => {
                let cost_ms = self.session.cost_ms(took_ms);
                // As often as the cost allows.
                // Twice a second at least, unless that costs more than half of what sampling may cost.
                let most = if cost_ms * 2.0 <= LOOK_COST { LOOK_MOST / 2 } else { LOOK_MOST };
                let every = Duration::from_secs_f64((cost_ms / LOOK_COST).max(0.001)).min(most);
                self.look_every = ((self.look_every * 3 + every.clamp(LOOK_LEAST, LOOK_MOST)) / 4).clamp(LOOK_LEAST, LOOK_MOST);
                if let [head, rows, ..] = answers.as_slice() {
                    slot.looked(head, rows, cost_ms, self.hello.pid);
                }
                Ok(())
            }
            Err(trouble) => self.harmless(slot, Part::Activity, trouble),
        }
    }

    /// What it cost, ms.
    async fn chains(&mut self, slot: &Shared) -> Result<f64, Trouble> {
        let waiting = slot.waiting();
        if waiting.is_empty() {
            return Ok(0.0);
        }
        let (answers, cost_ms) = match self.session.ask(&[locks::sql(&self.hello.columns, &waiting)]).await {
            Ok((answers, took_ms)) => (answers, self.session.cost_ms(took_ms)),
            Err(trouble) => return self.harmless(slot, Part::Locks, trouble).map(|()| 0.0),
        };
        let waiters: Vec<_> = answers.iter().flatten().filter_map(locks::waiter).collect();
        let more = waiting.len().saturating_sub(locks::MOST) as u32;
        // Who stands in the way and was not among the sessions sampled.
        let known = slot.pids();
        let mut missing: Vec<i32> =
            waiters.iter().flat_map(|w| &w.by).copied().filter(|p| *p != 0 && !known.contains(p)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(locks::MOST);
        let mut holders = Vec::new();
        if !missing.is_empty() {
            match self.session.ask(&[activity::sql_of(&self.hello.columns, &missing)]).await {
                Ok((answers, _)) => holders = answers.iter().flatten().filter_map(activity::session).collect(),
                Err(trouble) => self.harmless(slot, Part::Activity, trouble)?,
            }
        }
        slot.chains(waiters, holders, more);
        Ok(cost_ms)
    }

    /// What it cost, ms.
    async fn figures(&mut self, slot: &Shared) -> Result<f64, Trouble> {
        match self.figures.read(&mut self.session, &self.hello.columns).await {
            Ok(reading) => {
                slot.figures(reading.cluster, reading.refused);
                Ok(reading.cost_ms)
            }
            Err(trouble) => self.harmless(slot, Part::Cluster, trouble).map(|()| 0.0),
        }
    }

    async fn names(&mut self) -> Result<(), Trouble> {
        if let Ok((answers, _)) = self.session.ask(&self.before.sql_names()).await {
            self.before.named(&answers);
        }
        Ok(())
    }

    /// True when it is to be tried again at once, in another way.
    async fn statements(&mut self, slot: &Shared) -> Result<bool, Trouble> {
        let schema = match &self.hello.server.statements {
            StatementsView::Ready { schema, .. } => schema.clone(),
            StatementsView::Missing { why, lift, .. } => {
                slot.no_statements(why, lift);
                return Ok(false);
            }
        };
        let dropped = self.session.limits().clone();
        if self.keep_role {
            self.session.limit(Limits { role: None, ..dropped.clone() });
        }
        let answer = self.session.ask(&statements::sql(&self.hello.columns, &schema)).await;
        let done = match answer {
            Ok((answers, took_ms)) => {
                let cost_ms = self.session.cost_ms(took_ms);
                let within = Duration::from_secs_f64(cost_ms.max(0.0) / STATEMENTS_COST);
                self.statements_every = within.clamp(STATEMENTS_EVERY, STATEMENTS_MOST);
                let mut grown = self.before.grow(&answers, self.hello.columns.crowded, cost_ms);
                grown.rows = slot.join(grown.rows, self.before.entries());
                let (unknown, costly) = slot.without_text(&grown, statements::WITH_TEXT);
                // Each query reads the server's whole file of texts: at once for what costs, else once a minute.
                let now = clock::instant();
                if unknown.is_empty() {
                    slot.mended(Part::Texts);
                }
                let mut cost_ms = Ok(0.0);
                if !unknown.is_empty() && (costly || now >= self.texts_due) {
                    cost_ms = self.texts(slot, &schema, &unknown).await;
                    // By their texts some are one with others.
                    grown.rows = slot.join(grown.rows, self.before.entries());
                }
                grown.rows = statements::kept(grown.rows);
                self.haste.read(&grown);
                slot.used(grown);
                if !unknown.is_empty() {
                    self.texts_due = self.texts_due.max(now + Duration::from_secs_f64(cost_ms? / TEXTS_COST).min(TEXTS_EVERY));
                }
                Ok(false)
            }
            Err(trouble) if trouble.code() == "42501" && dropped.role.is_some() && !self.keep_role => {
                self.keep_role = true;
                Ok(true)
            }
            Err(trouble) => self.harmless(slot, Part::Statements, trouble).map(|()| false),
        };
        self.session.limit(dropped);
        done
    }

    /// What it cost, ms.
    async fn texts(&mut self, slot: &Shared, schema: &str, ids: &[i64]) -> Result<f64, Trouble> {
        match self.session.ask(&[statements::sql_texts(schema, ids)]).await {
            Ok((answers, took_ms)) => {
                slot.texts(answers.iter().flatten().filter_map(statements::text).collect());
                Ok(self.session.cost_ms(took_ms))
            }
            Err(trouble) => self.harmless(slot, Part::Texts, trouble).map(|()| 0.0),
        }
    }
}
