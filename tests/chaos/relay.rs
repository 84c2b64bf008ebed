//! A line between perftop and a real server: it passes, drops what comes (as a firewall does in the middle of a connection: nothing
//! is refused, nothing arrives until it is open again), drips, or is cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Line {
    Passes,
    Drops,
    /// Fifty bytes a second.
    Drips,
    Cut,
}

pub struct Relay {
    pub port: u16,
    line: Arc<AtomicU8>,
}

impl Relay {
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self { port: listener.local_addr().unwrap().port(), line: Arc::default() };
        let line = relay.line.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if line.load(Ordering::Relaxed) == Line::Cut as u8 {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { continue };
                let way = |from: &TcpStream, to: &TcpStream| {
                    let (from, to, line) = (from.try_clone().unwrap(), to.try_clone().unwrap(), line.clone());
                    std::thread::spawn(move || {
                        _ = carry(&from, &to, &line);
                        _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                    });
                };
                way(&client, &server);
                way(&server, &client);
            }
        });
        relay
    }

    pub fn is(&self, line: Line) {
        self.line.store(line as u8, Ordering::Relaxed);
    }
}

fn carry(mut from: &TcpStream, mut to: &TcpStream, line: &AtomicU8) -> std::io::Result<()> {
    let (is, breath) = (|which: Line| line.load(Ordering::Relaxed) == which as u8, Duration::from_millis(20));
    from.set_read_timeout(Some(breath))?;
    to.set_nodelay(true)?;
    let mut buffer = vec![0; 65536];
    while !is(Line::Cut) {
        let come = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(e) => return Err(e),
        };
        let mut rest = &buffer[..come];
        while !rest.is_empty() && !is(Line::Cut) {
            match () {
                () if is(Line::Drops) => std::thread::sleep(breath),
                () if is(Line::Drips) => {
                    std::thread::sleep(breath);
                    to.write_all(&rest[..1])?;
                    rest = &rest[1..];
                }
                () => {
                    to.write_all(rest)?;
                    rest = &[];
                }
            }
        }
    }
    Ok(())
}
