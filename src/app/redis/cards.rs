//! One command, one entry of the slow log, one client, one key of Redis, closely.

use crate::app::tables::Card;
use crate::detect::rules::redis::support;
use crate::model::facts::{CommandFacts, Facts, RedisFacts};
use crate::model::redis::{BigKey, Client, SlowEntry};
use crate::model::unit::{bytes, count, seconds, short};

use super::rows::key_of;

/// Rows of a list within a card.
const LISTED: usize = 8;

fn server<'a>(facts: &'a Facts, id: &str) -> Option<&'a RedisFacts> {
    facts.servers.redis.iter().find(|r| r.id == id)
}

/// Collects lines: what they are about, and what is said.
#[derive(Default)]
struct Lines(Vec<(String, String)>);

impl Lines {
    fn say(&mut self, what: &str, text: impl Into<String>) {
        self.0.push((what.to_owned(), text.into()));
    }

    /// A list under one heading; nothing where it is empty.
    fn list(&mut self, what: &str, texts: impl Iterator<Item = String>) {
        for (at, text) in texts.take(LISTED).enumerate() {
            self.0.push((if at == 0 { what.to_owned() } else { String::new() }, text));
        }
    }

    fn card(self, title: impl Into<String>) -> Card {
        Card { title: title.into(), lines: self.0 }
    }
}

/// A command: what it costs, who sent it lately, what of it was slow.
pub fn command(facts: &Facts, id: &str, key: &str) -> Option<Card> {
    let r = server(facts, id)?;
    let c = r.commands.as_ref().ok()?.iter().find(|c| c.name == key)?;
    let mut lines = Lines::default();
    lines.say("stand still behind it", format!("{} requests, on average", short(c.stall)));
    lines.say("main thread", format!("{:.1} %", c.busy * 100.0));
    lines.say("calls", format!("{} a second, {} ms each", count(c.per_s), short(c.mean_s * 1000.0)));
    lines.say("longest", c.longest_s.map_or_else(|| "unknown: LATENCY HISTOGRAM is of 7.0 and later".to_owned(), longest));
    lines.say("failed or refused", format!("{} a second", short(c.failed_per_s)));
    let own = |e: &&SlowEntry| verb(e).eq_ignore_ascii_case(base(c));
    lines.list("slow log", entries(r).filter(own).map(|e| entry_line(r, e)));
    let newest = |client: &&Client| client.command.shown().eq_ignore_ascii_case(&c.name);
    lines.list("clients at it", r.clients.iter().flat_map(|all| &all.rows).filter(newest).map(client_line));
    Some(lines.card(format!("{} on {id}", c.name.to_uppercase())))
}

fn longest(s: f64) -> String {
    format!("at most {} ms", short(s * 1000.0))
}

/// `config|get` is CONFIG in the slow log.
fn base(c: &CommandFacts) -> &str {
    c.name.split('|').next().unwrap_or_default()
}

fn verb(e: &SlowEntry) -> &str {
    e.shape.shown().split(' ').next().unwrap_or_default()
}

fn entries(r: &RedisFacts) -> impl Iterator<Item = &SlowEntry> {
    r.slowlog.iter().flat_map(|log| &log.entries)
}

/// Seconds since it ran, by the server's own clock.
fn ago(r: &RedisFacts, e: &SlowEntry) -> String {
    let now_s = r.known.as_ref().and_then(|i| i.number("server_time_usec")).map(|us| us / 1e6);
    now_s.map_or_else(|| "?".to_owned(), |now| format!("{} ago", seconds((now - e.at_s as f64).max(0.0))))
}

fn entry_line(r: &RedisFacts, e: &SlowEntry) -> String {
    format!("{} ms, {}: {} by {}", short(e.usec as f64 / 1000.0), ago(r, e), e.shape, sender(e))
}

fn sender(e: &SlowEntry) -> String {
    if e.name.is_empty() { e.client.shown().to_owned() } else { format!("{} ({})", e.name, e.client) }
}

fn client_line(c: &Client) -> String {
    format!("{}, connected for {}, idle for {}", c.label(), seconds(c.age_s as f64), seconds(c.idle_s as f64))
}

/// An entry of the slow log: what it was, and whether who sent it is still there.
pub fn slow(facts: &Facts, id: &str, key: &str) -> Option<Card> {
    let r = server(facts, id)?;
    let e = entries(r).find(|e| e.id.to_string() == key)?;
    let mut lines = Lines::default();
    lines.say("command", e.shape.shown());
    lines.say("took", format!("{} ms, without its wait in the queue", short(e.usec as f64 / 1000.0)));
    lines.say("ran", ago(r, e));
    lines.say("sent by", sender(e));
    match support::sender(r, e) {
        Some(client) => about(&mut lines, facts, r, client),
        None => lines.say("", "not among the clients as they were listed last"),
    }
    let others = |other: &&SlowEntry| other.id != e.id && !e.key.is_empty() && other.key == e.key;
    lines.list("others with that key", entries(r).filter(others).map(|e| entry_line(r, e)));
    Some(lines.card(format!("Slow log entry {} on {id}", e.id)))
}

/// A client: who it is, what it holds, what it sent that was slow.
pub fn client(facts: &Facts, id: &str, key: &str) -> Option<Card> {
    let r = server(facts, id)?;
    let c = r.clients.as_ref().ok()?.rows.iter().find(|c| c.id.to_string() == key)?;
    let mut lines = Lines::default();
    lines.say("address", c.address.shown());
    about(&mut lines, facts, r, c);
    let own = |e: &&SlowEntry| e.client == c.address;
    lines.list("slow log", entries(r).filter(own).map(|e| entry_line(r, e)));
    Some(lines.card(format!("Client {} of {id}: {}", c.id, c.label())))
}

fn about(lines: &mut Lines, facts: &Facts, r: &RedisFacts, c: &Client) {
    let user = if c.user.is_empty() { "?" } else { c.user.shown() };
    lines.say("user", user);
    // As it was listed last, and the time since then.
    lines.say("connected for", seconds(c.age_s as f64 + r.clients_age_s));
    lines.say("newest command", c.command.shown());
    lines.say("memory", format!("{}, {} of it waits to be read", bytes(c.total_bytes as f64), bytes(c.output_bytes as f64)));
    let flags: Vec<String> = c.flags.shown().chars().map(|flag| format!("{flag} {}", meaning(flag))).collect();
    lines.say("flags", flags.join(", "));
    let ip = c.address.shown().rsplit_once(':').map_or("", |(ip, _)| ip).trim_matches(['[', ']']);
    if r.local() && ip.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        lines.list("programs here", programs(facts, r).into_iter());
    }
}

/// What the letters of CLIENT LIST say.
const fn meaning(flag: char) -> &'static str {
    match flag {
        'N' => "normal",
        'O' => "in MONITOR",
        'S' => "a replica",
        'M' => "its primary",
        'P' => "subscribed",
        'b' => "in a blocking command",
        'x' => "in a transaction",
        'd' => "a watched key was changed",
        'u' => "waits for an unblocked one",
        'A' => "to be closed at once",
        'c' => "to be closed after its answer",
        't' => "tracks keys",
        'r' => "read-only in a cluster",
        'U' => "by a unix socket",
        'e' => "never evicted",
        'T' => "touches no keys",
        _ => "?",
    }
}

/// Programs of this host with connections to the server's port: CLIENT LIST does not say which of them a client is.
fn programs(facts: &Facts, r: &RedisFacts) -> Vec<String> {
    let port = r.instance.as_ref().and_then(|i| i.port);
    let links = facts.host.sockets.iter().flat_map(|s| &s.peers).filter(|l| l.local && Some(l.peer.port()) == port);
    let named = links.filter_map(|l| Some((facts.processes().iter().find(|p| Some(p.id) == l.owner)?, l.sockets)));
    let mut all: Vec<String> = named.map(|(p, sockets)| format!("{}, connections: {sockets}", p.label())).collect();
    all.sort();
    all.dedup();
    all
}

/// A key: how large it is, and what made commands slow about it.
pub fn key(facts: &Facts, id: &str, wanted: &str) -> Option<Card> {
    let r = server(facts, id)?;
    let k: &BigKey = r.keys.as_ref().ok()?.rows.iter().find(|k| key_of(k) == wanted)?;
    let mut lines = Lines::default();
    lines.say("key", k.key.shown());
    if !k.whole {
        lines.say("", "the rest of its name is cut");
    }
    lines.say("database", k.database.to_string());
    lines.say("type", k.kind.shown());
    lines.say("memory", format!("{}, estimated by the server from a few of its elements", bytes(k.bytes as f64)));
    lines.list("slow log", entries(r).filter(|e| e.key == k.key).map(|e| entry_line(r, e)));
    Some(lines.card(format!("Key of {id}")))
}
