//! Thresholds: declared by the rules with unit, default and range; overridden under `[rules."id"]`.

use std::collections::BTreeMap;

use crate::model::unit::Unit;

use super::finding::Evidence;

/// One threshold of a rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Its default.
    pub default: f64,
    /// Smallest sensible value.
    pub min: f64,
    /// Largest sensible value.
    pub max: f64,
    /// What it decides, and why the default is what it is.
    pub what: &'static str,
}

/// What the configuration overrides, by rule and name; checked against the declarations when it is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParamOverrides(pub BTreeMap<(String, String), f64>);

/// The thresholds of one rule as they are in force.
#[derive(Debug, Clone, Copy)]
pub struct Params<'a> {
    rule: &'static str,
    overrides: &'a ParamOverrides,
}

/// A found one stays until its figure is below this share of its limit.
pub const HYSTERESIS: f64 = 0.7;
/// The limit of a figure of which one is too many.
pub const NONE_IS_FINE: Option<f64> = Some(0.0);

impl<'a> Params<'a> {
    /// The thresholds of `rule`.
    #[must_use]
    pub const fn new(rule: &'static str, overrides: &'a ParamOverrides) -> Self {
        Self { rule, overrides }
    }

    /// Those of another rule, for what one rule says of another's figures.
    #[must_use]
    pub const fn of(&self, rule: &'static str) -> Self {
        Self { rule, overrides: self.overrides }
    }

    /// The value in force.
    #[must_use]
    pub fn get(&self, param: Param) -> f64 {
        self.overrides.0.get(&(self.rule.to_owned(), param.name.to_owned())).copied().unwrap_or(param.default)
    }

    /// The limit to compare with: lower for what is held already.
    #[must_use]
    pub fn limit(&self, param: Param, held: bool) -> f64 {
        self.get(param) * if held { HYSTERESIS } else { 1.0 }
    }

    /// The limit that must not be passed: higher for what is held already.
    #[must_use]
    pub fn most(&self, param: Param, held: bool) -> f64 {
        self.get(param) / if held { HYSTERESIS } else { 1.0 }
    }

    /// A figure beside the threshold that it has to reach, in the unit of that.
    pub fn row(&self, claim: impl Into<String>, value: f64, param: Param, origin: &str) -> Evidence {
        let limit = self.get(param);
        // What is held may be a little below.
        let met = Some(value >= HYSTERESIS * limit);
        Evidence {
            claim: claim.into(),
            value,
            unit: param.unit,
            limit: Some(limit),
            origin: origin.to_owned(),
            met,
            capacity: false,
        }
    }

    /// A figure beside one of several thresholds, of which another one may be met: it counts neither for nor against.
    pub fn either(&self, claim: impl Into<String>, value: f64, param: Param, origin: &str) -> Evidence {
        Evidence { met: None, ..self.row(claim, value, param, origin) }
    }

    /// A figure beside the threshold that it must not exceed.
    pub fn row_below(&self, claim: impl Into<String>, value: f64, param: Param, origin: &str) -> Evidence {
        let met = Some(value * HYSTERESIS <= self.get(param));
        Evidence { met, ..self.row(claim, value, param, origin) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::finding::Class;
    use crate::detect::verdict::Found;

    const LIMIT: Param = Param { name: "x", unit: Unit::Percent, default: 10.0, min: 1.0, max: 100.0, what: "a limit" };

    /// What is found has evidence: one that is held a little below its limit, or meets another limit, is not without any.
    #[test]
    fn what_is_found_is_not_without_evidence() {
        let overrides = ParamOverrides::default();
        let params = Params::new("a.rule", &overrides);
        let met = |rows: Vec<Evidence>| {
            let mut found = Found::new(Class::Live, "found");
            found.evidence = rows;
            found.met()
        };
        assert_eq!(met(vec![params.row("held", 8.0, LIMIT, "")]), 1.0);
        assert_eq!(met(vec![params.row("held", 8.0, LIMIT, ""), params.row("lacks", 2.0, LIMIT, "")]), 0.5);
        assert_eq!(met(vec![params.row_below("young", 1.0, LIMIT, "")]), 1.0);
        assert_eq!(met(vec![params.row_below("old", 50.0, LIMIT, "")]), 0.0);
        assert_eq!(met(vec![params.either("the other one", 0.0, LIMIT, "")]), 1.0);
    }
}
