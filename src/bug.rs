//! What a panic does, on whichever thread: the message, the request to report it, exit code 70. Nothing half dead
//! goes on, and the runtime's own 101 never leaks.

use std::io::Write;

/// Exit code of a bug (CONTRACT: "a bug 70").
pub const EXIT: i32 = 70;

/// A line on standard error, as far as anyone reads it: a dead terminal is not a reason to end in any other way.
pub fn say(line: &str) {
    _ = writeln!(std::io::stderr(), "perftop: {line}");
}

/// From now on a panic ends the process. [`crate::terminal::Guard::take`] puts giving the terminal back before it.
pub fn end_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        say("this is a bug; please report the lines above");
        std::process::exit(EXIT);
    }));
}
