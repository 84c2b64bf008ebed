//! Who a server is, and what of it can be read: asked once for each connection.

use std::collections::BTreeMap;

use redis::Value;

use crate::collect::root::Roots;
use crate::model::foreign::Foreign;
use crate::model::redis::{Flavour, Instance, Mode};
use crate::model::seen::{Lack, Why};

use super::answers::bytes;
use super::session::Session;
use super::target::Target;
use super::trouble::Trouble;
use super::{info, place};

/// Commands that tell more, and how each is asked for once.
const MORE: [(&str, &[&str]); 3] = [
    ("CONFIG GET", &["CONFIG", "GET", "maxmemory"]),
    ("SLOWLOG GET", &["SLOWLOG", "GET", "1"]),
    ("LATENCY HISTOGRAM", &["LATENCY", "HISTOGRAM", "ping"]),
];

/// The least that its ACL user needs there, on one line.
#[must_use]
pub fn acl(target: &Target) -> String {
    let (cli, user) = (target.way("redis-cli"), target.user.as_deref().unwrap_or_default());
    const NEEDS: &str =
        "+ping +info '+slowlog|get' '+latency|histogram' '+config|get' '+client|list' '+client|setname' '+client|id'";
    match user {
        // A user of its own, with nothing else.
        "" | "default" => format!("{cli} ACL SETUSER perftop on '>PASSWORD' -@all {NEEDS}"),
        // One that has rights already keeps them.
        plain if plain.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) => {
            format!("{cli} ACL SETUSER {plain} {NEEDS}")
        }
        _ => format!("{cli} ACL SETUSER NAME {NEEDS}   (for the user that perftop is there)"),
    }
}

/// INFO with all sections that the server has.
///
/// # Errors
/// What the server said.
pub async fn read(session: &mut Session) -> Result<Vec<u8>, Trouble> {
    let answer = session.ask(&["INFO", "everything"]).await?;
    bytes(&answer).map(<[u8]>::to_vec).ok_or_else(|| Trouble::Lost("INFO gave no text".into()))
}

/// Asks who it is.
///
/// # Errors
/// It does not let us read INFO, or does not answer.
pub async fn ask(session: &mut Session, target: &Target, roots: &Roots) -> Result<Instance, Trouble> {
    let text = read(session).await?;
    let major = info::value(&text, "redis_version").and_then(|v| v.split('.').next()?.parse::<u32>().ok());
    session.flat = major.is_some_and(|major| major < 7);
    let word = |name: &str| info::value(&text, name);
    let name = word("server_name").unwrap_or_default();
    let flavour = match (word("valkey_version"), word("redis_version")) {
        (Some(_), _) => Flavour::Valkey,
        _ if name.eq_ignore_ascii_case("valkey") => Flavour::Valkey,
        (None, Some(_)) if word("dragonfly_version").is_none() && word("mvcc_depth").is_none() => Flavour::Redis,
        _ => Flavour::Unknown,
    };
    let version = word("valkey_version").or_else(|| word("redis_version")).unwrap_or_default();
    let number = |name: &str| word(name).and_then(|v| v.parse::<f64>().ok());
    let says = number("process_id").map(|pid| pid as i32);
    let (place, process) = place::prove(roots, says, number("uptime_in_seconds"), target.seen.map(|id| id.pid));
    let mut missing = BTreeMap::new();
    for (what, words) in MORE {
        if let Err(trouble) = session.ask(words).await {
            if trouble.fatal() {
                return Err(trouble);
            }
            missing.insert(what.to_owned(), lack(what, &trouble, target));
        }
    }
    // Others see who asks; a user that may not say so does no harm.
    _ = session.ask(&["CLIENT", "SETNAME", "perftop"]).await;
    let own_id = match session.ask(&["CLIENT", "ID"]).await {
        Ok(Value::Int(id)) => Some(id),
        _ => None,
    };
    Ok(Instance {
        flavour,
        version: Foreign::from(version),
        mode: match word("redis_mode").or_else(|| word("server_mode")) {
            Some("cluster") => Mode::Cluster,
            Some("sentinel") => Mode::Sentinel,
            _ => Mode::Standalone,
        },
        replica: word("role") == Some("slave"),
        run_id: Foreign::from(word("run_id").unwrap_or_default()),
        place,
        process,
        port: number("tcp_port").map(|p| p as u16).filter(|p| *p > 0),
        dialled: session.dialled.clone(),
        reached: target.reached(),
        own_id,
        missing,
    })
}

fn lack(what: &str, trouble: &Trouble, target: &Target) -> Lack {
    match trouble.word() {
        "NOPERM" => Lack::new(Why::Denied, format!("{what}: {trouble}")).lifted_by(acl(target)),
        _ => Lack::new(Why::Absent, format!("{what}: {trouble}")),
    }
}
