//! The binary: parse, dispatch, exit.

// A print to a dead terminal panics: output goes through `commands::print` and `bug::say`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use clap::Parser;
use perftop::cli::Cli;
use perftop::commands::{self, Failure};

const USAGE: u8 = 64;

fn main() {
    perftop::bug::end_on_panic();
    perftop::rights::give_up();
    match Cli::try_parse() {
        Ok(cli) => ended(commands::run(cli)),
        // Help and version are no errors; the parser's own exit code 2 would mean "critical".
        Err(error) if error.use_stderr() => {
            _ = error.print();
            leave(USAGE)
        }
        Err(help) => ended(commands::print(&help.to_string()).map(|()| 0)),
    }
}

/// Says why it failed, and ends.
fn ended(result: Result<u8, Failure>) -> ! {
    let failure = match result {
        Ok(code) => leave(code),
        Err(failure) => failure,
    };
    if failure.is_worth_a_word() {
        failure.to_string().lines().for_each(perftop::bug::say);
    }
    leave(failure.code())
}

/// Ends at once: a reader that hangs in the kernel is not waited for.
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
