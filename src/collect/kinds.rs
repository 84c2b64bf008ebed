//! The kinds of servers that are known: one row each.

use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

use super::kind::Kind;
use super::watched::Reads;

macro_rules! rows {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All of them: those that are read.
        pub const KINDS: &[Kind] = &[$(super::$folder::KIND),*];
    };
}

kinds!(rows);

/// The kinds of servers that are read.
pub fn read() -> impl Iterator<Item = (SourceKind, &'static dyn Reads)> {
    KINDS.iter().filter_map(|kind| Some((kind.kind, kind.reads?)))
}
