//! postgres.replication.slot_retention: a slot retains WAL, or is lost; time until room runs out.

use super::support::{instance, setting, sql, unknown};
use crate::detect::command::Command;
use crate::detect::finding::{Class, Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::literal;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

const RETAINED: Param = Param {
    name: "retained",
    unit: Unit::Bytes,
    default: 33554432.0,
    min: 1048576.0,
    max: 1000000000000.0,
    what: "bytes of WAL a slot retains, active or not",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.replication.slot_retention",
    class: Class::Risk,
    culprit: Culprit::Many,
    says: "a slot retains WAL, or is lost; time until room runs out",
    params: &[RETAINED],
    origins: &["postgres.slots", "postgres.cluster"],
    page: "\
The slot retains WAL beyond the threshold, and nobody reads from it or its reader falls behind steadily for a minute
and more; or the server reports it as `unreserved` or `lost`. The server keeps all WAL since the last read, until the
disk is full (or `max_slot_wal_keep_size` invalidates the slot). A lost slot retains nothing any more: its reader must
be rebuilt.

Time left = room / rate. Room is what is left until the server invalidates the slot (`safe_wal_size`), else the free
space of the disk of the data directory, on this host (the least, where others are mounted in it). Rate is the WAL
written per second; for a slot that is read, the rate at which it falls behind.

**Relief**: drop the slot, if its reader is gone for good. **Cure**: a limit of 50 GB for all slots, where there is
none.",
    judge: Judge::Postgres(judge),
};

fn judge(facts: &View<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let rate = facts.trend("wal").and_then(|s| s.growth());
    let free = free_bytes(facts, pg);
    let mut judged = Judged::default();
    for slot in &cluster.slots {
        let subject = Subject::new(SubjectType::Slot, slot.name.shown(), format!("slot {}", slot.name));
        let lost = slot.wal_status.raw() == b"lost";
        let ill = lost || slot.wal_status.raw() == b"unreserved";
        // A lost slot holds nothing back any more; one that never was read neither.
        let retained = slot.retained_bytes.map_or(0.0, |b| b as f64);
        // One that is read is behind only when what it holds back grows.
        let trend = facts.trend(&format!("retained {}", slot.name)).and_then(|s| s.growth());
        let held = is_held(prev, &subject);
        let stands = !slot.active || trend.is_some() || held;
        if !ill && (!stands || retained < params.limit(RETAINED, held)) {
            let what = slot.retained_bytes.map_or_else(|| "it reserves no WAL".into(), |b| format!("{} of WAL", bytes(b as f64)));
            judged.verdicts.push((subject, Verdict::Clear(what)));
            continue;
        }
        let room = slot.safe_bytes.map(|b| b.max(0) as f64).or(free).filter(|_| !lost);
        let rate = if slot.active { trend } else { rate };
        let eta = rate.zip(room).map(|((median, slow), room)| (room / median.max(1.0), room / slow.max(1.0)));
        let within = eta.map_or_else(String::new, |(eta, _)| format!("; out of room in {}", seconds(eta)));
        let title = match (lost, slot.active) {
            (true, _) => format!("Slot {} is lost: the WAL that its reader needs is gone", slot.name),
            (_, true) => {
                format!("The reader of slot {} does not keep up: {} of WAL retained{within}", slot.name, bytes(retained))
            }
            _ => format!("Slot {} has no reader and retains {} of WAL{within}", slot.name, bytes(retained)),
        };
        let mut found = Found::new(Class::Risk, title);
        (found.eta_s, found.eta_late_s) = (eta.map(|e| e.0), eta.map(|e| e.1));
        found.grows = !lost;
        found.evidence = vec![params.either("WAL retained", retained, RETAINED, "postgres.slots")];
        if let Some((median, _)) = rate {
            found.evidence.push(evidence(
                if slot.active { "rate it falls behind" } else { "WAL written" },
                median,
                Unit::BytesPerSecond,
                None,
                "postgres.cluster",
            ));
        }
        if let Some(room) = room {
            found.evidence.push(evidence("room left", room, Unit::Bytes, None, "postgres.slots"));
        }
        found.fixes = fixes(pg, slot);
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no slot");
    }
    judged
}

/// Free space of the disk here that its data directory is on; `None` elsewhere, and for a role that may not know the directory.
fn free_bytes(facts: &Facts<'_>, pg: &PgFacts) -> Option<f64> {
    let directory = &pg.cluster.as_ref().ok()?.settings.get("data_directory")?.setting;
    let mounts = facts.world.host.filesystems.as_ref().ok().filter(|_| pg.local())?;
    let above =
        |mount: &str| mount == "/" || directory.strip_prefix(mount).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let own = mounts.iter().filter(|m| above(m.mount.shown())).max_by_key(|m| m.mount.shown().len())?;
    // What is mounted below it may hold the WAL.
    let below =
        mounts.iter().filter(|m| m.mount.shown().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/')));
    below.chain([own]).filter_map(|m| m.space.as_ref().ok()).map(|s| s.available_bytes as f64).reduce(f64::min)
}

fn fixes(pg: &PgFacts, slot: &crate::model::postgres::SlotRow) -> Vec<Fix> {
    let Some(name) = literal(&slot.name) else { return Vec::new() };
    let mut drop = sql(
        pg,
        Phase::Relief,
        Horizon::Immediate,
        "Drop the slot: its WAL is removed at the next checkpoint",
        format!("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {name} AND NOT active;"),
        &slot.database,
    );
    drop.risk = "the standby or subscriber that used it must be rebuilt".into();
    drop.needs = "a role with REPLICATION, or a superuser".into();
    drop.verify = Command::sql(format!("SELECT count(*) = 0 AS gone FROM pg_replication_slots WHERE slot_name = {name};"));
    // What is set already stands, be it less.
    let unlimited = pg.cluster.as_ref().is_ok_and(|c| c.number("max_slot_wal_keep_size").is_some_and(|mb| mb < 0.0));
    let title = "Cap the WAL that any slot can retain";
    let limit = setting(pg, Phase::Cure, Horizon::ShortTerm, title, "max_slot_wal_keep_size", "50GB").filter(|_| unlimited);
    let limit = limit.map(|mut limit| {
        limit.risk = "a reader that is further behind loses its slot".into();
        limit
    });
    std::iter::once(drop).filter(|_| !slot.active).chain(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::grows;
    use crate::detect::bench::{Bench, Table};
    use crate::model::postgres::{Cluster, PgState, SlotRow};

    fn slot(active: bool, status: &str, retained: u64) -> Bench {
        let slot =
            SlotRow { name: "b".into(), active, wal_status: status.into(), retained_bytes: Some(retained), ..SlotRow::default() };
        Bench::cluster(Cluster { slots: vec![slot], ..Cluster::default() })
    }

    #[test]
    fn a_slot_that_nobody_reads_is_found_and_held() {
        Table {
            clear: slot(false, "reserved", 22 << 20),
            unknown: Some(Bench::postgres(PgState::default())),
            found: slot(false, "reserved", 32 << 20),
            held: Some(slot(false, "reserved", 24 << 20)),
        }
        .check(&RULE);
        slot(false, "reserved", 32 << 20).must_say(&RULE, "found Slot b has no reader and retains 32 MiB of WAL");
        slot(false, "lost", 0).must_say(&RULE, "found Slot b is lost");
    }

    #[test]
    fn a_slot_that_is_read_is_found_when_its_reader_falls_behind() {
        slot(true, "reserved", 64 << 20).must_say(&RULE, "clear");
        let falls = slot(true, "reserved", 64 << 20).knowing(grows("retained b", 1e6));
        falls.must_say(&RULE, "found The reader of slot b does not keep up: 64 MiB");
        slot(true, "reserved", 24 << 20).must_say_after(&RULE, Some(&falls), "found");
        slot(true, "reserved", 22 << 20).must_say_after(&RULE, Some(&falls), "clear");
    }
}
