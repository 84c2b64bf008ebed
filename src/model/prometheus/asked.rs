//! What a server is asked, as a demand.

use crate::model::demand::Demand;
use crate::model::server::ServerAsk;

use super::kind::PrometheusAsk;

impl PrometheusAsk {
    /// As a demand on that server.
    #[must_use]
    pub fn of(self, source: &str) -> Demand {
        Demand::Server { source: source.to_owned(), ask: ServerAsk::Prometheus(self) }
    }
}
