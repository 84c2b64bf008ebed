//! A service that stands is never healthy, and one whose requests are long by nature is no stalled one: real services on loopback, in
//! processes of their own, with their clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);

/// A service in a process of its own: a thread for each connection, a line for each request. `q` is answered at once, unless the service
/// hangs; `l` after 20 seconds; `s` by a stream without an end; `n` never. A line on its standard input makes it hang, another one lets it
/// go on.
#[test]
#[ignore = "is the service of the other tests"]
fn serves() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("port {}", listener.local_addr().unwrap().port());
    let path = unix_path(std::process::id());
    _ = std::fs::remove_file(&path);
    let unix = UnixListener::bind(&path).unwrap();
    let hangs = Arc::new(AtomicBool::new(false));
    let hung = hangs.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let hung = hung.clone();
            thread::spawn(move || answer(stream.unwrap(), &hung));
        }
    });
    let hung = hangs.clone();
    thread::spawn(move || {
        loop {
            if hung.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
                continue;
            }
            let mut stream = unix.accept().unwrap().0;
            _ = stream.write_all(b"ok\n");
        }
    });
    for line in std::io::stdin().lines() {
        line.unwrap();
        hangs.fetch_xor(true, Ordering::Relaxed);
    }
}

/// Where the service of that pid listens as well: one thread there accepts, answers and closes.
fn unix_path(pid: u32) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("perftop-stalled-{pid}"))
}

fn answer(mut stream: TcpStream, hangs: &AtomicBool) {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|n| n > 0) {
        match line.trim() {
            "l" => thread::sleep(Duration::from_secs(20)),
            "s" => while stream.write_all(&[0; 4096]).is_ok() {},
            "n" => {
                line.clear();
                continue;
            }
            _ => {
                thread::sleep(Duration::from_millis(2));
                while hangs.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        line.clear();
        if stream.write_all(b"ok\n").is_err() {
            return;
        }
    }
}

/// The service, its clients, and `check --watch` beside them.
struct Beside {
    service: Child,
    perftop: Child,
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Beside {
    fn new() -> Self {
        let exe = std::env::current_exe().unwrap();
        let mut service = Command::new(exe)
            .args(["--ignored", "--exact", "serves", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(service.stdout.take().unwrap()).lines();
        let port: u16 = said.find_map(|l| l.unwrap().split_once("port ").map(|(_, port)| port.parse().unwrap())).unwrap();
        let mut perftop = Command::new(env!("CARGO_BIN_EXE_perftop"))
            .args(["check", "--no-config", "--no-discover", "--format", "json", "--watch", "1s"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(perftop.stdout.take().unwrap()).lines();
        Self { service, perftop, at: ([127, 0, 0, 1], port).into(), stop: Arc::default(), lines }
    }

    /// `n` clients that send `request`, wait for the answer and rest for `rest_ms`.
    fn clients(&self, n: u32, request: &'static str, rest_ms: u64) {
        for _ in 0..n {
            let (at, stop) = (self.at, self.stop.clone());
            thread::spawn(move || {
                let mut stream = TcpStream::connect(at).unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while !stop.load(Ordering::Relaxed) {
                    line.clear();
                    if writeln!(stream, "{request}").is_err() || lines.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    thread::sleep(Duration::from_millis(rest_ms));
                }
            });
        }
    }

    fn hang(&mut self) {
        writeln!(self.service.stdin.as_mut().unwrap()).unwrap();
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.service), signal).unwrap();
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// What is said of the service now.
    fn severity(&self, d: &Value) -> String {
        let port = self.at.port().to_string();
        let of = |f: &&Value| f["id"] == "app.service.stalled" && f["subject"]["key"] == port.as_str();
        let found = d["findings"].as_array().unwrap().iter().find(of);
        found.map_or_else(|| "none".to_owned(), |f| f["severity"].as_str().unwrap().to_owned())
    }

    fn until(&mut self, severity: &str) -> Value {
        let start = Instant::now();
        loop {
            let d = self.next();
            if self.severity(&d) == severity {
                return d;
            }
            assert!(start.elapsed() < PATIENCE, "no {severity}: {:#}", d["findings"]);
        }
    }

    /// `n` evaluations; none of them may speak of the service above info.
    fn quiet(&mut self, n: u32) {
        for _ in 0..n {
            let d = self.next();
            assert!(["none", "info"].contains(&self.severity(&d).as_str()), "{:#}", d["findings"]);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for child in [&mut self.perftop, &mut self.service] {
            _ = child.kill();
            _ = child.wait();
        }
        _ = std::fs::remove_file(unix_path(self.service.id()));
    }
}

#[test]
fn a_service_that_hangs_is_critical_and_over_when_it_answers() {
    let mut beside = Beside::new();
    beside.clients(6, "q", 20);
    beside.quiet(24);
    beside.hang();
    let d = beside.until("critical");
    assert_eq!(d["health"]["status"], "critical");
    assert!(d["verdict"]["says"].as_str().unwrap().contains("is stalled"), "{:#}", d["verdict"]);
    let stalled = d["findings"].as_array().unwrap().iter().find(|f| f["id"] == "app.service.stalled").unwrap();
    assert!(stalled["rank"].is_null() && stalled["class"] == "outcome", "{stalled:#}");
    beside.hang();
    beside.until("none");
    // Stopped as a whole: nobody reads what comes.
    beside.signal(rustix::process::Signal::STOP);
    beside.until("critical");
    beside.signal(rustix::process::Signal::CONT);
    beside.until("none");
}

/// Long polls beside quick requests: their age is usual there. They go on while the quick ones hang, which shows by the answers.
#[test]
fn long_polls_streams_and_idle_connections_are_quiet_and_hide_no_stall() {
    let mut beside = Beside::new();
    beside.clients(6, "q", 20);
    beside.clients(8, "l", 0);
    beside.clients(4, "n", 0);
    let idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(beside.at).unwrap()).collect();
    let at = beside.at;
    let stop = beside.stop.clone();
    thread::spawn(move || {
        let mut stream = TcpStream::connect(at).unwrap();
        writeln!(stream, "s").unwrap();
        let mut buffer = [0; 65536];
        while !stop.load(Ordering::Relaxed) && stream.read(&mut buffer).is_ok_and(|n| n > 0) {
            thread::sleep(Duration::from_millis(5));
        }
    });
    beside.quiet(45);
    beside.hang();
    beside.until("warning");
    drop(idle);
}

/// A connection for each request, which a dump of the sockets seldom catches: they count as answers all the same, so that a few long requests beside them are
/// no stall, and a stall shows.
#[test]
fn requests_on_connections_of_their_own_count() {
    let mut beside = Beside::new();
    for _ in 0..8 {
        let (at, stop) = (beside.at, beside.stop.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(at) else { return };
                _ = writeln!(stream, "q");
                _ = BufReader::new(stream).read_line(&mut String::new());
                thread::sleep(Duration::from_millis(100));
            }
        });
    }
    beside.clients(3, "l", 0);
    beside.quiet(30);
    beside.hang();
    let d = beside.until("warning");
    let stalled = d["findings"].as_array().unwrap().iter().find(|f| f["id"] == "app.service.stalled").unwrap();
    let before = stalled["evidence"].as_array().unwrap().iter().find(|e| e["claim"] == "answers before, median").unwrap();
    assert!(before["value"].as_f64().unwrap() > 25.0, "some 70 a second: {stalled:#}");
}

/// At a unix socket the kernel tells who waits to be accepted, and nothing else.
#[test]
fn a_unix_socket_that_accepts_nobody_is_a_stall() {
    let mut beside = Beside::new();
    let path = unix_path(beside.service.id());
    let call = |path: &std::path::Path| UnixStream::connect(path).map(|mut s| s.read_to_string(&mut String::new()));
    let stop = beside.stop.clone();
    let at = path.clone();
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            _ = call(&at);
            thread::sleep(Duration::from_millis(10));
        }
    });
    let key = path.to_str().unwrap().to_owned();
    let severity = |d: &Value| {
        let of = |f: &&Value| f["id"] == "app.service.stalled" && f["subject"]["key"] == key.as_str();
        let found = d["findings"].as_array().unwrap().iter().find(of).map(|f| f["severity"].as_str().unwrap().to_owned());
        found.unwrap_or_default()
    };
    for _ in 0..14 {
        let d = beside.next();
        assert!(["", "info"].contains(&severity(&d).as_str()), "{:#}", d["findings"]);
    }
    beside.hang();
    let waiting: Vec<_> = (0..3).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let start = Instant::now();
    loop {
        let d = beside.next();
        if severity(&d) == "critical" {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "nobody says that it is stalled: {:#} {:#}", d["findings"], d["unknown"]);
    }
    beside.hang();
    drop(waiting);
    while !severity(&beside.next()).is_empty() {
        assert!(start.elapsed() < PATIENCE * 2, "it is over");
    }
    _ = std::fs::remove_file(&path);
}

/// One long request beside others that are answered, and before anything is usual: neither is a stall.
#[test]
fn a_long_request_alone_is_quiet() {
    let mut beside = Beside::new();
    beside.clients(1, "l", 0);
    beside.quiet(18);
    beside.clients(3, "q", 50);
    beside.clients(1, "l", 0);
    beside.quiet(20);
}
