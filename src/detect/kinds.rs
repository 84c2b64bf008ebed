//! What the judgement knows of each kind of server that is read: one row a kind.

use crate::model::facts::Facts;
use crate::model::source::SourceKind;

use super::ledger::Told;
use super::postgres;

/// One kind of server.
pub struct Kind {
    /// Which.
    pub kind: SourceKind,
    /// What its servers tell of their sessions.
    pub tell: fn(&Facts, &mut Told),
    /// What a server does for its clients, per second, by its id; `None` where it is not known.
    pub throughput: fn(&Facts, &str) -> Option<f64>,
}

/// What a server does for its clients, per second: whether those who were to gain from a fix still work.
#[must_use]
pub fn throughput(facts: &Facts, source: &str) -> Option<f64> {
    let kind = KINDS.iter().find(|kind| source.split(':').next() == Some(kind.kind.word()))?;
    (kind.throughput)(facts, source)
}

/// All kinds.
pub const KINDS: &[Kind] =
    &[Kind { kind: SourceKind::Postgres, tell: postgres::backends::tell, throughput: postgres::baseline::throughput }];
