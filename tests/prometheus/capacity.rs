//! What runs out, what is needed and how key figures stand, over weeks of history: written into a real Prometheus (blocks of promtool) and a
//! real VictoriaMetrics, and asked by `check --capacity` and `check --kpis`.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::server::{Server, free_port, installed};

const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;
/// Between two scrapes that were never made, seconds: of hosts, and of what answers requests.
const STEPS: (usize, usize) = (240, 60);

const CONFIG: &str =
    "[resources.seats]\nleft = 'seats_sold_max - seats_sold'\nall = 'seats_sold_max'\n[needs.cpu]\nprice = 50.0\n";

/// A series: its name with its labels, and its value so many seconds from now.
type Line = (String, Box<dyn Fn(f64) -> f64>);

fn line(name: &str, labels: &str, value: impl Fn(f64) -> f64 + 'static) -> Line {
    (format!("{name}{{job=\"node\",{labels}}}"), Box::new(value))
}

fn wave(t: f64) -> f64 {
    (t / DAY * std::f64::consts::TAU).sin()
}

/// The integral of a rate that is `base` and `wave` times the wave, of the day that ends now.
fn grown(base: f64, height: f64) -> impl Fn(f64) -> f64 {
    move |t| 1e6 + base * t - height * DAY / std::f64::consts::TAU * (t / DAY * std::f64::consts::TAU).cos()
}

/// Three hosts: one whose disk fills, one whose memory runs out, one with logs that come and go.
fn hosts() -> Vec<Line> {
    let mut all = Vec::new();
    let disk = "device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/var\"";
    for (n, host) in ["db1", "db2", "db3"].into_iter().enumerate() {
        let instance = format!("instance=\"{host}:9100\"");
        all.push(line("up", &instance, |_| 1.0));
        all.push(line("node_filesystem_size_bytes", &format!("{instance},{disk}"), |_| 500e9));
        all.push(line("node_filesystem_avail_bytes", &format!("{instance},{disk}"), move |t| match n {
            0 => 60e9 - 1e9 * t / HOUR + 5e8 * wave(t),
            1 => 300e9 + 2e9 * wave(t),
            _ => 40e9 - 20e9 * (t / HOUR).rem_euclid(7.0) / 7.0,
        }));
        all.push(line("node_memory_MemTotal_bytes", &instance, |_| 64e9));
        all.push(line("node_memory_MemAvailable_bytes", &instance, move |t| {
            if n == 1 { 13e9 - 1e8 * t / HOUR + 3e8 * wave(t) } else { 30e9 + 1e9 * wave(t) }
        }));
        for cpu in 0..2 {
            // The first is busy for most of its time.
            let busy = if n == 0 { 0.85 } else { 0.3 };
            let of = |mode: &str| format!("{instance},cpu=\"{cpu}\",mode=\"{mode}\"");
            all.push(line("node_cpu_seconds_total", &of("user"), grown(busy, 0.1)));
            all.push(line("node_cpu_seconds_total", &of("idle"), grown(1.0 - busy, -0.1)));
        }
    }
    // One that was well for all of the time, and fills since three hours.
    let late = format!("instance=\"db4:9100\",{disk}");
    all.push(line("node_filesystem_size_bytes", &late, |_| 500e9));
    all.push(line("node_filesystem_avail_bytes", &late, |t| 100e9 - 20e9 * (t + 3.0 * HOUR).max(0.0) / HOUR));
    all.push(line("seats_sold", "shop=\"a\"", |t| 900.0 + t / HOUR));
    all.push(line("seats_sold_max", "shop=\"a\"", |_| 1_000.0));
    all
}

/// Requests: a hundred a second, all within half a second; for the last quarter of an hour three of a hundred take two seconds, and fail.
fn requests() -> Vec<Line> {
    let since = |t: f64| (t + 900.0).max(0.0);
    let begin = 40.0 * DAY;
    let bucket = move |le: &str, share: f64, late: f64| {
        line("http_request_duration_seconds_bucket", &format!("le=\"{le}\""), move |t| {
            100.0 * (share * (t + begin) - late * since(t))
        })
    };
    let mut all = vec![bucket("0.1", 0.8, 0.03), bucket("0.5", 1.0, 0.03), bucket("1", 1.0, 0.03)];
    all.extend([bucket("2.5", 1.0, 0.0), bucket("+Inf", 1.0, 0.0)]);
    all.push(line("http_requests_total", "code=\"200\"", move |t| 100.0 * (t + begin - 0.03 * since(t))));
    all.push(line("http_requests_total", "code=\"500\"", move |t| 3.0 * since(t)));
    all
}

/// The text of these series over days: of OpenMetrics with seconds, or with milliseconds as an import takes them.
fn text(lines: &[Line], now_s: i64, days: i64, open: bool) -> String {
    let mut out = String::new();
    let mut told = "";
    for (name, value) in lines {
        let step = if name.starts_with("http") { STEPS.1 } else { STEPS.0 };
        let metric = name.split('{').next().unwrap();
        if open && metric != told {
            let counter = metric.strip_suffix("_total");
            let kind = if counter.is_some() { "counter" } else { "unknown" };
            _ = writeln!(out, "# TYPE {} {kind}", counter.unwrap_or(metric));
            told = metric;
        }
        // A while beyond now: the test may take as long.
        for at in (now_s - days * 86_400..now_s + 1_800).step_by(step) {
            let stamp = if open { at } else { at * 1_000 };
            _ = writeln!(out, "{name} {:.4} {stamp}", value((at - now_s) as f64));
        }
    }
    if open {
        out.push_str("# EOF\n");
    }
    out
}

fn now_s() -> i64 {
    i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A Prometheus that knows a week of them.
fn prometheus(program: &Path, lines: &[Line]) -> Server {
    Server::prepared(program, "global: {scrape_interval: 240s}\n", &["--storage.tsdb.retention.time=90d"], |dir| {
        let file = dir.join("open.txt");
        std::fs::write(&file, text(lines, now_s(), 8, true)).unwrap();
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "--quiet", "openmetrics"])
            .arg(&file)
            .arg(dir.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    })
}

/// A VictoriaMetrics that knows a month of them.
fn victoria(program: &Path, lines: &[Line]) -> Server {
    let server = Server::prepared(program, "scrape_configs: []\n", &["-retentionPeriod=3"], |_| {});
    let body = text(lines, now_s(), 30, false);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    write!(stream, "POST /api/v1/import/prometheus HTTP/1.0\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 204 "), "{answer}");
    server.until("what was written can be read", || {
        server.value("count(last_over_time(http_requests_total[30m])) or count(last_over_time(up[30m]))") >= 2.0
    });
    server
}

/// What that look says, and with which exit code.
fn look(server: &Server, option: &str, config: &str) -> (Value, Option<i32>) {
    let file = std::env::temp_dir().join(format!("perftop-look-{}-{}.toml", std::process::id(), free_port()));
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command
        .args(["check", option, "--no-discover", "--format", "json", "--prometheus", &server.url()])
        .arg("--config")
        .arg(&file);
    let out = command.env_remove("PROMETHEUS_URL").output().unwrap();
    std::fs::remove_file(file).unwrap();
    let said = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)));
    (said, out.status.code())
}

fn row<'v>(said: &'v Value, list: &str, key: &str, name: &str) -> &'v Value {
    let found = said[list].as_array().unwrap().iter().find(|row| row[key] == name);
    found.unwrap_or_else(|| panic!("no {name} in {said}"))
}

fn check_capacity(server: &Server) {
    let (said, code) = look(server, "--capacity", CONFIG);
    let left = |what: &str, whose: &str| {
        let all = said["left"].as_array().unwrap();
        all.iter()
            .find(|row| row["what"] == what && row["whose"] == whose)
            .unwrap_or_else(|| panic!("no {what} of {whose} in {said}"))
    };
    // Sixty hours are left, and 130, by the lines that they were made from.
    for (row, hours) in [(left("file system", "db1"), 60.0), (left("memory", "db2"), 130.0)] {
        assert_eq!(row["outlook"], "runs_out", "{row}");
        let of = |key: &str| row[key].as_f64().unwrap() / HOUR;
        assert!((of("eta_s") / hours - 1.0).abs() < 0.08, "{row}");
        assert!(of("early_s") <= hours * 1.03 && of("late_s") >= hours * 0.97 && of("late_s") < hours * 2.0, "{row}");
    }
    assert_eq!(left("seats", "")["outlook"], "runs_out");
    assert!((left("seats", "")["eta_s"].as_f64().unwrap() / HOUR / 100.0 - 1.0).abs() < 0.05, "{}", left("seats", ""));
    assert_eq!(left("file system", "db2")["outlook"], "steady");
    assert_ne!(left("file system", "db3")["outlook"], "runs_out", "logs that are removed again: {}", left("file system", "db3"));
    let first = &said["left"][0];
    assert_eq!(
        (&first["whose"], &first["severity"]),
        (&"db4".into(), &"warning".into()),
        "what runs out first stands first: {first}"
    );
    assert!((first["eta_s"].as_f64().unwrap() / (2.0 * HOUR) - 1.0).abs() < 0.15, "{first}");
    let cpu = row(&said, "needs", "what", "cpu");
    // Two CPUs at 85 % and four at 30 %, and a tenth of each with the time of the day: 3.5 at the peak.
    let figure = |key: &str| cpu[key].as_f64().unwrap();
    assert!((figure("peak") - 3.5).abs() < 0.15 && figure("have") == 6.0, "{cpu}");
    assert_eq!((figure("need"), figure("missing"), figure("price_a_month")), (5.0, 0.0, 250.0), "{cpu}");
    assert_eq!(cpu["busiest_hours_utc"].as_array().unwrap().len(), 3, "{cpu}");
    let trigger = row(&said, "triggers", "what", "cpu");
    assert_eq!(
        (&trigger["calls"], &trigger["whose"], &trigger["calling"], &trigger["of"]),
        (&true.into(), &"db1".into(), &1.into(), &3.into()),
        "{trigger}"
    );
    assert_eq!(row(&said, "triggers", "what", "queue_depth")["value"], Value::Null);
    assert_eq!(said["unknown"], Value::Array(Vec::new()), "{said}");
    assert_eq!(code, Some(1), "one runs out within the day");
}

/// How key figures stand, of which the usual is known from there.
fn check_kpis(server: &Server, usual: &str) {
    let (said, code) = look(server, "--kpis", "[kpis]\nprofile = \"runbook\"\n");
    let p99 = row(&said, "kpis", "name", "api_p99");
    assert_eq!((&p99["low"], &p99["high"], &p99["level"]), (&1_000.0.into(), &2_500.0.into(), &"warning".into()), "{p99}");
    let lasted = p99["lasted_s"].as_u64().unwrap();
    assert!((420..=960).contains(&lasted), "{p99}");
    assert!(p99["usual_from"].as_str().unwrap().contains(usual), "{p99}");
    let (usual, unusual) = (p99["usual"].as_f64().unwrap(), p99["unusual"].as_f64().unwrap());
    assert!((100.0..500.0).contains(&usual) && unusual > usual && unusual < 1_000.0, "{p99}");
    let errors = row(&said, "kpis", "name", "error_rate");
    assert!((errors["low"].as_f64().unwrap() - 3.0).abs() < 0.4 && errors["level"] == "critical", "{errors}");
    let requests = row(&said, "kpis", "name", "throughput");
    assert!((requests["low"].as_f64().unwrap() - 100.0).abs() < 5.0 && requests["level"] == "critical", "{requests}");
    assert_eq!(row(&said, "kpis", "name", "api_p50")["level"], "between", "below 100 ms, and 50 are asked for");
    assert_eq!(row(&said, "kpis", "name", "users")["level"], "unknown");
    assert_eq!(code, Some(2));
}

#[test]
fn what_runs_out_is_told_from_what_does_not() {
    let (Some(program), Some(_)) = (installed("prometheus"), installed("promtool")) else { return };
    let all: Vec<Line> = hosts().into_iter().chain(requests()).collect();
    let server = prometheus(&program, &all);
    check_capacity(&server);
    check_kpis(&server, "3 days");
}

#[test]
fn victoria_metrics_tells_the_same() {
    let Some(program) = installed("victoria-metrics") else { return };
    let all: Vec<Line> = hosts().into_iter().chain(requests()).collect();
    let server = victoria(&program, &all);
    check_capacity(&server);
    check_kpis(&server, "4 weeks");
}
