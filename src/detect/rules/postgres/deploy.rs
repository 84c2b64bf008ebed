//! A query that came up while perftop watched: what was deployed with it can be rolled back.

use crate::detect::command::{Command, named};
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::verdict::Facts;
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::Session;
use crate::model::unit::seconds;

use super::support::sql;
use crate::detect::postgres::queries::Costly;

/// Offered for a query that came up while the server was known already; names the client that sends it, and since when it is connected.
#[must_use]
pub fn rollback(facts: &Facts<'_>, pg: &PgFacts, costly: &Costly<'_>) -> Option<Fix> {
    if !costly.row.came || !facts.learned.servers.postgres.is_new(&pg.id, costly.row) {
        return None;
    }
    let activity = pg.activity.as_ref().ok()?;
    let runs = activity.sessions.iter().filter(|s| s.queries.contains(&costly.row.key.query));
    let mut senders: Vec<&Session> = runs.filter_map(|s| activity.seen(s)).collect();
    senders.sort_by_key(|s| (s.started_us, s.pid));
    let has_name = |s: &&&Session| !s.application.is_empty();
    let application = senders.first().filter(has_name).map_or("the application", |s| s.application.shown());
    // Before PostgreSQL 14 no session tells its query: then only its role is known.
    let since = senders.first().map_or_else(String::new, |oldest| {
        let since_s = (activity.newest.server_us - oldest.started_us).max(0) as f64 / 1e6;
        format!(", connected for {}", seconds(since_s))
    });
    let mut fix =
        sql(pg, Phase::Relief, Horizon::Immediate, "Roll back what was deployed with it", String::new(), &Foreign::default());
    fix.command = Command::note(format!(
        "-- {} as role {}{since}: deploy the previous version; it did not send this query",
        named(application.as_bytes()),
        named(costly.row.role.shown().as_bytes())
    ));
    fix.needs = format!("whoever deploys {application}");
    fix.risk = "everything else in that version is rolled back too".into();
    fix.takes_s = None;
    Some(fix)
}
