//! Readers and servers that hang hold up neither keys nor the way out.

use std::process::Command;

use super::tty::Tty;

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
