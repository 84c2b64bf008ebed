//! Why a connection is ended.

/// Said of what is no PostgreSQL.
pub const FOREIGN: &str = "what listens there does not speak the PostgreSQL protocol";

/// The server sent what is not taken: why the connection is ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub String);

pub(super) fn malformed(let_in: bool) -> Refused {
    Refused(if let_in { "it sent a malformed message".to_owned() } else { FOREIGN.to_owned() })
}
