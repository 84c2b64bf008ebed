//! Prometheus for real: servers of this test's own that scrape an application of this test's own, which is made slow and made to fail;
//! objectives, alerts and sources as `check` tells them. What cannot be had from a real one (half an answer, a gigabyte) is a fake, said so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

mod application;
mod capacity;
mod exporters;
mod fleet;
mod hostile;
mod server;

use application::Application;
use server::{Server, check, finding, findings, installed, source};

const OBJECTIVES: &str = r#"
[objectives.shop]
target = 99
errors = 'http_requests_total{code=~"5.."}'
total = "http_requests_total"
[objectives.fast]
target = 90
latency = 'http_request_duration_seconds{job="shop"}'
within = "250ms"
[objectives.rates]
target = 99
error_query = 'sum(rate(http_requests_total{code=~"5.."}[{{.window}}]))'
total_query = 'sum(rate(http_requests_total[{{.window}}]))'
[objectives.nothing]
target = 99
errors = 'nosuch_total{code="500"}'
total = "nosuch_total"
"#;

#[test]
fn objectives_burn_when_the_application_fails_and_stop_when_it_is_healed() {
    let Some(program) = installed("prometheus") else { return };
    let app = Application::start();
    let server = Server::start(&program, &app);
    app.serves(100);
    server.until_scraped(&app);
    let calm = server.check(OBJECTIVES, "7s");
    assert!(findings(&calm, "slo.burn").is_empty(), "{}", calm["findings"]);
    assert_eq!(source(&calm, &server.id())["state"], "ok", "{}", calm["sources"]);
    let blind = finding(&calm, "slo.blind");
    assert_eq!((&blind["subject"]["key"], &blind["severity"]), (&"nothing".into(), &"warning".into()), "{blind}");
    // Nearly all fail, until that is a third of all there were: thirty times what may.
    app.fails(0.9);
    let failed = "sum(http_requests_total{code=\"500\"}) / sum(http_requests_total)";
    server.until("failures are scraped", || server.value(failed) >= 0.33);
    let burns = server.check(OBJECTIVES, "14s");
    let burning: Vec<&str> = findings(&burns, "slo.burn").iter().map(|f| f["subject"]["key"].as_str().unwrap()).collect();
    assert_eq!(burning, ["rates", "shop"], "{}", burns["findings"]);
    assert_eq!(burns["health"]["status"], "critical");
    let rate = |name: &str| {
        let all = findings(&burns, "slo.burn");
        let found = all.into_iter().find(|f| f["subject"]["key"] == name).unwrap();
        assert_eq!(
            (&found["class"], &found["severity"], &found["rank"]),
            (&"outcome".into(), &"critical".into(), &serde_json::Value::Null)
        );
        found["evidence"][0]["value"].as_f64().unwrap()
    };
    // Counted here and by the server's own rate: the same within what a second's scrape makes.
    assert!((rate("shop") / rate("rates") - 1.0).abs() < 0.15, "{} {}", rate("shop"), rate("rates"));
    // The alert of its own rule stands beside it, as information: it is about no host.
    let alert = finding(&burns, "prometheus.alert");
    assert!(alert["title"].as_str().unwrap().starts_with("HighErrors fires"), "{alert}");
    // What the rules of a file would say, and what is wrong with them.
    let rules = std::env::temp_dir().join(format!("perftop-rules-{}.yml", server.port));
    let text = "groups:\n- name: file\n  rules:\n  - {alert: Failing, expr: 'rate(http_requests_total{code=\"500\"}[30s]) > 0.1'}\n\
                \x20 - {alert: Dead, expr: 'nosuch_metric > 3'}\n  - {alert: Never, expr: 'up > 1'}\n  - {alert: Well, expr: 'up == 0'}\n";
    std::fs::write(&rules, text).unwrap();
    let ruled = check(&server.url(), "", "8s", &["--rules", rules.to_str().unwrap()]);
    std::fs::remove_file(rules).unwrap();
    let would: Vec<&str> = findings(&ruled, "prometheus.alert").iter().map(|f| f["title"].as_str().unwrap()).collect();
    assert!(would.iter().any(|t| t.starts_with("Failing (code=500") && t.ends_with("would fire")), "{would:?}");
    let wrong: Vec<&str> = findings(&ruled, "prometheus.rule_defect").iter().map(|f| f["title"].as_str().unwrap()).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("nosuch_metric matches nothing") && wrong[1].contains("can never hold"), "{wrong:?}");
    // Healed: so many requests are served well that what failed is a small share of what there was within five minutes.
    app.fails(0.0);
    app.serves(100_000);
    server.until("they are scraped", || server.value(failed) < 0.002);
    let healed = server.check(OBJECTIVES, "8s");
    assert!(findings(&healed, "slo.burn").is_empty(), "{}", healed["findings"]);
}

#[test]
fn a_latency_is_counted_by_its_bucket_and_a_restart_is_no_burst() {
    let Some(program) = installed("prometheus") else { return };
    let app = Application::start();
    let server = Server::start(&program, &app);
    app.serves(100);
    server.until_scraped(&app);
    app.takes(0.6);
    server.until("slow requests are scraped", || {
        server.value("http_request_duration_seconds_count - ignoring(le) http_request_duration_seconds_bucket{le=\"0.25\"}")
            >= 200.0
    });
    let slow = server.check(OBJECTIVES, "8s");
    let found = finding(&slow, "slo.burn");
    assert_eq!(found["subject"]["key"], "fast", "{}", slow["findings"]);
    // Counters begin again at 0 and soon are where they were: what was counted stays what it was.
    app.takes(0.01);
    app.restarts();
    server.until("it was scraped since", || server.value("resets(http_requests_total{code=\"200\"}[5m])") >= 1.0);
    let after = server.check(OBJECTIVES, "8s");
    let requests = |said: &serde_json::Value| {
        let found = finding(said, "slo.burn");
        let row =
            found["evidence"].as_array().unwrap().iter().find(|e| e["claim"].as_str().unwrap().starts_with("failures")).unwrap();
        row["value"].as_f64().unwrap()
    };
    assert!(requests(&after) >= requests(&slow) * 0.9 && requests(&after) < requests(&slow) + 2_000.0, "{after}");
}

#[test]
fn no_traffic_is_no_failure_and_a_series_that_is_born_counts_from_nothing() {
    let Some(program) = installed("prometheus") else { return };
    let app = Application::start();
    let server = Server::start(&program, &app);
    app.serves(50);
    server.until_scraped(&app);
    app.serves(0);
    let idle = server.check(OBJECTIVES, "6s");
    assert!(findings(&idle, "slo.burn").is_empty(), "{}", idle["findings"]);
    // Thirty failures at once, the first of their kind: their series is born at 30.
    app.fail_now(30);
    server.until("they are scraped", || server.value("sum(http_requests_total{code=\"500\"})") >= 30.0);
    server.until("by ten scrapes", || server.value("count_over_time(http_requests_total{code=\"500\"}[1m])") >= 10.0);
    let born = server.check(OBJECTIVES, "8s");
    let shop = findings(&born, "slo.burn").into_iter().find(|f| f["subject"]["key"] == "shop");
    let shop = shop.unwrap_or_else(|| panic!("{}", born["findings"]));
    let failures = shop["evidence"].as_array().unwrap().iter().find(|e| e["claim"].as_str().unwrap().starts_with("failures"));
    assert_eq!(failures.unwrap()["value"], 30.0, "{shop}");
}

#[test]
fn a_server_that_ends_is_a_state_with_its_way_out_and_comes_back() {
    let Some(program) = installed("prometheus") else { return };
    let app = Application::start();
    let mut server = Server::start(&program, &app);
    server.stop();
    let gone = check(&server.url(), "", "4s", &[]);
    let row = source(&gone, &server.id());
    assert_eq!(row["state"], "unreachable");
    assert!(row["way_in"].as_str().unwrap().contains("curl"), "{row}");
    assert_eq!(gone["health"]["status"], "unknown");
    let twice = check("http://127.0.0.1:1/x?y=z", "", "4s", &[]);
    assert!(twice.as_str().unwrap().contains("without ? and #"), "{twice}");
}

#[test]
fn the_same_is_counted_by_victoria_metrics() {
    let Some(program) = installed("victoria-metrics") else { return };
    let app = Application::start();
    let server = Server::start(&program, &app);
    app.serves(100);
    server.until_scraped(&app);
    app.fails(0.9);
    let failed = "sum(http_requests_total{code=\"500\"}) / sum(http_requests_total)";
    server.until("failures are scraped", || server.value(failed) >= 0.33);
    let burns = server.check(OBJECTIVES, "12s");
    let row = source(&burns, &server.id());
    assert_eq!((&row["state"], &row["role"]), (&"ok".into(), &"VictoriaMetrics".into()), "{row}");
    let shop = findings(&burns, "slo.burn").into_iter().find(|f| f["subject"]["key"] == "shop");
    assert_eq!(shop.unwrap_or_else(|| panic!("{}", burns["findings"]))["severity"], "critical");
    let alerts = burns["unknown"].as_array().unwrap().iter().find(|u| u["id"] == "prometheus.alert");
    assert!(alerts.is_none_or(|u| u["because"].as_str().unwrap().contains("may evaluate no rules")), "{alerts:?}");
}
