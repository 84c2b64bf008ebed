//! One server: a thread of its own, so that a server that hangs delays nobody; the way in, again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::collect::root::Roots;
use crate::collect::{clock, pace};
use crate::model::demand::{Answer, Demand, Detail};
use crate::model::redis::{Clients, Info, Instance, RedisAsk, RedisDetail};
use crate::model::seen::{Lack, Seen, Why};
use crate::model::server::{ServerAsk, ServerDetail};

use super::keys::{STEP, Walk};
use super::session::{Asked, Session};
use super::slot::Shared;
use super::target::Target;
use super::trouble::Trouble;
use super::{answers, info, place, probe};

/// A server that is not there, or does not let us in, is tried again so often at most.
const AGAIN: Duration = Duration::from_secs(5);
/// INFO.
const EVERY: Duration = Duration::from_secs(1);
/// Histograms: what they tell is how calls differ, and that stays for a moment.
const HISTOGRAMS: Duration = Duration::from_secs(2);
/// A PING, on average: requests of others stand in the same queue.
const PING: Duration = Duration::from_millis(250);
/// The slow log.
const SLOW: Duration = Duration::from_secs(5);
/// Clients, while they are few: the server walks over all of them.
const CLIENTS: Duration = Duration::from_secs(30);
/// So many are few.
const FEW: f64 = 2000.0;
/// More than these are not listed at all.
const MANY: f64 = 10_000.0;
/// A connection that stays silent for so long is given up for another one.
const ENOUGH: Duration = Duration::from_secs(10);
/// Settings.
const SETTINGS: Duration = Duration::from_secs(60);
/// Clients, when they are asked for.
const ASKED: Duration = Duration::from_secs(3);

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
    /// Settings as they were read last.
    pub settings: BTreeMap<String, String>,
    /// Clients that were connected when INFO was read last.
    pub connected: f64,
    /// INFO as it was read last.
    pub known: Option<Info>,
    /// What was asked of it, over all connections.
    pub asked_so_far: Asked,
    /// Looking for big keys.
    pub walk: Option<Walk>,
}

/// When each is due.
struct Due {
    info: Instant,
    histograms: Instant,
    ping: Instant,
    slow: Instant,
    clients: Instant,
    settings: Instant,
    asked: Instant,
    step: Instant,
}

impl Watcher {
    /// Reads the server until the thread is told to stop.
    pub async fn run(mut self) {
        let mut pause = Duration::from_secs(1);
        let mut refused = false;
        loop {
            if refused && !self.mended().await {
                continue;
            }
            let trouble = match self.gone() {
                true => Trouble::Nobody("its process has ended".into()),
                false => self.serve(&mut pause).await,
            };
            let trouble = self.named(trouble);
            // One that takes connections and does not answer goes on standing.
            if !matches!(trouble, Trouble::Silent(_)) {
                self.slot.waits(false);
            }
            self.slot.lost(&self.target, &trouble);
            // A password that was refused is not sent again, lest it locks an account.
            refused = trouble.of_password() && self.target.secret().is_some();
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(AGAIN);
        }
    }

    /// True when there is another password than the one that was refused.
    async fn mended(&mut self) -> bool {
        let sent = self.target.secret();
        tokio::time::sleep(AGAIN).await;
        self.target.reread();
        self.target.secret() != sent
    }

    /// Why it is silent, where that can be seen from here.
    fn named(&self, trouble: Trouble) -> Trouble {
        match (trouble, self.target.seen) {
            (Trouble::Silent(_), Some(id)) if place::stopped(&self.roots, id) => {
                Trouble::Silent(format!("its process is stopped; kill -CONT {} lets it go on", id.pid))
            }
            (trouble, _) => trouble,
        }
    }

    /// The process that was seen here is there no more: whoever listens at its port now gets no password.
    fn gone(&self) -> bool {
        self.target.seen.is_some_and(|seen| place::started(&self.roots, seen.pid) != Some(seen.start))
    }

    async fn serve(&mut self, pause: &mut Duration) -> Trouble {
        let mut session = match Session::open(&self.target, &self.asked_so_far).await {
            Ok(session) => session,
            Err(trouble) => return trouble,
        };
        self.slot.waits(true);
        let mut instance = match probe::ask(&mut session, &self.target, &self.roots).await {
            Ok(instance) => instance,
            Err(trouble) => return trouble,
        };
        self.slot.waits(false);
        self.slot.introduced(&self.target, &instance);
        self.same_keys(&instance);
        *pause = Duration::from_secs(1);
        let now = clock::instant();
        let mut due =
            Due { info: now, histograms: now, ping: now + PING, slow: now, clients: now, settings: now, asked: now, step: now };
        let (mut count, mut silent) = (0, None);
        loop {
            count += 1;
            match self.round(&mut session, &mut instance, &mut due, count).await {
                // Only what is read again is well again: INFO.
                Ok(read) if read && silent.take().is_some() => self.slot.answers_again(&self.target),
                Ok(_) => {}
                // The answer comes late or never; for a while the connection is still good for it.
                Err(Trouble::Silent(_)) => {
                    let trouble = Trouble::Silent("it does not answer: a command that runs long, or a stopped process".into());
                    let trouble = self.named(trouble);
                    self.slot.lost(&self.target, &trouble);
                    if silent.get_or_insert_with(clock::instant).elapsed() > ENOUGH {
                        return trouble;
                    }
                }
                Err(trouble) if trouble.fatal() => return trouble,
                Err(trouble) => {
                    silent.get_or_insert_with(clock::instant);
                    self.slot.lost(&self.target, &trouble);
                    tokio::time::sleep(PING).await;
                }
            }
        }
    }

    /// What is due next; true when INFO was read.
    async fn round(
        &mut self,
        session: &mut Session,
        instance: &mut Instance,
        due: &mut Due,
        count: u32,
    ) -> Result<bool, Trouble> {
        let walking = self.walk.as_ref().is_some_and(|walk| walk.found.walking);
        let next = if walking { due.info.min(due.ping).min(due.step) } else { due.info.min(due.ping) };
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            Some(demand) = self.asked.recv() => {
                let found = match &demand {
                    Demand::Server { ask: ServerAsk::Redis(RedisAsk::Clients), .. } => {
                        self.asked_for(session, instance, due).await?.map(RedisDetail::Clients)
                    }
                    Demand::Server { ask: ServerAsk::Redis(RedisAsk::Keys), .. } => self.look_for_keys(instance),
                    _ => return Ok(false),
                };
                let detail = found.map(|found| Detail::Server(ServerDetail::Redis(found)));
                self.slot.answered(Answer { demand, detail });
                return Ok(false);
            }
        }
        let now = clock::instant();
        if now >= due.ping {
            due.ping = now + PING.mul_f64(pace::unsteady(count));
            let trip = self.timed(session, &["PING"]).await?;
            self.slot.add(|sample| sample.round_trips_ms.push(trip.as_secs_f32() * 1000.0));
        }
        if walking && now >= due.step {
            due.step = now + STEP;
            self.step(session).await?;
        }
        if now >= due.info {
            // In step with the ticks, unless it is far behind.
            due.info = if now > due.info + EVERY { now + EVERY } else { due.info + EVERY };
            self.info(session, instance, due).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// A server that was started again has other keys, in another order.
    fn same_keys(&mut self, instance: &Instance) {
        if self.walk.take_if(|walk| walk.run_id != instance.run_id).is_some() {
            let lack = Lack::new(Why::NotYet, "the server was restarted since its big keys were looked for");
            self.slot.add(|sample| sample.keys = Some(Err(lack)));
        }
    }

    /// Begins to look for big keys, or goes on.
    fn look_for_keys(&mut self, instance: &Instance) -> Seen<RedisDetail> {
        let Some(info) = &self.known else { return Err(Lack::new(Why::NotYet, "INFO")) };
        let walk = match self.walk.take() {
            Some(walk) if walk.found.walking => walk,
            Some(walk) => walk.again(info),
            None => Walk::new(info, &instance.run_id),
        };
        self.slot.add(|sample| sample.keys = Some(Ok(walk.found.clone())));
        self.walk = Some(walk);
        Ok(RedisDetail::Begun)
    }

    /// Looks at some more keys. What goes wrong ends the walk, and not the watching.
    async fn step(&mut self, session: &mut Session) -> Result<(), Trouble> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        let trouble = match walk.step(session).await {
            Ok(()) => {
                let found = walk.found.clone();
                self.slot.add(|sample| sample.keys = Some(Ok(found)));
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        self.walk = None;
        let lack = match trouble.word() {
            "NOPERM" => {
                Lack::new(Why::Denied, format!("big keys: {trouble} (it takes +scan +select +type '+memory|usage' and '~*')"))
            }
            _ => Lack::new(Why::TimedOut, format!("big keys: {trouble}")),
        };
        self.slot.add(|sample| sample.keys = Some(Err(lack)));
        if trouble.fatal() { Err(trouble) } else { Ok(()) }
    }

    /// Clients, when they are asked for: not of a server that has very many, and not again within seconds.
    async fn asked_for(&mut self, session: &mut Session, instance: &Instance, due: &mut Due) -> Result<Seen<Clients>, Trouble> {
        let now = clock::instant();
        if self.connected > MANY {
            return Ok(Err(Lack::new(Why::Absent, format!("CLIENT LIST: not read from more than {MANY:.0} clients"))));
        }
        if now < due.asked {
            return Ok(Err(Lack::new(Why::NotYet, "CLIENT LIST: read a moment ago")));
        }
        due.asked = now + ASKED;
        due.clients = now + CLIENTS;
        self.clients(session, instance).await
    }

    async fn info(&mut self, session: &mut Session, instance: &mut Instance, due: &mut Due) -> Result<(), Trouble> {
        self.slot.waits(true);
        // What was asked so far is what the answer counts of us: itself it counts afterwards.
        let own = self.asked_so_far.all();
        let text = probe::read(session).await?;
        self.slot.waits(false);
        let info = info::parse(&text);
        self.connected = info.number("connected_clients").unwrap_or(0.0);
        let few = self.connected < FEW;
        let (replica, aof) = (info.word("role") == "slave", info.is_set("aof_enabled"));
        self.known = Some(info.clone());
        self.slot.add(|sample| (sample.info, sample.own) = (Some(Ok(info)), Some(own)));
        // After a failover it is another one to its clients.
        if replica != instance.replica {
            instance.replica = replica;
            self.slot.introduced(&self.target, instance);
        }
        let has = |what: &str| !instance.missing.contains_key(what);
        let now = clock::instant();
        if has("LATENCY HISTOGRAM") && now >= due.histograms {
            due.histograms = now + HISTOGRAMS;
            let answer = session.ask(&["LATENCY", "HISTOGRAM"]).await?;
            self.slot.add(|sample| sample.latency = Some(Ok(answers::histograms(&answer))));
        }
        if has("SLOWLOG GET") && now >= due.slow {
            due.slow = now + SLOW;
            let answer = session.ask(&["SLOWLOG", "GET", "32"]).await?;
            self.slot.add(|sample| sample.slowlog = Some(Ok(answers::slowlog(&answer))));
        }
        if has("CONFIG GET") && now >= due.settings {
            due.settings = now + SETTINGS;
            let answer = session.ask(&["CONFIG", "GET", "*"]).await?;
            self.settings = answers::settings(&answer);
            self.slot.add(|sample| sample.settings = Some(Ok(self.settings.clone())));
        } else if has("CONFIG GET") && aof {
            // The one that is changed while it hurts: asked for by its name it costs next to nothing.
            let fresh = answers::settings(&session.ask(&["CONFIG", "GET", "appendfsync"]).await?);
            if fresh.iter().any(|(name, value)| self.settings.get(name) != Some(value)) {
                self.settings.extend(fresh);
                self.slot.add(|sample| sample.settings = Some(Ok(self.settings.clone())));
            }
        }
        if few && now >= due.clients {
            due.clients = now + CLIENTS;
            let found = self.clients(session, instance).await?;
            self.slot.add(|sample| sample.clients = Some(found));
        }
        Ok(())
    }

    async fn clients(&mut self, session: &mut Session, instance: &Instance) -> Result<Seen<Clients>, Trouble> {
        match session.ask(&["CLIENT", "LIST"]).await {
            Ok(answer) => Ok(Ok(answers::clients(answers::bytes(&answer).unwrap_or_default(), instance.own_id))),
            Err(trouble) if trouble.fatal() => Err(trouble),
            Err(trouble) => {
                Ok(Err(Lack::new(Why::Denied, format!("CLIENT LIST: {trouble}")).lifted_by(probe::acl(&self.target))))
            }
        }
    }

    async fn timed(&self, session: &mut Session, words: &[&str]) -> Result<Duration, Trouble> {
        self.slot.waits(true);
        let start = clock::instant();
        match session.ask(words).await {
            // A server that cannot save refuses even this (MISCONF), and one that still loads its data (LOADING): it has answered.
            Err(trouble) if trouble.fatal() || trouble.word() == "BUSY" => return Err(trouble),
            _ => {}
        }
        self.slot.waits(false);
        Ok(start.elapsed())
    }
}
