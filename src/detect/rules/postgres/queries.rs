//! The rules of queries: which of them has a query, and the finding that all of them share.

use crate::detect::postgres::case::{Case, Kind};
use crate::detect::postgres::queries::Sort;

use super::{
    bloat, expensive, high_frequency, jit, large_fetch, missing_index, planning, regressed, stale_statistics, temp_spill,
};

/// A query is that rule's which stands first here and fits: the narrowest first.
const PRECEDENCE: &[Sort] = &[
    missing_index::fits,
    stale_statistics::misleads,
    bloat::fits,
    temp_spill::fits,
    jit::fits,
    planning::fits,
    large_fetch::fits,
    high_frequency::fits,
    stale_statistics::fits,
    regressed::fits,
    expensive::fits,
];

/// Which rule a query belongs to.
#[must_use]
pub fn sort(case: &Case<'_>) -> Option<Kind> {
    PRECEDENCE.iter().find_map(|fits| fits(case))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::bench::postgres::{Statement, index, orders, scan};
    use crate::model::postgres::plan::PlannedTable;

    /// The rules that find the statement.
    fn found(statement: &Statement) -> Vec<&'static str> {
        let rules = [
            missing_index::RULE,
            stale_statistics::RULE,
            bloat::RULE,
            temp_spill::RULE,
            jit::RULE,
            planning::RULE,
            large_fetch::RULE,
            high_frequency::RULE,
            regressed::RULE,
            expensive::RULE,
        ];
        let bench = statement.bench();
        let finds = rules.iter().filter(|rule| bench.says(rule, None).iter().any(|said| said.starts_with("found")));
        finds.map(|rule| rule.id).collect()
    }

    #[test]
    fn a_query_belongs_to_the_first_rule_that_fits() {
        let filter = "((customer_id = $1) AND (state = $2))";
        let mut table = PlannedTable { modified: 900_000, dead: 9_000_000, indexes: vec![index(&[3])], ..orders() };
        let mut all = Statement {
            ms: 100.0,
            rows: 20_000,
            spills: 2 << 20,
            jit: 0.6,
            plan_ms: 200.0,
            usual: Some((10.0, 10.0)),
            busy: 1000,
            plan: scan(table.clone(), filter, 1_000.0),
            ..Statement::default()
        };
        // One reason less each time: the next rule has it.
        assert_eq!(found(&all), ["postgres.query.missing_index"]);
        table.indexes.push(index(&[2, 3]));
        all.plan = scan(table.clone(), filter, 1_000.0);
        assert_eq!(found(&all), ["postgres.query.stale_statistics"]);
        table.modified = 0;
        all.plan = scan(table.clone(), filter, 1_000.0);
        assert_eq!(found(&all), ["postgres.vacuum.bloat"]);
        table.dead = 0;
        all.plan = scan(table.clone(), filter, 1_000.0);
        assert_eq!(found(&all), ["postgres.query.temp_spill"]);
        all.spills = 0;
        assert_eq!(found(&all), ["postgres.query.jit"]);
        all.jit = 0.0;
        assert_eq!(found(&all), ["postgres.query.planning"]);
        all.plan_ms = 0.0;
        assert_eq!(found(&all), ["postgres.query.large_fetch"]);
        all.rows = 1_000;
        table.modified = 900_000;
        all.plan = scan(table, filter, 1_000.0);
        assert_eq!(found(&all), ["postgres.query.stale_statistics"]);
        all.plan = None;
        assert_eq!(found(&all), ["postgres.query.regressed"]);
        all.usual = None;
        assert_eq!(found(&all), ["postgres.query.expensive"]);
    }

    #[test]
    fn a_flood_comes_before_a_slowdown_and_a_slowdown_before_what_dominates() {
        let mut cheap = Statement { ms: 2.0, usual: Some((0.5, 100.0)), busy: 1000, share: 0.9, ..Statement::default() };
        assert_eq!(found(&cheap), ["postgres.query.high_frequency"]);
        cheap.usual = Some((0.5, 400.0));
        assert_eq!(found(&cheap), ["postgres.query.regressed"]);
        cheap.usual = Some((2.0, 400.0));
        assert_eq!(found(&cheap), ["postgres.query.expensive"]);
    }
}
