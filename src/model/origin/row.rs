//! One origin.

/// The provenance of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Its name in evidence rows.
    pub id: &'static str,
    /// File and field, or call.
    pub from: &'static str,
    /// Formula with unit and denominator.
    pub formula: &'static str,
    /// A command that shows the raw figure.
    pub command: &'static str,
}

pub(super) const fn origin(id: &'static str, from: &'static str, formula: &'static str, command: &'static str) -> Origin {
    Origin { id, from, formula, command }
}
