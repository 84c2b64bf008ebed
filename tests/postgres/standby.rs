//! A primary and its standby whose replay is paused: seen from both ends, and by those who wait for it.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use super::server::{Server, installed, unprivileged};
use super::{PRELOAD, found, source};

/// A copy of that server that follows it.
fn standby(primary: &Server) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let dir = primary.dir.with_extension(format!("standby-{port}"));
    let data = dir.join("data");
    std::fs::create_dir_all(&dir).unwrap();
    Server::own(&dir);
    let mut copy = unprivileged(&primary.bin.join("pg_basebackup"));
    copy.args(["-R", "-X", "stream", "-c", "fast", "-U", "postgres", "-h"]).arg(&primary.dir);
    let out = copy.args(["-p", &primary.port.to_string(), "-D"]).arg(&data).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let mut conf = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
    writeln!(conf, "port = {port}\nunix_socket_directories = '{}'", dir.display()).unwrap();
    Server::run(Path::new(&primary.bin), dir, port)
}

#[test]
fn a_standby_that_stops_replaying_is_seen_from_both_ends() {
    // The newest version comes without this program; Debian's brings it.
    for bin in installed().into_iter().filter(|bin| bin.join("pg_basebackup").exists()) {
        let mut primary = Server::start(&bin, &[PRELOAD, "wal_level = replica", "max_wal_senders = 4", "hot_standby = on"]);
        primary.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (v int)");
        let standby = standby(&primary);
        primary.wait("postgres", "SELECT state FROM pg_stat_replication", "streaming");
        standby.wait("postgres", "SELECT count(*) FROM pg_class WHERE relname = 't'", "1");

        let d = standby.check(&standby.url("postgres", "postgres"), 5);
        let s = source(&d);
        assert_eq!((s["state"].as_str(), s["role"].as_str()), (Some("ok"), Some("standby")), "{s}");
        assert!(d["findings"].as_array().unwrap().iter().all(|f| f["id"] != "postgres.replication.lag"), "{:#}", d["findings"]);
        assert!(d["cleared"].as_array().unwrap().iter().any(|c| c["id"] == "postgres.replication.lag"), "{:#}", d["unknown"]);

        let unused = d["cleared"].as_array().unwrap().iter().find(|c| c["id"] == "postgres.index.unused");
        assert!(unused.is_some_and(|c| c["because"].as_str().unwrap().contains("standby")), "{unused:?}");

        standby.sql("postgres", "SELECT pg_wal_replay_pause()");
        primary.sql(
            "postgres",
            "SELECT count(pg_logical_emit_message(false, 'x', repeat('x', 1000000))) FROM generate_series(1, 130)",
        );
        primary.sql("postgres", "INSERT INTO t VALUES (1)");
        primary.wait(
            "postgres",
            "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) < 100000 FROM pg_stat_replication",
            "t",
        );
        let d = primary.check(&primary.url("postgres", "postgres"), 5);
        let f = found(&d, "postgres.replication.lag");
        assert_eq!((f["subject"]["type"].as_str(), f["severity"].as_str()), (Some("replica"), Some("warning")), "{f:#}");
        let d = standby.check(&standby.url("postgres", "postgres"), 5);
        let f = found(&d, "postgres.replication.lag");
        assert_eq!(f["subject"]["key"], "self", "{f:#}");

        // Commits that must be replayed there wait for ever.
        primary.sql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        primary.sql("postgres", "SELECT pg_reload_conf()");
        primary.wait("postgres", "SELECT sync_state FROM pg_stat_replication", "sync");
        for _ in 0..2 {
            primary.session("postgres", "SET synchronous_commit = remote_apply; INSERT INTO t VALUES (2);");
        }
        primary.wait("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "2");
        let d = primary.check(&primary.url("postgres", "postgres"), 6);
        let f = found(&d, "postgres.wal.sync_replica");
        assert_eq!((f["rank"].as_u64(), f["severity"].as_str()), (Some(1), Some("critical")), "{f:#}");
        assert!((f["impact"]["lost_s_per_s"].as_f64().unwrap() - 2.0).abs() < 0.3, "{f:#}");
    }
}
