//! `perftop config`: what is in force, what is wrong, what could be written.

use std::fmt::Write as _;

use crate::cli::{ConfigAction, Global};
use crate::config::example;
use crate::model::mask;

use super::failure::{Failure, print};
use super::setup::settings;

/// Runs the command.
///
/// # Errors
/// Every problem of the files.
pub fn run(action: ConfigAction, global: &Global) -> Result<u8, Failure> {
    match action {
        ConfigAction::Example => print(&example())?,
        ConfigAction::Check => {
            let settings = settings(global)?;
            super::screen::themes(&settings)?;
            super::screen::keymap(&settings)?;
            super::screen::dashboards(&settings)?;
            super::setup::servers(&settings, &super::setup::given(&settings)?)?;
            print("the configuration is valid\n")?;
        }
        ConfigAction::Keys => {
            let mut out = String::new();
            for row in super::screen::keymap(&settings(global)?)?.rows() {
                let keys: Vec<String> = row.keys.iter().map(|k| k.shown()).collect();
                _ = writeln!(out, "{:<16} = {:<24} # {}", row.binding.name, format!("{keys:?}"), row.binding.what);
            }
            print(&out)?;
        }
        ConfigAction::Print => {
            let mut out = String::new();
            for (key, value, origin) in settings(global)?.all() {
                // A URL with a password was refused; what else may be one is not shown either.
                let value = mask::command_line(value.to_string().as_bytes());
                _ = writeln!(out, "{:<44} # {origin}", format!("{key} = {}", String::from_utf8_lossy(&value)));
            }
            print(&out)?;
        }
    }
    Ok(0)
}
