//! The text of INFO.

use std::collections::BTreeMap;

use crate::model::foreign::Foreign;
use crate::model::redis::{CommandRow, Info, Keyspace, NUMBERS, ReplicaRow, WORDS};

/// Rows of each kind that are kept: a server that makes them up fills no memory.
const MOST: usize = 512;

/// No server counts so far: what is larger is made up.
const MOST_NUMBER: f64 = 1e18;

/// What is used of it, and all words by their names for who asks for one that is not kept.
#[must_use]
pub fn parse(text: &[u8]) -> Info {
    let mut info = Info::default();
    for (name, value) in lines(text) {
        if let Some(command) = name.strip_prefix("cmdstat_") {
            info.commands.extend(command_row(command, value).filter(|_| info.commands.len() < MOST));
        } else if let Some(word) = name.strip_prefix("errorstat_") {
            let count = parts(value).get("count").and_then(|v| v.parse().ok());
            if let Some(count) = count.filter(|_| info.errors.len() < MOST) {
                info.errors.insert(Foreign::from(word).shown().to_owned(), count);
            }
        } else if let Some(rest) = name.strip_prefix("slave").filter(|r| r.bytes().all(|b| b.is_ascii_digit()) && !r.is_empty()) {
            _ = rest;
            info.replicas.extend(replica(value).filter(|_| info.replicas.len() < MOST));
        } else if let Some(db) = name.strip_prefix("db").and_then(|n| n.parse().ok()) {
            info.keyspace.extend(keyspace(db, value).filter(|_| info.keyspace.len() < MOST));
        } else if NUMBERS.contains(&name) {
            info.numbers.extend(number(value).map(|n| (name.to_owned(), n)));
        } else if WORDS.contains(&name) {
            info.words.insert(name.to_owned(), Foreign::from(value));
        }
    }
    info
}

/// A line's value by its name.
#[must_use]
pub fn value<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    lines(text).find(|(n, _)| *n == name).map(|(_, value)| value)
}

fn lines(text: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    text.split(|b| *b == b'\n').filter_map(|line| {
        let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
        line.split_once(':').filter(|_| !line.starts_with('#'))
    })
}

fn number(value: &str) -> Option<f64> {
    value.trim_end_matches('%').parse::<f64>().ok().filter(|n| n.abs() < MOST_NUMBER)
}

/// `calls=1,usec=2,…`
fn parts(value: &str) -> BTreeMap<&str, &str> {
    value.split(',').filter_map(|part| part.split_once('=')).collect()
}

fn command_row(name: &str, value: &str) -> Option<CommandRow> {
    let parts = parts(value);
    let number = |name: &str| parts.get(name).and_then(|v| v.parse::<u64>().ok());
    Some(CommandRow {
        name: Foreign::from(name),
        calls: number("calls")?,
        usec: number("usec")?,
        rejected: number("rejected_calls"),
        failed: number("failed_calls"),
    })
}

fn replica(value: &str) -> Option<ReplicaRow> {
    let parts = parts(value);
    let number = |name: &str| parts.get(name).and_then(|v| number(v));
    Some(ReplicaRow {
        address: Foreign::from(format!("{}:{}", parts.get("ip")?, parts.get("port")?).as_str()),
        state: Foreign::from(*parts.get("state")?),
        offset: number("offset").unwrap_or(0.0),
        lag_s: number("lag"),
    })
}

fn keyspace(db: u32, value: &str) -> Option<Keyspace> {
    let parts = parts(value);
    let number = |name: &str| parts.get(name).and_then(|v| v.parse::<u64>().ok());
    Some(Keyspace { db, keys: number("keys")?, expires: number("expires").unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reading_of_seven() {
        let text = b"# Server\r\nredis_version:7.0.15\r\nprocess_id:4242\r\nused_cpu_user_main_thread:1.500000\r\n\
            # Commandstats\r\ncmdstat_config|get:calls=2,usec=10,usec_per_call=5.00,rejected_calls=0,failed_calls=1\r\n\
            cmdstat_get:calls=3,usec=7,usec_per_call=2.33\r\nerrorstat_NOPERM:count=5\r\nexpired_stale_perc:0.25\r\n\
            slave0:ip=10.0.0.2,port=6380,state=online,offset=70,lag=1\r\nslave_repl_offset:9\r\nmaxmemory_policy:noeviction\r\n\
            db0:keys=5,expires=1,avg_ttl=0\r\nmem_fragmentation_ratio:nan\r\n";
        let info = parse(text);
        assert_eq!(value(text, "redis_version"), Some("7.0.15"));
        assert_eq!(info.number("used_cpu_user_main_thread"), Some(1.5));
        assert_eq!((info.number("mem_fragmentation_ratio"), info.number("slave_repl_offset")), (None, Some(9.0)));
        assert_eq!(info.word("maxmemory_policy"), "noeviction");
        assert_eq!(info.errors.get("NOPERM"), Some(&5));
        let [config, get] = &info.commands[..] else { panic!("{:?}", info.commands) };
        assert_eq!((config.name.shown(), config.failed, get.failed), ("config|get", Some(1), None));
        assert_eq!((info.replicas[0].address.shown(), info.replicas[0].lag_s), ("10.0.0.2:6380", Some(1.0)));
        assert_eq!((info.keyspace[0].keys, info.keys()), (5, 5));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..400), lines in "(cmdstat_|errorstat_|slave0|db0|used_memory)\\PC{0,40}") {
            _ = parse(&text);
            _ = parse(lines.as_bytes());
        }
    }
}
