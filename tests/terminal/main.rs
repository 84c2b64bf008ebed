//! The terminal is given back whatever happens: quit, signals, Ctrl-Z, a closed terminal, a reader that hangs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

mod hangs;
mod line;
mod storms;
mod tty;
mod written;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use tty::{PATIENCE, Tty, temporary};

#[test]
fn q_gives_the_terminal_back() {
    let mut tty = Tty::open(&[], &[]);
    tty.wait_for("Verdict");
    assert!(tty.is_raw());
    tty.send(b"2");
    tty.wait_for("Processes");
    tty.send(b"q");
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
}

#[test]
fn signals_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT, Signal::INT] {
        let mut tty = Tty::open(&[], &[]);
        tty.wait_for("Verdict");
        rustix::process::kill_process(tty.perftop(), signal).unwrap();
        assert_eq!(tty.exit_code(), Some(128 + signal.as_raw()));
        tty.assert_given_back();
    }
}

#[test]
fn ctrl_z_and_back() {
    let mut tty = Tty::open(&[], &[]);
    tty.wait_for("Verdict");
    tty.forget();
    let pid = tty.perftop();
    tty.send(b"\x1a");
    tty.wait_for("\x1b[?1049l");
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let start = Instant::now();
    // In a session without a shell nobody could let an orphaned group go on: then it went on by itself.
    while !tty.text().contains("\x1b[?1049h") {
        if state().contains(") T ") {
            rustix::process::kill_process(pid, Signal::CONT).unwrap();
        }
        assert!(start.elapsed() < PATIENCE, "neither stopped nor back: {:?}; {:?}", state(), tty.text());
        std::thread::sleep(Duration::from_millis(10));
    }
    tty.wait_for("\x1b[?1049h");
    tty.wait_for("Verdict");
    assert!(tty.is_raw());
    tty.send(b"\x03");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
}

/// In a container that was entered from outside, the leaders of group and session have no number.
#[test]
fn ctrl_z_where_the_session_is_of_another_namespace() {
    let unshare = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("not run: this machine lets nobody make a namespace");
        return;
    }
    let line = format!("{} --no-config --no-discover; echo left $?", env!("CARGO_BIN_EXE_perftop"));
    let mut tty = Tty::open_program("unshare", &[&unshare[..], &["sh", "-c", &line]].concat(), &[]);
    tty.wait_for("Verdict");
    tty.forget();
    tty.send(b"\x1a");
    // Its group is orphaned there, so that it goes on.
    tty.wait_for("\x1b[?1049h");
    tty.wait_for("Verdict");
    tty.send(b"\x03");
    tty.wait_for("left 0");
    tty.assert_given_back();
}

/// In a shell, as people run it: stopped by a key or from outside, it leaves the terminal to the shell, and comes back by `fg`.
#[test]
fn a_stop_from_outside_is_a_ctrl_z() {
    let mut tty = Tty::open_program("bash", &["--norc", "--noprofile", "-i"], &[("PS1", "prompt> ")]);
    tty.wait_for("prompt> ");
    let line = format!("{} --no-config --no-discover\n", env!("CARGO_BIN_EXE_perftop"));
    tty.send(line.as_bytes());
    tty.wait_for("Verdict");
    // A child of the shell, which may be a child of setsid.
    let below = tty.perftop();
    let is_perftop = std::fs::read_to_string(format!("/proc/{below}/comm")).is_ok_and(|comm| comm.trim() == "perftop");
    let children = std::fs::read_to_string(format!("/proc/{below}/task/{below}/children")).unwrap();
    let child = || Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap()).unwrap();
    let pid = if is_perftop { below } else { child() };
    for by_key in [false, true, false] {
        tty.forget();
        if by_key {
            tty.send(b"\x1a");
        } else {
            rustix::process::kill_process(pid, Signal::TSTP).unwrap();
        }
        tty.wait_for("\x1b[?1049l");
        tty.wait_for("\x1b[?25h");
        tty.wait_for("\x1b[?1000l");
        tty.wait_for("prompt> ");
        tty.forget();
        tty.send(b"fg\n");
        tty.wait_for("\x1b[?1049h");
        tty.wait_for("Verdict");
        assert!(tty.is_raw());
    }
    // Stopped by what no process can handle, and the terminal changed behind its back.
    tty.forget();
    rustix::process::kill_process(pid, Signal::STOP).unwrap();
    tty.wait_for("prompt> ");
    tty.forget();
    tty.send(b"fg\n");
    tty.wait_for("\x1b[?1049h");
    tty.wait_for("Verdict");
    tty.send(b"q");
    tty.wait_for("\x1b[?1049l");
    tty.send(b"exit\n");
    tty.exit_code();
}

/// An SSH session that drops: whatever signal comes first, it leaves without a word, and never by a signal of its own making.
#[test]
fn a_closed_terminal_leaves_no_process_and_no_core() {
    for _ in 0..5 {
        let mut tty = Tty::open(&[], &[]);
        tty.wait_for("Verdict");
        let stat = format!("/proc/{}/stat", tty.perftop());
        tty.close();
        assert_eq!(tty.exit_code(), Some(129));
        assert!(!std::path::Path::new(&stat).exists(), "no process is left");
    }
}

/// The same without SIGHUP, as `nohup` and some terminals have it: only the writes fail.
#[test]
fn a_terminal_that_only_fails_is_left_as_quietly() {
    let line = format!("trap '' HUP; {} --no-config; echo \"code $?\" > \"$CODE\"", env!("CARGO_BIN_EXE_perftop"));
    let code = temporary("code").join("code");
    let mut tty = Tty::open_program("sh", &["-c", &line], &[("CODE", code.to_str().unwrap())]);
    tty.wait_for("Verdict");
    tty.close();
    let start = Instant::now();
    while !std::fs::read_to_string(&code).is_ok_and(|text| text.ends_with('\n')) {
        assert!(start.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(&code).unwrap(), "code 129\n");
    _ = std::fs::remove_dir_all(code.parent().unwrap());
}

/// The child of the next test, in a terminal of its own.
#[test]
#[ignore = "ends its process by a panic; the next test runs it"]
fn panics_in_a_terminal() {
    perftop::bug::end_on_panic();
    let guard = perftop::terminal::Guard::take().unwrap();
    // Not the thread that took the terminal.
    _ = std::thread::spawn(|| panic!("a bug in a reader")).join();
    drop(guard);
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_says_so() {
    let exe = std::env::current_exe().unwrap();
    let args = ["--ignored", "--exact", "panics_in_a_terminal", "--nocapture", "--test-threads=1"];
    let mut tty = Tty::open_program(exe.to_str().unwrap(), &args, &[]);
    assert_eq!(tty.exit_code(), Some(70));
    tty.wait_for("please report");
    tty.assert_given_back();
    let text = tty.text();
    assert!(text.find("\x1b[?1049l").unwrap() < text.find("a bug in a reader").unwrap());
}

#[test]
fn ascii_and_no_color_send_neither() {
    let mut tty = Tty::open(&["--ascii"], &[("NO_COLOR", "1")]);
    tty.wait_for("Verdict");
    tty.wait_for("live");
    tty.send(b"q");
    tty.exit_code();
    let text = tty.text();
    assert!(text.is_ascii(), "{:?}", text.chars().find(|c| !c.is_ascii()));
    for colour in ["\x1b[38;5;", "\x1b[38;2;", "\x1b[48;5;", "\x1b[48;2;", "\x1b[31m", "\x1b[32m"] {
        assert!(!text.contains(colour), "{colour:?} was sent");
    }
}

#[test]
fn without_a_terminal_it_says_so_and_names_check() {
    let out = Command::new(env!("CARGO_BIN_EXE_perftop")).stdin(Stdio::null()).output().unwrap();
    assert_eq!(out.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&out.stderr).contains("perftop check"));
}
