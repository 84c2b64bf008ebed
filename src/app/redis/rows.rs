//! Rows of the tables of Redis.

use crate::app::tables::{Cell, Row};
use crate::config::Meaning;
use crate::model::facts::RedisFacts;
use crate::model::redis::{BigKey, Info};
use crate::model::unit::{bytes, count, seconds, short};

/// How a hit rate is coloured, percent: the target of the field's runbooks is 95, below 90 is a warning, below 80 is critical. A colour
/// only: what misses cost is `redis.memory.evictions`.
#[must_use]
pub fn meaning_of_hits(percent: f64) -> Meaning {
    match percent {
        hits if hits >= 95.0 => Meaning::Good,
        hits if hits >= 90.0 => Meaning::Text,
        hits if hits >= 80.0 => Meaning::Warning,
        _ => Meaning::Critical,
    }
}

fn row(key: impl Into<String>, cells: Vec<Cell>, meaning: Meaning) -> Row {
    Row { key: key.into(), cells, meaning }
}

/// Commands by what stands still behind them.
pub fn commands(r: &RedisFacts) -> Vec<Row> {
    let one = |c: &crate::model::facts::CommandFacts| {
        let meaning = match c.stall {
            s if s >= 3.0 => Meaning::Critical,
            s if s >= 0.1 => Meaning::Warning,
            _ => Meaning::Text,
        };
        let cells = vec![
            Cell::of(c.stall, short(c.stall)),
            Cell::of(c.busy, format!("{:.1}", c.busy * 100.0)),
            Cell::of(c.per_s, count(c.per_s)),
            Cell::of(c.mean_s, short(c.mean_s * 1000.0)),
            Cell::maybe(c.longest_s, |s| short(s * 1000.0)),
            Cell::of(c.failed_per_s, short(c.failed_per_s)),
            Cell::text(c.name.to_uppercase()),
        ];
        row(&c.name, cells, meaning)
    };
    r.commands.iter().flatten().map(one).collect()
}

/// The slow log, newest first.
pub fn slowlog(r: &RedisFacts) -> Vec<Row> {
    let now_s = r.known.as_ref().and_then(|i| i.number("server_time_usec")).map(|us| us / 1e6);
    let one = |e: &crate::model::redis::SlowEntry| {
        let ago = now_s.map(|now| (now - e.at_s as f64).max(0.0));
        let client = if e.name.is_empty() { e.client.shown().to_owned() } else { format!("{} {}", e.name, e.client) };
        let cells = vec![
            Cell::of(e.usec as f64, short(e.usec as f64 / 1000.0)),
            Cell::maybe(ago, seconds),
            Cell::text(client),
            Cell::text(e.shape.shown()),
        ];
        row(e.id.to_string(), cells, Meaning::Text)
    };
    r.slowlog.iter().flat_map(|log| &log.entries).map(one).collect()
}

/// Clients, the largest first.
pub fn clients(r: &RedisFacts) -> Vec<Row> {
    let one = |c: &crate::model::redis::Client| {
        let meaning = if c.is('O') { Meaning::Warning } else { Meaning::Text };
        let size = c.total_bytes.max(c.output_bytes) as f64;
        let cells = vec![
            Cell::of(size, bytes(size)),
            Cell::of(c.age_s as f64, seconds(c.age_s as f64)),
            Cell::of(c.idle_s as f64, seconds(c.idle_s as f64)),
            Cell::text(c.flags.shown()),
            Cell::text(c.user.shown()),
            Cell::text(c.command.shown()),
            Cell::text(c.label()),
        ];
        row(c.id.to_string(), cells, meaning)
    };
    r.clients.iter().flat_map(|c| &c.rows).map(one).collect()
}

/// What a key is known by.
pub fn key_of(k: &BigKey) -> String {
    format!("{}/{}", k.database, k.key)
}

/// The largest keys that were found, below them how far the walk is.
pub fn keys(r: &RedisFacts) -> Vec<Row> {
    let Ok(found) = &r.keys else { return Vec::new() };
    let one = |k: &BigKey| {
        let size = k.bytes as f64;
        let name = if k.whole { k.key.to_string() } else { format!("{}…", k.key) };
        let cells = vec![
            Cell::of(size, bytes(size)),
            Cell::text(k.kind.shown()),
            Cell::of(f64::from(k.database), k.database.to_string()),
            Cell::text(name),
        ];
        row(key_of(k), cells, Meaning::Text)
    };
    let far = format!("{} of {} keys looked at", count(found.looked as f64), count(found.all as f64));
    let says = match (found.walking, found.complete) {
        (true, _) => format!("… {far}"),
        (false, true) => format!("all {} keys looked at, {} ago", count(found.looked as f64), seconds(r.keys_age_s)),
        (false, false) => format!("{far}, a random sample; x continues"),
    };
    let end = vec![Cell::of(-1.0, String::new()), Cell::text(""), Cell::of(-1.0, String::new()), Cell::text(says)];
    found.rows.iter().map(one).chain([row("", end, Meaning::Muted)]).collect()
}

/// What stands in no table of its own.
pub fn levels(r: &RedisFacts) -> Vec<Row> {
    let Some(info) = &r.known else { return Vec::new() };
    let mut rows = Vec::new();
    let mut say = |what: &str, figure: String, more: String, meaning: Meaning| {
        rows.push(row(what, vec![Cell::text(what), Cell::text(figure), Cell::text(more)], meaning));
    };
    let show = |name: &str, how: fn(f64) -> String| info.number(name).map_or_else(|| "?".to_owned(), how);
    if let Some(hits) = r.hit_rate().map(|h| h * 100.0) {
        let misses = r.rate("keyspace_misses").map_or_else(String::new, |m| format!("{} misses/s", short(m)));
        say("hit rate", format!("{} %", short(hits)), misses, meaning_of_hits(hits));
    }
    let limit = match info.number("maxmemory") {
        None => "limit unknown".to_owned(),
        Some(most) if most > 0.0 => format!("of {} ({})", bytes(most), info.word("maxmemory_policy")),
        Some(_) => "no limit".to_owned(),
    };
    say("memory", show("used_memory", bytes), limit, Meaning::Text);
    say("resident", show("used_memory_rss", bytes), fragments(info), Meaning::Text);
    say("keys", count(info.keys() as f64), format!("databases with keys: {}", info.keyspace.len()), Meaning::Text);
    let gone = |name: &str| r.rate(name).map_or_else(|| "?".to_owned(), |n| format!("{}/s", short(n)));
    say("expired", gone("expired_keys"), String::new(), Meaning::Text);
    say("evicted", gone("evicted_keys"), String::new(), Meaning::Text);
    let clients = format!("of {}, {} in blocking commands", show("maxclients", count), show("blocked_clients", count));
    say("clients", show("connected_clients", count), clients, Meaning::Text);
    let ill = |name: &str| if ["", "ok"].contains(&info.word(name)) { Meaning::Text } else { Meaning::Critical };
    let changes = format!("{} changes since", show("rdb_changes_since_last_save", count));
    say("last save", info.word("rdb_last_bgsave_status").to_owned(), changes, ill("rdb_last_bgsave_status"));
    if info.is_set("aof_enabled") {
        let late = format!("{} late flushes since the start", show("aof_delayed_fsync", count));
        say("append-only file", info.word("aof_last_write_status").to_owned(), late, ill("aof_last_write_status"));
    }
    say("newest fork", show("latest_fork_usec", |us| format!("{} ms", short(us / 1000.0))), String::new(), Meaning::Text);
    let primary = info.word("master_host");
    if primary.is_empty() {
        say("role", "primary".into(), format!("{} replicas", show("connected_slaves", count)), Meaning::Text);
    } else {
        let link = info.word("master_link_status");
        let meaning = if link == "up" { Meaning::Text } else { Meaning::Critical };
        say(
            "role",
            format!("replica of {primary}:{}", show("master_port", |p| format!("{p:.0}"))),
            format!("link {link}"),
            meaning,
        );
    }
    for replica in &info.replicas {
        let known = info.number("master_repl_offset").filter(|_| replica.offset > 0.0);
        let behind = known.map(|offset| bytes((offset - replica.offset).max(0.0)));
        let acknowledged = replica.lag_s.map_or_else(|| "?".to_owned(), seconds);
        let more = behind.map_or_else(
            || "has not acknowledged anything yet".to_owned(),
            |behind| format!("{behind} behind, acknowledged {acknowledged} ago"),
        );
        say(&format!("replica {}", replica.address), replica.state.shown().to_owned(), more, Meaning::Text);
    }
    rows
}

fn fragments(info: &Info) -> String {
    let lost = info.number("allocator_frag_bytes").filter(|b| *b > 0.0);
    lost.map_or_else(String::new, |b| format!("{} lost to fragmentation", bytes(b)))
}

/// Settings by name.
pub fn settings(r: &RedisFacts) -> Vec<Row> {
    let all = r.settings.iter().flat_map(|all| all.iter());
    all.map(|(name, value)| row(name, vec![Cell::text(name), Cell::text(value)], Meaning::Text)).collect()
}
