//! prometheus.alert: an alert fires.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::prometheus::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict, evidence};
use crate::model::alerting::Evaluated;
use crate::model::facts::Facts as World;
use crate::model::prometheus::Alert;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "prometheus.alert",
    class: Class::Outcome,
    culprit: Culprit::Many,
    says: "an alert fires",
    params: &[],
    origins: &["prometheus.alerts", "prometheus.rules"],
    page: "\
What the rules of a Prometheus say fires, as it says so. An alert about this host (its label `instance`, `node` or `host`
names it) that is not marked as information is a warning; one about another host is only shown: it is not this host's
health. So is one of a rule file that would fire if the server had it. Alerts are outcomes and causes of nothing; the findings beside them say why.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let whole = || Subject::new(SubjectType::Instance, view.id, view.id);
    let alerts = &view.server.alerts;
    let mut judged = Judged::default();
    for alert in alerts.iter().flat_map(|all| all.iter()).filter(|a| a.firing) {
        let who = alert.who();
        let key = format!("{}{{{}}}", alert.name.shown(), alert.all_labels());
        let subject = Subject::new(SubjectType::Alert, key.as_str(), alert.name.shown());
        let about = if who.is_empty() { String::new() } else { format!(" ({who})") };
        let says = if alert.says.is_empty() { String::new() } else { format!(": {}", alert.says.shown()) };
        let mut found = Found::new(Class::Outcome, format!("{}{about} fires{says}", alert.name.shown()));
        if here(view.facts.world, alert) && !is_information(alert) {
            (found.standing, found.never_critical) = (Some(true), true);
        }
        let now_ms = view.facts.world.at.wall_ms;
        found.age_s = alert.since_ms.map(|since| (now_ms - since) as f64 / 1e3).filter(|s| *s > 0.0);
        found.evidence.extend(alert.value.map(|v| evidence("its value", v, Unit::Count, None, "prometheus.alerts")));
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    // What the rules of files would say, unless the server says it itself.
    let now_ms = view.facts.world.at.wall_ms;
    let told = |rule: &Evaluated| {
        let first = rule.first.as_ref().map_or("", |(about, _)| about.shown());
        // By the labels of its first series as well: one that fires for another host does not tell of this one.
        let fits = |a: &Alert| {
            first.split(' ').all(|pair| pair.split_once('=').is_none_or(|(name, value)| a.label(name) == Some(value)))
        };
        alerts.iter().flat_map(|all| all.iter()).any(|a| a.firing && a.name.shown() == rule.name.shown() && fits(a))
    };
    for rule in view.server.rules.iter().filter(|r| r.fires(now_ms) && !told(r)) {
        let subject = Subject::new(
            SubjectType::Alert,
            format!("{}/{} {}", rule.group.shown(), rule.name.shown(), rule.expr.shown()),
            rule.name.shown(),
        );
        let about = rule.first.as_ref().map(|(about, _)| about.shown()).filter(|a| !a.is_empty());
        let about = about.map_or_else(String::new, |about| format!(" ({about})"));
        let mut found = Found::new(Class::Outcome, format!("{}{about} would fire", rule.name.shown()));
        found.age_s = rule.since_ms.map(|since| (now_ms - since) as f64 / 1e3).filter(|s| *s > 0.0);
        found.evidence.extend(rule.first.as_ref().map(|(_, v)| evidence("its value", *v, Unit::Count, None, "prometheus.rules")));
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    // What could not be asked may fire.
    let silent = |r: &&std::sync::Arc<Evaluated>| r.alert && r.defects.is_empty() && r.holds.is_err();
    let mut silent = view.server.rules.iter().filter(silent);
    if let Some(first) = silent.next() {
        let because = first.holds.as_ref().err().map_or_else(String::new, ToString::to_string);
        let subject = Subject::new(SubjectType::Alert, "rules that were not evaluated", "rules that were not evaluated");
        let more = match silent.count() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        let because = format!("not evaluated: {}: {because}{more}", first.name.shown());
        judged.verdicts.push((subject, Verdict::Unknown { because, lift: None }));
    }
    match alerts {
        Err(lack) => judged.verdicts.extend(Judged::unknown(whole(), lack).verdicts),
        Ok(_) if judged.verdicts.is_empty() => return Judged::clear(whole(), "no alert fires"),
        Ok(_) => {}
    }
    judged
}

fn is_information(alert: &Alert) -> bool {
    alert.label("severity").is_some_and(|s| ["none", "info", "information"].contains(&s))
}

/// It names this host.
fn here(world: &World, alert: &Alert) -> bool {
    let Some(identity) = &world.identity else { return false };
    let own = identity.name.shown();
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    ["instance", "node", "host", "hostname", "nodename"].iter().filter_map(|label| alert.label(label)).any(|value| {
        let host = value.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(value, |(host, _)| host);
        // A short name may be anyone's of that name; two full ones must be the same.
        let one_is_short = !host.contains('.') || !own.contains('.');
        host == own || !host.is_empty() && host.parse::<std::net::IpAddr>().is_err() && one_is_short && short(host) == short(own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::foreign::Foreign;
    use crate::model::seen::{Lack, Why};
    use std::sync::Arc;

    fn firing(instance: &str, severity: &str) -> Bench {
        let labels = [("instance", instance), ("severity", severity)];
        let alert = Alert {
            name: Foreign::from("DiskFull"),
            labels: labels.iter().map(|(n, v)| (Foreign::from(*n), Foreign::from(*v))).collect(),
            firing: true,
            since_ms: None,
            says: Foreign::from("/data is full"),
            value: Some(1.0),
        };
        Bench::prometheus(move |p| p.alerts = Ok(Arc::new(vec![alert])))
    }

    #[test]
    fn alerts_stand_as_they_are() {
        let of = |alerts| Bench::prometheus(move |p| p.alerts = alerts);
        Table {
            clear: of(Ok(Arc::default())),
            unknown: Some(of(Err(Lack::new(Why::Absent, "/api/v1/alerts")))),
            found: firing("db3:9100", "critical"),
            held: None,
        }
        .check(&RULE);
        firing("db3:9100", "critical").must_say(&RULE, "found DiskFull (instance=db3:9100) fires: /data is full");
    }

    #[test]
    fn a_rule_of_a_file_would_fire_once_it_has_held_for_long_enough() {
        use crate::detect::bench::prometheus::evaluated;
        let of = |holds: u32| Bench::prometheus(move |p| p.rules = vec![evaluated("Down", holds, &[])]);
        of(1).must_say(&RULE, "found Down (instance=a:9100) would fire");
        of(0).must_say(&RULE, "clear");
        // The server says it itself; or says it of another host.
        let beside = |instance: &str| {
            let labels = [(Foreign::from("instance"), Foreign::from(instance))];
            let alert = Alert {
                name: Foreign::from("Down"),
                labels: labels.to_vec(),
                firing: true,
                since_ms: None,
                says: Foreign::from(""),
                value: None,
            };
            Bench::prometheus(move |p| {
                p.rules = vec![evaluated("Down", 1, &[])];
                p.alerts = Ok(Arc::new(vec![alert]));
            })
        };
        assert_eq!(beside("a:9100").says(&RULE, None).len(), 1);
        assert_eq!(beside("b:9100").says(&RULE, None).len(), 2);
        let unasked = Bench::prometheus(|p| {
            let mut rule = evaluated("Down", 0, &[]);
            Arc::make_mut(&mut rule).holds = Err(Lack::new(Why::Garbage, "no answer within 3.5 s"));
            p.rules = vec![rule];
        });
        unasked.must_say(&RULE, "unknown");
        let short = Bench::prometheus(|p| {
            let mut rule = evaluated("Down", 1, &[]);
            Arc::make_mut(&mut rule).since_ms = Some(-30_000);
            p.rules = vec![rule];
        });
        short.must_say(&RULE, "clear");
    }

    #[test]
    fn those_about_this_host_count() {
        let counts = |instance: &str, severity: &str| firing(instance, severity).stands(&RULE);
        assert!(counts("bench:9100", "critical") && counts("bench.example.org", "warning"));
        assert!(counts("bench:9100", ""), "without a severity it is no information");
        assert!(!counts("bench:9100", "info") && !counts("other:9100", "critical") && !counts("10.0.0.1:9100", "critical"));
    }
}
