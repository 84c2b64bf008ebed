//! Figures agree with the field's tools: raw counters read before and after bracket ours; rates of a steady load
//! over ten seconds agree with vmstat, mpstat, iostat and free within 5 %, or within the granularity of their print.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use perftop::collect::host::identity;
use perftop::collect::host::sweep::Sweeper;
use perftop::collect::root::Roots;
use perftop::model::facts::{Facts, WeightOverrides};
use perftop::model::host::{HostSample, HostSweep};
use perftop::model::sample::{Sample, Snapshot};

const SECONDS: u64 = 10;

fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|l| l.split_whitespace().next() == Some(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn raw_counters_are_bracketed() {
    let roots = Roots::default();
    let mut sweeper = Sweeper::new(roots);
    let read = || {
        let vmstat = std::fs::read_to_string("/proc/vmstat").unwrap();
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let snmp = std::fs::read_to_string("/proc/net/snmp").unwrap();
        let segs: u64 = {
            let mut rows = snmp.lines().filter(|l| l.starts_with("Tcp:"));
            let (heads, values) = (rows.next().unwrap(), rows.next().unwrap());
            let column = heads.split(' ').position(|h| h == "OutSegs").unwrap();
            values.split(' ').nth(column).unwrap().parse().unwrap()
        };
        [
            number_after(&vmstat, "pgpgin"),
            number_after(&vmstat, "pgmajfault"),
            number_after(&stat, "ctxt"),
            number_after(&stat, "processes"),
            segs,
        ]
    };
    for _ in 0..5 {
        let before = read();
        let sweep = sweeper.sweep(1.0);
        let after = read();
        let (vmstat, cpu, tcp) = (sweep.vmstat.unwrap(), sweep.cpu.unwrap(), sweep.tcp.unwrap());
        let ours = [vmstat.pgpgin_kib, vmstat.pgmajfault, cpu.context_switches, cpu.forks, tcp.out_segs];
        for ((low, ours), high) in before.iter().zip(ours).zip(after) {
            let ours = ours.unwrap();
            assert!(*low <= ours && ours <= high, "{low} <= {ours} <= {high}");
        }
    }
}

/// The output of a tool that ran meanwhile; `None` (a loud skip, a failure in CI) when it is not here.
fn spawn(argv: &[&str]) -> Option<std::process::Child> {
    let child = Command::new(argv[0]).args(&argv[1..]).env("LC_ALL", "C").stdout(Stdio::piped()).spawn();
    match child {
        Ok(child) => Some(child),
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {e}", argv[0]);
            eprintln!("SKIPPED: {}: {e}; install procps and sysstat", argv[0]);
            None
        }
    }
}

/// The last report of a table: heading name to value, of the row that `row` picks.
fn last_row(text: &str, heading: &str, row: impl Fn(&str) -> bool) -> BTreeMap<String, f64> {
    let heads: Vec<&str> = text.lines().rfind(|l| l.contains(heading)).unwrap().split_whitespace().collect();
    let values: Vec<&str> = text.lines().rfind(|l| row(l)).unwrap().split_whitespace().collect();
    // Both from the right: mpstat prints the time in front.
    heads.iter().rev().zip(values.iter().rev()).filter_map(|(h, v)| Some(((*h).to_owned(), v.parse().ok()?))).collect()
}

fn assert_close(what: &str, ours: f64, theirs: f64, granularity: f64) {
    let allowed = (theirs.abs() * 0.05).max(granularity);
    assert!((ours - theirs).abs() <= allowed, "{what}: ours {ours:.3}, theirs {theirs:.3}, allowed ±{allowed:.3}");
}

#[test]
fn rates_of_a_steady_load_agree_with_the_tools() {
    let seconds = SECONDS.to_string();
    let file = std::env::temp_dir().join(format!("perftop-agree-{}", std::process::id()));
    // A steady load of CPU and disk, bounded in time.
    let script = format!(
        "end=$(($(date +%s)+{})); while [ $(date +%s) -lt $end ]; do dd if=/dev/zero of={} bs=64k count=200 oflag=dsync 2>/dev/null; done",
        SECONDS + 4,
        file.display()
    );
    let mut load = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let roots = Roots::default();
    let mut sweeper = Sweeper::new(roots.clone());
    let tools = [
        spawn(&["mpstat", &seconds, "1"]),
        spawn(&["iostat", "-x", "-k", "-y", &seconds, "1"]),
        spawn(&["vmstat", &seconds, "2"]),
    ];
    let first = sweeper.sweep(1.0);
    std::thread::sleep(std::time::Duration::from_secs(SECONDS));
    let second = sweeper.sweep(SECONDS as f64);
    let free = spawn(&["free", "-b"]);
    let text =
        |child: Option<std::process::Child>| child.map(|c| String::from_utf8(c.wait_with_output().unwrap().stdout).unwrap());
    let [mpstat, iostat, vmstat] = tools.map(text);
    let free = text(free);
    load.wait().unwrap();
    _ = std::fs::remove_file(&file);

    let snapshot = |sweep: HostSweep, before: Option<&Snapshot>| {
        let host = HostSample { identity: Some(identity::read(&roots)), sweep: Some(sweep.into()), ..HostSample::default() };
        let at = host.sweep.as_ref().map(|s| s.at).unwrap();
        before.unwrap_or(&Snapshot::default()).fold(&Sample { at, host, ..Sample::default() })
    };
    let a = snapshot(first, None);
    let b = snapshot(second, Some(&a));
    let facts = Facts::derive(&[Arc::new(a), Arc::new(b)], &WeightOverrides::default());
    let cpu = facts.host.cpu.as_ref().unwrap();
    if let Some(text) = &mpstat {
        let row = last_row(text, "%usr", |l| l.starts_with("Average:") && l.contains(" all "));
        // Two points of percent: the tools' intervals begin and end some milliseconds beside ours.
        assert_close("mpstat busy", cpu.busy * 100.0, 100.0 - row["%idle"] - row["%iowait"] - row["%steal"], 2.0);
        assert_close("mpstat sys", (cpu.system) * 100.0, row["%sys"] + row["%irq"] + row["%soft"], 2.0);
    }
    if let Some(text) = &vmstat {
        let row = last_row(text, "swpd", |l| l.trim_start().starts_with(|c: char| c.is_ascii_digit()));
        assert_close("vmstat cs", cpu.switches_per_s.unwrap(), row["cs"], 30.0);
    }
    if let Some(text) = &iostat {
        for disk in facts.host.disks.as_ref().unwrap().iter().filter(|d| d.leaf && d.writes_per_s > 10.0) {
            let row = last_row(text, "w_await", |l| l.split_whitespace().next() == Some(disk.name.shown()));
            assert_close("iostat w/s", disk.writes_per_s, row["w/s"], 2.0);
            assert_close("iostat wkB/s", disk.write_bytes_per_s / 1024.0, row["wkB/s"], 64.0);
            assert_close("iostat w_await", disk.write_await_ms.unwrap(), row["w_await"], 0.02);
            assert_close("iostat aqu-sz", disk.queue, row["aqu-sz"], 0.02);
            assert_close("iostat %util", disk.util * 100.0, row["%util"], 1.0);
        }
    }
    if let Some(text) = &free {
        let memory = facts.host.memory.as_ref().unwrap();
        let row: Vec<f64> = text.lines().nth(1).unwrap().split_whitespace().skip(1).map(|v| v.parse().unwrap()).collect();
        assert_eq!(memory.raw.total as f64, row[0]);
        assert_close("free available", memory.available_bytes as f64, row[5], 64.0 * 1024.0 * 1024.0);
    }
}

#[test]
fn what_a_process_shares_is_not_its_own_growth() {
    use std::io::{BufRead, BufReader, Write};
    const SHARED: u64 = 40 << 20;
    const OWN: u64 = 20 << 20;
    let script = format!(
        "import mmap, sys\nshared = mmap.mmap(-1, {SHARED})\nprint('ready', flush=True)\nsys.stdin.readline()\n\
         for at in range(0, {SHARED}, 4096): shared[at] = 1\nown = bytearray({OWN})\nfor at in range(0, {OWN}, 4096): own[at] = 1\n\
         print('grown', flush=True)\nsys.stdin.readline()\n"
    );
    let child = Command::new("python3").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        assert!(std::env::var_os("CI").is_none(), "no python3 here");
        return eprintln!("SKIPPED: no python3 here");
    };
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut sweeper = Sweeper::new(Roots::default());
    let pid = child.id() as i32;
    let mut row = || {
        let sweep = sweeper.sweep(1.0);
        sweep.processes.as_ref().unwrap().rows.iter().find(|p| p.id.pid == pid).unwrap().clone()
    };
    assert_eq!(said.next().unwrap().unwrap(), "ready");
    let before = row();
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(said.next().unwrap().unwrap(), "grown");
    let after = row();
    _ = child.kill();
    _ = child.wait();
    let page = rustix::param::page_size() as u64;
    let grown = (after.rss_pages - before.rss_pages) * page;
    assert!(grown >= SHARED + OWN, "{grown}");
    let shared = after.shared_pages.unwrap() * page;
    assert!((SHARED..SHARED + (16 << 20)).contains(&shared), "{shared} of {grown} are shared");
}
