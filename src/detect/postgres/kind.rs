//! PostgreSQL as a kind of server that is judged.

use crate::detect::kind::Kind;
use crate::detect::rules::postgres as rules;
use crate::model::facts::{Facts, PgFacts};
use crate::model::source::SourceKind;

use super::{backends, baseline, changed};

/// Its row.
pub const KIND: Kind = Kind {
    kind: SourceKind::Postgres,
    tell: backends::tell,
    throughput: baseline::throughput,
    recall: |world, learned| baseline::recall(world, &learned.servers.postgres),
    partly_seen: |world, id| server(world, id)?.partly_seen(),
    servers: |world| world.servers.postgres.iter().map(|pg| pg.id.as_str()).collect(),
    programs: |world| world.servers.postgres.iter().filter_map(|pg| pg.server.as_ref()?.postmaster).collect(),
    settings: |world, id| server(world, id).map(changed::settings).unwrap_or_default(),
    came: |world, id| server(world, id).map(changed::came).unwrap_or_default(),
    ages: |world, id| server(world, id).map(changed::ages).unwrap_or_default(),
    work: |world, id| server(world, id).map(changed::work).unwrap_or_default(),
    see_whole: rules::see_whole,
    session: rules::session_of,
    by_hand: |_, _, command| command.to_owned(),
    refuses: &[rules::exhausted::ID],
    suffers: &[],
    counts: backends::counts,
};

fn server<'a>(world: &'a Facts, id: &str) -> Option<&'a PgFacts> {
    world.servers.postgres.iter().find(|pg| pg.id == id)
}
