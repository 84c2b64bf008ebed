//! postgres.settings.dangerous: fsync=off and other dangerous settings.

use super::support::{instance, setting, unknown};
use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::params::Params;
use crate::detect::postgres::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "postgres.settings.dangerous",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "fsync=off and other dangerous settings",
    params: &[],
    origins: &["postgres.settings"],
    page: "\
A setting of the server that trades safety for speed, or switches off maintenance it depends on: `fsync` or
`full_page_writes` off (a crash of the machine may corrupt the data), `autovacuum` or `track_counts` off (dead rows
pile up, and only vacuums against wraparound run), `zero_damaged_pages` on (damaged pages are read as empty). Settings
of single roles or databases are not read.

**Cure**: set it back for the whole server.",
    judge: Judge::Postgres(judge),
};

/// Name, the value that is dangerous, the value that is not, why.
const DANGEROUS: [(&str, &str, &str, &str); 5] = [
    ("fsync", "off", "on", "a crash of the machine may corrupt the data"),
    ("full_page_writes", "off", "on", "a crash of the machine may tear pages"),
    ("autovacuum", "off", "on", "dead rows pile up, only vacuums against wraparound run"),
    ("track_counts", "off", "on", "autovacuum has no statistics to act on"),
    ("zero_damaged_pages", "on", "off", "damaged pages are read as empty instead of failing"),
];

fn judge(facts: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let pg = facts.pg;
    let cluster = match &pg.cluster {
        Ok(cluster) => cluster,
        Err(lack) => return unknown(pg, lack),
    };
    let mut judged = Judged::default();
    for (name, bad, good, why) in DANGEROUS {
        if cluster.settings.get(name).is_none_or(|s| s.setting != bad) {
            continue;
        }
        let subject = Subject::new(SubjectType::Setting, name, name);
        let mut found = Found::new(Class::Hygiene, format!("{name} = {bad}: {why}"));
        found.evidence = vec![evidence(format!("{name} is {bad}"), 1.0, Unit::Count, None, "postgres.settings")];
        found.fixes =
            setting(pg, Phase::Cure, Horizon::Immediate, "Set it back to the safe value", name, good).into_iter().collect();
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(instance(pg), "no dangerous setting");
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table, postgres};
    use crate::model::postgres::{Cluster, PgState};

    fn set(name: &str, value: &str) -> Bench {
        Bench::cluster(Cluster { settings: [postgres::setting(name, value)].into(), ..Cluster::default() })
    }

    #[test]
    fn a_dangerous_setting_is_found() {
        Table {
            clear: set("fsync", "on"),
            unknown: Some(Bench::postgres(PgState::default())),
            found: set("fsync", "off"),
            held: None,
        }
        .check(&RULE);
        for (name, bad, good, why) in DANGEROUS {
            set(name, bad).must_say(&RULE, &format!("found {name} = {bad}: {why}"));
            set(name, good).must_say(&RULE, "clear");
        }
    }
}
