//! Storms: sizes that change all the time, and pastes that are larger than any line. Nothing panics, nothing is taken for a key.

use std::time::Duration;

use rustix::termios::{Winsize, tcsetwinsize};

use super::tty::{Tty, temporary};

fn opened(dir: &std::path::Path) -> Tty {
    let command = format!("cd {} && exec {} --no-config --no-discover", dir.display(), env!("CARGO_BIN_EXE_perftop"));
    let tty = Tty::open_program("sh", &["-c", &command], &[("HOME", dir.to_str().unwrap()), ("XDG_RUNTIME_DIR", "")]);
    tty.wait_for("live");
    tty
}

/// From one cell to a wall of screens, on every screen, faster than it can be drawn.
#[test]
fn sizes_may_change_all_the_time() {
    let dir = temporary("sizes");
    let mut tty = opened(&dir);
    let sizes = [(1, 1), (24, 80), (3, 300), (60, 200), (200, 10), (2, 2), (40, 120), (120, 400), (7, 33)];
    for round in 0..180_usize {
        let (ws_row, ws_col) = sizes[round % sizes.len()];
        tcsetwinsize(tty.master.as_ref().unwrap(), Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        if round % 20 == 0 {
            tty.send(&[b"123456?"[round / 20 % 7]]);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    tcsetwinsize(tty.master.as_ref().unwrap(), Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    tty.send(b"\x1b");
    std::thread::sleep(Duration::from_millis(100));
    tty.forget();
    tty.send(b"2");
    tty.redrawn("Processes");
    tty.send(b"\x03");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}

/// A runbook that lands in the wrong window: none of its letters ends perftop, records, or copies anything.
#[test]
fn what_is_pasted_is_no_key() {
    let dir = temporary("pasted");
    let mut tty = opened(&dir);
    tty.send(b"\x1b[200~");
    for _ in 0..200 {
        tty.send("w c m \x1b[A kill -9 1; DROP TABLE t; \u{202e} \t\r\n".repeat(20).as_bytes());
    }
    // What is pressed after it is carried out after it.
    tty.send(b"\x1b[201~");
    tty.forget();
    tty.send(b"2");
    tty.redrawn("Processes");
    let written: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(written.is_empty(), "{written:?}");
    // Nor do those end it that do so when they are pressed.
    tty.send(b"\x1b[200~q\x03q\x1b[201~");
    // Where text is typed it is text, of one line.
    tty.send(b"2");
    tty.redrawn("Processes");
    tty.send(b"/");
    tty.redrawn("filter:");
    tty.send(b"\x1b[200~no such\nprocess\x1b[201~");
    tty.redrawn("no such process");
    tty.send(b"\x1b");
    std::thread::sleep(Duration::from_millis(100));
    tty.send(b"\x03");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}
