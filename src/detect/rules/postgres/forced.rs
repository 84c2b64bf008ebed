//! postgres.checkpoints.forced: checkpoints are requested early, usually by WAL volume.

use super::support::{confidence, setting, unknown};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::ledger::State;
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::postgres::WaitClass;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

const FORCED: Param = Param {
    name: "forced",
    unit: Unit::PerSecond,
    default: 0.01,
    min: 0.0001,
    max: 10.0,
    what: "requested checkpoints per second over the last 120 s; at least two are needed, so below 0.017 it has no effect",
};
const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 50.0,
    min: 10.0,
    max: 100.0,
    what: "requested checkpoints as a share of all",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.checkpoints.forced",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "checkpoints are requested early, usually by WAL volume",
    params: &[FORCED, SHARE],
    origins: &["postgres.checkpoints", "postgres.activity", "postgres.cluster", "ledger"],
    page: "\
Two checkpoints or more were requested within the last two minutes, and `share` of all or more: usually because WAL
fills `max_wal_size` before `checkpoint_timeout` has passed. It counts all requests, including manual ones and those
of base backups. Changed pages are written again and again, and after each checkpoint the first change of a page
writes the whole page to WAL. The loss is what sessions wait for writes of data files, and of their waits for WAL the
share of full pages in it (Δwal_fpi x 8 kB / ΔWAL; 30 % where that is not known), both beyond the disk's baseline.

**Relief**: a larger `max_wal_size`: 2.5 times the WAL of one `checkpoint_timeout`, and twice the present value at
least. It needs that much disk, and recovery after a crash takes longer.",
    judge: Judge::Postgres(judge),
};

/// One alone says nothing.
const SEVERAL: f64 = 2.0;

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    // What was forced a quarter of an hour ago says nothing about now.
    const LATELY_S: f64 = 120.0;
    let grown = |what: &str| facts.trend(what).and_then(|s| s.lately(LATELY_S)).filter(|(_, span)| *span > 0.0);
    let (Some((asked, span)), Some((timed, _))) = (grown("checkpoints requested"), grown("checkpoints timed")) else {
        return unknown(pg, &crate::model::seen::Lack::first_sample("checkpoints"));
    };
    let subject = Subject::new(SubjectType::Setting, "max_wal_size", "max_wal_size");
    let held = is_held(prev, &subject);
    let per_s = asked / span.max(20.0);
    let share = asked / (asked + timed).max(1.0) * 100.0;
    // One may be by hand.
    if asked < SEVERAL || per_s < params.limit(FORCED, held) || share < params.limit(SHARE, held) {
        return Judged::clear(
            subject,
            format!("{asked:.0} of {:.0} checkpoints within {} were requested", asked + timed, seconds(span)),
        );
    }
    let size = cluster.bytes("max_wal_size").unwrap_or(0.0);
    let activity = pg.activity.as_ref().ok();
    let class = |c: WaitClass| activity.map_or(0.0, |a| a.class(c));
    let full = pg.rate(|c| c.wal.full_page_images).zip(pg.rate(|c| c.wal.position));
    let pages = full.map_or(0.3, |(images, wal)| (images * 8192.0 / wal.max(1.0)).clamp(0.0, 1.0));
    let mut found = Found::new(
        Class::Live,
        format!(
            "Checkpoints are requested early: one every {} with max_wal_size = {}",
            seconds(1.0 / per_s.max(1e-9)),
            bytes(size)
        ),
    );
    let baseline = |state: State| {
        if facts.ledger.state(state) > 0.0 { facts.ledger.baseline(state) / facts.ledger.state(state) } else { 0.0 }
    };
    found.losses = vec![
        (State::PostgresIoWrite, class(WaitClass::IoWrite) * (1.0 - baseline(State::PostgresIoWrite))),
        (State::PostgresWal, class(WaitClass::Wal) * pages * (1.0 - baseline(State::PostgresWal))),
    ];
    found.victims_time = activity.map_or(0.0, |a| a.active());
    found.confidence = confidence(pg, found.lost());
    found.evidence = vec![
        evidence("checkpoints requested, last 120 s", asked, Unit::Count, Some(SEVERAL), "postgres.checkpoints"),
        params.row("share of all checkpoints", share, SHARE, "postgres.checkpoints"),
    ];
    match full {
        Some(_) => {
            found.evidence.push(evidence("full-page share of WAL", pages * 100.0, Unit::Percent, None, "postgres.cluster"))
        }
        None => found.lacks = 1,
    }
    let wal =
        facts.trend("wal").and_then(|s| s.growth().map(|(rate, _)| rate)).or_else(|| pg.rate(|c| c.wal.position)).unwrap_or(0.0);
    let timeout = cluster.number("checkpoint_timeout").unwrap_or(300.0);
    // A checkpoint is forced at max_wal_size / (1 + checkpoint_completion_target), 1.9 since PostgreSQL 14: what the time between two timed
    // ones writes, with room; and never less than twice what is set.
    let set = cluster.number("max_wal_size").unwrap_or(1024.0) / 1024.0;
    let wanted = (wal * timeout * 2.5 / 1_073_741_824.0).max(set * 2.0).ceil().max(2.0);
    let title = "Allow more WAL between two checkpoints";
    let fix = setting(pg, Phase::Relief, Horizon::Immediate, title, "max_wal_size", &format!("{wanted:.0}GB"));
    let said = fix.map(|mut fix| {
        fix.risk = format!("up to {wanted:.0} GB of disk for WAL; recovery after a crash takes longer");
        fix.needs_bytes = Some((wanted * 1_073_741_824.0) as u64);
        fix
    });
    found.fixes = said.into_iter().collect();
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, SERVER, Table};
    use crate::model::postgres::Cluster;

    /// So many checkpoints were requested, and so many came by time, within a hundred seconds.
    fn checkpoints(requested: f64, timed: f64) -> Bench {
        Bench::cluster(Cluster::default()).knowing(|learned| {
            for (what, grown) in [("checkpoints requested", requested), ("checkpoints timed", timed)] {
                let series = learned.servers.postgres.trends.entry(format!("{SERVER} {what}")).or_default();
                series.push(0.0, 10.0);
                series.push(100.0, 10.0 + grown);
            }
        })
    }

    #[test]
    fn checkpoints_that_are_requested_are_found() {
        Table {
            clear: checkpoints(2.0, 5.0),
            unknown: Some(Bench::cluster(Cluster::default())),
            found: checkpoints(2.0, 2.0),
            held: Some(checkpoints(2.0, 3.0)),
        }
        .check(&RULE);
        checkpoints(2.0, 2.0).must_say(&RULE, "found Checkpoints are requested early: one every 50");
        checkpoints(1.0, 0.0).must_say(&RULE, "clear");
        let once = checkpoints(2.0, 2.0).knowing(|learned| {
            learned.servers.postgres.trends.values_mut().for_each(|series| _ = series.0.pop_back());
        });
        once.must_say(&RULE, "unknown");
    }
}
