//! echo.slow: a line takes long to come back.

use crate::detect::echo::View;
use crate::detect::finding::Class;
use crate::detect::params::{Param, Params};
use crate::detect::rule::{Culprit, Judge, Rule};
use crate::detect::verdict::{Found, Judged, Prev};
use crate::model::seen::Lack;
use crate::model::subject::{Subject, SubjectType};
use crate::model::unit::{Unit, short};

const TRIP: Param = Param {
    name: "trip",
    unit: Unit::Milliseconds,
    default: 100.0,
    min: 1.0,
    max: 60_000.0,
    what: "round trip from which on a person notices it",
};

/// The rule.
pub const RULE: Rule = Rule {
    id: "echo.slow",
    class: Class::Hygiene,
    culprit: Culprit::Many,
    says: "a line takes long to come back",
    params: &[TRIP],
    origins: &["echo.trip"],
    page: "\
A line is sent each second; the newest took `trip` or more to come back, the way there and back included. Whether the
server or the way is slow cannot be told from it: compare with `ping`.

**Relief**: none. **Cure**: by hand: a server that is nearer, or has less to do.",
    judge: Judge::Echo(judge),
};

fn judge(view: &View<'_>, params: &Params<'_>, _prev: Option<&Prev>) -> Judged {
    let subject = Subject::new(SubjectType::Instance, view.id, view.id);
    let Some(ms) = view.server.trip.ms else { return Judged::unknown(subject, &Lack::first_sample("round trip")) };
    if ms < params.get(TRIP) {
        return Judged::clear(subject, format!("round trip {} ms", short(ms)));
    }
    let mut found = Found::new(Class::Hygiene, format!("{} takes {} ms to echo a line", view.id, short(ms)));
    found.evidence = vec![params.row("round trip", ms, TRIP, "echo.trip")];
    Judged::found(subject, found)
}
