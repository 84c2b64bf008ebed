//! A source tells one truth, and soon: what it refuses shows in its state within two intervals, and what was mended is read again within ten
//! seconds.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Server, installed};
use super::{PRELOAD, source};

/// A check that goes on, second by second.
struct Watch {
    child: Child,
    seen: Receiver<Value>,
}

impl Watch {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
            .args(["check", "--no-config", "--no-discover", "--watch", "1s", "--format", "json", "--postgres", url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, seen) = channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).all(|line| tell.send(serde_json::from_str(&line).unwrap()).is_ok())
        });
        Self { child, seen }
    }

    /// The first diagnosis in which the source is in that state, within so many seconds.
    fn until(&self, state: &str, within_s: u64) -> Value {
        let deadline = Instant::now() + Duration::from_secs(within_s);
        let mut last = Value::Null;
        while let Ok(seen) = self.seen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            // The first one may come before the server was asked.
            let row = seen["sources"].as_array().unwrap().iter().find(|s| s["kind"] == "postgres").cloned();
            last = row.unwrap_or_default();
            if last["state"] == state {
                return seen;
            }
        }
        panic!("not {state} within {within_s} s: {last:#}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn why(d: &Value) -> &str {
    source(d)["why"].as_str().unwrap_or_default()
}

#[test]
fn what_a_server_refuses_shows_in_its_state_and_what_was_mended_is_read_again() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE EXTENSION pg_stat_statements; CREATE ROLE mon LOGIN IN ROLE pg_monitor");
    let watch = Watch::start(&server.url("mon", "shop"));
    watch.until("ok", 10);

    // Everything is locked: the sessions cannot be read, and the header says so.
    let all = "BEGIN; DO $$ DECLARE r record; BEGIN FOR r IN SELECT oid::regclass t FROM pg_class WHERE relkind = 'r' AND relnamespace = \
               'pg_catalog'::regnamespace LOOP BEGIN EXECUTE 'LOCK TABLE ' || r.t || ' IN ACCESS EXCLUSIVE MODE'; EXCEPTION WHEN OTHERS \
               THEN NULL; END; END LOOP; END $$;";
    server.session("postgres", all);
    let locked = watch.until("degraded", 10);
    assert!(why(&locked).contains("pg_stat_activity cannot be read"), "{}", why(&locked));
    assert!(source(&locked)["way_in"].as_str().unwrap().contains("pg_locks"));
    // Its session ends, and with it the locks.
    let mut holder = server.sessions.pop().unwrap();
    _ = holder.kill();
    _ = holder.wait();
    watch.until("ok", 15);

    // The database that it sits in goes and comes back.
    server.sql("postgres", "DROP DATABASE shop WITH (FORCE)");
    let gone = watch.until("denied", 10);
    assert!(why(&gone).contains("\"shop\" does not exist"), "{}", why(&gone));
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", "CREATE EXTENSION pg_stat_statements");
    watch.until("ok", 10);

    // The role may see less, and more again.
    server.sql("postgres", "REVOKE pg_monitor FROM mon");
    let blind = watch.until("degraded", 10);
    assert!(why(&blind).contains("may not see"), "{}", why(&blind));
    server.sql("postgres", "GRANT pg_monitor TO mon");
    watch.until("ok", 10);

    // The role goes and comes back.
    server.sql("postgres", "DROP ROLE mon");
    let gone = watch.until("denied", 10);
    assert!(why(&gone).contains("\"mon\" does not exist"), "{}", why(&gone));
    let fresh = server.check(&server.url("mon", "shop"), 3);
    assert_eq!(source(&fresh)["state"], "denied", "live and fresh are one truth");
    server.sql("postgres", "CREATE ROLE mon LOGIN IN ROLE pg_monitor");
    watch.until("ok", 10);
}

/// A password that is refused is not sent again; once it is another one, the server is read.
#[test]
fn a_refused_password_is_sent_once_and_a_changed_one_at_once() {
    use std::os::unix::fs::PermissionsExt;
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &["log_connections = on", "password_encryption = 'scram-sha-256'"]);
    server.sql("postgres", "CREATE ROLE mon LOGIN PASSWORD 'right' IN ROLE pg_monitor");
    std::fs::write(server.dir.join("data/pg_hba.conf"), "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        .unwrap();
    server.sql("postgres", "SELECT pg_reload_conf()");
    let (password, config) = (server.dir.join("password"), server.dir.join("perftop.toml"));
    let write = |text: &str| {
        std::fs::write(&password, text).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("wrong\n");
    let url = format!("postgres://mon@127.0.0.1:{}/postgres?sslmode=disable", server.port);
    std::fs::write(&config, format!("[postgres.main]\nurl = \"{url}\"\npassword_file = \"{}\"\n", password.display())).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--no-discover", "--watch", "1s", "--format", "json", "--config"])
        .arg(&config)
        .env_remove("PGPASSWORD")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (tell, seen) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).all(|line| tell.send(serde_json::from_str(&line).unwrap()).is_ok()));
    let watch = Watch { child, seen };
    watch.until("denied", 10);
    // Twice the time after which everything else is tried again.
    std::thread::sleep(Duration::from_secs(11));
    let log = std::fs::read_to_string(server.dir.join("log")).unwrap();
    assert_eq!(log.matches("password authentication failed").count(), 1, "{log}");
    write("right\n");
    // Read; without the extension, which nobody made there.
    watch.until("degraded", 10);
}
