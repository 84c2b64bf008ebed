//! Where every number comes from: file and field, formula, and a command that shows it by hand.
//! One row per origin; rules and panels name rows by id, `tests/tidy.rs` checks that each name exists.

mod host;
pub(crate) mod postgres;
mod prometheus;
mod redis;
mod row;

pub use row::Origin;

use super::kinds::kinds;

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
