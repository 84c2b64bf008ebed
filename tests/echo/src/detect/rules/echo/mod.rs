//! Rules of echo servers.

mod slow;

use crate::detect::rule::Rule;

/// All of them.
pub const RULES: &[&Rule] = &[&slow::RULE];
