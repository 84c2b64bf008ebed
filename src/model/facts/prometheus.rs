//! Facts of a Prometheus: what it said last, as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::alerting::Evaluated;
use crate::model::capacity::Capacity;
use crate::model::foreign::Foreign;
use crate::model::kind::Moment;
use crate::model::kpi::Kpis;
use crate::model::prometheus::{Alert, Counted, Fleet, HostHistory, Instance, PrometheusState, Targets};
use crate::model::seen::{Lack, Seen, Why};

/// A Prometheus.
#[derive(Debug, Clone)]
pub struct PrometheusFacts {
    /// Its source id.
    pub id: String,
    /// Who it is.
    pub instance: Option<Arc<Instance>>,
    /// Objectives, by name.
    pub counted: Vec<Arc<Counted>>,
    /// Objectives that are left out, with the reason.
    pub left_out: Arc<Vec<Foreign>>,
    /// Rules of files, as evaluated last.
    pub rules: Vec<Arc<Evaluated>>,
    /// Alerts.
    pub alerts: Seen<Arc<Vec<Alert>>>,
    /// Targets.
    pub targets: Seen<Arc<Targets>>,
    /// Answers that are not whole.
    pub warnings: Arc<BTreeMap<String, Foreign>>,
    /// The hosts that it watches.
    pub fleet: Seen<Arc<Fleet>>,
    /// The host that was looked at closely.
    pub host: Seen<Arc<HostHistory>>,
    /// What runs out and what is needed.
    pub capacity: Seen<Arc<Capacity>>,
    /// Key figures.
    pub kpis: Seen<Arc<Kpis>>,
}

/// What was said so long ago, milliseconds, says nothing of now: objectives, alerts and targets, the fleet.
const COUNTED_OLD_MS: i64 = 180_000;
const SAID_OLD_NS: u64 = 120_000_000_000;
const FLEET_OLD_MS: i64 = 300_000;
/// It is about days, and what runs out may do so within the hour.
const CAPACITY_OLD_MS: i64 = 1_800_000;

/// Of the newest moment. What is too old is not known any more.
pub fn derive(window: &[Moment<'_, PrometheusState>]) -> Vec<PrometheusFacts> {
    let Some(newest) = window.last() else { return Vec::new() };
    let (now_ms, now_ns) = (newest.at.wall_ms, newest.at.mono_ns);
    let counted = |c: &Arc<Counted>| match now_ms.saturating_sub(c.at_ms) {
        age if age > COUNTED_OLD_MS => Arc::new(forgotten(c, age)),
        _ => c.clone(),
    };
    let late = |what: &str| Lack::new(Why::TimedOut, format!("{what}: the server has not answered since"));
    let facts = newest.servers.iter().map(|(id, s)| PrometheusFacts {
        id: id.clone(),
        instance: s.instance.clone(),
        counted: s.counted.values().map(counted).collect(),
        left_out: s.left_out.clone(),
        rules: s.rules.values().cloned().collect(),
        alerts: s.alerts.clone().and_then(|all| fresh(all, s.came_ns.0, now_ns, || late("/api/v1/alerts"))),
        targets: s.targets.clone().and_then(|all| fresh(all, s.came_ns.1, now_ns, || late("up"))),
        warnings: s.warnings.clone(),
        fleet: s.fleet.clone().and_then(|fleet| match now_ms.saturating_sub(fleet.at_ms) {
            age if age > FLEET_OLD_MS => Err(Lack::new(Why::NotYet, format!("the fleet was looked at {} min ago", age / 60_000))),
            _ => Ok(fleet),
        }),
        host: s.host.clone(),
        capacity: s.capacity.clone().and_then(|found| match now_ms.saturating_sub(found.at_ms) {
            age if age > CAPACITY_OLD_MS => Err(Lack::new(Why::NotYet, format!("looked at {} min ago", age / 60_000))),
            _ => Ok(found),
        }),
        kpis: s.kpis.clone().and_then(|kpis| match now_ms.saturating_sub(kpis.at_ms) {
            age if age > FLEET_OLD_MS => {
                Err(Lack::new(Why::NotYet, format!("key figures were measured {} min ago", age / 60_000)))
            }
            _ => Ok(kpis),
        }),
    });
    facts.collect()
}

fn fresh<T>(said: T, came_ns: u64, now_ns: u64, late: impl Fn() -> Lack) -> Seen<T> {
    if now_ns.saturating_sub(came_ns) > SAID_OLD_NS { Err(late()) } else { Ok(said) }
}

/// An objective that nobody has counted for so long.
fn forgotten(counted: &Counted, age_ms: i64) -> Counted {
    let lack = Lack::new(Why::TimedOut, format!("last counted {} min ago", age_ms / 60_000));
    let windows = counted.windows.iter().map(|(w, _)| (*w, Err(lack.clone()))).collect();
    Counted { windows, recent: Vec::new(), quantiles: Vec::new(), ..counted.clone() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::counter::Stamp;
    use crate::model::objective::{Objective, Sli};
    use crate::model::prometheus::Share;

    fn counted(at_ms: i64) -> Counted {
        let sli = Sli::Share { errors: "x".into() };
        Counted {
            objective: Objective { name: "shop".into(), target: 0.99, period_s: 2_592_000, sli, at: None },
            at_ms,
            windows: vec![(300, Ok(Share::default()))],
            recent: Vec::new(),
            step_s: 60,
            quantiles: Vec::new(),
        }
    }

    #[test]
    fn what_was_said_long_ago_says_nothing_of_now() {
        let mut state = PrometheusState::default();
        (state.alerts, state.came_ns) = (Ok(Arc::default()), (1_000_000_000, 0));
        state.counted.insert("shop".into(), Arc::new(counted(1_000)));
        let servers: BTreeMap<String, Arc<PrometheusState>> = [("prometheus:9090".to_owned(), Arc::new(state))].into();
        let at = |s: i64| {
            derive(&[Moment {
                at: Stamp { wall_ms: s * 1000, mono_ns: s as u64 * 1_000_000_000, boot_ns: 0 },
                servers: &servers,
            }])
            .remove(0)
        };
        let (now, later) = (at(20), at(400));
        assert!(now.alerts.is_ok() && now.counted[0].windows[0].1.is_ok());
        assert!(later.alerts.is_err() && later.counted[0].windows.iter().all(|w| w.1.is_err()));
    }
}
