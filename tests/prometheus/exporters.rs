//! The signals of the fleet against the exporters that really tell them: of this host, of a Redis, of a PostgreSQL that does not answer.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use perftop::model::prometheus::signals::GROUPS;
use perftop::model::prometheus::union;

use super::server::{Server, free_port, installed};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn start(path: &Path, args: &[String], envs: &[(&str, &str)]) -> Program {
    let mut command = Command::new(path);
    command.args(args).envs(envs.iter().copied());
    Program(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// Signals that need not be there: what a kernel, a container or a quiet server does not have.
const MAY_BE_MISSING: [&str; 12] = [
    "psi_cpu",
    "psi_mem",
    "psi_io",
    "conntrack",
    "readonly",
    "fs_eta",
    "disk_util",
    "disk_queue",
    "disk_await",
    "redis_link",
    "redis_errors",
    "oom",
];

#[test]
fn every_signal_is_told_by_a_real_exporter() {
    let names =
        ["prometheus", "prometheus-node-exporter", "prometheus-redis-exporter", "prometheus-postgres-exporter", "redis-server"];
    let found: Vec<_> = names.iter().filter_map(|name| installed(name)).collect();
    let [prometheus, node, redis_exporter, postgres_exporter, redis] = found.as_slice() else { return };
    let [n, r, p, port] = [free_port(), free_port(), free_port(), free_port()];
    let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
    let redis_args = ["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"].map(ToOwned::to_owned);
    let _all = [
        start(redis, &redis_args, &[]),
        start(node, &[listen(n)], &[]),
        start(redis_exporter, &[listen(r), format!("--redis.addr=redis://127.0.0.1:{port}")], &[]),
        // Nobody listens there: it is told so, and nothing else.
        start(postgres_exporter, &[listen(p)], &[("DATA_SOURCE_NAME", "postgresql://nobody@127.0.0.1:1/x?sslmode=disable")]),
    ];
    let job = |name: &str, port: u16, at: u16| {
        format!("- {{job_name: {name}, static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{instance: 'db3:{at}'}}}}]}}\n")
    };
    let config = format!(
        "global: {{scrape_interval: 3s}}\nscrape_configs:\n{}{}{}",
        job("node", n, 9100),
        job("redis", r, 9121),
        job("postgres", p, 9187)
    );
    let server = Server::with(prometheus, &config);
    for metric in ["node_load1", "redis_up", "pg_up"] {
        server.until("it was scraped", || server.value(&format!("count_over_time({metric}[1m])")) >= 5.0);
    }
    let missing: Vec<&str> = GROUPS
        .iter()
        .flat_map(|group| group.signals)
        .filter(|s| server.value(&format!("count({})", union(std::slice::from_ref(s), None, "60s", ""))) < 1.0)
        .map(|s| s.k)
        .filter(|k| !MAY_BE_MISSING.contains(k) && (!k.starts_with("pg_") || *k == "pg_down"))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "no exporter tells these");
    // One host, whatever the ports; the database that does not answer is named.
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    let out = command
        .args(["check", "--fleet", "--no-config", "--no-discover", "--format", "json", "--prometheus", &server.url()])
        .output()
        .unwrap();
    let said: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&said["hosts"], &said["wrong"][0]["host"]), (&1.into(), &"db3".into()), "{said}");
    assert!(said["wrong"][0]["why"].as_array().unwrap().iter().any(|w| w["signal"] == "pg_down"), "{said}");
    assert!(!said["unknown"].as_array().unwrap().iter().any(|u| u["what"] == "node exporter"), "{said}");
    assert_eq!(out.status.code(), Some(2));
}
