//! Databases: one that may not be entered is unknown and said; sequences and their columns; connections beyond the groups that are listed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::server::{Server, installed};
use super::{PRELOAD, found, unknown};

#[test]
fn a_database_that_may_not_be_entered_is_unknown_with_its_way_in() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE ROLE watcher LOGIN IN ROLE pg_monitor");
    server.sql("postgres", "CREATE DATABASE \"Payroll\"");
    server.sql("postgres", "REVOKE CONNECT ON DATABASE \"Payroll\" FROM PUBLIC");
    let d = server.check(&server.url("watcher", "postgres"), 6);
    for id in ["postgres.index.invalid", "postgres.vacuum.overdue", "postgres.sequence.exhaustion"] {
        let u = unknown(&d, id);
        assert!(u["because"].as_str().unwrap().contains("Payroll"), "{u:#}");
        assert_eq!(u["lift"], "GRANT CONNECT ON DATABASE \"Payroll\" TO watcher;");
    }
    // The way in, pasted.
    server.sql("postgres", unknown(&d, "postgres.index.invalid")["lift"].as_str().unwrap());
    let d = server.check(&server.url("watcher", "postgres"), 6);
    let cleared = d["cleared"].as_array().unwrap();
    assert!(cleared.iter().any(|c| c["id"] == "postgres.index.invalid"), "{:#}", d["unknown"]);
}

#[test]
fn an_integer_column_ends_before_its_sequence_and_the_pasted_fix_widens_it() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[PRELOAD]);
    server.sql(
        "postgres",
        "CREATE SEQUENCE \"Odd seq\"; CREATE TABLE \"Odd.table\" (\"the \"\"i.d\" int DEFAULT nextval('\"Odd seq\"'), own serial); \
         ALTER SEQUENCE \"Odd seq\" OWNED BY \"Odd.table\".\"the \"\"i.d\"; SELECT setval('\"Odd seq\"', 2100000000)",
    );
    let d = server.check(&server.url("postgres", "postgres"), 5);
    let f = found(&d, "postgres.sequence.exhaustion");
    assert!(
        f["title"].as_str().unwrap().starts_with("public.\"Odd.table\".\"the \"\"i.d\" (fed by public.\"Odd seq\")"),
        "{f:#}"
    );
    let all = d["findings"].as_array().unwrap().iter().filter(|f| f["id"] == "postgres.sequence.exhaustion").count();
    assert_eq!(all, 1, "the other one has its numbers");
    let out = server.paste("postgres", f["fixes"][0]["command"].as_str().unwrap());
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    let kind = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = '\"Odd.table\"'::regclass AND attname = 'the \"i.d'";
    assert_eq!(server.sql("postgres", kind), "bigint");
    let d = server.check(&server.url("postgres", "postgres"), 5);
    assert!(d["cleared"].as_array().unwrap().iter().any(|c| c["id"] == "postgres.sequence.exhaustion"), "{:#}", d["findings"]);
}

#[test]
fn connections_of_more_groups_than_are_listed_are_all_counted() {
    let Some(bin) = installed().pop() else { return };
    let mut server =
        Server::start(&bin, &[PRELOAD, "max_connections = 130", "superuser_reserved_connections = 3", "max_wal_senders = 0"]);
    server.sql("postgres", "CREATE ROLE app LOGIN");
    // Each by its own name: only a hundred names are brought.
    for n in 0..118 {
        let mut psql = server.psql("postgres");
        psql.env("PGAPPNAME", format!("worker-{n}")).args(["-U", "app"]);
        let child = psql.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        server.keep(child);
    }
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'", "118");
    let d = server.check(&server.url("postgres", "postgres"), 5);
    let f = found(&d, "postgres.connections.exhausted");
    let used = f["evidence"].as_array().unwrap().iter().map(|e| e["value"].as_f64().unwrap()).fold(0.0, f64::max);
    assert!(used >= 118.0, "{f:#}");
}

/// Whoever stays in a database as the last one keeps it from being dropped, renamed and copied.
#[test]
fn a_database_that_was_visited_can_be_dropped_while_the_server_is_watched() {
    let Some(bin) = installed().pop() else { return };
    let server = Server::start(&bin, &[]);
    for name in ["one", "two"] {
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
    }
    let mut watch = Command::new(env!("CARGO_BIN_EXE_perftop"));
    watch.args(["check", "--no-config", "--no-discover", "--watch", "1s", "--format", "json", "--for", "20s", "--postgres"]);
    watch.arg(server.url("postgres", "postgres")).stdout(Stdio::piped());
    let mut child = watch.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Once no database is unvisited, all of them were.
    let seen = lines.map_while(Result::ok).any(|line| {
        let d: serde_json::Value = serde_json::from_str(&line).unwrap();
        let of = |part: &str| d[part].as_array().unwrap().iter().any(|row| row["id"] == "postgres.index.duplicate");
        of("cleared") && !of("unknown")
    });
    let dropped: Vec<bool> =
        ["one", "two"].iter().map(|name| server.paste("postgres", &format!("DROP DATABASE {name};")).status.success()).collect();
    _ = child.kill();
    _ = child.wait();
    assert!(seen, "all databases were visited");
    assert_eq!(dropped, [true, true]);
}

/// A transaction that wrote and sleeps has no snapshot, and vacuum cannot pass it all the same.
#[test]
fn a_writer_that_sleeps_holds_the_horizon() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[]);
    server.sql("postgres", "CREATE TABLE t (v int); CREATE TABLE other (v int); INSERT INTO other VALUES (1)");
    server.session("postgres", "BEGIN; UPDATE other SET v = 2;");
    server.wait(
        "postgres",
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL",
        "1",
    );
    let numbers = "DO $$ BEGIN FOR i IN 1..300 LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END $$";
    server.sql("postgres", numbers);
    let config = server.dir.join("perftop.toml");
    std::fs::write(&config, "[rules.\"postgres.vacuum.xmin_horizon\"]\ntransactions = 100\n").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_perftop"))
        .args(["check", "--no-discover", "--format", "json", "--for", "8s", "--config"])
        .arg(&config)
        .args(["--postgres", &server.url("postgres", "postgres")])
        .output()
        .unwrap();
    let d: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let f = found(&d, "postgres.vacuum.xmin_horizon");
    assert_eq!(f["subject"]["type"], "backend", "{f:#}");
    // The pasted relief ends that transaction, and no later one of the same session.
    let fix = f["fixes"][0]["command"].as_str().unwrap();
    assert!(fix.contains("xact_start <= ") && fix.contains("state LIKE 'idle in transaction%'"), "{fix}");
    assert!(server.paste("postgres", fix).status.success());
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", "0");
}
