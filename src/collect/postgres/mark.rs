//! By what perftop knows its own sessions and statements again.

/// What perftop calls itself; its own sessions are excluded by it.
pub const APPLICATION: &str = "perftop";
/// What stands behind the first word of each of its statements.
pub(super) const MARK: &str = "/* perftop */";
