//! For kinds of servers of which nothing is learned, or shown beside their facts.

use serde::{Deserialize, Serialize};

use crate::model::facts::Facts;

/// What is shown of servers beside their facts where nothing is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShowsNothing;

/// Nothing.
pub const fn shows_nothing<T>(_servers: &[T]) -> ShowsNothing {
    ShowsNothing
}

/// What is learned of servers of which nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnsNothing {}

impl LearnsNothing {
    /// Learns nothing.
    pub const fn learn(&mut self, _facts: &Facts) {}
}
