//! `perftop export`: the findings as metrics, for a Prometheus to scrape. One path, one method, no state: what little HTTP that takes is here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use crate::cli::Export;
use crate::collect::clock;
use crate::config::Settings;
use crate::diagnose::Picture;
use crate::report::metrics;

use super::check::begin;
use super::failure::{Failure, duration, runtime};

/// A request has so many bytes, and so long, at most.
const MOST_BYTES: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(5);
/// Scrapes at once; more are not taken.
const MOST_AT_ONCE: usize = 16;

type Pictures = watch::Receiver<Option<Arc<Picture>>>;

/// Runs the command until it is interrupted.
///
/// # Errors
/// Usage, an address that is taken, a host that cannot be read.
pub fn run(options: &Export, settings: &Settings) -> Result<u8, Failure> {
    let every = duration("--every", &options.every)?;
    if every < Duration::from_millis(250) {
        return Err(Failure::Usage("--every must be at least 250ms".into()));
    }
    let address: SocketAddr = options.listen.parse().map_err(|_| {
        Failure::Usage(format!("--listen {}: write an address and a port, such as 127.0.0.1:9798 or [::1]:9798", options.listen))
    })?;
    let handle = begin(settings, every, &[])?;
    runtime()?.block_on(async move {
        let listener = TcpListener::bind(address).await.map_err(|e| Failure::Io(format!("cannot listen on {address}: {e}")))?;
        let bound = listener.local_addr().map_err(|e| Failure::Io(e.to_string()))?;
        crate::bug::say(&format!("http://{bound}/metrics, a look each {}", options.every));
        let mut ending = super::failure::ending()?;
        let mut pictures = handle.pictures.clone();
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        loop {
            tokio::select! {
                biased;
                number = ending.next() => {
                    return if matches!(number, 2 | 15) { Ok(0) } else { Err(Failure::Signal(number)) };
                }
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else {
                        // Without a descriptor to spare it is tried again.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    // Beyond that somebody else is in the way: the next scrape comes by itself.
                    let Ok(permit) = room.clone().try_acquire_owned() else { continue };
                    let pictures = handle.pictures.clone();
                    tokio::spawn(async move {
                        // Whoever is slow or goes away harms nobody but itself.
                        _ = tokio::time::timeout(PATIENCE, answer(stream, &pictures)).await;
                        drop(permit);
                    });
                }
                changed = pictures.changed() => if changed.is_err() {
                    return Err(Failure::Io("the host cannot be read any more".into()));
                },
            }
        }
    })
}

async fn answer(mut stream: TcpStream, pictures: &Pictures) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") && head.len() < MOST_BYTES {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, kind, body) = respond(&head, pictures);
    let close = "Connection: close\r\nX-Content-Type-Options: nosniff";
    let answer = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{close}\r\n\r\n", body.len());
    stream.write_all(answer.as_bytes()).await?;
    if !head.starts_with(b"HEAD ") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

fn respond(head: &[u8], pictures: &Pictures) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let line = head.split(|b| *b == b'\r').next().unwrap_or_default();
    let mut words = line.split(|b| *b == b' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => match pictures.borrow().as_ref() {
            Some(picture) => {
                let age_s = clock::now().seconds_since(&picture.at).unwrap_or(0.0);
                ("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics::render(&picture.diagnosis, age_s))
            }
            None => ("503 Service Unavailable", TEXT, "nothing was measured yet\n".into()),
        },
        (b"GET" | b"HEAD", b"/") => ("200 OK", TEXT, "perftop: see /metrics\n".into()),
        (b"GET" | b"HEAD", _) => ("404 Not Found", TEXT, "see /metrics\n".into()),
        _ => ("405 Method Not Allowed", TEXT, "only GET\n".into()),
    }
}
