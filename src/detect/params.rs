//! Thresholds: declared by the rules with unit, default and range; overridden under `[rules."id"]`.

use std::collections::BTreeMap;

use crate::model::unit::Unit;

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
    declared: &'static [Param],
    overrides: &'a ParamOverrides,
}

/// A found one stays until its figure is below this share of its limit.
pub const HYSTERESIS: f64 = 0.7;

impl<'a> Params<'a> {
    /// The thresholds of `rule`.
    #[must_use]
    pub const fn new(rule: &'static str, declared: &'static [Param], overrides: &'a ParamOverrides) -> Self {
        Self { rule, declared, overrides }
    }

    /// The value in force. A name that the rule does not declare has none (`tests/tidy.rs` forbids it).
    #[must_use]
    pub fn get(&self, name: &str) -> f64 {
        let declared = self.declared.iter().find(|p| p.name == name).map_or(f64::NAN, |p| p.default);
        self.overrides.0.get(&(self.rule.to_owned(), name.to_owned())).copied().unwrap_or(declared)
    }

    /// The limit to compare with: lower for what is held already.
    #[must_use]
    pub fn limit(&self, name: &str, held: bool) -> f64 {
        self.get(name) * if held { HYSTERESIS } else { 1.0 }
    }
}
