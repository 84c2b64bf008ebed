//! Files of the system that were changed lately.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// What changes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangedKind {
    /// Packages were installed, removed or upgraded.
    Packages,
    /// A file below /etc.
    Configuration,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Where, as the host sees it.
    pub path: Foreign,
    /// What changes with it.
    pub kind: ChangedKind,
    /// When it was written last, wall clock, ms.
    pub at_ms: i64,
}
