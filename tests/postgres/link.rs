//! A server far away: every byte takes 20 ms each way.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::server::{Server, installed};
use super::{PRELOAD, blocked, found, source};

const ONE_WAY: Duration = Duration::from_millis(20);

type Queue = Arc<(Mutex<VecDeque<(Instant, Vec<u8>)>>, Condvar)>;

/// Passes on what comes, late; nothing that comes meanwhile has to wait for it. An empty piece is the end.
fn delayed(mut from: TcpStream, mut to: TcpStream) {
    let queue = Queue::default();
    let other = queue.clone();
    std::thread::spawn(move || {
        loop {
            let (list, come) = &*other;
            let (at, piece) = come.wait_while(list.lock().unwrap(), |l| l.is_empty()).unwrap().pop_front().unwrap();
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if piece.is_empty() || to.write_all(&piece).is_err() {
                _ = to.shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    });
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        loop {
            let n = from.read(&mut buffer).unwrap_or(0);
            queue.0.lock().unwrap().push_back((Instant::now() + ONE_WAY, buffer[..n].to_vec()));
            queue.1.notify_one();
            if n == 0 {
                return;
            }
        }
    });
}

/// The port of a way to `port` that takes 40 ms there and back.
fn far(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            _ = (client.set_nodelay(true), server.set_nodelay(true));
            delayed(client.try_clone().unwrap(), server.try_clone().unwrap());
            delayed(server, client);
        }
    });
    own
}

#[test]
fn over_a_link_of_forty_milliseconds_all_is_read_and_the_link_is_not_the_servers_cost() {
    let Some(bin) = installed().pop() else { return };
    let mut server = Server::start(&bin, &[PRELOAD]);
    server.sql("postgres", "CREATE EXTENSION pg_stat_statements");
    blocked(&mut server);
    let d = server.check(&format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", far(server.port)), 9);
    assert_eq!(source(&d)["state"], "ok", "{}", source(&d));
    let f = found(&d, "postgres.locks.idle_in_transaction");
    assert_eq!(f["rank"], 1, "{f:#}");
    assert!((f["impact"]["benefit_s_per_s"].as_f64().unwrap() - 3.0).abs() < 0.3, "{f:#}");
}
