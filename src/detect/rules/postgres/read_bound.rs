//! postgres.io.read_bound: sessions wait for reads, and no single query is behind most of them.

use super::support::{self, confidence, instance, interval, setting};
use crate::detect::finding::{Class, Fix, Horizon, Phase, Preflight};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::WaitClass;
use crate::model::unit::{Unit, short};

const LOST: Param = Param {
    name: "lost",
    unit: Unit::SecondsPerSecond,
    default: 0.3,
    min: 0.001,
    max: 1000.0,
    what: "sessions waiting for reads, beyond the disk's baseline",
};
const QUERY: Param = Param {
    name: "query",
    unit: Unit::Percent,
    default: 60.0,
    min: 10.0,
    max: 100.0,
    what: "share of all read waits in one query, from which that query is the cause",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.io.read_bound",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "sessions wait for reads, and no single query is behind most of them",
    params: &[LOST, QUERY],
    origins: &["postgres.activity", "postgres.settings", "ledger"],
    page: "\
Sessions wait for data files to be read, and no single query is behind most of it (before 14 no session names its
query: then that is not checked). The working set may not fit into memory, or the disk may be slow. The disk's
baseline counts as productive: the threshold applies to the wait beyond it, the evidence row shows the whole wait.
When another cause slows the disk, or a group's limit makes the page cache too small, that is the cause and this is
listed under it.

**Cure**: twice the `shared_buffers`, up to 40 % of this host's memory, at a restart; by hand: more memory for the
page cache, a faster disk, fewer pages per row returned.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let activity = match support::activity(pg) {
        Ok(activity) => activity,
        Err(answer) => return answer,
    };
    let (waiting, lost) = support::beyond_baseline(facts, activity, WaitClass::IoRead);
    let subject = instance(pg);
    let of = |c: &std::collections::BTreeMap<WaitClass, f64>| c.get(&WaitClass::IoRead).copied().unwrap_or(0.0);
    let top = activity.by_query.values().map(of).fold(0.0, f64::max);
    if lost < params.limit(LOST, is_held(prev, &subject)) {
        return Judged::clear(subject, format!("{} sessions wait for reads", short(waiting)));
    }
    if top / waiting * 100.0 >= params.most(QUERY, is_held(prev, &subject)) {
        return Judged::clear(subject, format!("{} sessions wait for reads, most of them in one query", short(waiting)));
    }
    let mut found = Found::new(
        Class::Live,
        format!("{} sessions wait for reads of data files, no single query behind most of them", short(waiting)),
    );
    found.losses = vec![(State::PostgresIoRead, lost)];
    found.victims_time =
        activity.sessions.iter().filter(|s| s.class(WaitClass::IoRead) > 0.0).map(|s| s.active() * s.weight).sum();
    found.ci = Some(interval(pg, lost));
    found.confidence = confidence(pg, lost);
    found.evidence =
        vec![evidence("sessions waiting for reads", waiting, Unit::Count, Some(params.get(LOST)), "postgres.activity")];
    // Before 14 nobody knows whose query a session runs.
    if activity.by_query.is_empty() {
        found.lacks = 1;
    } else {
        let top = top / waiting * 100.0;
        found.evidence.push(params.row_below("largest share in one query", top, QUERY, "postgres.activity"));
    }
    let buffers = pg.cluster.as_ref().ok().and_then(|c| c.bytes("shared_buffers"));
    if let Some(buffers) = buffers {
        found.evidence.push(evidence("shared_buffers", buffers, Unit::Bytes, None, "postgres.settings"));
        found.fixes = more_memory(facts, pg, buffers).into_iter().collect();
    }
    Judged::found(subject, found)
}

/// Of a host's memory, what shared_buffers may take: beyond it the page cache lacks what they gain.
const MOST_OF_MEMORY: f64 = 0.4;

/// Twice the buffers, as far as the host has the memory; none when they have their share already.
fn more_memory(facts: &Facts<'_>, pg: &PgFacts, buffers: f64) -> Option<Fix> {
    let host = facts.world.host.memory.as_ref().ok().filter(|_| pg.local());
    let most = host.map_or(f64::INFINITY, |m| m.raw.total as f64 * MOST_OF_MEMORY);
    let wanted = (buffers * 2.0).min(most);
    if wanted < buffers * 1.1 {
        return None;
    }
    let title = if wanted < buffers * 2.0 { "Raise shared_buffers" } else { "Double shared_buffers" };
    let value = format!("{:.0}MB", (wanted / 1_048_576.0).floor());
    let mut fix = setting(pg, Phase::Cure, Horizon::LongTerm, title, "shared_buffers", &value)?;
    fix.risk = "that memory is taken from the page cache and everyone else".into();
    if host.is_none() {
        fix.preflight
            .push(Preflight { ok: false, what: "the memory of that host is not known here: use at most 40 % of it".into() });
    }
    Some(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{seen, waits};
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{PgState, Session, WaitKind};

    /// Two sessions that read, each in its own query, for so many of a thousand looks.
    fn reads(first: u32, second: u32) -> Bench {
        let read = |pid: i32, looks| (Session { query_id: Some(pid.into()), ..waits(pid, WaitKind::Io, "DataFileRead") }, looks);
        seen(vec![read(10, first), read(11, second)])
    }

    #[test]
    fn sessions_that_wait_for_reads_are_found_and_held() {
        Table {
            clear: reads(100, 100),
            unknown: Some(Bench::postgres(PgState::default())),
            found: reads(160, 150),
            held: Some(reads(150, 140)),
        }
        .check(&RULE);
        reads(160, 150).must_say(&RULE, "found 0.3 sessions wait for reads of data files");
        // Most of it is one query's.
        reads(190, 120).must_say(&RULE, "clear");
        reads(190, 120).must_say_after(&RULE, Some(&reads(160, 150)), "found");
    }
}
