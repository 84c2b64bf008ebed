//! Private servers, one per test, each on a free port and ended with it.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Directories with the programs of a server: Debian's, and those of PERFTOP_PG_BINS.
pub fn installed() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|d| d.flatten().map(|e| e.path().join("bin")).filter(|p| p.join("initdb").exists()).collect())
        .unwrap_or_default();
    let more = std::env::var("PERFTOP_PG_BINS").unwrap_or_default();
    found.extend(more.split(':').filter(|p| !p.is_empty()).map(PathBuf::from));
    found.sort();
    if found.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "no PostgreSQL here, and CI must have one");
        eprintln!("SKIPPED: no PostgreSQL here; tests/run installs it");
    }
    found
}

pub fn root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0")
}

/// As the user postgres, because a server does not run as root.
pub fn unprivileged(program: &Path) -> Command {
    if !root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program).current_dir("/");
    command
}

pub struct Server {
    pub bin: PathBuf,
    pub dir: PathBuf,
    pub port: u16,
    pub sessions: Vec<Child>,
}

impl Server {
    pub fn start(bin: &Path, settings: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = std::env::temp_dir().join(format!("perftop-pg-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self::own(&dir);
        let data = dir.join("data");
        let done = |mut c: Command| {
            let out = c.stdin(Stdio::null()).output().unwrap();
            assert!(out.status.success(), "{c:?}: {}", String::from_utf8_lossy(&out.stderr));
        };
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.args(["-A", "trust", "-N", "-U", "postgres", "--locale=C.UTF-8", "-E", "UTF8", "-D"]).arg(&data);
        done(initdb);
        let mut lines = vec![
            format!("port = {port}"),
            "listen_addresses = '127.0.0.1'".into(),
            format!("unix_socket_directories = '{}'", dir.display()),
            "shared_buffers = 32MB".into(),
            "max_prepared_transactions = 5".into(),
            "autovacuum_naptime = 3s".into(),
            "fsync = off".into(),
        ];
        lines.extend(settings.iter().map(|s| (*s).to_owned()));
        let mut conf = std::fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        conf.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        Self::run(bin, dir, port)
    }

    /// A directory that the server may write.
    pub fn own(dir: &Path) {
        if root() {
            assert!(Command::new("chown").arg("postgres").arg(dir).status().unwrap().success());
        }
    }

    /// Starts what was made there.
    pub fn run(bin: &Path, dir: PathBuf, port: u16) -> Self {
        let data = dir.join("data");
        let mut start = unprivileged(&bin.join("pg_ctl"));
        start.arg("-D").arg(&data).arg("-l").arg(dir.join("log")).args(["-w", "-t", "60", "start"]);
        start.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(start.status().unwrap().success(), "{}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
        Self { bin: bin.to_owned(), dir, port, sessions: Vec::new() }
    }

    pub fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]).arg(&self.dir);
        psql.args(["-p", &self.port.to_string(), database]);
        psql
    }

    pub fn sql(&self, database: &str, text: &str) -> String {
        let out = self.psql(database).args(["-c", text]).output().unwrap();
        assert!(out.status.success(), "{text}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Pastes text as an operator does.
    pub fn paste(&self, database: &str, text: &str) -> Output {
        let mut child = self.psql(database).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// A session that runs these statements and stays open.
    pub fn session(&mut self, database: &str, text: &str) {
        self.session_as("postgres", database, text);
    }

    /// The same as another role.
    pub fn session_as(&mut self, role: &str, database: &str, text: &str) {
        let mut child = self
            .psql(database)
            .args(["-U", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
        self.sessions.push(child);
    }

    /// A session of its own making, ended with the server.
    pub fn keep(&mut self, child: Child) {
        self.sessions.push(child);
    }

    /// Ends what was started so far.
    pub fn end_sessions(&mut self) {
        for mut child in self.sessions.drain(..) {
            _ = child.kill();
            _ = child.wait();
        }
    }

    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@/{database}?host={}&port={}", self.dir.display(), self.port)
    }

    /// What a check of it says.
    pub fn check(&self, url: &str, seconds: u32) -> Value {
        let out = Command::new(env!("CARGO_BIN_EXE_perftop"))
            .args([
                "check",
                "--no-config",
                "--no-discover",
                "--format",
                "json",
                "--for",
                &format!("{seconds}s"),
                "--postgres",
                url,
            ])
            .env_remove("PGUSER")
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {out:?}"))
    }

    /// Waits until a statement gives what it should.
    pub fn wait(&self, database: &str, text: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.sql(database, text) != wanted {
            assert!(Instant::now() < deadline, "{text} never gave {wanted}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn version(&self) -> u32 {
        self.sql("postgres", "SHOW server_version_num").parse::<u32>().unwrap() / 10_000
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_sessions();
        let mut stop = unprivileged(&self.bin.join("pg_ctl"));
        stop.arg("-D").arg(self.dir.join("data")).args(["-m", "immediate", "-w", "stop"]);
        _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        _ = std::fs::remove_dir_all(&self.dir);
    }
}
