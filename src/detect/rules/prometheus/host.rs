//! fleet.host: the hosts of the fleet that something is wrong with, once the fleet was looked at.

use crate::detect::finding::Class;
use crate::detect::finding::{Horizon, Phase};
use crate::detect::fix::shell_fix;
use crate::detect::params::{Param, Params};
use crate::detect::prometheus::{Ranked, View, ranked, way};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::seen::{Lack, Why};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

const MOST: Param =
    Param { name: "hosts", unit: Unit::Count, default: 5.0, min: 1.0, max: 50.0, what: "so many of the worst hosts are named" };

/// The rule.
pub const RULE: Rule = Rule {
    id: "fleet.host",
    class: Class::Live,
    culprit: Culprit::Many,
    says: "a host of the fleet is the outlier, and by which signal",
    params: &[MOST],
    origins: &["prometheus.fleet"],
    page: "\
Which of the hosts that a Prometheus watches to log in to. Hosts are ranked by what they lose (pressure stall information of
the node exporter, waits for blocks of PostgreSQL, misses that evictions cause), by what is trouble by itself (a full file
system, refused connections, a lost replica, a target that does not answer), and by how far they are from their peers: beyond
six spreads of the median, and by a figure that matters. Where there are fewer than five peers, their own past is what is
usual. How busy a host is says nothing: niced work, a full page cache and a fast busy disk are fine.

The seconds are those of other hosts: they take none of this one's, and count in no health. The fleet is looked at when
screen 7 is open, or by `check --fleet`.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, _: Option<&Prev>) -> Judged {
    let whole = Subject::new(SubjectType::Instance, view.id, view.id);
    let fleet = match &view.server.fleet {
        Ok(fleet) => fleet,
        // Nobody has asked: there is nothing to say.
        Err(lack) if lack.why == Why::NotYet => return Judged::default(),
        Err(lack) => return Judged::unknown(whole, lack),
    };
    let mut judged = Judged::default();
    let all = ranked(fleet);
    let worst = all.iter().filter(|r| r.severity.is_some());
    for ranked in worst.take(params.get(MOST) as usize) {
        let subject = Subject::new(SubjectType::Instance, ranked.host.as_str(), ranked.host.as_str());
        judged.verdicts.push((subject, Verdict::Found(Box::new(found(ranked)))));
    }
    // What was not read may be anything.
    if fleet.blind() || !fleet.lacks.is_empty() {
        let what = fleet.lacks.iter().next().map(|(what, why)| format!("{what}: {}", why.shown()));
        let what = what.unwrap_or_else(|| format!("most of {} hosts have no metrics of a node exporter", fleet.hosts.len()));
        judged.verdicts.extend(Judged::unknown(whole, &Lack::new(Why::Garbage, what)).verdicts);
    } else if judged.verdicts.is_empty() {
        return Judged::clear(whole, format!("{} hosts, and nothing is wrong with any", fleet.hosts.len()));
    }
    judged
}

fn found(ranked: &Ranked) -> Found {
    let first = ranked.why.first().map_or("", |w| w.says.as_str());
    let mut found = Found::new(Class::Live, format!("host {}: {first}", ranked.host));
    found.evidence =
        vec![evidence("lost there, as far as its metrics say", ranked.lost, Unit::SecondsPerSecond, None, "prometheus.fleet")];
    if let Some(command) = way(&ranked.host) {
        let mut fix = shell_fix(Phase::Relief, Horizon::Immediate, "Look there", command);
        fix.target.clone_from(&ranked.host);
        fix.risk = "none: read-only".into();
        fix.needs = "ssh to that host, and perftop on it".into();
        found.fixes = vec![fix];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::foreign::Foreign;
    use crate::model::prometheus::{Fleet, FleetHost};
    use std::sync::Arc;

    fn fleet(used: f64) -> Bench {
        let mut host = FleetHost { targets: 1, ..FleetHost::default() };
        host.now.extend([("fs_used".to_owned(), used), ("cpu_util".to_owned(), 0.1)]);
        let fleet = Fleet { hosts: [("db3".to_owned(), host)].into(), ..Fleet::default() };
        Bench::prometheus(|p| p.fleet = Ok(Arc::new(fleet)))
    }

    #[test]
    fn the_worst_hosts_are_named_with_the_way_there() {
        let unknown = Bench::prometheus(|p| p.fleet = Err(Lack::new(Why::TimedOut, "fleet")));
        Table { clear: fleet(0.5), unknown: Some(unknown), found: fleet(0.995), held: None }.check(&RULE);
        fleet(0.995).must_say(&RULE, "found host db3: fullest file system: 99.5 %");
        // Half of what was asked has no answer; or there is nothing that could have one.
        let partly = |hosts: Fleet| Bench::prometheus(|p| p.fleet = Ok(Arc::new(hosts)));
        let mut host = FleetHost { targets: 1, ..FleetHost::default() };
        host.now.insert("cpu_util".into(), 0.1);
        let lacks = [("pressure of hosts".to_owned(), Foreign::from("no answer within 10.5 s"))].into();
        partly(Fleet { hosts: [("db3".to_owned(), host)].into(), lacks, ..Fleet::default() }).must_say(&RULE, "unknown");
        partly(Fleet::default()).must_say(&RULE, "unknown");
        assert_eq!(fleet(0.995).pastes(&RULE), ["ssh db3 -t perftop"]);
    }
}
