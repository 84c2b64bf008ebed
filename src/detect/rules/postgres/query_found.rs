//! The finding that all rules of queries share.

use crate::detect::finding::Class;
use crate::detect::ledger::State;
use crate::detect::postgres::queries::Costly;
use crate::detect::verdict::{Found, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::plan::PlannedTable;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

use super::object::Object;
use super::support::sure;

/// The finding of one query: its time is waste as far as `recoverable` says.
#[must_use]
pub fn found(pg: &PgFacts, costly: &Costly<'_>, title: String, recoverable: f64) -> Found {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let interval_s = pg.interval_s().unwrap_or(1.0);
    let mut found = Found::new(Class::Live, title);
    found.losses = costly.losses.iter().map(|(state, s)| (*state, s * recoverable)).collect();
    found.waste = true;
    found.victims_time = costly.lost;
    found.ci = Some(costly.ci * recoverable);
    found.confidence = sure(pg, (costly.lost, costly.ci));
    found.evidence = vec![
        evidence("share of total statement time", share(pg, g.exec_ms), Unit::Percent, None, "postgres.statements"),
        evidence("calls", g.calls as f64 / interval_s, Unit::PerSecond, None, "postgres.statements"),
        evidence("mean time per call", g.exec_ms / calls, Unit::Milliseconds, None, "postgres.statements"),
        evidence("rows per call", g.rows as f64 / calls, Unit::Count, None, "postgres.statements"),
        evidence(
            "buffers touched per call",
            (g.hit_blocks + g.read_blocks) as f64 / calls,
            Unit::Count,
            None,
            "postgres.statements",
        ),
    ];
    if costly.row.alike > 0 {
        let label = "other entries that differ only in list length, counted with it";
        found.evidence.push(evidence(label, f64::from(costly.row.alike), Unit::Count, None, "postgres.statements"));
    }
    found
}

/// The same where what could be saved is work: of its waits for disks and WAL it claims nothing.
#[must_use]
pub fn on_cpu(pg: &PgFacts, costly: &Costly<'_>, title: String, recoverable: f64) -> Found {
    let mut found = found(pg, costly, title, recoverable);
    let of_cpu = |state: State| matches!(state, State::Working | State::CpuRunnable | State::PostgresCpu);
    let work: f64 = costly.losses.iter().filter(|(state, _)| of_cpu(*state)).map(|(_, s)| s).sum();
    let part = (recoverable * costly.lost / work.max(1e-9)).min(1.0);
    found.losses = costly.losses.iter().filter(|(state, _)| of_cpu(*state)).map(|(state, s)| (*state, s * part)).collect();
    found
}

fn share(pg: &PgFacts, exec_ms: f64) -> f64 {
    let all = pg.statements.as_ref().map_or(0.0, |s| s.all.exec_ms);
    if all > 0.0 { exec_ms / all * 100.0 } else { 0.0 }
}

/// A table of the plan of a query: what the catalogue says of it, how a statement writes it, and the subject.
#[must_use]
pub fn planned<'a>(pg: &'a PgFacts, costly: &Costly<'_>, table: usize) -> Option<(&'a PlannedTable, Object, Subject)> {
    let table = pg.plan(costly.row)?.1.as_ref().ok()?.tables.get(table)?;
    let object = Object::of(pg, &costly.row.database, &table.schema, &table.name, table.oid);
    let mut subject = object.subject(SubjectType::Table);
    subject.also = vec![format!("query:{}/{}", costly.row.database.shown(), costly.row.key.query)];
    Some((table, object, subject))
}
