//! Redis as a kind of server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::facts::{ProcFacts, RedisFacts, redis as facts};
use crate::model::sample::Snapshot;
use crate::model::server::{Answered, ServerKind};

use super::{Clients, RedisSample, RedisState};

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Redis;

impl ServerKind for Redis {
    type Sample = RedisSample;
    type State = RedisState;
    type Facts = RedisFacts;
    type Ask = RedisAsk;
    type Detail = RedisDetail;

    fn fold(before: &RedisState, fresh: &RedisSample, answers: &[Answered<'_, Self>], now_ns: u64) -> RedisState {
        let mut after = before.fold(fresh, now_ns);
        for (RedisAsk::Clients, answer) in answers {
            let found = answer.map(|RedisDetail::Clients(clients)| Arc::new(clients.clone())).map_err(Clone::clone);
            (after.clients, after.clients_ns) = (found, now_ns);
        }
        after
    }

    fn facts(window: &[Arc<Snapshot>], _: &[ProcFacts]) -> Vec<RedisFacts> {
        facts::derive(window)
    }
}

/// What a server of Redis can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisAsk {
    /// Its clients, before their turn.
    Clients,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisDetail {
    /// Its clients.
    Clients(Clients),
}
