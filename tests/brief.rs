//! The verdict in one line and in three: of recorded cases, of a recorder that runs, and of now.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use perftop::detect::diagnosis::Diagnosis;
use perftop::engine::Engine;
use perftop::record::format::Record;
use perftop::record::reader::Recording;
use perftop::report::brief;

/// What is said of sample `at` of a recorded case.
fn said(case: &str, at: usize) -> Diagnosis {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
    let samples = Recording::open(&path).unwrap().filter_map(|r| if let Record::Sample(s) = r { Some(*s) } else { None });
    let mut engine = Engine::default();
    samples.take(at + 1).map(|sample| engine.fold(&sample).evaluation.diagnosis).last().unwrap()
}

#[test]
fn a_cause_is_said_with_what_it_costs_and_what_to_do() {
    let sick = said("pg_missing_index_disk", 30);
    assert!(brief::line(&sick, None, false).starts_with("✖ "), "{}", brief::line(&sick, None, false));
    assert!(brief::line(&sick, None, false).contains("waiting Missing index on public.pgbench_accounts(aid)"));
    let short = brief::line(&sick, Some(30), false);
    assert!(short.chars().count() == 30 && short.ends_with('…'), "{short}");
    let text = brief::three(&sick, "seen now", false);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("✖ Missing index"), "{text}");
    assert!(lines[1].contains("% of all request time), since ") && lines[1].ends_with("(seen now)"), "{text}");
    assert!(lines[2].starts_with("  do: CREATE INDEX CONCURRENTLY"), "{text}");
    let mut sick = said("cpu_hog", 28);
    let text = brief::three(&sick, "seen now", true);
    assert!(
        text.is_ascii() && text.starts_with("! ") && text.contains(&format!("  do: {}", &*sick.findings[0].fixes[0].command)),
        "{text}"
    );
    // What cannot be spelled must not be pasted.
    sick.findings[0].fixes[0].command =
        perftop::detect::command::Command::new(perftop::detect::command::Language::Shell, "kill größe".into());
    let text = brief::three(&sick, "seen now", true);
    assert!(text.is_ascii() && text.contains("(perftop shows it)") && !text.contains("kill"), "{text}");
}

#[test]
fn health_is_said_with_what_was_looked_at() {
    let well = said("pg_missing_index_disk", 10);
    assert_eq!(brief::line(&well, None, false), "✓ healthy");
    assert_eq!(brief::line(&well, None, true), "ok healthy");
    let text = brief::three(&well, "seen now", false);
    assert!(text.lines().count() == 3 && text.contains("checks found nothing"), "{text}");
}

fn perftop(state: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command.args(args).args(["--no-config", "--no-discover"]).env("XDG_STATE_HOME", state).output().unwrap()
}

#[test]
fn why_asks_the_recorder_that_runs_and_else_looks_itself() {
    let state = std::env::temp_dir().join(format!("perftop-why-{}", std::process::id()));
    std::fs::create_dir_all(&state).unwrap();
    let alone = perftop(&state, &["why"]);
    let text = String::from_utf8_lossy(&alone.stdout).into_owned();
    assert!(text.lines().count() == 3 && text.contains("(sampled for 3.0 s)"), "{alone:?}");
    let file = state.join("night.perftop");
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["record", "--no-config", "--no-discover", "--every", "1s"])
        .arg(&file)
        .env("XDG_STATE_HOME", &state)
        .spawn()
        .unwrap();
    let start = Instant::now();
    let text = loop {
        let out = perftop(&state, &["why"]);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        if text.contains("ago by a running perftop") {
            break text;
        }
        assert!(start.elapsed() < Duration::from_secs(40), "{out:?}");
    };
    assert_eq!(text.lines().count(), 3, "{text}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&recorder), rustix::process::Signal::TERM).unwrap();
    recorder.wait().unwrap();
    std::fs::remove_dir_all(state).unwrap();
}

/// In plain lines, and only when it is another one.
#[test]
fn why_can_be_followed() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["why", "--watch", "500ms", "--ascii", "--no-config", "--no-discover"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(5));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut text).unwrap();
    child.wait().unwrap();
    let lines = text.lines().count();
    assert!(text.is_ascii() && lines >= 3 && lines.is_multiple_of(3) && lines <= 12, "{text}");
}

#[test]
fn check_says_it_in_a_line_and_the_rest_when_it_is_asked_for() {
    let state = std::env::temp_dir();
    let line = perftop(&state, &["check", "--for", "3s", "--line", "--width", "40"]);
    let text = String::from_utf8_lossy(&line.stdout).into_owned();
    assert!(text.lines().count() == 1 && text.trim_end().chars().count() <= 40, "{line:?}");
    let counts = |args: &[&str]| {
        let out = perftop(&state, args);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.lines().filter(|l| l.starts_with("cleared")).count()
    };
    assert_eq!(counts(&["check", "--for", "3s"]), 1);
    assert!(counts(&["check", "--for", "3s", "-v"]) > 20);
    assert_eq!(perftop(&state, &["check", "--line", "--format", "json"]).status.code(), Some(64));
}
