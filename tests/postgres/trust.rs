//! No false all-clear: what a role cannot see, and what rests on statistics that do not count yet, is unknown.

use super::server::{Server, installed};
use super::{PRELOAD, blocked, source, unknown};

#[test]
fn a_role_that_sees_only_itself_clears_nothing_and_the_grant_stands_on_top() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements; CREATE ROLE weak LOGIN");
    blocked(&mut server);
    let d = server.check(&server.url("weak", "postgres"), 6);
    assert_eq!(d["health"]["status"], "unknown", "{:#}", d["health"]);
    assert!(d["health"]["score"].is_null());
    assert_eq!(source(&d)["state"], "degraded");
    for id in ["postgres.locks.idle_in_transaction", "postgres.query.expensive", "postgres.vacuum.xmin_horizon"] {
        assert_eq!(unknown(&d, id)["lift"], "GRANT pg_monitor TO weak;", "{id}");
    }
    let clears = |id: &str| d["cleared"].as_array().unwrap().iter().any(|c| c["id"] == id);
    assert!(!clears("postgres.locks.hot_row") && clears("postgres.wraparound"), "{:#}", d["cleared"]);
    let verdict = d["verdict"]["says"].as_str().unwrap();
    assert!(verdict.contains("sees only its own sessions") && verdict.contains("GRANT pg_monitor TO weak;"), "{verdict}");
    assert_eq!(d["verdict"]["status"], "unknown");
    let blind = d["findings"].as_array().unwrap().iter().find(|f| f["id"] == "source.blind" && f["source"] != "host").unwrap();
    assert_eq!(blind["fixes"][0]["command"], "GRANT pg_monitor TO weak;", "{blind:#}");
    // Pasted, it helps.
    server.sql("postgres", blind["fixes"][0]["command"].as_str().unwrap());
    let d = server.check(&server.url("weak", "postgres"), 6);
    assert_eq!(super::found(&d, "postgres.locks.idle_in_transaction")["rank"], 1);
}
