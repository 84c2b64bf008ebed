//! `perftop explain`: the catalogue, generated from the rules.

use std::fmt::Write as _;

use crate::config::{Settings, nearest};
use crate::detect::params::{ParamOverrides, Params};
use crate::detect::rule::Rule;
use crate::detect::rules::{self, RULES};
use crate::model::origin;

use super::failure::{Failure, print};

/// Runs the command.
///
/// # Errors
/// When there is no such finding.
pub fn run(id: Option<&str>, settings: &Settings) -> Result<u8, Failure> {
    let Some(id) = id else {
        let mut out = String::new();
        for rule in RULES {
            _ = writeln!(out, "{:<24} {}", rule.id, rule.says);
        }
        out.push_str("\nperftop explain ID shows how one is judged, its thresholds and where its figures come from.\n");
        print(&out)?;
        return Ok(0);
    };
    let Some(rule) = rules::find(id) else {
        let near = nearest(id, RULES.iter().map(|r| r.id));
        return Err(Failure::Usage(format!("unknown finding `{id}`{near}; `perftop explain` lists all")));
    };
    print(&page(rule, &settings.params()))?;
    Ok(0)
}

/// Without the marks of emphasis, which a terminal shows as they are.
fn plain(page: &str) -> String {
    page.replace("**", "")
}

/// The page of a rule, with the thresholds in force.
#[must_use]
pub fn page(rule: &Rule, overrides: &ParamOverrides) -> String {
    let params = Params::new(rule.id, overrides);
    let mut out = format!("{}\n  {}\n\n{}\n", rule.id, rule.says, plain(rule.page));
    if !rule.params.is_empty() {
        _ = writeln!(out, "\nThresholds, under [rules.\"{}\"]:", rule.id);
    }
    for p in rule.params {
        let now = params.get(*p);
        let default = if now == p.default { String::new() } else { format!(", default {:?}", p.default) };
        _ = writeln!(out, "  {} = {now:?} {}  ({} to {}{default})\n      {}", p.name, p.unit.word(), p.min, p.max, p.what);
    }
    out.push_str("\nFigures:\n");
    for origin in rule.origins.iter().filter_map(|id| origin::find(id)) {
        _ = writeln!(out, "  {}: {}\n      {}\n      $ {}", origin.id, origin.from, origin.formula, origin.command);
    }
    out
}
