//! Index advice from a generic plan: which columns, what it would give, what it would cost. Candidates come from the plan's own conditions,
//! so views, aliases and search paths are resolved already. Pure.

mod change;
mod either;
mod join;
mod scan;

pub use change::{Advice, Call};

use crate::model::postgres::plan::Plan;

/// A plan is refreshed after a minute.
pub const FRESH_NS: u64 = 60_000_000_000;
/// The same of a query that became slower.
pub const FRESH_OF_SLOWER_NS: u64 = 10_000_000_000;
/// The plan must get cheaper by this.
const WORTH: f64 = 0.5;

/// The index that helps the plan most, if one is worth it.
#[must_use]
pub fn best(plan: &Plan, call: Call) -> Option<Advice> {
    let each = || plan.nodes.iter().enumerate();
    let scans = each().filter_map(|(at, node)| scan::advise(plan, at, node, call));
    let joins = each().filter_map(|(at, node)| join::advise(plan, at, node, call));
    let sides = plan.nodes.iter().filter_map(|node| either::advise(plan, node, call));
    let mut all: Vec<Advice> = scans.chain(joins).chain(sides).collect();
    all.retain(|a| a.cost_after <= WORTH * plan.cost());
    all.into_iter().min_by(|a, b| a.cost_after.total_cmp(&b.cost_after))
}
