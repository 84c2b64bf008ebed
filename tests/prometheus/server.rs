//! A Prometheus (or VictoriaMetrics) of this test's own, on a free port, in a directory of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::application::Application;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program of that name, as the distribution has it.
pub fn installed(name: &str) -> Option<PathBuf> {
    let path = Path::new("/usr/bin").join(name);
    if !path.exists() {
        assert!(std::env::var_os("CI").is_none(), "no {name} here, and CI must have one");
        eprintln!("SKIPPED: no {name} here; tests/run installs it");
        return None;
    }
    Some(path)
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub struct Server {
    child: Child,
    pub port: u16,
    dir: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Server {
    /// Scrapes the application each second.
    pub fn start(program: &Path, app: &Application) -> Self {
        // A storage alone evaluates no rules.
        let rules = !program.ends_with("victoria-metrics");
        let config = format!(
            "global: {{scrape_interval: 1s{}}}\n{}scrape_configs:\n\
             - {{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n",
            if rules { ", evaluation_interval: 1s" } else { "" },
            if rules { "rule_files: [rules.yml]\n" } else { "" },
            app.port
        );
        Self::with(program, &config)
    }

    /// As that configuration says.
    pub fn with(program: &Path, config: &str) -> Self {
        Self::prepared(program, config, &[], |_| {})
    }

    /// The same, with more options, in a directory that was prepared before it starts.
    pub fn prepared(program: &Path, config: &str, more: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("perftop-prometheus-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("prometheus.yml"), config).unwrap();
        let rules = "groups:\n- name: shop\n  rules:\n  - {alert: HighErrors, expr: 'sum(rate(http_requests_total{code=\"500\"}[1m])) > 1', \
                     labels: {severity: critical}, annotations: {summary: 'requests fail'}}\n";
        std::fs::write(dir.join("rules.yml"), rules).unwrap();
        prepare(&dir);
        let mut command = Command::new(program);
        command.args(more);
        let (config, data) = (dir.join("prometheus.yml"), dir.join("data"));
        if program.ends_with("victoria-metrics") {
            command.arg(format!("-promscrape.config={}", config.display())).arg(format!("-storageDataPath={}", data.display()));
            command.arg(format!("-httpListenAddr=127.0.0.1:{port}")).arg("-search.latencyOffset=0s");
        } else {
            command.arg(format!("--config.file={}", config.display())).arg(format!("--storage.tsdb.path={}", data.display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port, dir };
        server.until("it is ready", || get(port, "/-/healthy").is_some_and(|text| text.contains("200 OK")));
        server
    }

    pub fn stop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn id(&self) -> String {
        format!("prometheus:{}", self.port)
    }

    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.until_for(what, PATIENCE, condition);
    }

    pub fn until_for(&self, what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The application was scraped often enough for every rate.
    pub fn until_scraped(&self, _: &Application) {
        self.until("eight scrapes", || self.value("count_over_time(http_requests_total{code=\"200\"}[1m])") >= 8.0);
    }

    /// The value of a query; 0 where there is none.
    pub fn value(&self, query: &str) -> f64 {
        let encoded: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let text = get(self.port, &format!("/api/v1/query?query={encoded}")).unwrap_or_default();
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let json: Value = serde_json::from_str(body.trim_start_matches(|c| c != '{')).unwrap_or_default();
        json["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok()).unwrap_or(0.0)
    }

    /// What `check` says of it, with these objectives.
    pub fn check(&self, objectives: &str, seconds: &str) -> Value {
        check(&self.url(), objectives, seconds, &[])
    }
}

/// An answer as it comes, headers and all.
pub fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// What `check` says of a server; where it refuses to begin, what it says then.
pub fn check(url: &str, config: &str, seconds: &str, more: &[&str]) -> Value {
    let config_file = std::env::temp_dir().join(format!("perftop-objectives-{}-{}.toml", std::process::id(), free_port()));
    std::fs::write(&config_file, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command.args(["check", "--no-discover", "--format", "json", "--for", seconds, "--prometheus", url]);
    command.arg("--config").arg(&config_file).args(more).env_remove("PROMETHEUS_URL");
    let out = command.output().unwrap();
    _ = std::fs::remove_file(config_file);
    let errors = || Value::String(String::from_utf8_lossy(&out.stderr).into_owned());
    serde_json::from_slice(&out.stdout).unwrap_or_else(|_| errors())
}

/// The findings of that id, in the order of their keys.
pub fn findings<'a>(said: &'a Value, id: &str) -> Vec<&'a Value> {
    let all = said["findings"].as_array().unwrap_or_else(|| panic!("{said}"));
    let mut found: Vec<&Value> = all.iter().filter(|f| f["id"] == id).collect();
    found.sort_by_key(|f| f["key"].as_str().unwrap().to_owned());
    found
}

pub fn finding<'a>(said: &'a Value, id: &str) -> &'a Value {
    findings(said, id).first().copied().unwrap_or_else(|| panic!("no {id}: {} {}", said["findings"], said["unknown"]))
}

/// The source's row.
pub fn source<'a>(said: &'a Value, id: &str) -> &'a Value {
    let all = said["sources"].as_array().unwrap_or_else(|| panic!("{said}"));
    all.iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("no {id}: {}", said["sources"]))
}
