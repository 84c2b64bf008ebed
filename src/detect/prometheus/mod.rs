//! What the judgement of a Prometheus needs beside its rules: whether an objective burns, and since when.

mod burn;
mod fleet;

pub use burn::{Burn, Burning, FAILURES, burn};
pub use fleet::{Ranked, Trouble, rank, ranked, shown as reading, way};

use std::collections::BTreeMap;

use crate::detect::asked::Plain;
use crate::detect::kind::{Count, Kind};
use crate::detect::memory::RuleMemory;
use crate::detect::params::ParamOverrides;
use crate::detect::verdict::Facts;
use crate::model::facts::{Facts as World, PrometheusFacts};
use crate::model::source::SourceKind;

pub use crate::detect::nothing::{LearnsNothing as Learning, ShowsNothing as Shown, shows_nothing as shown};

/// Its row.
pub const KIND: Kind = Kind {
    by_hand: |world, id, command| match server(world, id).and_then(|p| p.instance.as_ref()) {
        Some(instance) if is_plain(instance.url.shown()) => command.replace("localhost:9090", instance.url.shown()),
        _ => command.to_owned(),
    },
    suffers: &["slo.burn"],
    counts,
    ..Kind::plain(SourceKind::Prometheus, |world| world.servers.prometheus.iter().map(|p| p.id.as_str()).collect())
};

/// What a rule is given.
pub type View<'a> = Plain<'a, PrometheusFacts>;
/// The same, before it is asked.
pub type Prepared<'a> = Plain<'a, PrometheusFacts>;

/// All servers.
#[must_use]
pub fn prepare<'a>(facts: &Facts<'a>, _: &ParamOverrides, _: &BTreeMap<String, RuleMemory>) -> Vec<Prepared<'a>> {
    facts.world.servers.prometheus.iter().map(|server| Plain { facts: *facts, id: &server.id, server }).collect()
}

/// A URL that a shell reads as it is.
fn is_plain(url: &str) -> bool {
    url.chars().all(|c| c.is_ascii_alphanumeric() || ":/._-".contains(c))
}

fn server<'a>(world: &'a World, id: &str) -> Option<&'a PrometheusFacts> {
    world.servers.prometheus.iter().find(|p| p.id == id)
}

/// What is kept over time.
fn counts(world: &World, id: &str) -> Vec<Count> {
    let p = server(world, id);
    let firing = p.and_then(|p| p.alerts.as_ref().ok()).map(|all| all.iter().filter(|a| a.firing).count() as f64);
    let down =
        p.and_then(|p| p.targets.as_ref().ok()).map(|t| t.jobs.iter().map(|j| f64::from(j.all.saturating_sub(j.up))).sum());
    vec![("firing", firing), ("down", down)]
}
