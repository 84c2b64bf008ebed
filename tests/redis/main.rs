//! Redis for real: servers of this test's own, faults injected, findings and sources as `check` tells them; the suggested command is
//! pasted. What cannot be had from a real server (one that announces a gigabyte) is a fake one, said so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and waits with a deadline"
)]

mod hostile;
mod keys;
mod replicas;
mod server;

use std::process::Command;
use std::time::Duration;

use server::{Load, Server, check, finding, free_port, installed, source};

/// With a debug command, which fills a server quickly.
fn start(program: &std::path::Path, more: &[&str]) -> Server {
    let debug = ["--enable-debug-command", "yes"];
    let knows = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&knows.stdout).into_owned();
    let old = text.contains("v=6") || text.contains("v=5");
    Server::start(program, &[if old { &[][..] } else { &debug[..] }, more].concat())
}

/// What a suggested command says, pasted into a shell where the server's own client is found.
fn paste(program: &std::path::Path, command: &str) -> String {
    let own = program.parent().unwrap().display();
    let path = format!("{own}:{}", std::env::var("PATH").unwrap_or_default());
    let done = Command::new("sh").args(["-c", command]).env("PATH", path).output().unwrap();
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

#[test]
fn a_command_that_blocks_the_loop_is_named_with_its_client_and_ended_by_what_is_suggested() {
    for program in installed() {
        let server = start(&program, &[]);
        server.ask(&["DEBUG", "POPULATE", "500000", "key", "16"]);
        let victims = Load::of(&server, 20, Duration::from_millis(3), &["GET", "key:1"]);
        let hog = Load::named(&server, 1, Duration::from_millis(200), &["KEYS", "nomatch*"], Some("report"));
        let said = server.check(&["--for", "8s"], &[]);
        let found = finding(&said, "redis.command.slow");
        assert_eq!(found["rank"], 1, "{}", said["findings"]);
        assert_eq!(found["subject"]["key"], "keys");
        assert!(victims.longest_us.load(std::sync::atomic::Ordering::Relaxed) > 10_000, "the victims suffer");
        assert!(found["impact"]["lost_s_per_s"].as_f64().unwrap() > 0.5, "{found}");
        // What is suggested first ends the client, and with it the finding.
        let kill = found["fixes"][0]["command"].as_str().unwrap();
        assert!(kill.contains("CLIENT KILL ID") && kill.contains("ADDR"), "{kill}");
        assert_eq!(paste(&program, kill), "1", "{kill}");
        server.until("the hog is gone", || hog.made.load(std::sync::atomic::Ordering::Relaxed) > 0);
        let said = server.check(&["--for", "6s"], &[]);
        assert!(!said["findings"].as_array().unwrap().iter().any(|f| f["id"] == "redis.command.slow"), "{}", said["findings"]);
        assert_eq!(source(&said, &server.id())["state"], "ok");
        assert_eq!(source(&said, &server.id())["place"], "local");
    }
}

#[test]
fn writes_that_are_refused_are_an_error_and_more_memory_cures_it() {
    for program in installed() {
        let server = start(&program, &["--maxmemory", "3mb"]);
        let _writers = Load::of(&server, 4, Duration::from_millis(5), &["SET", "a", &"x".repeat(4000)]);
        server.until("it is full", || {
            server.ask(&["DEBUG", "POPULATE", "1000", "k", "1000"]).is_empty()
                || server.ask(&["SET", "b", "1"]).contains("OOM")
                || {
                    server.ask(&["DEBUG", "POPULATE", "3000", "more", "1000"]);
                    false
                }
        });
        let said = server.check(&["--for", "5s"], &[]);
        let found = finding(&said, "redis.memory.oom_refused");
        assert_eq!((found["severity"].as_str(), found["rank"].as_i64()), (Some("critical"), Some(1)), "{found}");
        assert!(found["impact"]["failed_per_s"].as_f64().unwrap() > 10.0, "{found}");
        let more = found["fixes"][0]["command"].as_str().unwrap();
        assert!(more.contains("CONFIG SET maxmemory"), "{more}");
        assert_eq!(paste(&program, more), "OK", "{more}");
    }
}

#[test]
fn what_is_busy_and_well_is_quiet() {
    for program in installed() {
        let server = start(&program, &["--maxmemory", "40mb", "--maxmemory-policy", "allkeys-lru"]);
        server.ask(&["DEBUG", "POPULATE", "20000", "key", "512"]);
        let _readers = Load::of(&server, 8, Duration::from_millis(2), &["GET", "key:7"]);
        // Those that wait by their own wish lose nothing.
        let _blocked = Load::of(&server, 10, Duration::from_millis(1), &["BLPOP", "nothing", "1"]);
        let _idle: Vec<_> = (0..100).map(|_| server.connect()).collect();
        let said = server.check(&["--for", "6s", "--only", "redis.*"], &[]);
        let loud: Vec<_> = said["findings"].as_array().unwrap().iter().filter(|f| f["severity"] != "info").collect();
        assert!(loud.is_empty(), "{loud:?}");
        assert_eq!(said["health"]["status"], "healthy", "{}", said["findings"]);
    }
}

#[test]
fn each_way_to_be_kept_out_is_a_state_with_a_way_in() {
    for program in installed() {
        let server = Server::start(&program, &["--maxclients", "12"]);
        server.ask(&["CONFIG", "SET", "requirepass", "s3cret-word"]);
        let state = |said: &serde_json::Value| {
            let row = source(said, &server.id());
            (row["state"].as_str().unwrap().to_owned(), format!("{} {}", row["why"], row["way_in"]))
        };
        let only = ["--for", "4s", "--only", "source.*"];
        let (kind, text) = state(&server.check(&only, &[]));
        assert!(kind == "denied" && text.contains("REDISCLI_AUTH"), "{kind} {text}");
        let (kind, text) = state(&server.check(&only, &[("REDISCLI_AUTH", "wrong-word")]));
        assert!(kind == "denied" && text.contains("WRONGPASS") && !text.contains("wrong-word"), "{kind} {text}");
        let said = server.check(&only, &[("REDISCLI_AUTH", "s3cret-word")]);
        assert_eq!(state(&said).0, "ok");
        assert!(!said.to_string().contains("s3cret-word"));
        // A user that may only ask for INFO.
        let mut admin = server.connect();
        admin.ask(&["AUTH", "s3cret-word"]).unwrap();
        assert_eq!(admin.ask(&["ACL", "SETUSER", "narrow", "on", ">word", "+info", "+ping"]).unwrap(), "+OK");
        let url = format!("redis://narrow@127.0.0.1:{}", server.port);
        let (kind, text) = state(&check(&url, &only, &[("REDISCLI_AUTH", "word")]));
        assert!(kind == "degraded" && text.contains("ACL SETUSER narrow"), "{kind} {text}");
        let full: Vec<_> = (0..12).map(|_| server.connect()).collect();
        let (kind, text) = state(&server.check(&only, &[("REDISCLI_AUTH", "s3cret-word")]));
        assert!(kind == "unreachable" && text.contains("maxclients"), "{kind} {text}");
        drop(full);
        let nobody = check(&format!("redis://127.0.0.1:{}", free_port()), &only, &[]);
        assert!(nobody["sources"].to_string().contains("start the server"), "{}", nobody["sources"]);
    }
}

#[test]
fn a_server_that_is_stopped_keeps_its_clients_and_nobody_else() {
    use rustix::process::{Pid, Signal, kill_process};
    let Some(program) = installed().into_iter().next() else { return };
    let server = start(&program, &[]);
    let pid = Pid::from_raw(server.pid() as i32).unwrap();
    let _clients = Load::of(&server, 10, Duration::from_millis(10), &["GET", "a"]);
    // Stopped while it is watched.
    let stop = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(4));
        kill_process(pid, Signal::STOP).unwrap();
    });
    let begin = std::time::Instant::now();
    let said = server.check(&["--for", "10s"], &[]);
    kill_process(pid, Signal::CONT).unwrap();
    stop.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(16), "{:?}", begin.elapsed());
    let found = finding(&said, "redis.command.slow");
    assert!(found["title"].as_str().unwrap().contains("has not answered for"), "{found}");
    assert!(found["impact"]["lost_s_per_s"].as_f64().unwrap() >= 9.0, "{found}");
    assert_eq!(source(&said, &server.id())["state"], "unreachable");
}

#[test]
fn errors_of_clients_count_and_our_own_do_not() {
    let Some(program) = installed().into_iter().next() else { return };
    let server = start(&program, &[]);
    server.ask(&["SET", "text", "1"]);
    let _good = Load::of(&server, 2, Duration::from_millis(10), &["GET", "text"]);
    let quiet = server.check(&["--for", "4s", "--only", "redis.errors"], &[]);
    assert!(quiet["findings"].as_array().unwrap().is_empty(), "{}", quiet["findings"]);
    let _bad = Load::of(&server, 2, Duration::from_millis(20), &["LPUSH", "text", "x"]);
    let said = server.check(&["--for", "5s", "--only", "redis.errors"], &[]);
    let found = finding(&said, "redis.errors");
    assert_eq!((found["subject"]["key"].as_str(), found["severity"].as_str()), (Some("WRONGTYPE"), Some("critical")), "{found}");
}
