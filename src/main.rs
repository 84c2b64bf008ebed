//! The binary: parse, dispatch, exit.

use std::process::ExitCode;

use clap::Parser;
use perftop::cli::Cli;
use perftop::commands;

const USAGE: u8 = 64;

fn main() -> ExitCode {
    perftop::bug::end_on_panic();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; the parser's own exit code 2 would mean "critical".
            let code = if error.use_stderr() { USAGE } else { 0 };
            _ = error.print();
            return ExitCode::from(code);
        }
    };
    match commands::run(cli) {
        Ok(code) => leave(code),
        Err(failure) => {
            if failure.code() != 0 && failure.code() != 130 {
                for line in failure.to_string().lines() {
                    eprintln!("perftop: {line}");
                }
            }
            leave(failure.code())
        }
    }
}

/// Ends at once: a reader that hangs in the kernel is not waited for.
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
