//! perftop in a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// perftop in a terminal of its own; everything it writes is kept.
pub struct Tty {
    pub child: Child,
    pub master: Option<File>,
    pub reader: Option<std::thread::JoinHandle<()>>,
    pub closing: Arc<AtomicBool>,
    /// Nobody reads: the line stands.
    pub stands: Arc<AtomicBool>,
    pub slave: OwnedFd,
    pub written: Arc<Mutex<Vec<u8>>>,
}

impl Tty {
    pub fn open(args: &[&str], envs: &[(&str, &str)]) -> Self {
        Self::open_program(env!("CARGO_BIN_EXE_perftop"), args, envs)
    }

    pub fn open_program(program: &str, args: &[&str], envs: &[(&str, &str)]) -> Self {
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
        let (closing, stands) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (close, stand) = (closing.clone(), stands.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while !close.load(Ordering::Relaxed) {
                let read = if stand.load(Ordering::Relaxed) { Ok(0) } else { reader.read(&mut buffer) };
                match read {
                    Ok(n) if n > 0 => kept.lock().unwrap().extend_from_slice(&buffer[..n]),
                    // The other end is kept open here: whatever it is, it is not the end.
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { child, master: Some(File::from(master)), reader: Some(thread), closing, stands, slave, written }
    }

    /// Closes the terminal's other end for good: the kernel hangs up.
    pub fn close(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
    }

    /// What is written is read, or not.
    pub fn stands(&self, stands: bool) {
        self.stands.store(stands, Ordering::Relaxed);
    }

    pub fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not come; there is: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Only cells that change are sent: Ctrl-L shows the words whole.
    pub fn redrawn(&mut self, text: &str) {
        let start = Instant::now();
        while !self.text().contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not come; there is: {}", self.text());
            self.forget();
            self.send(b"\x0c");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned()
    }

    pub fn forget(&self) {
        self.written.lock().unwrap().clear();
    }

    pub fn send(&mut self, keys: &[u8]) {
        let (mut left, start) = (keys, Instant::now());
        while !left.is_empty() {
            // It is non-blocking, as its reader is: a full line takes more in a moment.
            match self.master.as_mut().unwrap().write(left) {
                Ok(written) => left = &left[written..],
                Err(full) if full.kind() == std::io::ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
                Err(other) => panic!("{other}"),
            }
            assert!(start.elapsed() < PATIENCE, "nobody takes keys");
        }
    }

    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// The pid of perftop itself, the child of setsid.
    pub fn perftop(&self) -> Pid {
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

    pub fn exit_code(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "perftop does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn assert_given_back(&self) {
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

pub fn temporary(what: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("perftop-{what}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
