//! A kind of server, as it is found and read.

use crate::model::source::SourceKind;

use super::watched::Reads;

/// A kind of server.
pub struct Kind {
    /// Which.
    pub kind: SourceKind,
    /// Its programs, by name: never a guess from a port.
    pub programs: &'static [&'static str],
    /// The port that it has unless it is said.
    pub port: u16,
    /// How to inspect one by hand.
    pub look: &'static str,
    /// How it is read; `None`: it is only seen.
    pub reads: Option<&'static dyn Reads>,
}
