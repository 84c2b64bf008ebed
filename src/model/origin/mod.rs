//! Where every number comes from: file and field, formula, and a command that shows it by hand.
//! One row per origin; rules and panels name rows by id, `tests/tidy.rs` checks that each name exists.

mod host;
pub(crate) mod postgres;
mod redis;

use super::kinds::kinds;

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

const fn origin(id: &'static str, from: &'static str, formula: &'static str, command: &'static str) -> Origin {
    Origin { id, from, formula, command }
}

macro_rules! lists {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All origins, by where they are read.
        const LISTS: &[&[Origin]] = &[host::ORIGINS, $($folder::ORIGINS),*];
    };
}

kinds!(lists);

/// All origins.
pub fn all() -> impl Iterator<Item = &'static Origin> {
    LISTS.iter().copied().flatten()
}

/// The origin of that id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Origin> {
    all().find(|origin| origin.id == id)
}
