//! A Redis of this test's own, on a free port, in a directory of its own; and clients that load it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

/// Programs of servers: the distribution's, and those of PERFTOP_REDIS_BINS.
pub fn installed() -> Vec<PathBuf> {
    let more = std::env::var("PERFTOP_REDIS_BINS").unwrap_or_default();
    let named = more.split(':').filter(|p| !p.is_empty()).map(PathBuf::from);
    let found: Vec<PathBuf> = ["/usr/bin/redis-server", "/usr/bin/valkey-server"]
        .map(PathBuf::from)
        .into_iter()
        .chain(named)
        .filter(|p| p.exists())
        .collect();
    if found.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "no Redis here, and CI must have one");
        eprintln!("SKIPPED: no Redis here; tests/run installs it");
    }
    found
}

pub struct Server {
    child: Child,
    pub port: u16,
    dir: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    pub fn start(program: &Path, options: &[&str]) -> Self {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("perftop-redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", dir.to_str().unwrap()]);
        let child = command.args(options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port, dir };
        server.until("it answers", || server.try_ask(&["PING"]).is_some());
        server
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn id(&self) -> String {
        format!("redis:{}", self.port)
    }

    pub fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "not within 20 s: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn connect(&self) -> Client {
        Client::to(self.port).unwrap()
    }

    pub fn try_ask(&self, words: &[&str]) -> Option<String> {
        Client::to(self.port).ok()?.ask(words).ok()
    }

    pub fn ask(&self, words: &[&str]) -> String {
        self.connect().ask(words).unwrap()
    }

    /// What `check` says of it, as JSON.
    pub fn check(&self, more: &[&str], environment: &[(&str, &str)]) -> Value {
        check(&self.url(), more, environment)
    }
}

/// What `check` says of a server, as JSON.
pub fn check(url: &str, more: &[&str], environment: &[(&str, &str)]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command.args(["check", "--no-config", "--no-discover", "--format", "json", "--redis", url]).args(more);
    command.env_remove("REDISCLI_AUTH").env_remove("REDIS_URL").envs(environment.iter().copied());
    let out = command.output().unwrap();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr)))
}

/// The finding of that id, with everything else in the message when it is not there.
pub fn finding<'a>(said: &'a Value, id: &str) -> &'a Value {
    let all = said["findings"].as_array().unwrap();
    let short = || all.iter().map(|f| format!("{} {} {}\n", f["severity"], f["id"], f["title"])).collect::<String>();
    all.iter().find(|f| f["id"] == id).unwrap_or_else(|| panic!("no {id}:\n{}{}", short(), said["unknown"]))
}

/// The source's row.
pub fn source<'a>(said: &'a Value, id: &str) -> &'a Value {
    said["sources"].as_array().unwrap().iter().find(|s| s["id"] == id).unwrap_or_else(|| panic!("no {id}: {}", said["sources"]))
}

/// A client that speaks the protocol by hand.
pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn to(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn send(&mut self, words: &[&str]) -> std::io::Result<()> {
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// The first line of the answer, or the text of a bulk; an array is read and its size given.
    pub fn read(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_owned();
        let size: i64 = line.get(1..).and_then(|n| n.parse().ok()).unwrap_or(-1);
        match line.as_bytes().first() {
            Some(b'$') if size >= 0 => {
                let mut text = vec![0; size as usize + 2];
                self.0.read_exact(&mut text)?;
                text.truncate(size as usize);
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
            Some(b'*') => {
                for _ in 0..size {
                    self.read()?;
                }
                Ok(line)
            }
            _ => Ok(line),
        }
    }

    pub fn ask(&mut self, words: &[&str]) -> std::io::Result<String> {
        self.send(words)?;
        self.read()
    }
}

/// Clients that ask the same again and again, until it is dropped; how many requests they made, and the longest that one took.
pub struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    pub made: Arc<AtomicU64>,
    pub longest_us: Arc<AtomicU64>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| _ = t.join());
    }
}

impl Load {
    /// So many clients, each with a pause between two requests. One that is thrown out connects no more.
    pub fn of(server: &Server, clients: usize, pause: Duration, words: &[&str]) -> Self {
        Self::named(server, clients, pause, words, None)
    }

    pub fn named(server: &Server, clients: usize, pause: Duration, words: &[&str], name: Option<&str>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (made, longest_us) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let start = |_| {
            let (over, made, longest) = (over.clone(), made.clone(), longest_us.clone());
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let mut client = server.connect();
            if let Some(name) = name {
                client.ask(&["CLIENT", "SETNAME", name]).unwrap();
            }
            std::thread::spawn(move || {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                while !over.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    if client.ask(&words).is_err() {
                        return;
                    }
                    made.fetch_add(1, Ordering::Relaxed);
                    longest.fetch_max(begin.elapsed().as_micros() as u64, Ordering::Relaxed);
                    std::thread::sleep(pause);
                }
            })
        };
        Self { threads: (0..clients).map(start).collect(), over, made, longest_us }
    }
}
