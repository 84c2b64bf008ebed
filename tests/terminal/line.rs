//! A line that is slow, or on which nobody reads: frames are dropped, and neither a key nor a signal is.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::tty::{PATIENCE, Tty, temporary};

/// Keys that redraw the whole screen, more than any line holds.
const STORM: usize = 300;
/// What may come of them once the line is read again: what was on its way, and a frame or two.
const FRAMES: usize = 100_000;

/// Keys until not one byte more goes out: what the line holds is full.
fn fill(tty: &mut Tty) {
    let tasks = format!("/proc/{}/task", tty.perftop().as_raw_nonzero());
    let writes = |task: &std::path::Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "terminal");
    let task = std::fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path()).find(|task| writes(task)).unwrap();
    let written = || {
        let io = std::fs::read_to_string(task.join("io")).unwrap();
        io.lines().find_map(|l| l.strip_prefix("wchar: ")?.parse::<u64>().ok()).unwrap()
    };
    let (start, mut before, mut still) = (Instant::now(), 0, 0);
    while still < 5 {
        assert!(start.elapsed() < PATIENCE, "the line holds all that is drawn");
        tty.send(b"2\x0c1\x0c");
        std::thread::sleep(Duration::from_millis(40));
        let now = written();
        still = if now == before { still + 1 } else { 0 };
        before = now;
    }
}

fn opened(dir: &std::path::Path) -> Tty {
    let command = format!("cd {} && exec {} --no-config --no-discover", dir.display(), env!("CARGO_BIN_EXE_perftop"));
    let tty = Tty::open_program("sh", &["-c", &command], &[]);
    tty.wait_for("live");
    tty
}

#[test]
fn a_line_that_stands_drops_frames_and_no_key() {
    let dir = temporary("line");
    let mut tty = opened(&dir);
    tty.stands(true);
    tty.forget();
    for _ in 0..STORM {
        tty.send(b"2\x0c1\x0c");
    }
    // The last key is carried out though nothing of all that was shown yet.
    tty.send(b"2w");
    let recorded = || std::fs::read_dir(&dir).unwrap().count();
    let start = Instant::now();
    while recorded() == 0 {
        assert!(start.elapsed() < PATIENCE, "a key waits for the line");
        std::thread::sleep(Duration::from_millis(20));
    }
    tty.stands(false);
    tty.wait_for("Processes");
    tty.send(b"q");
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    let came = tty.text().len();
    assert!(came < FRAMES, "{came} bytes after {STORM} times two whole frames");
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_line_that_stands_keeps_nobody_from_leaving() {
    let dir = temporary("leaving");
    let mut tty = opened(&dir);
    tty.stands(true);
    fill(&mut tty);
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    tty.stands(false);
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_line_that_stands_keeps_nobody_from_ending_it() {
    let dir = temporary("standing");
    let mut tty = opened(&dir);
    tty.stands(true);
    fill(&mut tty);
    rustix::process::kill_process(tty.perftop(), Signal::TERM).unwrap();
    assert_eq!(tty.exit_code(), Some(128 + Signal::TERM.as_raw()));
    tty.stands(false);
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}
