//! prometheus.partial: answers that are not whole.

use crate::detect::finding::Class;
use crate::detect::params::{NONE_IS_FINE, Params};
use crate::detect::prometheus::View;
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev, evidence};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "prometheus.partial",
    class: Class::Hygiene,
    culprit: Culprit::One,
    says: "the answer was partial or carried warnings",
    params: &[],
    origins: &["prometheus.warnings"],
    page: "\
The server answered and said that something is missing: a store of Thanos that did not answer, a part of VictoriaMetrics'
storage, results that were cut. A sum of what is left looks like a sum of all, so the figures of such an answer count as
unknown, and the source is degraded with the server's own words.",
    judge: Judge::Prometheus(judge),
};

fn judge(view: &View<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let subject = Subject::new(SubjectType::Instance, view.id, view.id);
    let warnings = &view.server.warnings;
    let Some((asked, said)) = warnings.iter().next() else { return Judged::clear(subject, "its answers are whole") };
    let title = format!("{} answers in parts: {asked}: {}", view.id, said.shown());
    let mut found = Found::new(Class::Hygiene, title);
    let count = warnings.len() as f64;
    found.evidence =
        vec![evidence("questions whose answer is not whole", count, Unit::Count, NONE_IS_FINE, "prometheus.warnings")];
    Judged::found(subject, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::{Bench, Table};
    use crate::model::foreign::Foreign;
    use std::sync::Arc;

    #[test]
    fn what_is_not_whole_is_said() {
        let of = |said: &[(&str, &str)]| {
            let said = said.iter().map(|(a, s)| ((*a).to_owned(), Foreign::from(*s))).collect();
            Bench::prometheus(move |p| p.warnings = Arc::new(said))
        };
        Table { clear: of(&[]), unknown: None, found: of(&[("targets", "store 3 timed out")]), held: None }.check(&RULE);
        of(&[("targets", "store 3 timed out")])
            .must_say(&RULE, "found prometheus:9090 answers in parts: targets: store 3 timed out");
    }
}
