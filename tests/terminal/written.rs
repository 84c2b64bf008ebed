//! What the screen writes: recordings, copies, sessions that are kept; also on a full disk.

use std::process::Command;
use std::time::{Duration, Instant};

use perftop::record::format::Record;

use super::tty::{PATIENCE, Tty, temporary};

#[test]
fn the_incident_is_written_and_sealed_on_leaving() {
    let dir = temporary("incident");
    let mut tty =
        Tty::open_program("sh", &["-c", &format!("cd {} && exec {}", dir.display(), env!("CARGO_BIN_EXE_perftop"))], &[]);
    tty.wait_for("live");
    tty.send(b"w");
    tty.wait_for("recording to");
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    let recording = files.iter().find(|path| path.extension().is_some_and(|e| e == "perftop")).unwrap();
    let replay = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["replay", "--verify"]).arg(recording).output().unwrap();
    assert!(replay.status.success(), "{replay:?}");
    std::fs::remove_dir_all(dir).unwrap();
}

/// Whoever leaves while it is written is told where it lies, and has its report.
#[test]
fn an_incident_under_way_has_its_report_when_the_screen_is_left() {
    let dir = temporary("leaving");
    let command = format!("cd {} && exec {} --no-config", dir.display(), env!("CARGO_BIN_EXE_perftop"));
    let mut tty = Tty::open_program("sh", &["-c", &command], &[("XDG_STATE_HOME", dir.join("state").to_str().unwrap())]);
    tty.wait_for("live");
    tty.send(b"w");
    tty.wait_for("recording to");
    std::thread::sleep(Duration::from_millis(2_500));
    tty.send(b"q");
    tty.wait_for("and its report: ");
    assert_eq!(tty.exit_code(), Some(0));
    let files = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
    let report = files.filter(|path| path.extension().is_some_and(|e| e == "md")).collect::<Vec<_>>();
    assert!(std::fs::read_to_string(&report[0]).unwrap().contains("# Performance report"));
    std::fs::remove_dir_all(dir).unwrap();
}

/// What is written of an incident begins before the key was pressed, and its report stands beside it.
#[test]
fn an_incident_is_written_with_what_led_up_to_it_and_its_report() {
    let (dir, state) = (temporary("lead"), temporary("lead-state"));
    let command = format!("cd {} && exec {} --no-config", dir.display(), env!("CARGO_BIN_EXE_perftop"));
    let mut tty = Tty::open_program("sh", &["-c", &command], &[("XDG_STATE_HOME", state.to_str().unwrap())]);
    tty.wait_for("live");
    let kept = || std::fs::read_dir(state.join("perftop/sessions")).into_iter().flatten().next();
    let start = Instant::now();
    while kept().is_none_or(|e| e.unwrap().metadata().unwrap().len() <= 1_000) {
        assert!(start.elapsed() < PATIENCE, "nothing is kept");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pressed_ms = jiff::Timestamp::now().as_millisecond();
    tty.send(b"w");
    tty.wait_for("recording to");
    // The first samples of the recording itself.
    std::thread::sleep(Duration::from_millis(2_500));
    tty.send(b"w");
    let files = |extension: &str| -> Vec<std::path::PathBuf> {
        let all = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
        all.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
    };
    let start = Instant::now();
    while files("md").first().is_none_or(|path| std::fs::metadata(path).unwrap().len() == 0) {
        assert!(start.elapsed() < PATIENCE, "no report; there is: {}", tty.text());
        std::thread::sleep(Duration::from_millis(50));
    }
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    let report = std::fs::read_to_string(&files("md")[0]).unwrap();
    assert!(report.contains("# Performance report"), "{report}");
    let recording = &files("perftop")[0];
    let samples = perftop::record::reader::Recording::open(recording).unwrap();
    let stamps: Vec<i64> = samples.filter_map(|r| if let Record::Sample(s) = r { Some(s.at.wall_ms) } else { None }).collect();
    assert!(stamps[0] < pressed_ms && stamps[stamps.len() - 1] > pressed_ms, "{stamps:?}, pressed at {pressed_ms}");
    assert!(stamps.is_sorted(), "{stamps:?}");
    let replay = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["replay", "--verify"]).arg(recording).output().unwrap();
    let said = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.success() && said.contains(" 0 differ; ") && !said.starts_with("0 "), "{replay:?}");
    for dir in [dir, state] {
        std::fs::remove_dir_all(dir).unwrap();
    }
}

/// A disk that runs full (here a file system of 8 KiB in a mount namespace) ends the recording and nothing else.
#[test]
fn a_full_disk_ends_the_recording_and_the_screen_goes_on() {
    let dir = temporary("full");
    let script = format!(
        "mount -t tmpfs -o size=8k none {0} && cd {0} && HOME={0} XDG_STATE_HOME={0} exec {1}",
        dir.display(),
        env!("CARGO_BIN_EXE_perftop")
    );
    let own = ["--user", "--map-root-user", "--mount"];
    if !Command::new("unshare").args(own).arg("true").status().is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: no mount namespace for this user, a full disk cannot be had");
        return;
    }
    let mut tty = Tty::open_program("unshare", &[own[0], own[1], own[2], "sh", "-c", &script], &[]);
    tty.wait_for("live");
    // The session that is kept by itself is not begun on such a disk.
    tty.redrawn("this session is not kept: ");
    tty.send(b"w");
    // It may fail with its first segment, before any frame said that it began.
    tty.redrawn("rec stopped");
    tty.send(b"2");
    tty.wait_for("Processes");
    tty.send(b"\x03");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
    std::fs::remove_dir_all(dir).unwrap();
}

/// The same while a session is kept (the file system shrinks below it): what was kept until then can be read.
#[test]
fn a_disk_that_runs_full_later_ends_what_is_kept_and_takes_nothing_of_it() {
    let dir = temporary("fills");
    let full = dir.with_extension("full");
    let binary = env!("CARGO_BIN_EXE_perftop");
    let script = format!(
        "mount -t tmpfs -o size=300m none {0} && cd {0} && export HOME={0} XDG_STATE_HOME={0} || exit 9
        (until [ -s perftop/sessions/*.perftop ]; do sleep 0.2; done; mount -o remount,size=40k {0}; sleep 12; touch {1}) &
        {binary} --no-config; wait
        {binary} --no-config incidents; echo \"incidents: $?\"; {binary} --no-config replay --json | grep -c '\"schema\"'",
        dir.display(),
        full.display(),
    );
    let own = ["--user", "--map-root-user", "--mount"];
    if !Command::new("unshare").args(own).arg("true").status().is_ok_and(|s| s.success()) {
        eprintln!("SKIPPED: no mount namespace for this user, a full disk cannot be had");
        return;
    }
    let mut tty = Tty::open_program("unshare", &[own[0], own[1], own[2], "sh", "-c", &script], &[]);
    tty.wait_for("live");
    let start = Instant::now();
    // Two ticks and more were to be written meanwhile.
    while !full.exists() {
        assert!(start.elapsed() < 2 * PATIENCE, "{}", tty.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    tty.forget();
    tty.send(b"q");
    tty.wait_for("incidents: 0");
    tty.exit_code();
    let looks = tty.text().lines().filter_map(|line| line.trim().parse::<u32>().ok()).next_back();
    assert!(looks.is_some_and(|n| n > 0), "{}", tty.text());
    std::fs::remove_file(full).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_copy_reaches_the_terminal_and_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let home = std::env::temp_dir().join(format!("perftop-home-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let mut tty = Tty::open(&[], &[("HOME", home.to_str().unwrap()), ("XDG_RUNTIME_DIR", "")]);
    tty.wait_for("live");
    tty.send(b"Y");
    tty.wait_for("\x1b]52;c;");
    tty.wait_for("sent to the");
    let file = home.join(".perftop-copy");
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("perftop "));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    tty.send(b"\x03");
    tty.exit_code();
    std::fs::remove_dir_all(home).unwrap();
}

/// What the screen saw is there afterwards, however it was left, and the first time it says so; it can be off.
#[test]
fn what_the_screen_saw_is_kept_and_that_is_said_once() {
    let state = temporary("kept");
    let sessions = || {
        let all = std::fs::read_dir(state.join("perftop/sessions")).into_iter().flatten();
        all.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "perftop")).count()
    };
    let envs = [("XDG_STATE_HOME", state.to_str().unwrap())];
    let mut tty = Tty::open(&["--no-config"], &envs);
    tty.wait_for("is kept for a day");
    tty.wait_for("live");
    let grown = |count: usize| {
        let start = Instant::now();
        while sessions() != count {
            assert!(start.elapsed() < PATIENCE, "{} sessions instead of {count}", sessions());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    grown(1);
    // Two at once.
    let mut second = Tty::open(&["--no-config"], &envs);
    second.wait_for("live");
    grown(2);
    rustix::process::kill_process(tty.perftop(), rustix::process::Signal::KILL).unwrap();
    tty.exit_code();
    second.send(b"q");
    second.exit_code();
    assert!(!second.text().contains("is kept for a day"), "it was said before");
    assert_eq!(sessions(), 2);
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    let told = command.args(["--no-config", "incidents"]).envs(envs).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let off = state.join("off.toml");
    std::fs::write(&off, "[sessions]\nkeep = false\n").unwrap();
    let mut tty = Tty::open(&["--config", off.to_str().unwrap()], &envs);
    tty.wait_for("live");
    tty.send(b"q");
    tty.exit_code();
    assert_eq!(sessions(), 2);
    std::fs::remove_dir_all(state).unwrap();
}

/// The screen looks each second; what is kept is a look each five, from the first one on.
#[test]
fn what_is_kept_is_a_look_each_five_seconds() {
    let state = temporary("thinned");
    let mut tty = Tty::open(&["--no-config"], &[("XDG_STATE_HOME", state.to_str().unwrap())]);
    tty.wait_for("live");
    let read = || -> Option<Vec<u64>> {
        let file = std::fs::read_dir(state.join("perftop/sessions")).ok()?.next()?.ok()?.path();
        let samples = perftop::record::reader::Recording::open(&file).ok()?;
        Some(samples.filter_map(|r| if let Record::Sample(s) = r { Some(s.at.mono_ns / 1_000_000) } else { None }).collect())
    };
    let stamps = || read().unwrap_or_default();
    let start = Instant::now();
    while stamps().len() < 3 {
        assert!(start.elapsed() < 2 * PATIENCE, "{:?}", stamps());
        std::thread::sleep(Duration::from_millis(200));
    }
    tty.send(b"q");
    tty.exit_code();
    let kept = stamps();
    // The last one is what was read before the screen was left.
    assert!(kept[..3].windows(2).all(|w| w[1] - w[0] >= 4_800) && kept.len() <= 4, "{kept:?}");
    std::fs::remove_dir_all(state).unwrap();
}

/// From the live screen back into what was kept, and to now again; the live engine goes on behind it.
#[test]
fn the_time_axis_reaches_back_into_what_was_kept() {
    let state = temporary("past");
    let sessions = state.join("perftop/sessions");
    std::fs::create_dir_all(&sessions).unwrap();
    let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/cpu_hog.perftop");
    std::fs::copy(case, sessions.join("20261120T000000Z-1.perftop")).unwrap();
    let mut tty = Tty::open(&["--no-config"], &[("XDG_STATE_HOME", state.to_str().unwrap())]);
    tty.wait_for("live");
    // To the oldest of what is now, and beyond it. (An incident of now would stop `[`.)
    tty.send(b"t\x1b[5~\x1b[5~");
    tty.redrawn("the past, q to now");
    tty.redrawn("stress-ng");
    // Closes the axis again.
    tty.send(b"t");
    tty.forget();
    tty.send(b"q");
    tty.redrawn("live");
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    std::fs::remove_dir_all(state).unwrap();
}

/// A replay of what was kept goes from incident to incident through all of it, and says where there is no more.
#[test]
fn a_replay_of_what_was_kept_goes_through_all_of_it() {
    let state = temporary("across");
    let sessions = state.join("perftop/sessions");
    std::fs::create_dir_all(&sessions).unwrap();
    for (n, case) in ["cpu_hog", "disk_hog"].iter().enumerate() {
        let case = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{case}.perftop"));
        std::fs::copy(case, sessions.join(format!("2026112{n}T000000Z-1.perftop"))).unwrap();
    }
    let mut tty = Tty::open(&["replay", "--no-config"], &[("XDG_STATE_HOME", state.to_str().unwrap())]);
    tty.wait_for("replay");
    // Only what changed is drawn: a line may stand there in part.
    for (key, found) in [(b"[", "fio"), (b"]", "stress-ng")] {
        tty.forget();
        let start = Instant::now();
        while !tty.text().contains("in what was kept") {
            assert!(start.elapsed() < 3 * PATIENCE, "{}", tty.text());
            tty.send(key);
            std::thread::sleep(Duration::from_millis(700));
        }
        assert!(tty.text().contains(found), "{}", tty.text());
    }
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    std::fs::remove_dir_all(state).unwrap();
}

/// The demo needs nothing of this machine: its incident comes, and it leaves no file.
#[test]
fn the_demo_runs_from_memory() {
    let home = temporary("demo");
    let mut tty = Tty::open(
        &["demo", "locks", "--no-config"],
        &[("HOME", home.to_str().unwrap()), ("XDG_STATE_HOME", home.to_str().unwrap())],
    );
    tty.wait_for("Tour, 1 of 6");
    // What it starts gains no rights.
    let status = std::fs::read_to_string(format!("/proc/{}/status", tty.perftop().as_raw_nonzero())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // From incident to incident, as in any recording.
    tty.send(b"]");
    tty.redrawn("There");
    tty.send(b"\r");
    tty.redrawn("Fix 1");
    tty.send(b"X");
    tty.send(b"qq");
    assert_eq!(tty.exit_code(), Some(0));
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "nothing is written");
    std::fs::remove_dir_all(home).unwrap();
}
