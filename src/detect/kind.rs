//! What the judgement asks of a kind of server: one value of these functions a kind.

use std::collections::BTreeMap;

use crate::model::facts::Facts as World;
use crate::model::host::ProcId;
use crate::model::seen::Lack;
use crate::model::source::{SourceKind, SourceStatus};

use super::finding::Fix;
use super::learned::Learned;
use super::ledger::{Actor, State, Told};

/// A session of a server.
#[derive(Debug, Clone)]
pub struct SessionOf<'a> {
    /// Its server, by source id.
    pub source: &'a str,
    /// Whose it is, in words.
    pub label: String,
    /// How to see what it waits for.
    pub look: Fix,
}

/// A figure by its name; `None` where it is not known.
pub type Count = (&'static str, Option<f64>);

/// What a server does of one sort: a query, a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// What.
    pub name: String,
    /// Calls per second.
    pub per_s: f64,
    /// Seconds per second that they take.
    pub busy: f64,
}

/// One kind of server.
#[derive(Debug)]
pub struct Kind {
    /// Which.
    pub kind: SourceKind,
    /// What its servers tell of their sessions.
    pub tell: fn(&World, &mut Told),
    /// What a server does for its clients, per second, by its id; `None` where it is not known.
    pub throughput: fn(&World, &str) -> Option<f64>,
    /// What was learned is written into the facts before they are judged.
    pub recall: fn(&mut World, &Learned),
    /// Why a server is only partly visible, by its id; `None` when all of it is.
    pub partly_seen: fn(&World, &str) -> Option<Lack>,
    /// The ids of its servers.
    pub servers: fn(&World) -> Vec<&str>,
    /// The processes of its servers on this host.
    pub programs: fn(&World) -> Vec<ProcId>,
    /// The settings of a server that a judgement may depend on, as people write them; empty where they are not known.
    pub settings: fn(&World, &str) -> BTreeMap<String, String>,
    /// What its clients do now that they did not before, in words.
    pub came: fn(&World, &str) -> Vec<String>,
    /// What befell the server itself, and how many seconds ago.
    pub ages: fn(&World, &str) -> Vec<(&'static str, f64)>,
    /// What it does, by sort, as it was counted last.
    pub work: fn(&World, &str) -> Vec<Work>,
    /// How it is seen whole, where parts are missing.
    pub see_whole: fn(&World, &SourceStatus) -> Option<Fix>,
    /// The session that an actor is, and how to see what it waits for.
    pub session: for<'a> fn(&'a World, &Actor, State) -> Option<SessionOf<'a>>,
    /// A command of an origin as it is typed for that server.
    pub by_hand: fn(&World, &str, &str) -> String,
    /// The findings by which clients are turned away.
    pub refuses: &'static [&'static str],
    /// The findings that say that clients suffer.
    pub suffers: &'static [&'static str],
    /// What is kept of a server over time: always the same figures in the same order; `None` is a gap.
    pub counts: fn(&World, &str) -> Vec<Count>,
}

impl Kind {
    /// A kind whose servers have no sessions, do nothing that is counted, and are seen whole or not at all.
    #[must_use]
    pub const fn plain(kind: SourceKind, servers: fn(&World) -> Vec<&str>) -> Self {
        Self {
            kind,
            tell: |_, _| {},
            throughput: |_, _| None,
            recall: |_, _| {},
            partly_seen: |_, _| None,
            servers,
            programs: |_| Vec::new(),
            settings: |_, _| BTreeMap::new(),
            came: |_, _| Vec::new(),
            ages: |_, _| Vec::new(),
            work: |_, _| Vec::new(),
            see_whole: |_, _| None,
            session: |_, _, _| None,
            by_hand: |_, _, command| command.to_owned(),
            refuses: &[],
            suffers: &[],
            counts: |_, _| Vec::new(),
        }
    }
}

/// The kind of a source.
#[must_use]
pub fn of<'k>(kinds: &'k [Kind], source: &str) -> Option<&'k Kind> {
    kinds.iter().find(|kind| source.split(':').next() == Some(kind.kind.word()))
}

/// The session that an actor is.
#[must_use]
pub fn session_of<'a>(kinds: &[Kind], world: &'a World, actor: &Actor, state: State) -> Option<SessionOf<'a>> {
    kinds.iter().find_map(|kind| (kind.session)(world, actor, state))
}
