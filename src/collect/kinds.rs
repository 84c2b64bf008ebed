//! The kinds of servers that are known: one row each.

use crate::model::kinds::kinds;
use crate::model::source::SourceKind;

use super::kind::Kind;
use super::watched::Reads;

macro_rules! rows {
    ($($Kind:ident $folder:ident $name:literal,)*) => {
        /// All of them: those that are read, and those that are only seen.
        pub const KINDS: &[Kind] = &[$(super::$folder::KIND,)* PROMETHEUS];
    };
}

kinds!(rows);

const PROMETHEUS: Kind = Kind {
    kind: SourceKind::Prometheus,
    programs: &["prometheus", "victoria-metric"],
    port: 9090,
    look: "curl -s localhost:{port}/api/v1/targets",
    reads: None,
};

/// The kinds of servers that are read.
pub fn read() -> impl Iterator<Item = (SourceKind, &'static dyn Reads)> {
    KINDS.iter().filter_map(|kind| Some((kind.kind, kind.reads?)))
}
