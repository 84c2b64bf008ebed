//! source.unreachable: a known source does not answer.

use crate::detect::finding::{Class, Horizon, Phase};
use crate::detect::fix;
use crate::detect::params::Params;
use crate::detect::verdict::{Facts, Found, Judged, Prev, Rule, Verdict, evidence};
use crate::model::source::{SourceKind, SourceState};
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    id: "source.unreachable",
    class: Class::Hygiene,
    source: SourceKind::Host,
    says: "a known source does not answer",
    params: &[],
    origins: &["sources"],
    page: "\
A source that was configured, or that answered before, does not answer. The last data are kept and dated; findings that need
new ones are unknown. perftop tries again with growing pauses.",
    judge,
};

fn judge(facts: &Facts<'_>, _: &Params<'_>, _: Option<&Prev>) -> Judged {
    let mut judged = Judged::default();
    for source in facts.world.sources.iter().filter(|s| s.state == SourceState::Unreachable) {
        let subject = Subject::new(SubjectType::Instance, source.id.clone(), source.id.clone());
        let why = source.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let mut found = Found::new(Class::Hygiene, format!("{} does not answer{why}", source.id));
        found.evidence = vec![evidence("sources in this state", 1.0, Unit::Count, None, "sources")];
        if let Some(way_in) = &source.way_in {
            let mut look = fix::shell_fix(Phase::Relief, Horizon::Immediate, "The way in", way_in.clone());
            look.needs = "an account of that server".into();
            look.risk = "none: it only looks".into();
            look.verify = "perftop doctor".into();
            found.fixes.push(look);
        }
        judged.verdicts.push((subject, Verdict::Found(Box::new(found))));
    }
    if judged.verdicts.is_empty() {
        return Judged::clear(Subject::host(), "no source is in this state");
    }
    judged
}
