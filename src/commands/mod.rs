//! The commands, one file each, and which of them a command line asks for.

mod check;
mod completions;
mod config;
mod demo;
mod diff;
mod doctor;
mod explain;
mod export;
mod failure;
mod incidents;
mod kept;
mod live;
mod prometheus;
mod record;
mod replay;
pub(crate) mod report;
mod screen;
mod session;
mod setup;
mod why;

pub use failure::{Failure, print};

use crate::cli::{Cli, Command};

use setup::settings;

/// Runs the command line; gives the exit code.
///
/// # Errors
/// A failure with its exit code.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    if !screen::opens(cli.command.as_ref()) {
        crate::rights::start_nothing();
    }
    if let Some(Command::Config(options)) = &cli.command {
        return config::run(*options.action.as_ref().unwrap_or(&crate::cli::ConfigAction::Print), &cli.global);
    }
    if let Some(Command::Explain(options)) = &cli.command {
        return explain::run(options.id.as_deref(), &settings(&cli.global)?);
    }
    match &cli.command {
        Some(Command::Completions(options)) => return completions::run(options.shell),
        Some(Command::Man) => return completions::man(),
        _ => {}
    }
    let settings = settings(&cli.global)?;
    match cli.command {
        None => live::run(&settings),
        Some(Command::Check(options)) if options.fleet || options.capacity || options.kpis => {
            prometheus::run(&options, &settings)
        }
        Some(Command::Check(options)) => check::run(&options, &settings),
        Some(Command::Why(options)) => why::run(&options, &settings, !cli.global.servers.0.is_empty()),
        Some(Command::Export(options)) => export::run(&options, &settings),
        Some(Command::Record(options)) => record::run(&options, &settings),
        Some(Command::Replay(options)) => replay::run(&options, &settings),
        Some(Command::Demo(options)) => demo::run(&options, &settings),
        Some(Command::Diff(options)) => diff::run(&options, &settings),
        Some(Command::Incidents(options)) => incidents::run(&options, &settings),
        Some(Command::Report(options)) => report::run(&options, &settings),
        Some(Command::Doctor(options)) => doctor::run(&options, &settings),
        Some(Command::Config(_) | Command::Explain(_) | Command::Completions(_) | Command::Man) => Ok(0),
    }
}
