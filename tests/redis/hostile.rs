//! Servers that mean harm. They are fake: no real one announces a gigabyte or never ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a server speaks: to whom, and what was asked.
type Speak = fn(&mut TcpStream, &[u8]);

/// Answers each connection by `speak`, which is given what was asked.
fn fake(speak: Speak) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut asked = [0; 4096];
                while let Ok(n) = stream.read(&mut asked) {
                    if n == 0 {
                        return;
                    }
                    speak(&mut stream, &asked[..n]);
                }
            });
        }
    });
    url
}

/// What `check` says of a server, and the most memory that it took, kB.
fn watched(url: &str) -> (serde_json::Value, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command.args([
        "check",
        "--no-config",
        "--no-discover",
        "--format",
        "json",
        "--for",
        "4s",
        "--only",
        "source.*",
        "--redis",
        url,
    ]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let peak = std::thread::spawn(move || {
        let mut peak = 0;
        while !seen.load(Ordering::Relaxed) {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(line.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(20));
        }
        peak
    });
    let out = child.wait_with_output().unwrap();
    over.store(true, Ordering::Relaxed);
    (serde_json::from_slice(&out.stdout).unwrap(), peak.join().unwrap())
}

#[test]
fn a_hostile_server_takes_no_memory_no_time_and_no_terminal() {
    let fakes: [(&str, Speak); 6] = [
        ("a gigabyte is announced", |s, _| _ = s.write_all(b"$1073741824\r\nxxxx")),
        ("INFO never ends", |s, _| {
            _ = s.write_all(b"$1073741824\r\n");
            while s.write_all(&[b'x'; 65536]).is_ok() {}
        }),
        ("arrays in arrays", |s, _| _ = s.write_all(&b"*2\r\n".repeat(100_000))),
        ("an array of a billion", |s, _| _ = s.write_all(b"*1000000000\r\n$1\r\nx\r\n")),
        ("control bytes", |s, _| _ = s.write_all(b"-\x1b]0;owned\x07 \x1b[2J\x9b31m\r\n")),
        ("nonsense", |s, _| _ = s.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ];
    for (what, speak) in fakes {
        let begin = Instant::now();
        let (said, peak_kb) = watched(&fake(speak));
        assert!(peak_kb < 100_000, "{what}: {peak_kb} kB");
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}: {:?}", begin.elapsed());
        let text = said.to_string();
        assert!(!text.contains('\u{1b}') && !text.contains("\\u001b"), "{what}: {text}");
        let state = said["sources"].as_array().unwrap().iter().find(|s| s["kind"] == "redis").unwrap()["state"].clone();
        assert!(state == "unreachable" || state == "denied", "{what}: {}", said["sources"]);
    }
}
