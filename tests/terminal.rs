//! The terminal is given back whatever happens: quit, signals, Ctrl-Z, a closed terminal, a reader that hangs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(20);

/// perftop in a terminal of its own; everything it writes is kept.
struct Tty {
    child: Child,
    master: Option<File>,
    reader: Option<std::thread::JoinHandle<()>>,
    closing: Arc<AtomicBool>,
    slave: OwnedFd,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Tty {
    fn open(args: &[&str], envs: &[(&str, &str)]) -> Self {
        Self::open_program(env!("CARGO_BIN_EXE_perftop"), args, envs)
    }

    fn open_program(program: &str, args: &[&str], envs: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // setsid makes the terminal the controlling one, so that it can hang up.
        let child = Command::new("setsid")
            // What is ignored above this test (nohup, a job in the background) is not to be ignored below.
            .args(["--ctty", "--wait", "env", "--default-signal", program])
            .args(args)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("TMUX")
            // Nobody's own sessions are touched.
            .env("XDG_STATE_HOME", std::env::temp_dir().join(format!("perftop-state-{}", std::process::id())))
            .envs(envs.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, kept) = (File::from(master.try_clone().unwrap()), written.clone());
        rustix::fs::fcntl_setfl(&reader, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
        let closing = Arc::new(AtomicBool::new(false));
        let close = closing.clone();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while !close.load(Ordering::Relaxed) {
                match reader.read(&mut buffer) {
                    Ok(n) if n > 0 => kept.lock().unwrap().extend_from_slice(&buffer[..n]),
                    // The other end is kept open here: whatever it is, it is not the end.
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { child, master: Some(File::from(master)), reader: Some(thread), closing, slave, written }
    }

    /// Closes the terminal's other end for good: the kernel hangs up.
    fn close(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
    }

    fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not come; there is: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Only cells that change are sent: Ctrl-L shows the words whole.
    fn redrawn(&mut self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not come; there is: {}", self.text());
            self.forget();
            self.send(b"\x0c");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    fn forget(&self) {
        self.written.lock().unwrap().clear();
    }

    fn send(&mut self, keys: &[u8]) {
        self.master.as_mut().unwrap().write_all(keys).unwrap();
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// The pid of perftop itself, the child of setsid.
    fn perftop(&self) -> Pid {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let start = Instant::now();
        loop {
            let children = std::fs::read_to_string(&path).unwrap_or_default();
            if let Some(pid) = children.split_whitespace().next() {
                return Pid::from_raw(pid.parse().unwrap()).unwrap();
            }
            // Where setsid need not fork it is perftop itself by now.
            if std::fs::read_to_string(format!("/proc/{}/comm", self.child.id())).is_ok_and(|c| c.trim() == "perftop") {
                return Pid::from_child(&self.child);
            }
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "perftop does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn assert_given_back(&self) {
        // The reader may be a moment behind the end of the process.
        self.wait_for("\x1b[?1049l");
        self.wait_for("\x1b[?25h");
        assert!(!self.is_raw(), "the terminal is cooked again");
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

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
    assert_eq!(files.len(), 1, "{files:?}");
    let replay = Command::new(env!("CARGO_BIN_EXE_perftop")).args(["replay", "--verify"]).arg(&files[0]).output().unwrap();
    assert!(replay.status.success(), "{replay:?}");
    std::fs::remove_dir_all(dir).unwrap();
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

fn temporary(what: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("perftop-{what}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
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
    // Two at once.
    let mut second = Tty::open(&["--no-config"], &envs);
    second.wait_for("live");
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

/// A file of /proc that never answers (here a pipe that nobody writes) holds up its reader for ever, and nothing else.
#[test]
fn a_reader_that_hangs_holds_up_neither_the_screen_nor_the_way_out() {
    let root = std::env::temp_dir().join(format!("perftop-hang-{}", std::process::id()));
    std::fs::create_dir_all(root.join("pressure")).unwrap();
    for file in ["stat", "loadavg", "meminfo", "diskstats", "pressure/cpu", "pressure/io", "pressure/memory"] {
        if let Ok(bytes) = std::fs::read(std::path::Path::new("/proc").join(file)) {
            std::fs::write(root.join(file), bytes).unwrap();
        }
    }
    let pipe = root.join("vmstat");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut tty = Tty::open(&["--procfs-root", root.to_str().unwrap()], &[]);
    tty.wait_for("Verdict");
    tty.wait_for("/proc reader");
    tty.send(b"2");
    tty.wait_for("Processes");
    tty.send(b"1q");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
    std::fs::remove_dir_all(root).unwrap();
}

/// A stand-in, for a real one never takes so long: it answers all questions at once but the first one of capacity, which it never does.
/// What it saw: that this was asked, and that whoever asked hung up.
fn slow_prometheus() -> (String, std::sync::mpsc::Receiver<&'static str>) {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (saw, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let saw = saw.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                let (mut request, mut part) = (String::new(), [0; 4096]);
                let whole = |r: &str| {
                    r.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                        let length = head
                            .to_lowercase()
                            .split("content-length: ")
                            .nth(1)
                            .and_then(|l| l.lines().next()?.trim().parse().ok());
                        body.len() >= length.unwrap_or(0)
                    })
                };
                while !whole(&request) {
                    match stream.read(&mut part) {
                        Ok(n) if n > 0 => request.push_str(&String::from_utf8_lossy(&part[..n])),
                        _ => return,
                    }
                }
                if request.contains("node_load1") {
                    _ = saw.send("asked");
                    while stream.read(&mut part).is_ok_and(|n| n > 0) {}
                    _ = saw.send("hung up");
                    return;
                }
                let build = r#"{"status":"success","data":{"version":"2.42.0"}}"#;
                let nothing = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
                let body = match () {
                    () if request.contains("buildinfo") => build,
                    () if request.contains("/alerts") => r#"{"status":"success","data":{"alerts":[]}}"#,
                    () => nothing,
                };
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
                _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            });
        }
    });
    (url, seen)
}

#[test]
fn a_question_is_dropped_when_its_screen_is_left() {
    let (url, seen) = slow_prometheus();
    let mut tty = Tty::open(&["--no-config", "--no-discover", "--prometheus", &url], &[]);
    tty.send(b"5");
    tty.wait_for("Objectives");
    tty.send(b"\t\t\t\t\t");
    let patience = std::time::Duration::from_secs(60);
    assert_eq!(seen.recv_timeout(patience).unwrap(), "asked");
    let left = std::time::Instant::now();
    tty.send(b"1");
    assert_eq!(seen.recv_timeout(patience).unwrap(), "hung up");
    // Its own patience is ten seconds.
    assert!(left.elapsed() < std::time::Duration::from_secs(6), "{:?}", left.elapsed());
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
}

/// It takes connections and says nothing, ever: its screens open, keys answer, and leaving waits for nobody.
#[test]
fn a_prometheus_that_hangs_holds_up_neither_keys_nor_the_way_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let held = std::thread::spawn(move || listener.incoming().take(3).map_while(Result::ok).collect::<Vec<_>>());
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/seeds/dashboards/sigma-dashboard.json");
    let mut tty = Tty::open(&["--no-config", "--no-discover", "--prometheus", &url, "--dashboard", board], &[]);
    tty.wait_for("Request Rate");
    for (key, shown) in [(b"5", "Objectives"), (b"7", "Fleet"), (b"8", "Request Rate"), (b"1", "Verdict")] {
        tty.forget();
        tty.send(key);
        tty.wait_for(shown);
    }
    tty.send(b"q");
    assert_eq!(tty.exit_code(), Some(0));
    tty.assert_given_back();
    drop(held);
}
