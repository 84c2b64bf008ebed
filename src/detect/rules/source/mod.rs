//! Rules about the sources themselves: what could not be seen, and the way in.

pub mod blind;
pub mod denied;
pub mod not_watched;
mod state;
pub mod unreachable;

use crate::detect::rule::Rule;

/// Its rules, in the order of the catalogue.
pub(super) const RULES: &[&Rule] = &[&unreachable::RULE, &denied::RULE, &not_watched::RULE, &blind::RULE];
