//! postgres.query.temp_spill: sorts and hashes spill to disk.

use crate::detect::command::sh;
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::ledger::State;
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::limits::SPILL;
use crate::detect::postgres::queries::Costly;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::subject::Subject;
use crate::model::unit::{Unit, bytes};

use super::query_found;
use super::query_rule::{self, LOST};
use super::role_setting::role_setting;
use super::support::{called, query_subject};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.query.temp_spill",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sorts and hashes spill to disk",
    params: &[LOST, SPILL.param],
    origins: &["postgres.activity", "postgres.statements", "ledger"],
    page: "\
A statement writes temporary files, `spill` bytes per second and as many per call: its sort or hash did not fit into
`work_mem`. The bytes are the statement's own, by pg_stat_statements; perftop's own reads are left out. The loss is
its waiting for temporary files and half of the rest of its time.

**Relief**: more `work_mem` for the role that runs it: twice the spill per call, 8 MB to 1 GB, and no more than a
quarter of the memory available here over the role's sessions (64 MB on another host); offered where the server has
less. Whether that is enough is an estimate. It is taken per sort or hash and per session: `work_mem` times nodes
times sessions must fit into memory. When the query is new: roll back its deployment. **Cure**, by hand: an index in
the requested order; fewer rows or columns before the sort.",
    judge: Judge::Postgres(judge),
};

/// It writes that much to temporary files, each second and each call.
pub fn fits(case: &Case<'_>) -> Option<Kind> {
    let (temp, least) = ((case.row.grown.temp_written_blocks * 8192) as f64, case.least(SPILL));
    (temp / case.interval_s >= least && temp / case.row.grown.calls.max(1) as f64 >= least).then_some(Kind::TempSpill)
}

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    query_rule::judge(
        facts,
        params,
        prev,
        false,
        |k| matches!(k, Kind::TempSpill),
        |pg, params, costly, _| made(facts, pg, params, costly),
    )
}

fn made(facts: &Facts<'_>, pg: &PgFacts, params: &Params<'_>, costly: &Costly<'_>) -> Option<(Subject, Found)> {
    let g = &costly.row.grown;
    let calls = g.calls.max(1) as f64;
    let temp = (g.temp_written_blocks * 8192) as f64;
    let title = format!(
        "{} spills {} to disk per call, {}/s in total",
        called(pg, costly.row),
        bytes(temp / calls),
        bytes(temp / pg.interval_s().unwrap_or(1.0))
    );
    let mut found = query_found::found(pg, costly, title, 0.5);
    found.confidence = found.confidence.min(0.7);
    // What fits into memory waits for no temporary file at all.
    for (state, lost) in found.losses.iter_mut().filter(|(state, _)| *state == State::PostgresIoTemp) {
        *lost = costly.losses.iter().filter(|(s, _)| s == state).map(|(_, s)| s).sum();
    }
    found.evidence.insert(
        0,
        params.row("written to temporary files", temp / pg.interval_s().unwrap_or(1.0), SPILL.param, "postgres.statements"),
    );
    found
        .evidence
        .insert(1, evidence("written per call", temp / calls, Unit::Bytes, Some(params.get(SPILL.param)), "postgres.statements"));
    found.fixes = more_memory(facts, pg, costly, temp / calls);
    Some((query_subject(pg, costly.row), found))
}

/// Of what is available, this part may go to the sorts of that role.
const PART: f64 = 0.25;
/// Megabytes that are proposed where the memory of the host is not known.
const UNKNOWN_MB: f64 = 64.0;

fn more_memory(facts: &Facts<'_>, pg: &PgFacts, costly: &Costly<'_>, spilled: f64) -> Vec<Fix> {
    // A sort in memory takes about twice what it takes on disk.
    let wanted = (spilled * 2.0 / 1_048_576.0).ceil().clamp(8.0, 1024.0).log2().ceil().exp2();
    let rows = pg.cluster.as_ref().map_or(&[] as &[_], |c| c.connections.as_slice());
    let sessions: u32 = rows.iter().filter(|c| c.role == costly.row.role).map(|c| c.all).sum();
    let memory = facts.world.host.memory.as_ref().ok().filter(|_| pg.local());
    let room = memory.map(|m| m.available_bytes as f64 * PART / f64::from(sessions.max(1)) / 1_048_576.0);
    let most = room.map_or(UNKNOWN_MB, |mb| mb.max(4.0).log2().floor().exp2());
    let megabytes = wanted.min(most);
    // What is in force for the role already may be more.
    let cluster = pg.cluster.as_ref().ok();
    let now = cluster.and_then(|c| c.bytes("work_mem")).map_or(0.0, |b| b / 1_048_576.0);
    if megabytes <= now {
        return Vec::new();
    }
    let title = "Give its role more memory for sorts and hashes";
    let value = format!("{megabytes:.0}MB");
    let fix = role_setting(pg, Phase::Relief, Horizon::Immediate, title, &costly.row.role, ("work_mem", &value));
    let said = fix.map(|mut fix| {
        fix.risk = format!("up to {megabytes:.0} MB for each sort or hash of each of its {} sessions", sessions.max(1));
        let what = match room {
            Some(_) => {
                format!(
                    "an estimated {wanted:.0} MB would keep it off the disk; a quarter of the available memory allows {most:.0}"
                )
            }
            None => format!("an estimated {wanted:.0} MB would keep it off the disk; the memory of that host is not known here"),
        };
        fix.preflight.push(Preflight { ok: megabytes >= wanted && room.is_some(), what });
        fix.verify = sh!("perftop check --for 15s --only postgres.query.temp_spill");
        fix
    });
    said.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::Table;
    use crate::detect::bench::postgres::Statement;
    use crate::model::postgres::WaitClass;

    fn spills(bytes: u64, ms: f64) -> Statement {
        Statement { spills: bytes, ms, ..Statement::default() }
    }

    #[test]
    fn a_spill_is_found_and_held() {
        let spills_much = spills(2 << 20, 20.0);
        Table {
            clear: spills_much.busy(60),
            unknown: Statement::unread(),
            found: spills_much.bench(),
            held: Some(spills_much.busy(80)),
        }
        .check(&RULE);
        spills_much
            .bench()
            .must_say(&RULE, "found `SELECT id FROM orders WHERE customer_id = $1` spills 2.0 MiB to disk per call, 11 MiB/s");
        // What fits into memory waits for no temporary file, and does half of the rest.
        let waits_for = |class| {
            spills_much.bench().served(|pg| {
                let activity = pg.activity.as_mut().unwrap();
                activity.by_query.values_mut().for_each(|of| *of = [(class, of.values().sum())].into());
            })
        };
        let (files, data) = (waits_for(WaitClass::IoTemp).loses(&RULE), waits_for(WaitClass::IoRead).loses(&RULE));
        assert!(data > 0.04 && (files - 2.0 * data).abs() < 1e-9, "{files} {data}");
        // Too little a call, and too little a second.
        spills((1 << 20) - 8192, 20.0).bench().must_say(&RULE, "clear");
        spills(1 << 20, 122.0).bench().must_say(&RULE, "clear");
        spills(750_000, 20.0).bench().must_say_after(&RULE, Some(&spills_much.bench()), "found");
        spills(720_000, 20.0).bench().must_say_after(&RULE, Some(&spills_much.bench()), "clear");
    }
}
