//! `perftop config`: what is in force, what is wrong, what could be written.

use std::fmt::Write as _;

use crate::cli::{ConfigAction, Global};
use crate::config::example;

use super::{Failure, print, settings};

/// Runs the command.
///
/// # Errors
/// Every problem of the files.
pub fn run(action: ConfigAction, global: &Global) -> Result<u8, Failure> {
    match action {
        ConfigAction::Example => print(&example())?,
        ConfigAction::Check => {
            super::live::theme(&settings(global)?)?;
            print("the configuration is valid\n")?;
        }
        ConfigAction::Print => {
            let mut out = String::new();
            for (key, value, origin) in settings(global)?.all() {
                _ = writeln!(out, "{:<44} # {origin}", format!("{key} = {value}"));
            }
            print(&out)?;
        }
    }
    Ok(0)
}
