//! Metrics of the findings, scraped as a Prometheus does; what is no scrape harms nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Export {
    child: Child,
    address: String,
}

impl Export {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
            .args(["export", "--listen", "127.0.0.1:0", "--every", "500ms", "--no-config", "--no-discover"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect(&line).to_owned();
        Self { child, address }
    }

    fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        _ = stream.read_to_string(&mut answer);
        answer
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn a_scrape_is_answered_and_promtool_takes_it() {
    let export = Export::start();
    let start = Instant::now();
    let body = loop {
        let answer = export.send(SCRAPE);
        if answer.starts_with("HTTP/1.1 200") {
            break answer.split("\r\n\r\n").nth(1).unwrap().to_owned();
        }
        assert!(answer.starts_with("HTTP/1.1 503") && start.elapsed() < Duration::from_secs(20), "{answer}");
        std::thread::sleep(Duration::from_millis(100));
    };
    for name in [
        "perftop_status ",
        "perftop_foreground_ratio ",
        "perftop_raised{severity=\"critical\"} ",
        "perftop_checks{result=\"cleared\"} ",
    ] {
        assert!(body.lines().any(|l| l.starts_with(name)), "{name} is missing:\n{body}");
    }
    if let Ok(mut promtool) =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()
    {
        promtool.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let out = promtool.wait_with_output().unwrap();
        assert!(out.status.success(), "{out:?}\n{body}");
    }
}

#[test]
fn what_is_no_scrape_is_refused_and_a_slow_one_holds_up_nobody() {
    let export = Export::start();
    for (request, status) in [
        (&b"POST /metrics HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 405"),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404"),
        (b"\xff\xfe\r\n\r\n", "HTTP/1.1 405"),
    ] {
        assert!(export.send(request).starts_with(status), "{request:?}");
    }
    let slow: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut stream = TcpStream::connect(&export.address).unwrap();
            stream.write_all(b"GET /met").unwrap();
            stream
        })
        .collect();
    let start = Instant::now();
    assert!(export.send(SCRAPE).starts_with("HTTP/1.1 "));
    assert!(start.elapsed() < Duration::from_secs(3), "others wait for a slow one");
    drop(slow);
    let refused =
        Command::new(env!("CARGO_BIN_EXE_perftop")).args(["export", "--no-config", "--listen", "9798"]).output().unwrap();
    assert!(
        refused.status.code() == Some(64) && String::from_utf8_lossy(&refused.stderr).contains("127.0.0.1:9798"),
        "{refused:?}"
    );
    let taken = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["export", "--no-config", "--no-discover", "--listen", &export.address])
        .output();
    assert_eq!(taken.unwrap().status.code(), Some(74));
}
