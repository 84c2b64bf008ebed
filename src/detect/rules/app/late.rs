//! When the requests at a port are late: the decision of app.service.stalled, apart from where its figures come from.

use crate::detect::params::{Param, Params};
use crate::detect::stands::{ListeningPort, Usual};
use crate::model::unit::{Unit, short};

pub(super) const REQUESTS: Param = Param {
    name: "requests",
    unit: Unit::Count,
    default: 2.0,
    min: 1.0,
    max: 1000.0,
    what: "requests late at the same time: a single one may be a long report. One that is not read or accepted is enough",
};

pub(super) const SHARE: Param = Param {
    name: "share",
    unit: Unit::Percent,
    default: 5.0,
    min: 0.1,
    max: 100.0,
    what: "share of the window's requests that are late; answered ones count in the total",
};

pub(super) const HALF: Param = Param {
    name: "half",
    unit: Unit::Percent,
    default: 50.0,
    min: 1.0,
    max: 100.0,
    what: "share late from which it is critical; a monitored database shows its own long statements and is stalled only from here",
};

pub(super) const FALL: Param = Param {
    name: "fall",
    unit: Unit::Percent,
    default: 50.0,
    min: 1.0,
    max: 90.0,
    what: "answers per second below this share of the usual, while more requests than usual are pending for a second",
};

pub(super) const ANSWERS: Param = Param {
    name: "answers",
    unit: Unit::PerSecond,
    default: 1.0,
    min: 0.01,
    max: 1_000_000.0,
    what: "usual answers per second: a service that answers less often cannot be judged",
};

pub(super) const STUCK: Param = Param {
    name: "stuck",
    unit: Unit::SecondsPerSecond,
    default: 0.5,
    min: 0.01,
    max: 1000.0,
    what: "threads of the service in uninterruptible sleep: from here on a single pending request is enough",
};

/// What was measured at one port.
pub(super) struct Measured {
    pub(super) late: f64,
    pub(super) share: f64,
    pub(super) noticed_share: f64,
    pub(super) stuck: f64,
    /// The service uses no CPU, and not because it has just begun.
    pub(super) idle: bool,
    pub(super) young: bool,
    pub(super) read: bool,
}

/// Why the port is stalled. `held`: it was at the evaluation before, and stays so for less.
pub(super) fn says(
    params: &Params<'_>,
    listener: &ListeningPort,
    usual: Option<Usual>,
    m: &Measured,
    held: bool,
) -> Option<String> {
    let limit = |param| params.limit(param, held);
    let hangs = m.stuck >= limit(STUCK);
    // One that hangs with the service's own threads is enough.
    let enough = if hangs { limit(REQUESTS).min(limit_of_one(held)) } else { limit(REQUESTS) };
    let some = if m.read { limit(HALF) } else { limit(SHARE) };
    let usually = usual.map_or(0.0, |u| 2.0 * u.unserved);
    let told = usual.is_some() || m.idle;
    if told && listener.unserved - usually >= limit_of_one(held) && m.noticed_share >= some && !m.read {
        return Some(format!("{} unread or not accepted for a second", requests(listener.unserved)));
    }
    // Of a service that is not known, or answers less often than that, nobody can say what is late: but what hangs, hangs.
    let Some(usual) = usual.filter(|u| u.answers_per_s >= params.get(ANSWERS)) else {
        let hang = hangs && !m.young && listener.noticed >= enough && m.noticed_share >= limit(HALF);
        return hang
            .then(|| format!("{} in flight for over a second, and its threads are in state D", requests(listener.noticed)));
    };
    if m.late >= enough && m.share >= some {
        return Some(format!("{} in flight are late", requests(m.late)));
    }
    // What is held is allowed to come back a little before it is over.
    let fall = params.get(FALL) / if held { crate::detect::params::HYSTERESIS } else { 1.0 };
    let fell = 100.0 * listener.answers_per_s < fall * usual.answers_per_s;
    let stands = listener.noticed - 2.0 * usual.noticed >= enough && (!m.read || m.noticed_share >= some);
    (fell && stands).then(|| {
        format!(
            "{} in flight for over a second, and {} answers per second instead of {}",
            requests(listener.noticed),
            short(listener.answers_per_s),
            short(usual.answers_per_s)
        )
    })
}

/// `1 request`, `3 requests`.
pub(super) fn requests(mean: f64) -> String {
    match mean.round() {
        n if n <= 1.0 => "1 request".to_owned(),
        n => format!("{n:.0} requests"),
    }
}

fn limit_of_one(held: bool) -> f64 {
    if held { crate::detect::params::HYSTERESIS } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::params::ParamOverrides;
    use crate::detect::rules::app::service_stalled::RULE;

    const QUICK: Usual = Usual { answers_per_s: 100.0, noticed: 0.0, unserved: 0.0, below_ms: 10.0 };

    /// Whether a port is stalled: its answers a second, the requests in flight by class of age (the sixth begins at 1 s), those not read.
    fn stalled(usual: Option<Usual>, answers: f64, ages: [u32; 10], unserved: f64, change: impl Fn(&mut Measured)) -> bool {
        let overrides = ParamOverrides::default();
        let params = Params::new(RULE.id, &overrides);
        let listener = ListeningPort::seen(answers, ages, unserved);
        let limit_s = usual.map_or(0.0, |u| 10.0 * u.below_ms / 1e3).max(1.0);
        let of_all = |n: f64| 100.0 * n / (n + answers * 5.0).max(1e-9);
        let late = listener.older(limit_s * 1e3);
        let mut measured = Measured {
            late,
            share: of_all(late),
            noticed_share: of_all(listener.noticed),
            stuck: 0.0,
            idle: false,
            young: false,
            read: false,
        };
        change(&mut measured);
        says(&params, &listener, usual, &measured, false).is_some()
    }

    const fn old(n: u32) -> [u32; 10] {
        [0, 0, 0, 0, 0, n, 0, 0, 0, 0]
    }

    #[test]
    fn what_is_late_goes_by_what_is_usual_there() {
        let as_it_is = |_: &mut Measured| ();
        assert!(stalled(Some(QUICK), 0.0, old(6), 0.0, as_it_is), "all stand");
        assert!(stalled(Some(QUICK), 10.0, old(4), 0.0, as_it_is), "some of them");
        assert!(!stalled(Some(QUICK), 100.0, old(2), 0.0, as_it_is), "two of five hundred");
        assert!(!stalled(Some(QUICK), 90.0, old(1), 0.0, as_it_is), "one report");
        assert!(!stalled(Some(QUICK), 0.0, old(1), 0.0, as_it_is), "a batch that waits for its own");
        let idle = Usual { answers_per_s: 0.1, ..QUICK };
        assert!(!stalled(Some(idle), 0.0, old(6), 0.0, as_it_is), "the first long polls of an idle service");
        let polls = Usual { noticed: 8.0, below_ms: 30_000.0, ..QUICK };
        assert!(!stalled(Some(polls), 100.0, old(9), 0.0, as_it_is), "long polls");
        assert!(stalled(Some(polls), 3.0, old(20), 0.0, as_it_is), "their quick neighbours hang");
        assert!(!stalled(Some(polls), 3.0, old(9), 0.0, as_it_is), "their quick neighbours left");
    }

    #[test]
    fn what_is_not_read_by_an_idle_service_needs_no_usual() {
        let idle = |m: &mut Measured| m.idle = true;
        assert!(stalled(None, 0.0, old(3), 3.0, idle));
        assert!(!stalled(None, 0.0, old(3), 3.0, |_| ()), "it works at something");
        assert!(!stalled(None, 0.0, old(3), 0.0, idle), "long polls, for all one knows");
        let hangs = |m: &mut Measured| m.stuck = 1.0;
        assert!(stalled(None, 0.0, old(1), 0.0, hangs), "its threads hang in the kernel");
        let seldom = Usual { answers_per_s: 0.1, ..QUICK };
        assert!(stalled(Some(seldom), 0.0, old(1), 0.0, hangs), "of a service that seldom answers, too");
        assert!(!stalled(None, 0.0, old(1), 0.0, |m| (m.stuck, m.young) = (1.0, true)), "it warms up");
        assert!(!stalled(Some(QUICK), 20.0, old(9), 0.0, |m| m.read = true), "long statements are shown as such");
    }
}
