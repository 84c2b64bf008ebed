//! A Prometheus on the bench: it answers whole, nothing fires, nothing is counted.

use std::sync::Arc;

use super::host::identity;
use crate::model::alerting::Evaluated;
use crate::model::facts::PrometheusFacts;
use crate::model::foreign::Foreign;
use crate::model::objective::{Objective, Sli, windows};
use crate::model::prometheus::{Counted, Instance, Point, Share};

use crate::model::seen::{Lack, Why};

use super::Bench;

/// An objective of 99.9 % of which that share fails, by window.
pub fn counted(requests_per_s: f64, failed: impl Fn(u64) -> f64) -> Counted {
    let objective = Objective {
        name: "shop".into(),
        target: 0.999,
        period_s: 2_592_000,
        sli: Sli::Ratio { errors: "bad".into(), total: "all".into() },
        at: None,
    };
    let share = |w: u64| {
        let failed = failed(w);
        Ok(Share { requests: Some(requests_per_s * w as f64), failed, failed_most: failed, covered_s: w as f64 })
    };
    Counted {
        windows: windows(objective.period_s).into_iter().map(|w| (w, share(w))).collect(),
        objective,
        at_ms: 0,
        recent: (0..60).map(|n| Point { per_s: Some(10.0), failed: Some(if n >= 50 { 0.05 } else { 0.0 }) }).collect(),
        step_s: 60,
        quantiles: Vec::new(),
    }
}

/// That server.
pub fn quiet() -> PrometheusFacts {
    PrometheusFacts {
        id: "prometheus:9090".into(),
        instance: Some(Arc::new(Instance::default())),
        counted: Vec::new(),
        left_out: Arc::default(),
        rules: Vec::new(),
        alerts: Ok(Arc::default()),
        targets: Ok(Arc::default()),
        warnings: Arc::default(),
        fleet: Err(Lack::new(Why::NotYet, "the fleet")),
        host: Err(Lack::new(Why::NotYet, "the fleet")),
        capacity: Err(Lack::new(Why::NotYet, "looked at when asked")),
        kpis: Err(Lack::new(Why::NotYet, "looked at when asked")),
    }
}

/// A rule of a file that holds of so many series, and that these things are wrong with.
pub fn evaluated(name: &str, holds: u32, defects: &[&str]) -> Arc<Evaluated> {
    Arc::new(Evaluated {
        group: Foreign::from("shop"),
        name: Foreign::from(name),
        alert: true,
        severity: Foreign::from("warning"),
        expr: Foreign::from("up == 0"),
        for_s: 60,
        holds: Ok(holds),
        since_ms: (holds > 0).then_some(-120_000),
        at_ms: 0,
        first: (holds > 0).then(|| (Foreign::from("instance=a:9100"), 1.0)),
        defects: defects.iter().map(|d| Foreign::from(*d)).collect(),
    })
}

impl Bench {
    /// A quiet host with that server, changed.
    pub fn prometheus(change: impl FnOnce(&mut PrometheusFacts)) -> Self {
        let mut server = quiet();
        change(&mut server);
        Self::quiet().with(|world| {
            world.identity = Some(Arc::new(identity()));
            world.servers.prometheus = vec![server];
        })
    }

    /// It has counted these objectives.
    pub fn counting(counted: Vec<Counted>) -> Self {
        Self::prometheus(|p| p.counted = counted.into_iter().map(Arc::new).collect())
    }
}
