//! A thousand hosts as their exporters tell of them, scraped by a real Prometheus: twelve that something is wrong with, twelve that are busy
//! and well, the rest at ease.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::server::{Server, installed};

/// Figures of a host: rates per second of counters, and levels.
type Figures = BTreeMap<&'static str, f64>;

/// How a host differs from others.
type Changes = &'static [(&'static str, f64)];

/// What is planted, with what it is told by.
const PLANTED: [(&str, Changes, &str); 12] = [
    ("cpu", &[("psi_cpu", 0.9), ("idle", 0.05), ("load", 40.0)], "psi_cpu"),
    ("memory", &[("psi_mem", 0.7), ("swap", 4_000.0), ("available", 0.02)], "psi_mem"),
    ("disk", &[("psi_io", 0.8), ("await", 0.3), ("util", 1.0)], "psi_io"),
    ("full", &[("fs_free", 0.003)], "fs_used"),
    ("killed", &[("oom", 0.01)], "oom"),
    ("lossy", &[("retrans", 0.08)], "retrans"),
    ("tables", &[("conntrack", 0.995)], "conntrack"),
    ("pool", &[("pg_idle", 98.0)], "pg_conn"),
    ("dead", &[("pg_up", 0.0)], "pg_down"),
    ("cache", &[("evict", 800.0), ("miss", 2_000.0), ("hit", 500.0)], "redis_evict"),
    ("orphan", &[("link", 0.0)], "redis_link"),
    ("silent", &[("up", 0.0)], "targets"),
];

/// Busy and well.
const WELL: [(&str, Changes); 12] = [
    ("batch", &[("psi_cpu", 0.9), ("idle", 0.02), ("nice", 0.95), ("load", 60.0)]),
    ("full_cpu", &[("idle", 0.05), ("load", 8.0)]),
    ("fast_disk", &[("util", 1.0), ("await", 0.0007)]),
    ("page_cache", &[("available", 0.03)]),
    ("big_load", &[("load", 90.0)]),
    ("lru", &[("evict", 900.0), ("miss", 300.0), ("hit", 40_000.0)]),
    ("idle_sessions", &[("pg_idle", 80.0)]),
    ("busy_redis", &[("redis_cpu", 0.6)]),
    ("many_files", &[("files", 0.7)]),
    ("nearly_full", &[("fs_free", 0.08)]),
    ("backup", &[("psi_io", 0.15), ("util", 0.9), ("await", 0.012)]),
    ("rollbacks", &[("rollback", 4.0)]),
];

fn figures(host: usize) -> Figures {
    // Hosts differ by a little, the same ones each time.
    let wobble = |salt: usize| 1.0 + ((host * 7919 + salt * 104_729) % 41) as f64 / 100.0;
    let mut f: Figures = [
        ("up", 1.0),
        ("idle", 0.7 / wobble(1)),
        ("nice", 0.0),
        ("psi_cpu", 0.02 * wobble(2)),
        ("psi_mem", 0.0),
        ("psi_io", 0.015 * wobble(3)),
        ("load", 1.2 * wobble(4)),
        ("available", 0.5 / wobble(5)),
        ("swap", 0.0),
        ("oom", 0.0),
        ("util", 0.2 * wobble(6)),
        ("await", 0.003 * wobble(7)),
        ("retrans", 0.0005 * wobble(8)),
        ("conntrack", 0.1 * wobble(9)),
        ("files", 0.05),
        ("fs_free", 0.5 / wobble(10)),
        ("pg_up", 1.0),
        ("pg_idle", 20.0 * wobble(11)),
        ("rollback", 1.0),
        ("evict", 0.0),
        ("miss", 50.0 * wobble(12)),
        ("hit", 5_000.0 * wobble(13)),
        ("redis_cpu", 0.2 * wobble(14)),
        ("link", 1.0),
    ]
    .into();
    let changes = PLANTED.iter().map(|p| (p.0, p.1)).chain(WELL).enumerate().find(|(at, _)| place(*at) == host);
    f.extend(changes.iter().flat_map(|(_, (_, changes))| changes.iter().copied()));
    f
}

/// Where the odd ones are: on hosts that have PostgreSQL and Redis.
const fn place(at: usize) -> usize {
    at * 2
}

fn name(host: usize) -> String {
    format!("host{host:04}")
}

/// The text of an exporter, so many seconds after its counters began.
fn exposition(kind: &str, host: usize, at_s: f64) -> Option<String> {
    let f = figures(host);
    let mut out = String::new();
    let mut row = |name: &str, value: f64| _ = writeln!(out, "{name} {value}");
    match kind {
        "node" => {
            if f["up"] == 0.0 {
                return None;
            }
            for cpu in 0..4 {
                let busy = 1.0 - f["idle"];
                for (mode, share) in
                    [("idle", f["idle"]), ("nice", f["nice"].min(busy)), ("user", (busy - f["nice"]).max(0.0)), ("steal", 0.0)]
                {
                    row(&format!("node_cpu_seconds_total{{cpu=\"{cpu}\",mode=\"{mode}\"}}"), share * at_s);
                }
            }
            row("node_load1", f["load"]);
            row("node_pressure_cpu_waiting_seconds_total", f["psi_cpu"] * at_s);
            row("node_pressure_memory_waiting_seconds_total", f["psi_mem"] * at_s);
            row("node_pressure_io_waiting_seconds_total", f["psi_io"] * at_s);
            row("node_memory_MemAvailable_bytes", f["available"] * 16e9);
            row("node_memory_MemTotal_bytes", 16e9);
            row("node_vmstat_pswpin", f["swap"] * at_s);
            row("node_vmstat_oom_kill", (f["oom"] * at_s * 100.0).floor());
            row("node_disk_io_time_seconds_total{device=\"vda\"}", f["util"] * at_s);
            row("node_disk_io_time_weighted_seconds_total{device=\"vda\"}", f["await"] * 100.0 * at_s);
            row("node_disk_read_time_seconds_total{device=\"vda\"}", f["await"] * 100.0 * at_s);
            row("node_disk_write_time_seconds_total{device=\"vda\"}", 0.0);
            row("node_disk_reads_completed_total{device=\"vda\"}", 100.0 * at_s);
            row("node_disk_writes_completed_total{device=\"vda\"}", 0.0);
            row("node_netstat_Tcp_RetransSegs", f["retrans"] * 5_000.0 * at_s);
            row("node_netstat_Tcp_OutSegs", 5_000.0 * at_s);
            row("node_netstat_TcpExt_ListenDrops", 0.0);
            row("node_nf_conntrack_entries", f["conntrack"] * 262_144.0);
            row("node_nf_conntrack_entries_limit", 262_144.0);
            row("node_filefd_allocated", f["files"] * 1e6);
            row("node_filefd_maximum", 1e6);
            filesystems(&f, &mut row);
        }
        "postgres" => {
            row("pg_up", f["pg_up"]);
            if f["pg_up"] > 0.0 {
                row("pg_stat_activity_count{datname=\"shop\",state=\"idle\"}", f["pg_idle"]);
                row("pg_stat_activity_count{datname=\"shop\",state=\"active\"}", 2.0);
                row("pg_stat_activity_max_tx_duration{datname=\"shop\",state=\"active\"}", 0.5);
                row("pg_settings_max_connections", 101.0);
                row("pg_stat_database_blk_read_time{datname=\"shop\"}", 5.0 * at_s);
                row("pg_stat_database_deadlocks{datname=\"shop\"}", 0.0);
                row("pg_stat_database_xact_commit{datname=\"shop\"}", 100.0 * at_s);
                row("pg_stat_database_xact_rollback{datname=\"shop\"}", f["rollback"] * at_s);
                row("pg_stat_database_temp_bytes{datname=\"shop\"}", 0.0);
            }
        }
        _ => {
            row("redis_up", 1.0);
            row("redis_cpu_sys_main_thread_seconds_total", f["redis_cpu"] * 0.5 * at_s);
            row("redis_cpu_user_main_thread_seconds_total", f["redis_cpu"] * 0.5 * at_s);
            row("redis_evicted_keys_total", f["evict"] * at_s);
            row("redis_keyspace_misses_total", f["miss"] * at_s);
            row("redis_keyspace_hits_total", f["hit"] * at_s);
            row("redis_rejected_connections_total", 0.0);
            row("redis_connected_clients", 200.0);
            row("redis_max_clients", 10_000.0);
            row("redis_rdb_last_bgsave_status", 1.0);
            row("redis_master_link_up", f["link"]);
        }
    }
    Some(out)
}

fn filesystems(f: &Figures, row: &mut impl FnMut(&str, f64)) {
    for (mount, free) in [("/", 0.6), ("/data", f["fs_free"])] {
        let labels = format!("{{device=\"/dev/vda\",fstype=\"ext4\",mountpoint=\"{mount}\"}}");
        row(&format!("node_filesystem_avail_bytes{labels}"), free * 1e11);
        row(&format!("node_filesystem_size_bytes{labels}"), 1e11);
        row(&format!("node_filesystem_files_free{labels}"), 9e5);
        row(&format!("node_filesystem_files{labels}"), 1e6);
        row(&format!("node_filesystem_device_error{labels}"), 0.0);
    }
}

/// Serves all exporters on one port: `/node/host0001`.
fn exporters() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    while line.trim_end() != "" {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let mut parts = path.trim_start_matches('/').split('/');
                    let (kind, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                    let number = host.trim_start_matches("host").parse().unwrap_or(0);
                    // They have been running for an hour.
                    let text = exposition(kind, number, 3_600.0 + begun.elapsed().as_secs_f64());
                    let (status, text) = text.map_or(("503 Gone", String::new()), |text| ("200 OK", text));
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n",
                        text.len()
                    );
                    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A Prometheus that scrapes so many hosts, each with three exporters but for those that have none of a kind.
fn watched(program: &Path, hosts: usize) -> Server {
    let port = exporters();
    let mut config = String::from("global: {scrape_interval: 5s}\nscrape_configs:\n");
    for (job, exporter) in [("node", 9100), ("postgres", 9187), ("redis", 9121)] {
        let targets: Vec<String> =
            (0..hosts).filter(|h| job == "node" || *h < 48 || h % 5 == 0).map(|h| format!("'{}:{exporter}'", name(h))).collect();
        _ = write!(
            config,
            "- job_name: {job}\n  static_configs: [{{targets: [{}]}}]\n  relabel_configs:\n\
             \x20 - {{source_labels: [__address__], target_label: instance}}\n\
             \x20 - {{source_labels: [__address__], regex: '(.*):.*', target_label: __metrics_path__, replacement: '/{job}/$1'}}\n\
             \x20 - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}\n",
            targets.join(",")
        );
    }
    let server = Server::with(program, &config);
    let all = format!("count(count_over_time(node_load1[2m]) >= 14) >= {}", hosts - 1);
    server.until_for("a minute of scrapes", Duration::from_secs(180), || server.value(&all) > 0.0);
    server
}

fn look(server: &Server) -> (Value, u64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perftop"));
    command.args(["check", "--fleet", "--no-config", "--no-discover", "--format", "json", "--prometheus", &server.url()]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::inherit()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let peak = std::thread::spawn(move || {
        let mut peak = 0;
        while let Ok(text) = std::fs::read_to_string(&status) {
            let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
            let Some(kb) = line else { break };
            peak = peak.max(kb);
            std::thread::sleep(Duration::from_millis(10));
        }
        peak
    });
    let out = child.wait_with_output().unwrap();
    let said = serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stdout)));
    (said, peak.join().unwrap())
}

#[test]
fn of_a_thousand_hosts_those_that_are_sick_come_first_and_no_busy_one_is_among_them() {
    let Some(program) = installed("prometheus") else { return };
    let server = watched(&program, 1_000);
    let (said, peak_kb) = look(&server);
    let wrong = said["wrong"].as_array().unwrap();
    let told: BTreeMap<&str, &Value> = wrong.iter().map(|r| (r["host"].as_str().unwrap(), r)).collect();
    for (at, (what, _, signal)) in PLANTED.iter().enumerate() {
        let row = told.get(name(place(at)).as_str()).unwrap_or_else(|| panic!("{what} is not told: {said}"));
        assert!(row["why"].as_array().unwrap().iter().any(|w| w["signal"] == *signal), "{what}: {row}");
    }
    assert_eq!(wrong.len(), PLANTED.len(), "{said}");
    for (at, (what, _)) in WELL.iter().enumerate() {
        assert!(!told.contains_key(name(place(PLANTED.len() + at)).as_str()), "{what} is well: {said}");
    }
    assert_eq!(said["hosts"], 1_000);
    // Of the one that is silent nothing is known, and nothing else is missing.
    let unknown = said["unknown"].as_array().unwrap();
    assert!(unknown.iter().all(|u| u["because"].as_str().unwrap().starts_with("no metrics from 1 of 1000")), "{unknown:?}");
    assert!(said["requests"].as_u64().unwrap() <= 20, "{}", said["requests"]);
    // A debug build is so much larger itself; `tests/bench/fleet` prints a release's.
    assert!(peak_kb < 90_000, "{peak_kb} kB");
}

/// What `tests/bench/fleet` prints.
#[test]
#[ignore = "a benchmark: tests/bench/fleet"]
fn bench() {
    let Some(program) = installed("prometheus") else { return };
    println!("| hosts | questions | bytes | seconds | memory |\n|---|---|---|---|---|");
    for hosts in [10, 100, 1_000] {
        let server = watched(&program, hosts);
        let (said, peak_kb) = look(&server);
        println!(
            "| {} | {} | {:.2} MB | {:.2} | {:.1} MB |",
            said["hosts"],
            said["requests"],
            said["bytes"].as_f64().unwrap() / 1e6,
            said["took_ms"].as_f64().unwrap() / 1e3,
            peak_kb as f64 / 1024.0
        );
    }
}
