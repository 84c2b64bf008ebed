//! Echo servers: a line is sent each second, and comes back.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

use crate::model::demand::Demand;
use crate::model::echo::Trip;
use crate::model::server::ServerSample;
use crate::model::source::{SourceKind, SourceState, SourceStatus};

use super::clock;
use super::kind::Kind;
use super::root::Roots;
use super::watched::{Configured, Given, Mailbox, Reach, Reads, Slot, spawn};

/// Its row.
pub const KIND: Kind = Kind {
    kind: SourceKind::Echo,
    programs: &["echod"],
    port: 7,
    look: "echo hello | nc -N localhost {port}",
    reads: Some(&Echo),
};

struct Echo;

#[derive(Debug, Clone)]
struct Target {
    id: String,
    address: String,
    port: u16,
    discovered: bool,
}

impl Reads for Echo {
    fn configured(&self, asked: &Configured<'_>) -> Result<Arc<dyn Reach>, String> {
        let address = asked.url.strip_prefix("echo://").and_then(|rest| Some((rest, rest.rsplit_once(':')?.1.parse().ok()?)));
        let (address, port) = address.ok_or_else(|| format!("{}: write {}", asked.url, self.url()))?;
        let id = format!("echo:{}", asked.name.unwrap_or(address));
        Ok(Arc::new(Target { id, address: address.to_owned(), port, discovered: false }))
    }

    fn has_password(&self, _url: &str) -> bool {
        false
    }

    fn url(&self) -> &'static str {
        "echo://HOST:PORT"
    }

    fn passwords(&self) -> &'static str {
        "nowhere: it takes none"
    }

    fn environment(
        &self,
        _variable: &dyn Fn(&str) -> Option<String>,
        _given: &Given,
    ) -> (Vec<Arc<dyn Reach>>, Vec<SourceStatus>) {
        (Vec::new(), Vec::new())
    }

    fn locate(&self, _roots: &Roots, _pid: i32, tcp: Option<u16>, _given: &Given) -> Option<Arc<dyn Reach>> {
        let port = tcp?;
        Some(Arc::new(Target { id: format!("echo:{port}"), address: format!("127.0.0.1:{port}"), port, discovered: true }))
    }
}

impl Reach for Target {
    fn id(&self) -> &str {
        &self.id
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn local(&self) -> bool {
        true
    }

    fn discovered(&self) -> bool {
        self.discovered
    }

    fn watch(&self, _: &Roots, _: mpsc::Receiver<Demand>, stop: watch::Receiver<bool>) -> std::io::Result<Box<dyn Slot>> {
        let (mailbox, target) = (Mailbox::default(), self.clone());
        let shared = mailbox.clone();
        spawn("echo", stop, move || target.read(shared))?;
        Ok(Box::new(mailbox))
    }
}

impl Target {
    async fn read(self, mailbox: Mailbox) {
        loop {
            let trip = tokio::time::timeout(Duration::from_secs(2), self.trip()).await;
            let (trip, why) = match trip {
                Ok(Ok(ms)) => (Some(Trip { ms: Some(ms) }), None),
                Ok(Err(error)) => (None, Some(error.to_string())),
                Err(_) => (None, Some("no answer within 2 s".to_owned())),
            };
            let state = if why.is_none() { SourceState::Ok } else { SourceState::Unreachable };
            let status = SourceStatus { why, ..SourceStatus::new(&self.id, SourceKind::Echo, state) };
            mailbox.put(trip.map(|trip| ServerSample::Echo(Box::new(trip))), status);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn trip(&self) -> std::io::Result<f64> {
        let mut stream = BufReader::new(TcpStream::connect(&self.address).await?);
        let start = clock::instant();
        stream.write_all(b"perftop\n").await?;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        Ok(start.elapsed().as_secs_f64() * 1000.0)
    }
}
