//! How bad it is that something runs out: as risks are judged everywhere, by the late end of the interval.

use crate::detect::finding::Severity;
use crate::model::capacity::{Capacity, Left, Needed, Projected, Triggered};
use crate::model::trend::Outlook;
use crate::model::unit::{Unit, short};

/// How bad, by within how many seconds it is a warning and critical; `None`: it does not run out so soon, as far as can be seen.
#[must_use]
pub fn runs_out(left: &Left, (warning, critical): (u64, u64)) -> Option<Severity> {
    match left.outlook {
        Outlook::Out => Some(Severity::Critical),
        Outlook::RunsOut(eta) if eta.late_s < critical as f64 => Some(Severity::Critical),
        Outlook::RunsOut(eta) if eta.late_s < warning as f64 => Some(Severity::Warning),
        _ => None,
    }
}

/// The worst of all.
#[must_use]
pub fn worst(capacity: &Capacity) -> Option<Severity> {
    capacity.left.iter().filter_map(|l| runs_out(l, capacity.limits_s)).min_by_key(|s| *s != Severity::Critical)
}

/// Too little is known for "nothing runs out": something was not answered, or has too few readings.
#[must_use]
pub fn blind(capacity: &Capacity) -> bool {
    let short = |l: &Left| l.outlook == Outlook::Short;
    capacity.left.is_empty() || !capacity.lacks.is_empty() || capacity.left.iter().any(short)
}

/// Growth from which more is to be planned for: a share of now.
const GROWS: f64 = 0.5;

/// How a need stands, in words, and whether something is to be done. It raises nothing.
#[must_use]
pub fn stands(needed: &Needed, projected: Option<&Projected>) -> (String, bool) {
    let Some(p) = projected else { return ("? no series".into(), false) };
    match p.missing {
        Some(missing) if missing > 0.0 => (format!("{} {} missing", short(missing), needed.need.unit), true),
        _ if p.growth > GROWS && p.credible => (format!("grows by {} %: plan for more", short(p.growth * 100.0)), true),
        Some(_) => match p.missing_most {
            Some(most) if most > 0.0 => {
                (format!("enough in total; {} {} short where it grows fastest", short(most), needed.need.unit), false)
            }
            _ => ("enough in total".into(), false),
        },
        None => ("? how much there is".into(), false),
    }
}

/// A figure, or between which two it lies.
#[must_use]
pub fn bucket(unit: Unit, (low, high): (f64, f64)) -> String {
    match () {
        () if low == high => unit.show(low),
        () if high.is_infinite() => format!("> {}", unit.show(low)),
        () => format!("{} to {}", short(low), unit.show(high)),
    }
}

/// How a trigger stands, likewise.
#[must_use]
pub fn called(t: &Triggered) -> (String, bool) {
    let (above, all) = t.above;
    let action = if t.trigger.action.is_empty() { String::new() } else { format!(": {}", t.trigger.action) };
    match (t.value, t.calls()) {
        (None, _) => ("? no series".into(), false),
        (_, true) if t.whose.shown().is_empty() => (format!("{above} of {all} above{action}"), true),
        (_, true) => (format!("{above} of {all} above ({}){action}", t.whose.shown()), true),
        (Some((low, high)), _) if low < high && high > t.trigger.above => {
            ("cannot be told: the threshold lies within a bucket".into(), false)
        }
        _ => ("below".into(), false),
    }
}
