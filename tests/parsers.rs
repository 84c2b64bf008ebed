//! Every parser on this machine's own files, whole, cut and mutated, and on noise: nothing panics, and what a parser
//! makes of a whole file is something.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use perftop::collect::host::{cgroup, cpu, disk, filesystem, memory, network, psi, serving::Sockets, stat};
use perftop::config::{ThemeFile, load, parse_duration};
use perftop::model::mask;
use perftop::model::subject::split_finding_key;
use proptest::prelude::*;

/// A parser: whether it made something of the bytes.
type Parser = fn(&[u8]) -> bool;

/// A real file and what reads it.
const PARSERS: &[(&str, Parser)] = &[
    ("/proc/stat", |b| cpu::parse_stat(b).is_some_and(|c| !c.cores.is_empty())),
    ("/proc/loadavg", |b| cpu::parse_loadavg(b).is_some()),
    ("/proc/sys/fs/file-nr", |b| cpu::parse_file_nr(b).is_some()),
    ("/proc/pressure/io", |b| psi::parse(b).is_some()),
    ("/proc/pressure/cpu", |b| psi::parse(b).is_some()),
    ("/proc/meminfo", |b| memory::parse_meminfo(b).is_some_and(|m| m.available.is_some())),
    ("/proc/vmstat", |b| memory::parse_vmstat(b).is_some_and(|v| v.pgpgin_kib.is_some())),
    ("/proc/diskstats", |b| !disk::parse(b).is_empty()),
    ("/proc/net/dev", |b| !network::parse_dev(b).is_empty()),
    ("/proc/net/snmp", |b| network::by_name(b, b"Tcp:", b"RetransSegs").is_some()),
    ("/proc/net/netstat", |b| network::by_name(b, b"TcpExt:", b"TCPTimeouts").is_some()),
    ("/proc/self/stat", |b| stat::parse(b).is_some()),
    ("/proc/self/schedstat", |b| stat::parse_sched(b).is_some()),
    ("/proc/self/io", |b| stat::parse_io(b).is_some()),
    ("/proc/self/cgroup", |b| stat::parse_cgroups(b).len() < 1000),
    ("/proc/self/mountinfo", |b| !filesystem::relevant(filesystem::parse_mountinfo(b)).is_empty()),
    ("/proc/self/cmdline", |b| !mask::command_line(b).is_empty()),
    ("/proc/net/tcp", |b| {
        let mut sockets = Sockets::default();
        sockets.add_tcp(b);
        sockets.add_unix(b);
        sockets.listening.len() < 100_000
    }),
    ("/proc/vmstat", |b| cgroup::keyed(b, b"pgpgin").is_some()),
];

fn real() -> Vec<(&'static str, Parser, Vec<u8>)> {
    PARSERS.iter().filter_map(|(path, parser)| Some((*path, *parser, std::fs::read(path).ok()?))).collect()
}

#[test]
fn real_files_are_understood() {
    let files = real();
    assert!(files.len() > 12, "this machine has the files");
    for (path, parser, bytes) in files {
        assert!(parser(&bytes), "{path}: {}", String::from_utf8_lossy(&bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cut_and_mutated_files_never_panic(cut in 0.0..1.0f64, edits in proptest::collection::vec((0.0..1.0f64, any::<u8>()), 0..8)) {
        for (_, parser, mut bytes) in real() {
            bytes.truncate((bytes.len() as f64 * cut) as usize);
            for (at, to) in &edits {
                let index = (bytes.len() as f64 * at) as usize;
                if let Some(slot) = bytes.get_mut(index) {
                    *slot = *to;
                }
            }
            parser(&bytes);
        }
    }

    #[test]
    fn noise_never_panics(bytes: Vec<u8>, text in "\\PC{0,80}") {
        for (_, parser) in PARSERS {
            parser(&bytes);
            parser(text.as_bytes());
        }
        _ = load(std::path::Path::new("x.toml"), &text);
        _ = ThemeFile::parse("x", &text);
        _ = parse_duration(&text);
        _ = split_finding_key(&text);
    }
}
