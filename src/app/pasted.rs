//! A fix as it is pasted.

use crate::detect::command::Language;
use crate::detect::finding::Fix;

/// A fix as it is pasted: SQL says first for which database and server it is, so that it is not run on another one.
pub(super) fn pasted(fix: &Fix) -> String {
    match fix.command.language() {
        Language::Sql => format!("-- {}\n{}", fix.target, fix.command),
        _ => fix.command.to_string(),
    }
}
