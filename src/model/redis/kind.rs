//! Redis as a kind of server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::facts::{RedisFacts, redis as facts};
use crate::model::kind::{Answered, Here, HostOf, Moment, ServerKind};
use crate::model::seen::Why;

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
        for (_, answer) in answers.iter().filter(|(ask, _)| **ask == RedisAsk::Clients) {
            match answer {
                Ok(RedisDetail::Begun) => {}
                Ok(RedisDetail::Clients(clients)) => (after.clients, after.clients_ns) = (Ok(Arc::new(clients.clone())), now_ns),
                // "Not now" says nothing of the list before; "never", or "no longer", does.
                Err(lack) if after.clients.is_ok() && matches!(lack.why, Why::NotYet | Why::TimedOut) => {}
                Err(lack) => after.clients = Err((*lack).clone()),
            }
        }
        after
    }

    fn join(earlier: RedisSample, later: RedisSample) -> RedisSample {
        RedisSample {
            instance: later.instance.or(earlier.instance),
            info: later.info.or(earlier.info),
            round_trips_ms: [earlier.round_trips_ms, later.round_trips_ms].concat(),
            latency: later.latency.or(earlier.latency),
            slowlog: later.slowlog.or(earlier.slowlog),
            clients: later.clients.or(earlier.clients),
            settings: later.settings.or(earlier.settings),
            keys: later.keys.or(earlier.keys),
            silent_ms: later.silent_ms,
            own: later.own.or(earlier.own),
        }
    }

    fn facts(window: &[Moment<'_, RedisState>], _: &HostOf<'_>) -> Vec<RedisFacts> {
        facts::derive(window)
    }

    fn here(r: &RedisFacts) -> Option<Here<'_>> {
        let instance = r.instance.as_ref()?;
        Some(Here { id: &r.id, root: instance.process, port: instance.port.filter(|_| r.local()) })
    }
}

/// What a server of Redis can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisAsk {
    /// Its clients, before their turn.
    Clients,
    /// Its largest keys: they are walked over for a while.
    Keys,
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedisDetail {
    /// Its clients.
    Clients(Clients),
    /// It began; what is found comes with the samples.
    Begun,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::seen::Lack;

    #[test]
    fn a_list_that_is_not_read_now_stays_and_one_that_is_denied_goes() {
        let (nothing, fresh) = (RedisState::default(), RedisSample::default());
        let listed = RedisDetail::Clients(Clients { all: 7, ..Clients::default() });
        let refused = Lack::new(Why::NotYet, "read a moment ago");
        let once = Redis::fold(&nothing, &fresh, &[(&RedisAsk::Clients, Ok(&listed))], 5);
        let twice = Redis::fold(&once, &fresh, &[(&RedisAsk::Clients, Err(&refused))], 9);
        assert_eq!((twice.clients.as_ref().map(|c| c.all), twice.clients_ns), (Ok(7), 5));
        let never = Redis::fold(&nothing, &fresh, &[(&RedisAsk::Clients, Err(&refused))], 9);
        assert_eq!(never.clients.as_ref().err(), Some(&refused));
        let denied = Lack::new(Why::Denied, "NOPERM");
        let gone = Redis::fold(&once, &fresh, &[(&RedisAsk::Clients, Err(&denied))], 9);
        assert_eq!(gone.clients.as_ref().err(), Some(&denied));
    }
}
