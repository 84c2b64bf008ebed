//! postgres.replication.slot_retention: a slot retains WAL; disk-full ETA.

use super::support::{instance, nobody, setting, sql, unknown};
use crate::detect::finding::Class;
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::detect::memory::is_held;
use crate::detect::params::{Param, Params};
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, Verdict, evidence};
use crate::model::facts::PgFacts;
use crate::model::postgres::literal;
use crate::model::source::SourceKind;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, bytes, seconds};

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.replication.slot_retention",
    class: Class::Risk,
    source: SourceKind::Postgres,
    says: "a slot retains WAL; disk-full ETA",
    params: &[
        Param { name: "retained", unit: Unit::Bytes, default: 33554432.0, min: 1048576.0, max: 1000000000000.0, what: "bytes of WAL that an inactive slot must hold back" },
    ],
    origins: &["postgres.slots", "postgres.cluster"],
    page: "\
Nobody reads from the slot, and the server keeps all WAL from where it was read last, until the disk is full (or `max_slot_wal_keep_size` gives the slot up). The time left is the free space of the disk of the data directory (the least, where others are mounted in it), here, over
the WAL written per second.

**Relief**: drop the slot, when its reader does not come back. **Cure**: a limit.",
    judge,
};

fn judge(facts: &Facts<'_>, params: &Params<'_>, prev: Option<&Prev>) -> Judged {
    let Some(pg) = facts.postgres else { return nobody() };
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let rate = facts.learned.trend(&pg.id, "wal").and_then(|s| s.growth());
    let free = free_bytes(facts, pg);
    let mut judged = Judged::default();
    for slot in &cluster.slots {
        let subject = Subject::new(SubjectType::Slot, slot.name.shown(), format!("slot {}", slot.name));
        let ill = matches!(slot.wal_status.raw(), b"unreserved" | b"lost");
        // A lost slot holds nothing back any more; one that never was read neither.
        let retained = slot.retained_bytes.map_or(0.0, |b| b as f64);
        if slot.active || (retained < params.limit("retained", is_held(prev, &subject)) && !ill) {
            let what = slot.retained_bytes.map_or_else(|| "it reserves no WAL".into(), |b| format!("{} of WAL", bytes(b as f64)));
            judged.verdicts.push((subject, Verdict::Clear(what)));
            continue;
        }
        let room = slot.safe_bytes.map(|b| b.max(0) as f64).or(free);
        let eta = rate.zip(room).map(|((median, slow), room)| (room / median.max(1.0), room / slow.max(1.0)));
        let within = eta.map_or_else(String::new, |(eta, _)| format!("; no room in {}", seconds(eta)));
        let mut found =
            Found::new(Class::Risk, format!("Slot {} has no reader and retains {} of WAL{within}", slot.name, bytes(retained)));
        (found.eta_s, found.eta_late_s) = (eta.map(|e| e.0), eta.map(|e| e.1));
        found.grows = true;
        found.evidence = vec![evidence("WAL retained", retained, Unit::Bytes, Some(params.get("retained")), "postgres.slots")];
        if let Some((median, _)) = rate {
            found.evidence.push(evidence("WAL written", median, Unit::BytesPerSecond, None, "postgres.cluster"));
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
    drop.risk = "the standby or subscriber that read from it must be set up anew".into();
    drop.needs = "a role with REPLICATION, or a superuser".into();
    drop.verify = format!("SELECT count(*) = 0 AS gone FROM pg_replication_slots WHERE slot_name = {name};");
    let mut limit =
        setting(pg, Phase::Cure, Horizon::ShortTerm, "Let no slot hold back more than this", "max_slot_wal_keep_size", "50GB");
    limit.risk = "a reader that is further behind loses its slot".into();
    vec![drop, limit]
}
