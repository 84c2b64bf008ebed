//! What a panel's queries gave.

use crate::model::prometheus::Lines;

/// The series of a query, and the pattern of their names.
pub type Answer<'p> = (&'p Lines, &'p str);
