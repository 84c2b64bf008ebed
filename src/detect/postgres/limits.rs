//! The thresholds by which a costly query is one rule's or another's. They stand here because the rules choose together; each is declared
//! by its rule. What a rule holds stays its own for 0.7 of a threshold.

use std::collections::BTreeMap;

use crate::model::unit::Unit;

use crate::detect::memory::RuleMemory;
use crate::detect::params::{HYSTERESIS, Param, ParamOverrides, Params};

/// A threshold of one of those rules.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The rule.
    pub rule: &'static str,
    /// Its threshold.
    pub param: Param,
}

const fn limit(
    rule: &'static str,
    name: &'static str,
    unit: Unit,
    (default, min, max): (f64, f64, f64),
    what: &'static str,
) -> Limit {
    Limit { rule, param: Param { name, unit, default, min, max, what } }
}

/// A spill.
pub const SPILL: Limit = limit(
    "postgres.query.temp_spill",
    "spill",
    Unit::BytesPerSecond,
    (1_048_576.0, 8192.0, 1e12),
    "bytes written to temporary files per second, and as many per call",
);
/// More rows than anyone reads.
pub const ROWS: Limit = limit("postgres.query.large_fetch", "rows", Unit::Count, (10_000.0, 10.0, 1e9), "rows returned per call");
/// A cheap query.
pub const CHEAP: Limit = limit(
    "postgres.query.high_frequency",
    "cheap",
    Unit::Milliseconds,
    (2.0, 0.01, 1000.0),
    "mean time per call of a cheap query, at most",
);
/// Called too often.
pub const CALLS: Limit = limit("postgres.query.high_frequency", "calls", Unit::PerSecond, (300.0, 1.0, 1e7), "calls per second");
/// One of a loop.
pub const FEW_ROWS: Limit =
    limit("postgres.query.high_frequency", "rows", Unit::Count, (10.0, 1.0, 1e6), "rows returned or changed per call, at most");
/// Over what was usual.
pub const FLOOD: Limit =
    limit("postgres.query.high_frequency", "flood", Unit::Ratio, (3.0, 1.1, 1000.0), "calls per second over the baseline");
/// Compiled more than it works.
pub const COMPILES: Limit = limit(
    "postgres.query.jit",
    "part",
    Unit::Percent,
    (40.0, 1.0, 100.0),
    "share of its execution time in just-in-time compilation",
);
/// Planned longer than it works.
pub const PLANS: Limit = limit(
    "postgres.query.planning",
    "part",
    Unit::Percent,
    (50.0, 1.0, 100.0),
    "share of its time outside of execution, which is planning",
);
/// Planned for long.
pub const PLANS_MS: Limit =
    limit("postgres.query.planning", "planned", Unit::Milliseconds, (1.0, 0.01, 1e6), "planning time per call");
/// Slower than usual.
pub const SLOWER: Limit =
    limit("postgres.query.regressed", "slower", Unit::Ratio, (2.0, 1.1, 1000.0), "mean time per call over the baseline");
/// An expensive query.
pub const DEAR: Limit = limit(
    "postgres.query.expensive",
    "dear",
    Unit::Milliseconds,
    (20.0, 0.1, 1e6),
    "mean time per call from which a query is expensive",
);
/// One that can dominate.
pub const WEIGHTY: Limit = limit(
    "postgres.query.expensive",
    "weighty",
    Unit::Milliseconds,
    (2.0, 0.01, 1000.0),
    "mean time per call from which a query that dominates is expensive",
);
/// One that has most of the time.
pub const DOMINATES: Limit = limit(
    "postgres.query.expensive",
    "dominates",
    Unit::Percent,
    (40.0, 1.0, 100.0),
    "share of total statement time from which a query of `weighty` is expensive",
);
/// An estimate that is far off.
pub const OFF: Limit = limit(
    "postgres.query.stale_statistics",
    "off",
    Unit::Ratio,
    (10.0, 1.5, 1e6),
    "estimated rows over actual rows, or the inverse",
);
/// A table that is another one by now.
pub const CHANGED: Limit = limit(
    "postgres.query.stale_statistics",
    "changed",
    Unit::Percent,
    (50.0, 1.0, 1000.0),
    "rows changed since the last ANALYZE, as a share of the table's rows (1,000 at least)",
);
/// Dead space.
pub const DEAD: Limit = limit(
    "postgres.vacuum.bloat",
    "dead",
    Unit::Percent,
    (50.0, 5.0, 99.0),
    "share of dead rows or empty space in a table that a query reads whole",
);

/// The limits that one query is held against.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    overrides: &'a ParamOverrides,
    rules: &'a BTreeMap<String, RuleMemory>,
    source: &'a str,
}

impl<'a> Limits<'a> {
    /// Those of one server; `rules` is what the rules hold, by `id|source`.
    #[must_use]
    pub const fn new(overrides: &'a ParamOverrides, rules: &'a BTreeMap<String, RuleMemory>, source: &'a str) -> Self {
        Self { overrides, rules, source }
    }

    fn holds(&self, rule: &str, query: &str) -> bool {
        let held = self.rules.get(&format!("{rule}|{}", self.source));
        held.is_some_and(|r| r.held.iter().any(|h| h.subject.typed_key() == query || h.subject.also.iter().any(|a| a == query)))
    }

    /// What a query has to reach, by its typed key.
    #[must_use]
    pub fn least(&self, limit: Limit, query: &str) -> f64 {
        Params::new(limit.rule, self.overrides).limit(limit.param, self.holds(limit.rule, query))
    }

    /// What a query must not exceed.
    #[must_use]
    pub fn most(&self, limit: Limit, query: &str) -> f64 {
        let held = self.holds(limit.rule, query);
        Params::new(limit.rule, self.overrides).get(limit.param) / if held { HYSTERESIS } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::memory::Held;
    use crate::model::subject::{Subject, SubjectType};

    /// One threshold decides, shows and can be set; what is held is held by 0.7 of it, also where its subject is a table.
    #[test]
    fn what_is_held_stays_for_less_and_an_override_counts() {
        let mut subject = Subject::new(SubjectType::Table, "shop.public.orders", "orders");
        subject.also = vec!["query:shop/7".to_owned()];
        let held = Held { subject, entered_share: 1.0, active_ms: 0, failed_per_s: None };
        let rules = [("postgres.query.large_fetch|postgres:a".to_owned(), RuleMemory { held: vec![held] })].into();
        let mut overrides = ParamOverrides::default();
        let of =
            |overrides: &ParamOverrides, source: &str, query: &str| Limits::new(overrides, &rules, source).least(ROWS, query);
        assert!((of(&overrides, "postgres:a", "query:shop/7") - 7_000.0).abs() < 1e-6);
        assert!((of(&overrides, "postgres:a", "query:shop/8") - 10_000.0).abs() < 1e-6);
        assert!((of(&overrides, "postgres:b", "query:shop/7") - 10_000.0).abs() < 1e-6);
        overrides.0.insert((ROWS.rule.to_owned(), ROWS.param.name.to_owned()), 500.0);
        assert!((of(&overrides, "postgres:b", "query:shop/7") - 500.0).abs() < 1e-6);
        assert!((Limits::new(&overrides, &rules, "postgres:a").most(ROWS, "query:shop/7") - 500.0 / 0.7).abs() < 1e-6);
    }
}
