//! What an echo server said: how long a line took to come back.

use serde::{Deserialize, Serialize};

use super::kind::{Answered, HostOf, Moment, Nothing, ServerKind};

/// Keys of a server in the configuration.
pub const SETTINGS: &[&str] = &["url", "password_file"];

/// The kind.
#[derive(Debug, Clone, Copy)]
pub struct Echo;

/// A round trip.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Trip {
    /// Milliseconds; `None`: nothing came back yet.
    pub ms: Option<f64>,
}

/// What is known of one server.
#[derive(Debug, Clone)]
pub struct EchoFacts {
    /// Source id.
    pub id: String,
    /// Its newest round trip.
    pub trip: Trip,
}

impl ServerKind for Echo {
    type Sample = Trip;
    type State = Trip;
    type Facts = EchoFacts;
    type Ask = Nothing;
    type Detail = Nothing;

    fn fold(before: &Trip, fresh: &Trip, _answers: &[Answered<'_, Self>], _now_ns: u64) -> Trip {
        Trip { ms: fresh.ms.or(before.ms) }
    }

    fn join(earlier: Trip, later: Trip) -> Trip {
        Trip { ms: later.ms.or(earlier.ms) }
    }

    fn facts(window: &[Moment<'_, Trip>], _host: &HostOf<'_>) -> Vec<EchoFacts> {
        let newest = window.iter().last().into_iter().flat_map(|moment| moment.servers);
        newest.map(|(id, trip)| EchoFacts { id: id.clone(), trip: **trip }).collect()
    }
}
