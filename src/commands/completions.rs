//! `perftop completions SHELL` and `perftop man`, made from the command line itself.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

use super::failure::{Failure, print};

/// Prints the completions of a shell.
///
/// # Errors
/// A closed pipe.
pub fn run(shell: Shell) -> Result<u8, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "perftop", &mut out);
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}

/// Prints the manual page, in roff.
///
/// # Errors
/// A closed pipe.
pub fn man() -> Result<u8, Failure> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut out).map_err(|e| Failure::Io(format!("manual page: {e}")))?;
    print(&String::from_utf8_lossy(&out))?;
    Ok(0)
}
