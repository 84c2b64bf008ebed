//! What is looked at: resources, needs and triggers, those that are built in and those of the configuration. In queries `$h` stands where
//! hosts are chosen.

use serde::{Deserialize, Serialize};

use crate::model::unit::Unit;

/// All that is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct CapacityPlan {
    /// How far ahead needs are, seconds.
    pub ahead_s: u64,
    /// Within so many seconds it is a warning that something runs out, and critical.
    pub limits_s: (u64, u64),
    /// Resources.
    pub resources: Vec<Resource>,
    /// Needs.
    pub needs: Vec<Need>,
    /// Triggers.
    pub triggers: Vec<Trigger>,
}

/// A resource that may run out.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// What it is called.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// What is left of it: a series each.
    pub left: String,
    /// How much there is.
    pub all: Option<String>,
}

/// What is needed of something that can be bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// What: `cpu`.
    pub name: String,
    /// The word of one: `core`, `GB`.
    pub unit: String,
    /// What is used of it, or of what it goes with: one series.
    pub used: String,
    /// How much there is: one series.
    pub have: Option<String>,
    /// What is kept free, percent.
    pub buffer: f64,
    /// What one costs a month.
    pub price: Option<f64>,
    /// It comes whole.
    pub whole: bool,
}

/// What calls for more when it is above a limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// What: `cpu`.
    pub name: String,
    /// A series for each of those it is asked of.
    pub query: String,
    /// Which figure of the time that is looked at.
    pub statistic: Statistic,
    /// From here on.
    pub above: f64,
    /// Its unit.
    pub unit: Unit,
    /// What to do.
    pub action: String,
    /// The time that is looked at, seconds.
    pub over_s: u64,
    /// The query is the selector of a histogram's buckets, in seconds: the statistic is a quantile of it, in milliseconds.
    #[serde(default)]
    pub buckets: bool,
}

/// One figure of many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "see `word`")]
pub enum Statistic {
    #[serde(rename = "p50")]
    P50,
    #[serde(rename = "p95")]
    P95,
    #[serde(rename = "p99")]
    P99,
    #[serde(rename = "mean")]
    Mean,
    #[serde(rename = "max")]
    Max,
}

impl Statistic {
    /// All.
    pub const ALL: [Self; 5] = [Self::P50, Self::P95, Self::P99, Self::Mean, Self::Max];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }

    /// Which quantile it is, where it is one.
    #[must_use]
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            Self::Mean | Self::Max => None,
        }
    }

    /// That figure of a query over a time at steps, as PromQL.
    #[must_use]
    pub fn over(self, query: &str, over: &str, step: &str) -> String {
        let range = format!("({query})[{over}:{step}]");
        match self {
            Self::P50 => format!("quantile_over_time(0.5, {range})"),
            Self::P95 => format!("quantile_over_time(0.95, {range})"),
            Self::P99 => format!("quantile_over_time(0.99, {range})"),
            Self::Mean => format!("avg_over_time({range})"),
            Self::Max => format!("max_over_time({range})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_one() {
        let plan = CapacityPlan::default();
        let of = |r: &Resource| [Some(r.left.clone()), r.all.clone()];
        let resources = plan.resources.iter().flat_map(of).flatten();
        let needs = plan.needs.iter().flat_map(|n| [Some(n.used.clone()), n.have.clone()]).flatten();
        let triggers = plan.triggers.iter().map(|t| match t.buckets {
            true => format!("sum by (le, job) (increase({}[1d]))", t.query),
            false => t.statistic.over(&t.query, "1d", "10m"),
        });
        for query in resources.chain(needs).chain(triggers) {
            for chosen in ["", "instance=~\"db3(:[0-9]+)?\""] {
                let query = query.replace("$h", chosen);
                assert!(
                    promql_parser::parser::parse(&query).is_ok(),
                    "{query}: {:?}",
                    promql_parser::parser::parse(&query).err()
                );
            }
        }
    }

    #[test]
    fn buffers_and_triggers_are_those_of_the_documents() {
        let text = |name: &str| std::fs::read_to_string(format!("tests/fixtures/seeds/capacity/{name}.md")).unwrap();
        let (needs, triggers) = (text("engineer-assistant-needs"), text("engineer-assistant-scaling-triggers"));
        let plan = CapacityPlan::default();
        let rows = [("cpu", "cpu_cores"), ("memory", "memory_gb"), ("storage", "storage_tb"), ("network", "bandwidth_gbps")];
        for (need, (name, theirs)) in plan.needs.iter().zip(rows) {
            let row = needs.lines().find(|l| l.starts_with(&format!("| {theirs} "))).unwrap();
            assert!(need.name == name && row.contains(&format!("| {:.0}% |", need.buffer)), "{row}: {}", need.buffer);
        }
        let theirs = ["cpu_usage", "memory_usage", "response_time_ms", "queue_depth"];
        for (trigger, theirs) in plan.triggers.iter().zip(theirs) {
            let row = triggers.lines().find(|l| l.starts_with(&format!("| {theirs} "))).unwrap();
            assert!(row.contains(&format!("| {} | > {:.0} |", trigger.statistic.word(), trigger.above)), "{row}");
        }
    }
}
