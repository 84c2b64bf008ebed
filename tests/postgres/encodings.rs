//! A database without an encoding (SQL_ASCII), whose names are whatever bytes somebody sent: all is read, shown and printed, and what is pasted hits
//! that very object.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use super::server::{Server, installed};
use super::{PRELOAD, found, source};

/// Runs these bytes as they are.
fn bytes(server: &Server, database: &str, sql: &[u8]) {
    let out = server.psql(database).env("PGCLIENTENCODING", "SQL_ASCII").arg("-c").arg(OsStr::from_bytes(sql)).output().unwrap();
    assert!(out.status.success(), "{out:?}");
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn names_of_no_encoding_are_shown_and_what_is_pasted_hits_them() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE DATABASE old ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    server.sql("old", "CREATE EXTENSION pg_stat_statements");
    // Latin-1 that is no UTF-8; and UTF-8 that is a mark which turns the line around.
    let tables: [&[u8]; 2] = [b"caf\xe9 \"x", "turned\u{202e}".as_bytes()];
    for name in tables {
        let quoted = join(&[
            b"\"",
            &name.to_vec().iter().flat_map(|b| if *b == b'"' { vec![b'"', b'"'] } else { vec![*b] }).collect::<Vec<u8>>(),
            b"\"",
        ]);
        bytes(&server, "old", &join(&[b"CREATE TABLE ", &quoted, b" (id int, v text) WITH (autovacuum_enabled = off)"]));
        bytes(
            &server,
            "old",
            &join(&[
                b"INSERT INTO ",
                &quoted,
                b" SELECT g, repeat('x', 20) FROM generate_series(1, 30000) g; UPDATE ",
                &quoted,
                b" SET v = 'y'",
            ]),
        );
    }
    bytes(
        &server,
        "old",
        b"CREATE INDEX \"one\xe9\" ON \"caf\xe9 \"\"x\" (id); CREATE INDEX \"two\xe9\" ON \"caf\xe9 \"\"x\" (id)",
    );
    bytes(
        &server,
        "old",
        b"CREATE ROLE \"r\xf6le\" LOGIN; CREATE TABLE t (id int); INSERT INTO t VALUES (1); GRANT ALL ON t TO \"r\xf6le\"",
    );
    let mut holder = server.psql("old");
    holder
        .env("PGCLIENTENCODING", "SQL_ASCII")
        .arg("-U")
        .arg(OsStr::from_bytes(b"r\xf6le"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut holder = holder.spawn().unwrap();
    holder.stdin.as_mut().unwrap().write_all(b"BEGIN; UPDATE t SET id = 2 /* \xe9\xff */;\n").unwrap();
    server.keep(holder);
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'", "1");
    server.session("old", "UPDATE t SET id = 3;");
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1");
    server.wait("old", "SELECT count(*) FROM pg_stat_user_tables WHERE n_dead_tup > 20000", "2");

    // From a database with an encoding, and from that one.
    for home in ["postgres", "old"] {
        let d = server.check(&server.url("postgres", home), 7);
        assert!(matches!(source(&d)["state"].as_str(), Some("ok" | "degraded")), "{:#}", source(&d));
        let f = found(&d, "postgres.locks.idle_in_transaction");
        assert!(f["title"].as_str().unwrap().contains("r\\xf6le"), "{f:#}");
        let overdue: Vec<_> = d["findings"].as_array().unwrap().iter().filter(|f| f["id"] == "postgres.vacuum.overdue").collect();
        assert_eq!(overdue.len(), 2, "{:#} {:#}", d["unknown"], d["findings"]);
        let duplicate = found(&d, "postgres.index.duplicate");
        if home == "postgres" {
            continue;
        }
        // Pasted as they are.
        for fix in overdue.iter().chain([&duplicate]).chain([&f]).map(|f| f["fixes"][0]["command"].as_str().unwrap()) {
            let out = server.paste("old", fix);
            assert!(out.status.success() && !String::from_utf8_lossy(&out.stderr).contains("ERROR"), "{fix}: {out:?}");
        }
    }
    server.wait("old", "SELECT count(*) FROM pg_stat_user_tables WHERE last_vacuum IS NOT NULL", "2");
    assert_eq!(
        server.sql("old", "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname LIKE 'caf%'"),
        "1"
    );
    server.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "0");
}
