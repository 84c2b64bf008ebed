//! What a panel's queries gave.

use crate::model::prometheus::Lines;

/// The series of a query, the pattern of their names, and its letter.
pub type Answer<'p> = (&'p Lines, &'p str, &'p str);
