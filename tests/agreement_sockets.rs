//! Processes and sockets agree with the field's tools: pidstat, sar -n TCP,ETCP and ss, over a steady load on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use perftop::collect::host::identity;
use perftop::collect::host::sockdiag::{self, Socket};
use perftop::collect::host::sweep::Sweeper;
use perftop::collect::root::Roots;
use perftop::model::facts::{Facts, WeightOverrides};
use perftop::model::host::{HostSample, HostSweep};
use perftop::model::sample::{Sample, Snapshot};

const SECONDS: u64 = 10;

/// The output of a tool that runs meanwhile; `None` (a loud skip, a failure in CI) when it is not here.
fn spawn(argv: &[&str]) -> Option<Child> {
    match Command::new(argv[0]).args(&argv[1..]).env("LC_ALL", "C").stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(e) => {
            assert!(std::env::var_os("CI").is_none(), "{}: {e}", argv[0]);
            eprintln!("SKIPPED: {}: {e}; install sysstat and iproute2", argv[0]);
            None
        }
    }
}

fn output(child: Option<Child>) -> Option<String> {
    child.map(|c| String::from_utf8(c.wait_with_output().unwrap().stdout).unwrap())
}

/// The row below the last heading that holds `column`, heading to value.
fn row(text: &str, column: &str) -> BTreeMap<String, f64> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().rposition(|l| l.split_whitespace().any(|w| w == column)).unwrap();
    let words = |l: &str| l.trim_start_matches('#').split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    words(lines[at]).into_iter().zip(words(lines[at + 1])).filter_map(|(h, v)| Some((h, v.parse().ok()?))).collect()
}

fn assert_close(what: &str, ours: f64, theirs: f64, granularity: f64) {
    let allowed = (theirs.abs() * 0.05).max(granularity);
    assert!((ours - theirs).abs() <= allowed, "{what}: ours {ours:.3}, theirs {theirs:.3}, allowed ±{allowed:.3}");
}

/// Asks and answers some hundred times a second over one connection, and opens and closes some twenty.
fn talk(stop: &Arc<AtomicBool>) -> Vec<std::thread::JoinHandle<()>> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    // It ends with the test.
    std::thread::spawn(move || {
        while let Ok((mut conn, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut byte = [0; 64];
                while let Ok(n) = conn.read(&mut byte) {
                    if n == 0 || conn.write_all(&byte[..n]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let running = |stop: &Arc<AtomicBool>| {
        let stop = stop.clone();
        move || !stop.load(Ordering::Relaxed)
    };
    let (asks, opens) = (running(stop), running(stop));
    let ask = std::thread::spawn(move || {
        let mut conn = TcpStream::connect(at).unwrap();
        let mut byte = [0; 64];
        while asks() {
            conn.write_all(b"question").unwrap();
            _ = conn.read(&mut byte).unwrap();
            std::thread::sleep(Duration::from_millis(3));
        }
    });
    let open = std::thread::spawn(move || {
        while opens() {
            drop(TcpStream::connect(at).unwrap());
            std::thread::sleep(Duration::from_millis(40));
        }
    });
    vec![ask, open]
}

fn snapshot(sweep: HostSweep, before: Option<&Snapshot>) -> Snapshot {
    let roots = Roots::default();
    let host = HostSample { identity: Some(identity::read(&roots)), sweep: Some(sweep.into()), ..HostSample::default() };
    let at = host.sweep.as_ref().map(|s| s.at).unwrap();
    before.unwrap_or(&Snapshot::default()).fold(&Sample { at, host, ..Sample::default() })
}

#[test]
fn processes_and_tcp_counters_agree_with_pidstat_and_sar() {
    let file = std::env::temp_dir().join(format!("perftop-agree-sockets-{}", std::process::id()));
    let stop = Arc::new(AtomicBool::new(false));
    let talkers = talk(&stop);
    // One process that computes and writes steadily, for a bounded time, over the same megabyte.
    let script = format!(
        "import os,time\nfd=os.open('{}',os.O_RDWR|os.O_CREAT|os.O_DSYNC,0o600)\nend=time.time()+{}\n\
         while time.time()<end:\n  os.pwrite(fd,b'x'*16384,0)\n  sum(range(20000))\n  time.sleep(0.002)",
        file.display(),
        SECONDS + 6
    );
    let mut worker = Command::new("python3").args(["-c", &script]).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    let (seconds, pid) = (SECONDS.to_string(), worker.id().to_string());
    let mut sweeper = Sweeper::new(Roots::default());
    let tools = [
        spawn(&["pidstat", "-u", "-d", "-w", "-h", "-p", &pid, &seconds, "1"]),
        spawn(&["sar", "-n", "TCP,ETCP", &seconds, "1"]),
    ];
    let first = sweeper.sweep(1.0);
    std::thread::sleep(Duration::from_secs(SECONDS));
    let second = sweeper.sweep(SECONDS as f64);
    let [pidstat, sar] = tools.map(output);
    _ = worker.kill();
    _ = worker.wait();
    stop.store(true, Ordering::Relaxed);
    talkers.into_iter().for_each(|t| t.join().unwrap());
    _ = std::fs::remove_file(&file);

    let a = snapshot(first, None);
    let b = snapshot(second, Some(&a));
    let facts = Facts::derive(&[Arc::new(a), Arc::new(b)], &WeightOverrides::default());
    if let Some(text) = &pidstat {
        let theirs = row(text, "kB_wr/s");
        let ours = facts.processes().iter().find(|p| p.id.pid.to_string() == pid).unwrap();
        // One tick of 10 ms in ten seconds, and half a percent that it prints.
        assert_close("pidstat %CPU", ours.cpu.unwrap() * 100.0, theirs["%CPU"], 1.0);
        assert_close("pidstat %system", ours.system.unwrap() * 100.0, theirs["%system"], 1.0);
        assert_close("pidstat kB_wr/s", ours.write_bytes_per_s.unwrap() / 1024.0, theirs["kB_wr/s"], 64.0);
        assert_close("pidstat switches", ours.slices_per_s.unwrap(), theirs["cswch/s"] + theirs["nvcswch/s"], 20.0);
    }
    if let Some(text) = &sar {
        let (tcp, etcp) = (row(text, "active/s"), row(text, "retrans/s"));
        let ours = facts.host.tcp.as_ref().unwrap();
        assert!(tcp["active/s"] > 5.0, "the load ran: {tcp:?}");
        assert_close("sar active/s", ours.active_opens_per_s.unwrap(), tcp["active/s"], 1.0);
        assert_close("sar passive/s", ours.passive_opens_per_s.unwrap(), tcp["passive/s"], 1.0);
        assert_close("sar retrans/s", ours.retransmits_per_s.unwrap(), etcp["retrans/s"], 0.5);
    }
}

/// The figures that ss prints of one socket: `rtt:0.031/0.012` is the first number.
fn figure(line: &str, name: &str) -> Option<f64> {
    let word = line.split_whitespace().find_map(|w| w.strip_prefix(name)?.strip_prefix(':'))?;
    word.split(['/', ',']).next()?.parse().ok()
}

#[test]
fn sockets_agree_with_ss() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut pairs: Vec<(TcpStream, TcpStream)> =
        (0..20).map(|_| (TcpStream::connect(at).unwrap(), listener.accept().unwrap().0)).collect();
    for (n, (client, server)) in pairs.iter_mut().enumerate() {
        client.write_all(&vec![b'x'; 100 * (n + 1)]).unwrap();
        server.read_exact(&mut vec![0; 100 * (n + 1)]).unwrap();
        server.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
    }
    let unread: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(at).unwrap()).collect();
    // Delayed acknowledgements are out by then; nothing moves any more.
    std::thread::sleep(Duration::from_millis(300));
    let mut ours: BTreeMap<SocketAddr, Socket> = BTreeMap::new();
    let mut listener = None;
    sockdiag::dump(sockdiag::ESTABLISHED | sockdiag::LISTEN, true, |s| match s {
        s if s.local == at && s.is(sockdiag::LISTEN) => listener = Some(s),
        s if s.peer == at => _ = ours.insert(s.local, s),
        _ => {}
    })
    .unwrap();
    let port = at.port().to_string();
    let Some(text) = output(spawn(&["ss", "-tinOH", "state", "established", "dport", "=", &port])) else { return };
    let mut seen = 0;
    for line in text.lines() {
        let local: SocketAddr = line.split_whitespace().nth(2).unwrap().parse().unwrap();
        let info = ours.get(&local).unwrap().info.unwrap();
        let exact = |name: &str, ours: Option<f64>| {
            // ss leaves out what is 0.
            assert_eq!(ours.unwrap_or(0.0), figure(line, name).unwrap_or(0.0), "{name}: {line}");
        };
        exact("bytes_acked", info.bytes_acked.map(|v| v as f64));
        exact("bytes_received", info.bytes_received.map(|v| v as f64));
        exact("data_segs_out", info.segments_sent.map(f64::from));
        exact("data_segs_in", info.segments_received.map(f64::from));
        assert_close("rtt", f64::from(info.rtt_us) / 1e3, figure(line, "rtt").unwrap(), 0.001);
        assert_close("lastsnd", f64::from(info.last_sent_ms), figure(line, "lastsnd").unwrap_or(0.0), 200.0);
        seen += 1;
    }
    assert_eq!((seen, ours.len()), (pairs.len() + unread.len(), pairs.len() + unread.len()));
    let text = output(spawn(&["ss", "-tlnH", "sport", "=", &port])).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let listener = listener.unwrap();
    assert_eq!((listener.receive_queue.to_string(), listener.send_queue.to_string()), (words[1].to_owned(), words[2].to_owned()));
    assert_eq!(listener.receive_queue, 3);
}
