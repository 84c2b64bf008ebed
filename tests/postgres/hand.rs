//! From the page to the fix pasted and seen to work: the screen in tmux, as it comes, against a real server.

use std::process::Command;
use std::time::{Duration, Instant};

use super::server::{Server, installed};
use super::{PRELOAD, found};

/// Keys that it takes: one copies, one leaves.
const KEYS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(90);

/// A tmux of its own, with nothing configured, that shows perftop.
struct Tmux {
    socket: String,
    keys: usize,
}

impl Tmux {
    fn start(name: &str, url: &str) -> Option<Self> {
        let tmux = Self { socket: format!("perftop-{name}-{}", std::process::id()), keys: 0 };
        let program = format!("exec {} --no-config --no-discover --postgres '{url}'", env!("CARGO_BIN_EXE_perftop"));
        let state = std::env::temp_dir().join(&tmux.socket);
        let started = Command::new("tmux")
            .args(["-L", &tmux.socket, "-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", &program])
            .envs([("XDG_STATE_HOME", state.as_os_str()), ("HOME", state.as_os_str())])
            .env("LC_ALL", "C.UTF-8")
            .status();
        match started {
            Ok(status) => assert!(status.success()),
            Err(_) if std::env::var_os("CI").is_none() => return None,
            Err(error) => panic!("tmux: {error}"),
        }
        Some(tmux)
    }

    fn ask(&self, args: &[&str]) -> String {
        let out = Command::new("tmux").args(["-L", &self.socket]).args(args).output().unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    fn wait(&self, text: &str) {
        let start = Instant::now();
        while !self.screen().contains(text) {
            assert!(start.elapsed() < PATIENCE, "{text:?} did not come:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn key(&mut self, key: &str) {
        self.keys += 1;
        self.ask(&["send-keys", key]);
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.ask(&["kill-server"]);
        _ = std::fs::remove_dir_all(std::env::temp_dir().join(&self.socket));
    }
}

/// The moment by which a transaction had begun is a moment of the look, and the two looks are not one.
fn timeless(command: &str) -> String {
    let Some((before, rest)) = command.split_once("xact_start <= '") else { return command.to_owned() };
    format!("{before}xact_start <= {}", rest.split_once('\'').map_or("", |(_, rest)| rest))
}

/// What is sick, what the screen says of it, and which finding `check` has of it.
fn cured_by_hand(server: &Server, says: &str, id: &str) {
    let url = server.url("postgres", "postgres");
    let Some(mut tmux) = Tmux::start(id, &url) else { return };
    tmux.wait(says);
    let d = server.check(&url, 5);
    let command = found(&d, id)["fixes"][0]["command"].as_str().unwrap().to_owned();
    tmux.key("c");
    tmux.wait("tmux buffer");
    let pasted = tmux.ask(&["show-buffer"]);
    assert!(
        timeless(pasted.trim_end()).ends_with(&timeless(command.trim_end())),
        "what is pasted is not the fix:\n{pasted}\n{command}"
    );
    assert!(server.paste("postgres", &pasted).status.success(), "{pasted}");
    tmux.wait("resolved");
    tmux.key("q");
    assert_eq!(tmux.keys, KEYS);
}

#[test]
fn a_pile_of_locks_is_cured_by_what_c_copies() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE stock (id int PRIMARY KEY, n int)");
    server.sql("postgres", "INSERT INTO stock VALUES (1, 1)");
    server.session("postgres", "BEGIN; UPDATE stock SET n = n - 1 WHERE id = 1;");
    server.wait("postgres", "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'idle in transaction'", "t");
    for _ in 0..4 {
        server.session("postgres", "UPDATE stock SET n = n - 1 WHERE id = 1 \\watch 0.1");
    }
    cured_by_hand(&server, "idle in a transaction", "postgres.locks.idle_in_transaction");
    server.end_sessions();
}

#[test]
fn a_missing_index_is_cured_by_what_c_copies() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE orders (id int, customer int)");
    server.sql("postgres", "INSERT INTO orders SELECT g, g % 100000 FROM generate_series(1, 400000) g");
    server.sql("postgres", "ANALYZE orders");
    for _ in 0..3 {
        server.session("postgres", "SELECT count(*) FROM orders WHERE customer = 77 \\watch 0.01");
    }
    cured_by_hand(&server, "Missing index", "postgres.query.missing_index");
    server.end_sessions();
}
