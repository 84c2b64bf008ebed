//! What a server is asked and answers, as a demand and its answer.

use crate::model::demand::{Demand, Detail};
use crate::model::server::{ServerAsk, ServerDetail};

use super::kind::{PgAsk, PgDetail};

impl PgAsk {
    /// As a demand on that server.
    #[must_use]
    pub fn of(self, source: &str) -> Demand {
        Demand::Server { source: source.to_owned(), ask: ServerAsk::Postgres(self) }
    }
}

impl From<PgDetail> for Detail {
    fn from(detail: PgDetail) -> Self {
        Self::Server(ServerDetail::Postgres(detail))
    }
}
