//! The screen of Redis: its tables. Pure.

mod cards;
mod rows;

pub use rows::meaning_of_hits;

use crate::detect::rules::redis::support::{kill, measure, sender};
use crate::model::facts::{Facts, RedisFacts};
use crate::model::redis::{Client, RedisAsk};
use crate::model::source::SourceKind;

use super::pasted::pasted;
use super::tables::{Copied, More, Row, ServerScreen, Tab, figure, words};

/// Its tables.
pub const SCREEN: ServerScreen = ServerScreen {
    more: &[More {
        what: "big keys",
        tabs: &[KEYS],
        demand: |source| RedisAsk::Keys.of(source),
        says: "looking for big keys: 1,000 a second, for a minute at most; x again continues",
        again_s: None,
        own: false,
        leave: None,
        there: |_, _| true,
    }],
    ..ServerScreen::plain(SourceKind::Redis, ('4', "4"), TABS, |facts| {
        facts.servers.redis.iter().map(|r| r.id.as_str()).collect()
    })
};

/// The place of the table of keys.
const KEYS: usize = 3;

const TABS: &[Tab] = &[
    Tab {
        sort: Some(0),
        rows: |facts, id, _| of(facts, id, rows::commands),
        card: cards::command,
        nothing: |facts, id| nothing(facts, id, "no command was called lately"),
        ..Tab::plain(
            "Commands",
            &[
                figure("STANDING", 9, 0),
                figure("BUSY %", 7, 0),
                figure("CALLS/s", 9, 0),
                figure("MEAN ms", 9, 0),
                figure("AT MOST", 9, 70),
                figure("FAILED/s", 9, 90),
                words("COMMAND", 0, 0),
            ],
        )
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::slowlog),
        copy: |facts, id, key| {
            end(facts, id, key, |r, key| {
                let entry = r.slowlog.as_ref().ok()?.entries.iter().find(|e| e.id.to_string() == key)?;
                sender(r, entry)
            })
        },
        card: cards::slow,
        nothing: |facts, id| nothing(facts, id, "the slow log is empty: nothing took longer than slowlog-log-slower-than"),
        ..Tab::plain("Slow log", &[figure("ms", 9, 0), figure("AGO", 8, 0), words("CLIENT", 24, 70), words("COMMAND", 0, 0)])
    },
    Tab {
        sort: Some(0),
        rows: |facts, id, _| of(facts, id, rows::clients),
        copy: |facts, id, key| {
            end(facts, id, key, |r, key| r.clients.as_ref().ok()?.rows.iter().find(|c| c.id.to_string() == key))
        },
        card: cards::client,
        nothing: |facts, id| nothing(facts, id, "clients are read while there are fewer than 2,000"),
        ..Tab::plain(
            "Clients",
            &[
                figure("MEMORY", 9, 0),
                figure("AGE", 8, 0),
                figure("IDLE", 8, 60),
                words("FLAGS", 6, 70),
                words("USER", 12, 100),
                words("COMMAND", 16, 0),
                words("CLIENT", 0, 0),
            ],
        )
    },
    Tab {
        sort: Some(0),
        rows: |facts, id, _| of(facts, id, rows::keys),
        card: cards::key,
        copy: |facts, id, key| {
            let r = facts.servers.redis.iter().find(|r| r.id == id).ok_or("nothing to copy: the server is gone")?;
            let found = key.and_then(|key| r.keys.as_ref().ok()?.rows.iter().find(|k| rows::key_of(k) == key));
            let look = found.and_then(|key| measure(r, key)).ok_or("nothing to copy: its name cannot be passed to a shell")?;
            Ok(Copied { text: pasted(&look), what: format!("{} [{}]", look.title, look.target) })
        },
        nothing: |facts, id| {
            let lack = facts.servers.redis.iter().find(|r| r.id == id).and_then(|r| r.keys.as_ref().err());
            lack.map_or_else(|| "no keys".to_owned(), |lack| format!("? {lack}"))
        },
        ..Tab::plain("Keys", &[figure("MEMORY", 9, 0), words("TYPE", 8, 0), figure("DB", 3, 60), words("KEY", 0, 0)])
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::levels),
        nothing: |facts, id| nothing(facts, id, "not read yet"),
        ..Tab::plain("Memory, persistence, replication", &[words("WHAT", 30, 0), words("FIGURE", 24, 0), words("MORE", 0, 0)])
    },
    Tab {
        rows: |facts, id, _| of(facts, id, rows::settings),
        nothing: |facts, id| nothing(facts, id, "CONFIG GET was not read yet, or may not be"),
        ..Tab::plain("Settings", &[words("SETTING", 38, 0), words("VALUE", 0, 0)])
    },
];

/// The command that ends the client of a row.
fn end(
    facts: &Facts,
    id: &str,
    key: Option<&str>,
    client: impl for<'a> Fn(&'a RedisFacts, &str) -> Option<&'a Client>,
) -> Result<Copied, &'static str> {
    let r = facts.servers.redis.iter().find(|r| r.id == id).ok_or("nothing to copy: the server is gone")?;
    let client = key.and_then(|key| client(r, key)).ok_or("nothing to copy: that client is not connected any more")?;
    let fix = kill(r, client).ok_or("nothing to copy: its address cannot be passed to a shell")?;
    Ok(Copied { text: pasted(&fix), what: format!("{} [{}]", fix.title, fix.target) })
}

fn of(facts: &Facts, id: &str, rows: impl Fn(&RedisFacts) -> Vec<Row>) -> Vec<Row> {
    facts.servers.redis.iter().find(|r| r.id == id).map(rows).unwrap_or_default()
}

fn nothing(facts: &Facts, id: &str, otherwise: &str) -> String {
    let lack = facts.servers.redis.iter().find(|r| r.id == id).and_then(|r| r.info.as_ref().err().cloned());
    lack.map_or_else(|| otherwise.to_owned(), |lack| format!("? {lack}"))
}
