//! The first fix can cure: statistics are blamed only where good ones could choose another plan.

use super::server::{Server, installed};
use super::{PRELOAD, found};

/// A server whose tables nobody looks at.
fn unattended() -> Option<Server> {
    let server = Server::start(&installed().pop()?, &[PRELOAD, "autovacuum = off"]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    Some(server)
}

fn has(d: &serde_json::Value, id: &str) -> bool {
    d["findings"].as_array().unwrap().iter().any(|f| f["id"] == id)
}

#[test]
fn a_fresh_table_without_any_index_wants_the_index_and_not_statistics() {
    let Some(mut server) = unattended() else { return };
    for statement in ["SELECT v FROM fresh WHERE id = 77", "UPDATE fresh SET v = 'y' WHERE id = 78"] {
        server.sql("postgres", "DROP TABLE IF EXISTS fresh; CREATE TABLE fresh (id int, v text)");
        server.sql("postgres", "INSERT INTO fresh SELECT g, repeat('x', 50) FROM generate_series(1, 400000) g");
        server.session("postgres", &format!("{statement} \\watch 0.01"));
        let d = server.check(&server.url("postgres", "postgres"), 9);
        let f = found(&d, "postgres.query.missing_index");
        let fix = f["fixes"][0]["command"].as_str().unwrap();
        assert!(fix.contains("ON public.fresh (id)"), "{statement}: {f:#}");
        assert!(!has(&d, "postgres.query.stale_statistics"), "{statement}");
        // It cures.
        assert!(server.paste("postgres", fix).status.success(), "{fix}");
        let scans = "SELECT idx_scan > 0 FROM pg_stat_user_indexes WHERE relname = 'fresh'";
        server.wait("postgres", scans, "t");
        server.end_sessions();
    }
}

/// Every row that is written is written to two dozen indexes: that takes the time, and no plan would do better.
#[test]
fn updates_that_many_indexes_slow_down_do_not_want_statistics() {
    let Some(mut server) = unattended() else { return };
    let columns: Vec<String> = (1..=24).map(|n| format!("a{n} int DEFAULT 0")).collect();
    server.sql("postgres", &format!("CREATE TABLE wide (id int PRIMARY KEY, {})", columns.join(", ")));
    for n in 1..=24 {
        server.sql("postgres", &format!("CREATE INDEX ON wide (a{n})"));
    }
    server.sql("postgres", "INSERT INTO wide (id) SELECT generate_series(1, 20000)");
    server.session("postgres", "UPDATE wide SET a1 = a1 + 1, a2 = a2 + 1 WHERE id BETWEEN 100 AND 2100 \\watch 0.01");
    let d = server.check(&server.url("postgres", "postgres"), 9);
    assert!(!has(&d, "postgres.query.stale_statistics"), "{:#}", d["findings"]);
    assert!(
        d["findings"].as_array().unwrap().iter().any(|f| f["class"] == "live" && f["source"] != "host"),
        "{:#}",
        d["findings"]
    );
}

/// The near twin: two tables are joined by a loop, because one of them is believed to be small.
#[test]
fn a_join_that_is_planned_for_another_table_wants_statistics() {
    let Some(mut server) = unattended() else { return };
    server
        .sql("postgres", "CREATE TABLE orders (id int PRIMARY KEY, customer int, state int); CREATE INDEX ON orders (customer)");
    server.sql("postgres", "INSERT INTO orders SELECT g, g % 10, 0 FROM generate_series(1, 100) g");
    server.sql("postgres", "VACUUM ANALYZE orders");
    server.sql("postgres", "CREATE TABLE lines (o int, v int); CREATE INDEX ON lines (o)");
    server.sql("postgres", "INSERT INTO lines SELECT g, 1 FROM generate_series(1, 200000) g; ANALYZE lines");
    server.sql("postgres", "INSERT INTO orders SELECT g, 5, 0 FROM generate_series(101, 200000) g");
    server.session(
        "postgres",
        "SELECT o.id, l.v FROM orders o JOIN lines l ON l.o = o.id WHERE o.customer = 5 AND l.v = 1 ORDER BY o.id OFFSET 0 \\watch 0.01",
    );
    let d = server.check(&server.url("postgres", "postgres"), 9);
    found(&d, "postgres.query.stale_statistics");
}
