//! The binary: parse, dispatch, exit.

use std::process::ExitCode;

use clap::Parser;
use perftop::cli::Cli;
use perftop::commands;

const USAGE: u8 = 64;

const BUG: i32 = 70;

fn main() -> ExitCode {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        eprintln!("perftop: this is a bug; please report the lines above");
        // Whichever thread it was: nothing half dead goes on, and the runtime's own 101 never leaks.
        std::process::exit(BUG);
    }));
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
