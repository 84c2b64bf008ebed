//! Big keys: looked for when asked, with their progress, at next to no cost, and counted in no figure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perftop::collect::kinds::read;
use perftop::collect::root::Roots;
use perftop::collect::schedule::Plan;
use perftop::collect::watched::{Configured, Given};
use perftop::detect::params::ParamOverrides;
use perftop::diagnose::Picture;
use perftop::engine::{Ask, Handle, LiveOptions, live};
use perftop::model::facts::RedisFacts;
use perftop::model::redis::RedisAsk;
use perftop::model::source::SourceKind;

use super::server::{Client, Load, installed};
use super::start;

/// The engine on that server alone.
fn watching(url: &str) -> Handle {
    let (_, reads) = read().find(|(kind, _)| *kind == SourceKind::Redis).unwrap();
    let (more, given) = (BTreeMap::new(), Given::default());
    let asked = Configured { url, name: None, password_file: None, more: &more, given: &given };
    let server = reads.configured(&asked).unwrap();
    let plan = Plan {
        roots: Roots { proc: "/proc".into(), sys: "/sys".into() },
        every: Duration::from_secs(1),
        quick_start: true,
        discover: false,
        servers: vec![server],
        unusable: Vec::new(),
        given: Arc::default(),
    };
    let only = vec!["redis.*".to_owned()];
    live(LiveOptions { plan, params: ParamOverrides::default(), only, record: None, keep: None, ticks: None }).unwrap()
}

/// The first picture in which the server is as it must be.
fn until(handle: &Handle, what: &str, fits: impl Fn(&RedisFacts) -> bool) -> Arc<Picture> {
    let begin = Instant::now();
    loop {
        let picture = handle.pictures.borrow().clone();
        if let Some(picture) = picture.filter(|p| p.facts.servers.redis.first().is_some_and(&fits)) {
            return picture;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn big_keys_are_found_when_they_are_asked_for_and_cost_nobody_anything() {
    for program in installed() {
        let server = start(&program, &[]);
        server.ask(&["DEBUG", "POPULATE", "4000", "key", "16"]);
        let mut client = Client::to(server.port).unwrap();
        client.ask(&["SELECT", "1"]).unwrap();
        let big = "name with 'quotes'";
        for at in 0..200 {
            client.ask(&["HSET", big, &format!("field {at}"), &"x".repeat(2000)]).unwrap();
        }
        client.ask(&["SET", "small", "1"]).unwrap();
        let _load = Load::of(&server, 2, Duration::from_millis(5), &["GET", "key:1"]);
        let handle = watching(&server.url());
        until(&handle, "it is read", |r| r.before.is_some() && r.keys.is_err());
        let demand = RedisAsk::Keys.of(&server.id());
        handle.asks.blocking_send(Ask::Demand(demand)).unwrap();
        let during = until(&handle, "it goes on", |r| r.keys.as_ref().is_ok_and(|k| k.looked > 0 && k.walking));
        assert!(during.facts.servers.redis[0].keys.as_ref().unwrap().all >= 4002);
        let after = until(&handle, "all were looked at", |r| r.keys.as_ref().is_ok_and(|k| k.complete));
        let r = &after.facts.servers.redis[0];
        let keys = r.keys.as_ref().unwrap();
        let first = &keys.rows[0];
        assert_eq!((first.key.shown(), first.database, first.kind.shown(), first.whole), (big, 1, "hash", true));
        assert!(first.bytes > 300_000 && keys.rows[1].bytes < 1000, "{keys:?}");
        assert!(keys.looked >= 4002 && !keys.walking);
        // What was asked for that is in no figure: only the readers' commands are, and those of whoever else looks at this server.
        let commands: Vec<&str> = r.commands.iter().flatten().map(|c| c.name.as_str()).collect();
        let walked = ["select", "scan", "memory|usage", "type"];
        assert!(commands.contains(&"get") && walked.iter().all(|own| !commands.contains(own)), "{commands:?}");
    }
}

#[test]
fn keys_that_may_not_be_looked_at_say_what_it_takes() {
    let Some(program) = installed().into_iter().next() else { return };
    let server = start(&program, &[]);
    server.ask(&["SET", "a", "1"]);
    server.ask(&["ACL", "SETUSER", "default", "-scan"]);
    let handle = watching(&server.url());
    until(&handle, "it is read", |r| r.before.is_some());
    handle.asks.blocking_send(Ask::Demand(RedisAsk::Keys.of(&server.id()))).unwrap();
    let said = until(&handle, "it is refused", |r| r.keys.as_ref().is_err_and(|lack| lack.to_string().contains("NOPERM")));
    let lack = said.facts.servers.redis[0].keys.as_ref().unwrap_err().to_string();
    assert!(lack.contains("+scan +select"), "{lack}");
}

/// A fake server: none real answers SCAN so. It says who it is, and what it says of its keys is no list, or too much of one.
#[test]
fn a_walk_that_fails_ends_and_the_server_is_watched_on() {
    use std::io::{BufRead, BufReader, Write};
    let info = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/redis/info_7.0.txt")).unwrap();
    for scan in [
        b"+OK\r\n".to_vec(),
        b"*2\r\n$1\r\nx\r\n*0\r\n".to_vec(),
        format!("*2\r\n$1\r\n5\r\n*1\r\n${}\r\n", 5 << 20).into_bytes(),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let info = info.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (info, scan) = (info.clone(), scan.clone());
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                    // `*N`, and for each word its length and itself.
                    while let Some(count) = lines.next().and_then(|l| l.strip_prefix('*')?.parse::<usize>().ok()) {
                        let words: Vec<String> = (0..count).filter_map(|_| (lines.next(), lines.next()).1).collect();
                        let answer = match words.first().map(String::as_str) {
                            Some("INFO") => [format!("${}\r\n", info.len()).as_bytes(), &info, b"\r\n"].concat(),
                            Some("PING") => b"+PONG\r\n".to_vec(),
                            Some("SELECT") => b"+OK\r\n".to_vec(),
                            Some("SCAN") => scan.clone(),
                            Some("CLIENT") => b":7\r\n".to_vec(),
                            _ => b"*0\r\n".to_vec(),
                        };
                        if stream.write_all(&answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let handle = watching(&format!("redis://127.0.0.1:{port}"));
        until(&handle, "it is read", |r| r.info.is_ok());
        handle.asks.blocking_send(Ask::Demand(RedisAsk::Keys.of(&format!("redis:{port}")))).unwrap();
        until(&handle, "the walk ends", |r| r.keys.as_ref().is_err_and(|lack| lack.to_string().contains("big keys")));
        let mut reads = std::collections::BTreeSet::new();
        let begin = Instant::now();
        while reads.len() < 4 {
            assert!(begin.elapsed() < Duration::from_secs(30), "it is not read any more");
            let picture = handle.pictures.borrow().clone();
            let read = picture.as_ref().and_then(|p| p.facts.servers.redis.first().map(|r| (p.at.mono_ns, r.info.is_ok())));
            reads.extend(read.filter(|(_, ok)| *ok).map(|(at, _)| at));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
