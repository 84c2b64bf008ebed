//! PostgreSQL for real: private servers on free ports, of every version that is here; as each kind of role, with pg_stat_statements in each state, through
//! a pooler, behind exclusive locks, with names that hurt.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

mod changes;
mod cures;
mod databases;
mod encodings;
mod hand;
mod link;
mod names;
mod plans;
mod server;
mod standby;
mod states;
mod tls;
mod trust;

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use server::{Server, installed, unprivileged};

const PRELOAD: &str = "shared_preload_libraries = 'pg_stat_statements'";

fn found<'a>(d: &'a Value, id: &str) -> &'a Value {
    let all = d["findings"].as_array().unwrap();
    all.iter()
        .find(|f| f["id"] == id)
        .unwrap_or_else(|| panic!("no {id} in {:#?}", all.iter().map(|f| &f["title"]).collect::<Vec<_>>()))
}

/// What stands first of the server: the machine that the test runs on may have troubles of its own.
fn first(d: &Value) -> &Value {
    let all = d["findings"].as_array().unwrap();
    let server = |f: &&Value| f["source"].as_str().is_some_and(|s| s.starts_with("postgres:")) && f["severity"] != "info";
    all.iter()
        .find(server)
        .unwrap_or_else(|| panic!("nothing of the server: {:#?}", all.iter().map(|f| &f["title"]).collect::<Vec<_>>()))
}

fn source(d: &Value) -> &Value {
    d["sources"].as_array().unwrap().iter().find(|s| s["kind"] == "postgres").unwrap()
}

fn unknown<'a>(d: &'a Value, id: &str) -> &'a Value {
    d["unknown"]
        .as_array()
        .unwrap()
        .iter()
        .find(|u| u["id"] == id)
        .unwrap_or_else(|| panic!("{id} is not unknown: {:#}", d["unknown"]))
}

/// An idle transaction holds a row; three wait for it, one of them behind another.
fn blocked(server: &mut Server) {
    server.sql(
        "postgres",
        "CREATE TABLE accounts (id int PRIMARY KEY, v int); INSERT INTO accounts SELECT g, 0 FROM generate_series(1, 10) g",
    );
    server.session("postgres", "BEGIN; UPDATE accounts SET v = 1 WHERE id = 1;");
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", "1");
    for _ in 0..3 {
        server.session("postgres", "UPDATE accounts SET v = 2 WHERE id = 1;");
    }
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "3");
}

#[test]
fn every_version_names_the_root_and_the_pasted_fix_frees_all() {
    for bin in installed() {
        let mut server = Server::start(&bin, &[PRELOAD]);
        server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
        blocked(&mut server);
        let d = server.check(&server.url("postgres", "postgres"), 6);
        let s = source(&d);
        assert_eq!(
            (s["state"].as_str(), s["role"].as_str(), s["place"].as_str()),
            (Some("ok"), Some("primary"), Some("local")),
            "{s}"
        );
        let f = found(&d, "postgres.locks.idle_in_transaction");
        assert_eq!((f["rank"].as_u64(), f["severity"].as_str()), (Some(1), Some("critical")), "{f:#}");
        assert!((f["impact"]["benefit_s_per_s"].as_f64().unwrap() - 3.0).abs() < 0.2, "{f:#}");
        let holder = server.sql("postgres", "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'");
        assert!(f["subject"]["key"].as_str().unwrap().starts_with(&format!("{holder}@")), "{f:#}");
        assert!(f["title"].as_str().unwrap().contains("public.accounts"), "{f:#}");
        // Time: what is productive, lost and unexplained is all of it.
        let t = |name: &str| d["time"][name].as_f64().unwrap();
        let lost: f64 = d["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["explained_by"].is_null())
            .filter_map(|f| f["impact"]["lost_s_per_s"].as_f64())
            .sum();
        assert!(
            (t("foreground_s_per_s") - t("productive_s_per_s") - t("unexplained_s_per_s") - lost).abs() < 1e-3,
            "{:#}",
            d["time"]
        );
        let fix = &f["fixes"][0];
        assert!(server.paste("postgres", fix["command"].as_str().unwrap()).status.success());
        server.wait("postgres", fix["verify"].as_str().unwrap(), "t");
        server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "0");
    }
}

#[test]
fn each_kind_of_login_sees_what_it_may_and_says_what_it_does_not() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE plain LOGIN",
    );
    blocked(&mut server);
    let d = server.check(&server.url("watcher", "postgres"), 5);
    assert_eq!((source(&d)["state"].as_str(), source(&d)["as"].as_str()), (Some("ok"), Some("pg_monitor")));
    let f = found(&d, "postgres.locks.idle_in_transaction");
    assert!(f["fixes"][0]["preflight"][0]["ok"] == false, "pg_monitor may not end sessions: {f:#}");
    let d = server.check(&server.url("plain", "postgres"), 5);
    let s = source(&d);
    assert_eq!(s["state"], "degraded", "{s}");
    assert_eq!(s["way_in"], "GRANT pg_monitor TO plain;");
    let d = server.check(&server.url("nobody_of_that_name", "postgres"), 4);
    let s = source(&d);
    assert_eq!(s["state"], "denied", "{s}");
    assert_ne!(d["health"]["status"], "healthy");
    assert_eq!(found(&d, "source.denied")["severity"], "warning");
    assert!(s["why"].as_str().unwrap().contains("nobody_of_that_name"), "{s}");
    let d = server.check("postgres://x@127.0.0.1:1/y?sslmode=disable", 4);
    assert_eq!(source(&d)["state"], "unreachable");
}

#[test]
fn statements_are_read_wherever_they_are_and_their_lack_has_a_way_out() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD]);
    let load = |database: &str| {
        for _ in 0..30 {
            server.sql(database, "SELECT count(*) FROM pg_class");
        }
    };
    let d = server.check(&server.url("postgres", "postgres"), 5);
    let u = unknown(&d, "postgres.query.expensive");
    assert_eq!(u["lift"], "CREATE EXTENSION pg_stat_statements;", "{u}");
    assert_eq!(source(&d)["state"], "degraded");
    // In a schema of its own, with a name that must be quoted; sampled as pg_monitor, which may not use that schema.
    server.sql("postgres", "CREATE SCHEMA \"My Stats\"; CREATE EXTENSION pg_stat_statements SCHEMA \"My Stats\"");
    load("postgres");
    let d = server.check(&server.url("postgres", "postgres"), 9);
    assert!(!d["unknown"].as_array().unwrap().iter().any(|u| u["id"] == "postgres.query.expensive"), "{:#}", d["unknown"]);
    // In another database than the one that we sit in: found by the visits.
    server.sql("postgres", "DROP EXTENSION pg_stat_statements");
    server.sql("postgres", "CREATE DATABASE app");
    server.sql("app", "CREATE EXTENSION pg_stat_statements");
    let d = server.check(&server.url("postgres", "postgres"), 12);
    assert!(!d["unknown"].as_array().unwrap().iter().any(|u| u["id"] == "postgres.query.expensive"), "{:#}", d["unknown"]);
    drop(server);
    let server = Server::start(&bin, &[]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    let d = server.check(&server.url("postgres", "postgres"), 5);
    let u = unknown(&d, "postgres.query.expensive");
    assert!(u["lift"].as_str().unwrap().contains("shared_preload_libraries"), "{u}");
}

#[test]
fn exclusive_locks_on_every_table_hide_nothing_else() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE INDEX twice ON a (id)");
    server.session("postgres", "BEGIN; LOCK TABLE a, b IN ACCESS EXCLUSIVE MODE;");
    server.wait("postgres", "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation >= 16384", "2");
    server.session("postgres", "SELECT * FROM a;");
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1");
    let begin = Instant::now();
    let d = server.check(&server.url("postgres", "postgres"), 6);
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
    found(&d, "postgres.locks.idle_in_transaction");
    assert_eq!(source(&d)["state"], "ok");
    // The database was visited all the same.
    let cleared = |id: &str| d["cleared"].as_array().unwrap().iter().any(|c| c["id"] == id);
    assert!(cleared("postgres.index.invalid") && cleared("postgres.vacuum.overdue"), "{:#}", d["unknown"]);
    // Nobody waits for us, and we wait for nobody.
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'perftop' AND NOT l.granted"), "0");
}

#[test]
fn names_that_hurt_break_nothing_and_the_pasted_fix_hits_that_very_object() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    // Quotes, a newline, an escape sequence, a bidi mark, a statement.
    let table = "a\"b'c\nd\u{1b}]0;x\u{7}\u{202e}; DROP TABLE safe; --";
    let quoted = format!("\"{}\"", table.replace('"', "\"\""));
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE safe (id int)");
    server.sql("postgres", &format!("CREATE TABLE {quoted} (id int, v text) WITH (autovacuum_enabled = off)"));
    server.sql(
        "postgres",
        &format!("INSERT INTO {quoted} SELECT g, repeat('x', 20) FROM generate_series(1, 30000) g; UPDATE {quoted} SET v = 'y'"),
    );
    server.sql("postgres", "CREATE ROLE \"we\u{202e}ird\nrole\" LOGIN");
    let mut child = Command::new("psql")
        .args(["-X", "-q", "-h"])
        .arg(&server.dir)
        .args(["-p", &server.port.to_string(), "-U", "we\u{202e}ird\nrole", "postgres"])
        .env("PGAPPNAME", "app\u{1b}[31m\u{1b}]52;c;AAAA\u{7}")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"BEGIN; SELECT pg_advisory_lock(7);\n").unwrap();
    server.sessions.push(child);
    server.wait("postgres", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "1");
    server.session("postgres", &format!("SELECT pg_advisory_lock(7), '{}secret{}';", "x".repeat(60_000), "y".repeat(100)));
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1");
    server.wait("postgres", "SELECT (n_dead_tup > 20000)::text FROM pg_stat_user_tables WHERE n_dead_tup > 0", "true");
    let d = server.check(&server.url("postgres", "postgres"), 8);
    let text = d.to_string();
    assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "something hidden came through");
    assert!(!text.contains("secret"), "a literal came through");
    let f = found(&d, "postgres.locks.advisory");
    assert!(f["title"].as_str().unwrap().contains("we\\u{202e}ird\\nrole"), "{f:#}");
    let f = found(&d, "postgres.vacuum.overdue");
    let command = f["fixes"][0]["command"].as_str().unwrap();
    assert!(command.contains("U&\""), "{command}");
    let out = server.paste("postgres", command);
    assert!(out.status.success(), "{out:?}");
    server.wait("postgres", "SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL", "1");
    assert_eq!(server.sql("postgres", "SELECT count(*) FROM pg_class WHERE relname = 'safe'"), "1");
}

#[test]
fn through_a_pooler_in_transaction_mode_all_is_read() {
    let Some(bin) = installed().pop() else { return };
    let pgbouncer = Path::new("/usr/sbin/pgbouncer");
    if !pgbouncer.exists() {
        assert!(std::env::var_os("CI").is_none(), "no pgbouncer here, and CI must have one");
        eprintln!("SKIPPED: no pgbouncer here");
        return;
    }
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    blocked(&mut server);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ini = server.dir.join("pgbouncer.ini");
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\nauth_type=any\npool_mode=transaction\n\
         [databases]\npostgres = host=127.0.0.1 port={} dbname=postgres user=postgres\n",
        server.port, server.port
    );
    std::fs::write(&ini, config).unwrap();
    let child = unprivileged(pgbouncer).arg("-q").arg(&ini).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.sessions.push(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "pgbouncer does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    let d = server.check(&format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"), 8);
    assert_eq!(source(&d)["state"], "ok", "{}", source(&d));
    let waiting = d["unknown"].as_array().unwrap().iter().find(|u| u["id"] == "postgres.locks.blocked");
    assert_eq!(waiting, None);
    found(&d, "postgres.locks.idle_in_transaction");
}

#[test]
fn a_password_on_the_command_line_is_refused_with_the_ways_to_give_it() {
    let out = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--no-config", "--postgres", "postgres://u:hunter2@h/d"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(64), "{said}");
    assert!(said.contains("PGPASSWORD") && said.contains("password_file") && !said.contains("hunter2"), "{said}");
}

#[test]
fn the_server_is_left_as_it_was_and_only_two_connections_are_used() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD, "log_statement = 'all'", "log_temp_files = 0"]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    server.sql("postgres", "CREATE DATABASE other");
    let watched = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args([
            "check",
            "--no-config",
            "--no-discover",
            "--watch",
            "1s",
            "--for",
            "8s",
            "--postgres",
            &server.url("postgres", "postgres"),
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    let mut child = watched;
    while child.try_wait().unwrap().is_none() {
        let now: i32 =
            server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'perftop'").parse().unwrap();
        most = most.max(now);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!((1..=2).contains(&most), "{most} connections at once");
    let log = std::fs::read_to_string(server.dir.join("log")).unwrap();
    assert!(!log.contains("ERROR") && !log.contains("temporary file"), "{log}");
    if server.version() >= 14 {
        // Nothing was written: no transaction of ours got an id.
        let own = log.lines().filter(|l| l.contains("perftop */"));
        assert!(own.clone().count() > 10);
        assert!(own.clone().all(|l| !l.to_uppercase().contains("INSERT INTO")
            && !l.to_uppercase().contains("UPDATE ")
            && !l.contains("DELETE FROM")));
    }
}

#[test]
fn a_server_without_a_free_slot_says_so_and_is_read_by_those_with_a_reserved_one() {
    let Some(bin) = installed().pop() else { return };
    let mut server =
        Server::start(&bin, &[PRELOAD, "max_connections = 10", "superuser_reserved_connections = 3", "max_wal_senders = 2"]);
    server.sql(
        "postgres",
        "CREATE EXTENSION pg_stat_statements; CREATE ROLE app LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor",
    );
    // A session that asks while the slot of one that left is not yet free is refused: the next round brings another.
    // The longer it takes, the longer the pause: on a busy machine the slot of the question itself is freed late.
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut pause = Duration::from_millis(100);
    let seated = |server: &Server| server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'");
    while seated(&server) != "7" {
        assert!(Instant::now() < deadline, "only {} of 7 sessions found a slot", seated(&server));
        std::thread::sleep(pause);
        server.session_as("app", "postgres", "SELECT 1;");
        std::thread::sleep(pause);
        pause += Duration::from_millis(50);
    }
    let d = server.check(&server.url("watcher", "postgres"), 5);
    let s = source(&d);
    assert_eq!(s["state"], "unreachable", "{s}");
    assert!(s["why"].as_str().unwrap().contains("53300"), "{s}");
    assert_eq!(unknown(&d, "postgres.connections.exhausted")["id"], "postgres.connections.exhausted");
    let d = server.check(&server.url("postgres", "postgres"), 5);
    assert_eq!(source(&d)["state"], "ok");
    found(&d, "postgres.connections.exhausted");
}
