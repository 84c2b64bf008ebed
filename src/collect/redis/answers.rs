//! Answers of other commands: histograms, the slow log, clients, settings. What is no answer of that form gives nothing.

use std::collections::BTreeMap;

use redis::Value;

use crate::model::foreign::Foreign;
use crate::model::redis::{Client, Clients, Histogram, SlowEntry, Slowlog};

/// Commands of which histograms are kept.
const COMMANDS: usize = 256;
/// Clients that are kept.
const CLIENTS: usize = 64;

/// An answer as it comes over the wire; `None`: it is none, or not whole.
#[must_use]
pub fn whole(bytes: &[u8]) -> Option<Value> {
    redis::parse_redis_value(bytes).ok()
}

/// Text of an answer.
#[must_use]
pub fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        other => std::str::from_utf8(bytes(other)?).ok()?.parse().ok(),
    }
}

/// Names and values that follow each other, or a map.
fn pairs(value: &Value) -> Vec<(&Value, &Value)> {
    match value {
        Value::Map(pairs) => pairs.iter().map(|(name, value)| (name, value)).collect(),
        Value::Array(all) => all.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
        _ => Vec::new(),
    }
}

/// `LATENCY HISTOGRAM`.
#[must_use]
pub fn histograms(value: &Value) -> Vec<Histogram> {
    let one = |(name, value): (&Value, &Value)| {
        let (_, buckets) = pairs(value).into_iter().find(|(name, _)| bytes(name) == Some(b"histogram_usec"))?;
        let bucket = |(bound, calls): (&Value, &Value)| Some((number(bound)?.try_into().ok()?, number(calls)?.try_into().ok()?));
        let mut buckets: Vec<(u64, u64)> = pairs(buckets).into_iter().filter_map(bucket).take(64).collect();
        buckets.sort_unstable();
        Some(Histogram { command: Foreign::new(bytes(name)?), buckets })
    };
    pairs(value).into_iter().filter_map(one).take(COMMANDS).collect()
}

/// `SLOWLOG GET`.
#[must_use]
pub fn slowlog(value: &Value) -> Slowlog {
    let Value::Array(entries) = value else { return Slowlog::default() };
    let one = |entry: &Value| {
        let Value::Array(parts) = entry else { return None };
        let text = |at: usize| parts.get(at).and_then(bytes).map(Foreign::new).unwrap_or_default();
        let Some(Value::Array(words)) = parts.get(3) else { return None };
        let words: Vec<&[u8]> = words.iter().filter_map(bytes).collect();
        Some(SlowEntry {
            id: number(parts.first()?)?,
            at_s: number(parts.get(1)?)?,
            usec: number(parts.get(2)?)?.try_into().ok()?,
            shape: shape(&words),
            key: key(&words).map(Foreign::new).unwrap_or_default(),
            client: text(4),
            name: text(5),
        })
    };
    Slowlog { entries: entries.iter().take(32).filter_map(one).collect() }
}

/// A command with its first argument (a key or a pattern), and of the others how many and how long they are: they are data.
fn shape(words: &[&[u8]]) -> Foreign {
    let mut out = words.first().map_or_else(Vec::new, |word| word[..word.len().min(32)].to_ascii_uppercase());
    let key = key(words);
    if let Some(key) = key {
        out.push(b' ');
        out.extend_from_slice(&key[..key.len().min(64)]);
    }
    // The server itself cuts: the last word may stand for many, the end of a word for the rest of it.
    let (mut count, mut size, mut least) = (0, 0, "");
    for word in words.iter().skip(if key.is_some() { 2 } else { 1 }) {
        match cut(word) {
            Some(Cut::Words(more)) => (count, least) = (count + more, "at least "),
            Some(Cut::Bytes { kept, more }) => (count, size) = (count + 1, size + kept + more),
            None => (count, size) = (count + 1, size + word.len()),
        }
    }
    if count > 0 {
        out.extend_from_slice(format!(" ? ({count} more, {least}{size} bytes)").as_bytes());
    }
    Foreign::new(&out)
}

/// What a server left out of an entry of its slow log.
enum Cut {
    Words(usize),
    Bytes { kept: usize, more: usize },
}

/// `... (7 more arguments)`, or `beginning... (900 more bytes)`.
fn cut(word: &[u8]) -> Option<Cut> {
    let text = std::str::from_utf8(word.get(word.len().saturating_sub(48)..)?).ok()?;
    let (before, rest) = text.rsplit_once("... (")?;
    if let Some(more) = rest.strip_suffix(" more arguments)") {
        return more.parse().ok().map(Cut::Words).filter(|_| before.is_empty());
    }
    let more = rest.strip_suffix(" more bytes)")?;
    Some(Cut::Bytes { kept: word.len() - rest.len() - "... (".len(), more: more.parse().ok()? })
}

/// The first argument, unless it may be a secret.
fn key<'a>(words: &[&'a [u8]]) -> Option<&'a [u8]> {
    // A script is code; what follows AUTH or a password anywhere is nobody's business.
    const SECRET: [&[u8]; 9] = [b"AUTH", b"HELLO", b"ACL", b"CONFIG", b"MIGRATE", b"EVAL", b"EVAL_RO", b"FUNCTION", b"SCRIPT"];
    let command = words.first()?;
    let key = words.get(1).filter(|_| !SECRET.iter().any(|secret| command.eq_ignore_ascii_case(secret)))?;
    Some(&key[..key.len().min(SlowEntry::KEY)])
}

/// `CLIENT LIST`: the largest, and every monitor; `own` is left out.
#[must_use]
pub fn clients(text: &[u8], own: Option<i64>) -> Clients {
    let one = |line: &[u8]| {
        let parts: BTreeMap<&[u8], &[u8]> =
            line.split(|b| *b == b' ').filter_map(|part| Some(part.split_at(part.iter().position(|b| *b == b'=')?))).collect();
        let raw = |name: &str| parts.get(name.as_bytes()).map_or(&b""[..], |value| &value[1..]);
        let number = |name: &str| std::str::from_utf8(raw(name)).ok().and_then(|v| v.parse::<u64>().ok());
        let output = number("omem").unwrap_or(0);
        Some(Client {
            id: i64::try_from(number("id")?).ok()?,
            address: Foreign::new(raw("addr")),
            name: Foreign::new(raw("name")),
            user: Foreign::new(raw("user")),
            age_s: number("age").unwrap_or(0),
            idle_s: number("idle").unwrap_or(0),
            flags: Foreign::new(raw("flags")),
            command: Foreign::new(raw("cmd")),
            output_bytes: output,
            total_bytes: number("tot-mem").unwrap_or_else(|| output.saturating_add(number("qbuf").unwrap_or(0))),
        })
    };
    let mut rows: Vec<Client> = text.split(|b| *b == b'\n').filter_map(one).filter(|c| Some(c.id) != own).collect();
    let all = rows.len() as u64;
    rows.sort_by(|a, b| (b.is('O'), b.total_bytes, a.id).cmp(&(a.is('O'), a.total_bytes, b.id)));
    rows.truncate(CLIENTS);
    Clients { rows, all }
}

/// `CONFIG GET *`: names and values, those of secrets left out.
#[must_use]
pub fn settings(value: &Value) -> BTreeMap<String, String> {
    const SECRETS: [&str; 6] =
        ["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass", "primaryauth"];
    let text = |value: &Value| bytes(value).map(|b| Foreign::new(b).shown().to_owned());
    let one = |(name, value): (&Value, &Value)| Some((text(name)?, text(value)?));
    let open = |name: &String| !SECRETS.contains(&name.as_str()) && !name.contains("pass");
    pairs(value).into_iter().filter_map(one).filter(|(name, _)| open(name)).take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn arguments_are_masked_but_for_the_key() {
        let shown = |words: &[&str]| shape(&words.iter().map(|w| w.as_bytes()).collect::<Vec<_>>()).shown().to_owned();
        assert_eq!(shown(&["set", "user:7", "secret value"]), "SET user:7 ? (1 more, 12 bytes)");
        assert_eq!(shown(&["KEYS", "*"]), "KEYS *");
        assert_eq!(shown(&["auth", "me", "secret"]), "AUTH ? (2 more, 8 bytes)");
        assert_eq!(shown(&["EVAL", "return 'secret'", "0"]), "EVAL ? (2 more, 16 bytes)");
        assert_eq!(shown(&[]), "");
        assert_eq!(shown(&["SET", "k", "xxxx... (999996 more bytes)"]), "SET k ? (1 more, 1000000 bytes)");
        assert_eq!(shown(&["DEL", "a", "b", "... (998 more arguments)"]), "DEL a ? (999 more, at least 1 bytes)");
    }

    #[test]
    fn clients_are_read_and_the_largest_come_first() {
        let list = b"id=7 addr=10.0.0.1:5 laddr=1:2 fd=8 name=app one age=9 idle=1 flags=N db=0 omem=5 tot-mem=900 cmd=get user=default\n\
            id=8 addr=10.0.0.1:6 fd=9 name= age=9 idle=1 flags=O omem=0 cmd=monitor\nid=9 addr=x flags=N\nnonsense\n";
        let clients = clients(list, Some(9));
        assert_eq!((clients.all, clients.rows.len()), (2, 2));
        assert!(clients.rows[0].is('O') && clients.rows[1].total_bytes == 900);
        assert_eq!(clients.rows[1].command.shown(), "get");
    }

    #[test]
    fn secrets_among_settings_are_not_kept() {
        let all = Value::Array(["maxmemory", "0", "requirepass", "x", "masterauth", "y", "odd"].map(text).to_vec());
        assert_eq!(settings(&all), BTreeMap::from([("maxmemory".to_owned(), "0".to_owned())]));
    }

    #[test]
    fn histograms_in_both_protocols() {
        let buckets = Value::Array(vec![Value::Int(1), Value::Int(5), Value::Int(2), Value::Int(6)]);
        let of = Value::Array(vec![text("calls"), Value::Int(6), text("histogram_usec"), buckets]);
        let expected = vec![Histogram { command: "get".into(), buckets: vec![(1, 5), (2, 6)] }];
        assert_eq!(histograms(&Value::Array(vec![text("get"), of.clone()])), expected);
        assert_eq!(histograms(&Value::Map(vec![(text("get"), of)])), expected);
        assert!(histograms(&Value::Nil).is_empty() && slowlog(&Value::Nil).entries.is_empty());
    }
}
