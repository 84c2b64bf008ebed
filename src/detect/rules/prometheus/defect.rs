//! prometheus.rule_defect: a rule of a file that cannot say what it is meant to say.

use crate::detect::finding::Class;
use crate::detect::params::Params;
use crate::detect::prometheus::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, Verdict};
use crate::model::subject::{Subject, SubjectType};

/// The rule.
pub const RULE: Rule = Rule {
    id: "prometheus.rule_defect",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a rule that can never fire, matches nothing, or rates a gauge",
    params: &[],
    origins: &["prometheus.rules"],
    page: "\
What is wrong with a rule of a file, whatever happens: it is no PromQL, or the server refuses it; a selector that no series
fits, so that the alert is dead; a comparison that nothing can meet; `rate` of a gauge; a counter or a quantile without
`rate`, which only ever grows or tells of all requests since the process began; a rate that is divided by itself, series by
series. What is asked for its absence, or stands behind `or` and `unless`, may be missing.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    for rule in view.server.rules.iter().filter(|r| !r.defects.is_empty()) {
        let key = format!("{}/{} {}", rule.group.shown(), rule.name.shown(), rule.expr.shown());
        let subject = Subject::new(SubjectType::Alert, key.as_str(), rule.name.shown());
        let first = rule.defects.first().map_or("", |d| d.shown());
        let found = Found::new(Class::Hygiene, format!("rule {}: {first}", rule.name.shown()));
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        let text = if view.server.rules.is_empty() { "no rule files" } else { "nothing is wrong with the rules" };
        return Judged::clear(Subject::new(SubjectType::Instance, view.id, view.id), text);
    }
    judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::prometheus::evaluated;
    use crate::detect::bench::{Bench, Table};

    #[test]
    fn each_rule_with_a_defect_is_named() {
        let of = |defects: &[&str]| {
            let rule = evaluated("HighErrors", 0, defects);
            Bench::prometheus(|p| p.rules = vec![rule])
        };
        Table { clear: of(&[]), unknown: None, found: of(&["nosuch matches nothing"]), held: None }.check(&RULE);
        of(&["nosuch matches nothing"]).must_say(&RULE, "found rule HighErrors: nosuch matches nothing");
    }
}
