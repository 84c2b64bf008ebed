//! Servers that are none, answer in parts, or mean harm. They are fake: no real one drips, redirects or sends a gigabyte. What they answer
//! as Thanos, Mimir and VictoriaMetrics do is written down from their documentation.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::server::{check, findings, source};

type Speak = fn(&mut TcpStream, &str);

/// Answers each request by `speak`, which is given its path; and what was asked, headers and all.
fn fake(speak: Speak) -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(String::new()));
    let all = heard.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let heard = heard.clone();
            std::thread::spawn(move || {
                let mut asked = [0; 8192];
                while let Ok(n) = stream.read(&mut asked) {
                    if n == 0 {
                        return;
                    }
                    let text = String::from_utf8_lossy(&asked[..n]).into_owned();
                    heard.lock().unwrap().push_str(&text);
                    speak(&mut stream, text.split(' ').nth(1).unwrap_or_default());
                }
            });
        }
    });
    (port, all)
}

fn says(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[],"alerts":[]}}"#;

#[test]
fn what_is_no_prometheus_is_a_state_with_a_way_out_and_delays_nothing() {
    let fakes: [(&str, &str, Speak); 9] = [
        ("a page", "not a Prometheus: a page (Grafana)", |s, _| {
            says(s, "200 OK", "text/html", "<html><title>Grafana</title>\x1b[2J</html>")
        }),
        ("no credentials", "401", |s, _| says(s, "401 Unauthorized", "text/plain", "who are you")),
        ("too busy", "503", |s, _| says(s, "503 Service Unavailable", "text/html", "<html>nginx</html>")),
        ("no such page", "404", |s, _| says(s, "404 Not Found", "text/plain", "404 page not found")),
        ("elsewhere", "redirects to https://login.example", |s, _| {
            _ = s.write_all(b"HTTP/1.1 302 Found\r\nLocation: https://login.example/auth?secret=x\r\nContent-Length: 0\r\n\r\n");
        }),
        ("nothing at all", "no answer", |_, _| {}),
        ("a drip", "no answer", |s, _| {
            _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{");
            for _ in 0..100 {
                std::thread::sleep(Duration::from_millis(100));
                if s.write_all(b" ").is_err() {
                    return;
                }
            }
        }),
        ("a gigabyte", "more than 8 MB", |s, _| {
            _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n{\"a\":\"");
            while s.write_all(&[b'x'; 65536]).is_ok() {}
        }),
        ("another language", "", |s, _| _ = s.write_all(b"+PONG\r\n\x1b]0;owned\x07")),
    ];
    for (what, why, speak) in fakes {
        let (port, _) = fake(speak);
        let begin = Instant::now();
        let said = check(&format!("http://127.0.0.1:{port}"), "", "5s", &["--only", "source.*"]);
        assert!(begin.elapsed() < Duration::from_secs(9), "{what}: {:?}", begin.elapsed());
        let row = source(&said, &format!("prometheus:{port}"));
        assert!(row["state"] == "unreachable" || row["state"] == "denied", "{what}: {row}");
        assert!(row["why"].as_str().unwrap().contains(why), "{what}: {row}");
        assert!(row["way_in"].is_string(), "{what}: {row}");
        let text = said.to_string();
        assert!(!text.contains("\\u001b") && !text.contains('\u{1b}') && !text.contains("secret=x"), "{what}: {text}");
    }
}

#[test]
fn credentials_are_read_from_files_and_go_to_no_other_host() {
    let (other, heard_there) = fake(|s, _| says(s, "200 OK", "application/json", EMPTY));
    let token = std::env::temp_dir().join(format!("perftop-token-{}-{other}", std::process::id()));
    std::fs::write(&token, "sesame\n").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (port, heard) = fake(|s, _| {
        _ = s.write_all(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/api\r\nContent-Length: 0\r\n\r\n");
    });
    let config = format!(
        "[prometheus.main]\nurl = \"http://127.0.0.1:{port}/select/0/prometheus/\"\ntoken_file = {:?}\ntenant = \"team-a\"\n",
        token.display().to_string()
    );
    let said = check(&format!("http://127.0.0.1:{other}"), &config, "4s", &[]);
    std::fs::remove_file(token).unwrap();
    assert!(source(&said, "prometheus:main")["why"].as_str().unwrap().contains("redirects"), "{}", said["sources"]);
    let heard = heard.lock().unwrap().to_lowercase();
    assert!(heard.contains("authorization: bearer sesame") && heard.contains("x-scope-orgid: team-a"), "{heard}");
    assert!(heard.starts_with("get /select/0/prometheus/api/v1/status/buildinfo"), "{heard}");
    assert!(!heard_there.lock().unwrap().contains("sesame"));
    assert!(!said.to_string().contains("sesame"));
    // One that others can read is refused.
    let open = std::env::temp_dir().join(format!("perftop-open-{}-{other}", std::process::id()));
    std::fs::write(&open, "sesame\n").unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let config = format!("[prometheus.main]\nurl = \"http://127.0.0.1:{port}\"\ntoken_file = {:?}\n", open.display().to_string());
    let said = check(&format!("http://127.0.0.1:{other}"), &config, "4s", &[]);
    std::fs::remove_file(open).unwrap();
    assert!(said.as_str().unwrap().contains("chmod 600"), "{said}");
    let said = check(&format!("http://me:secret@127.0.0.1:{other}"), "", "4s", &[]);
    assert!(
        said.as_str().unwrap().contains("a password must not be in a URL") && !said.as_str().unwrap().contains("secret"),
        "{said}"
    );
}

#[test]
fn half_an_answer_is_unknown_and_degrades_the_source() {
    const OBJECTIVE: &str =
        "[objectives.shop]\ntarget = 99\nerror_query = 'sum(rate(a[{{.window}}]))'\ntotal_query = 'sum(rate(b[{{.window}}]))'\n";
    // As Thanos answers where a store is away: all is well, and half of it is missing.
    let (port, _) = fake(|s, path| match path {
        p if p.ends_with("buildinfo") => {
            says(s, "200 OK", "application/json", r#"{"status":"success","data":{"version":"0.35.1"}}"#)
        }
        p if p.ends_with("alerts") => says(s, "200 OK", "application/json", EMPTY),
        _ => says(
            s,
            "200 OK",
            "application/json",
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"5"]}]},"warnings":["store 10.0.0.3 timed out"],"infos":["x"]}"#,
        ),
    });
    let said = check(&format!("http://127.0.0.1:{port}"), OBJECTIVE, "5s", &[]);
    let row = source(&said, &format!("prometheus:{port}"));
    assert_eq!((&row["state"], &row["role"]), (&"degraded".into(), &"Thanos".into()), "{row}");
    assert!(row["why"].as_str().unwrap().contains("store 10.0.0.3 timed out"), "{row}");
    assert!(findings(&said, "slo.burn").is_empty(), "{}", said["findings"]);
    assert_eq!(findings(&said, "prometheus.partial").len(), 1, "{}", said["findings"]);
    let unknown = said["unknown"].as_array().unwrap().iter().find(|u| u["id"] == "slo.burn").unwrap();
    assert!(unknown["because"].as_str().unwrap().contains("not whole"), "{unknown}");
    // As Mimir refuses who names no tenant, and tells what it is; VictoriaMetrics names its host in a header and says isPartial.
    let (port, _) = fake(|s, path| match path {
        p if p.ends_with("buildinfo") => {
            says(
                s,
                "200 OK",
                "application/json",
                r#"{"status":"success","data":{"application":"Grafana Mimir","version":"2.14.0"}}"#,
            );
        }
        _ => says(
            s,
            "422 Unprocessable Entity",
            "application/json",
            r#"{"status":"error","errorType":"execution","error":"err-mimir-max-series"}"#,
        ),
    });
    let said = check(&format!("http://127.0.0.1:{port}"), OBJECTIVE, "5s", &[]);
    let row = source(&said, &format!("prometheus:{port}"));
    assert_eq!((&row["state"], &row["role"]), (&"ok".into(), &"Mimir".into()), "{row}");
    let unknown = said["unknown"].as_array().unwrap().iter().find(|u| u["id"] == "slo.burn").unwrap();
    assert!(unknown["because"].as_str().unwrap().contains("err-mimir-max-series"), "{unknown}");
    let (port, _) = fake(|s, _| {
        let body =
            r#"{"status":"success","isPartial":true,"data":{"version":"2.24.0","resultType":"vector","result":[],"alerts":[]}}"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Server-Hostname: vm1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        _ = s.write_all(head.as_bytes()).and_then(|()| s.write_all(body.as_bytes()));
    });
    let said = check(&format!("http://127.0.0.1:{port}"), OBJECTIVE, "5s", &[]);
    let row = source(&said, &format!("prometheus:{port}"));
    assert_eq!((&row["state"], &row["role"]), (&"degraded".into(), &"VictoriaMetrics".into()), "{row}");
}
