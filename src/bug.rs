//! What a panic does, on whichever thread: the message, the request to report it, exit code 70. Nothing half dead
//! goes on, and the runtime's own 101 never leaks.

/// Exit code of a bug (CONTRACT: "a bug 70").
pub const EXIT: i32 = 70;

/// From now on a panic ends the process. [`crate::terminal::Guard::take`] puts giving the terminal back before it.
pub fn end_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        eprintln!("perftop: this is a bug; please report the lines above");
        std::process::exit(EXIT);
    }));
}
