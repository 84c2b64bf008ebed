//! Servers that run here, seen by process and port. What is seen and not read is never silent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::host::{Identity, Peers, ProcId, ProcRaw, ProcessTable, Serving};
use crate::model::seen::Seen;
use crate::model::service;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::kind::Kind;
use super::kinds::KINDS;

/// Where a server that runs here listens, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Located {
    /// It is being looked up.
    Sought,
    /// At that port.
    At(u16),
    /// Nowhere that could be found.
    Nowhere,
}

/// The host itself and every server that runs on it. Servers can be left out by `--no-discover`.
#[must_use]
pub fn sources(
    identity: &Identity,
    table: Option<&ProcessTable>,
    serving: Option<&Seen<Serving>>,
    busy: &BusyPeers,
    discover: bool,
    located: &dyn Fn(ProcId) -> Located,
) -> Vec<SourceStatus> {
    let mut found = vec![host(identity)];
    let rows = table.map(|t| t.rows.as_slice()).unwrap_or_default();
    if discover {
        for kind in KINDS {
            found.extend(roots(kind, rows).map(|row| seen(kind, row, serving, located(row.id))));
        }
    }
    if discover {
        found.extend(busy.0.iter().map(|peer| remote(*peer)));
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found.dedup_by(|a, b| a.id == b.id);
    // The host stands first.
    found.sort_by_key(|s| s.kind != SourceKind::Host);
    found
}

/// Other hosts that requests here were seen to wait for, as long as there is a connection to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusyPeers(BTreeSet<SocketAddr>);

impl BusyPeers {
    const MOST: usize = 8;

    /// Takes the sums of one tick in.
    pub fn see(&mut self, peers: &Peers) {
        let open = |at: &SocketAddr| peers.links.iter().any(|l| l.peer == *at && l.sockets > 0);
        self.0.retain(open);
        // A tenth of a request on average: less is not worth a line in the header.
        let busy = peers
            .links
            .iter()
            .filter(|l| !l.local && l.here.is_none() && l.for_requests * 10 >= peers.rounds && l.for_requests > 0);
        for link in busy {
            if self.0.len() < Self::MOST {
                self.0.insert(link.peer);
            }
        }
    }
}

fn remote(peer: SocketAddr) -> SourceStatus {
    let service = service::by_port(peer.port()).map_or_else(String::new, |s| format!(" ({s} by its port)"));
    SourceStatus {
        id: format!("peer:{peer}"),
        kind: SourceKind::Peer,
        state: SourceState::NotWatched,
        place: Place::Remote,
        role: None,
        version: None,
        reader: None,
        why: Some(format!("requests here wait for it{service}; it is on another host")),
        way_in: Some(format!("ssh {} -t perftop", peer.ip())),
    }
}

fn host(identity: &Identity) -> SourceStatus {
    let limited = !identity.root;
    SourceStatus {
        id: "host".into(),
        kind: SourceKind::Host,
        state: if limited { SourceState::Degraded } else { SourceState::Ok },
        place: Place::Local,
        role: None,
        version: Some(identity.kernel.shown().to_owned()),
        reader: Some(if identity.root { "root" } else { "user" }.to_owned()),
        why: limited.then(|| "IO and sockets of other users' processes cannot be seen".to_owned()),
        way_in: limited.then(|| "sudo perftop".to_owned()),
    }
}

/// First processes of servers of that kind, with a TCP port that they listen on where that is known.
#[must_use]
pub fn first_processes(kind: &Kind, table: &ProcessTable, serving: Option<&Seen<Serving>>) -> Vec<(ProcId, Option<u16>)> {
    roots(kind, &table.rows).map(|row| (row.id, listens(row, serving))).collect()
}

fn roots<'a>(kind: &Kind, rows: &'a [Arc<ProcRaw>]) -> impl Iterator<Item = &'a ProcRaw> {
    let is = |row: &&Arc<ProcRaw>| kind.programs.contains(&row.comm.shown());
    rows.iter().filter(is).filter(move |row| !rows.iter().any(|p| p.id.pid == row.ppid && is(&p))).map(|row| &**row)
}

fn listens(row: &ProcRaw, serving: Option<&Seen<Serving>>) -> Option<u16> {
    let sockets = serving.and_then(|s| s.as_ref().ok());
    sockets.and_then(|s| s.processes.iter().find(|p| p.id == row.id)).and_then(|p| p.listens.first().copied())
}

/// Puts what watchers say of their servers in the place of what was only seen of them.
pub fn replace(sources: &mut Vec<SourceStatus>, watched: &[SourceStatus]) {
    sources.retain(|s| !watched.iter().any(|w| w.id == s.id));
    sources.extend_from_slice(watched);
    // A peer that is watched by its address is one source.
    let addresses: Vec<String> =
        watched.iter().filter_map(|w| w.id.split_once(':').map(|(_, address)| format!("peer:{address}"))).collect();
    sources.retain(|s| !addresses.contains(&s.id));
    sources.sort_by(|a, b| (a.kind != SourceKind::Host).cmp(&(b.kind != SourceKind::Host)).then(a.id.cmp(&b.id)));
}

fn seen(server: &Kind, row: &ProcRaw, serving: Option<&Seen<Serving>>, located: Located) -> SourceStatus {
    let port = match located {
        Located::At(port) => Some(port),
        Located::Sought | Located::Nowhere => None,
    };
    let port = port.or_else(|| listens(row, serving)).unwrap_or(server.port);
    SourceStatus {
        id: format!("{}:{port}", server.kind.word()),
        kind: server.kind,
        state: SourceState::NotWatched,
        place: Place::Local,
        role: None,
        version: None,
        reader: None,
        why: Some(match server.reads {
            Some(_) if located == Located::Sought => {
                format!("{} runs here as pid {}; perftop is finding out where it listens", row.comm, row.id.pid)
            }
            Some(_) => format!("{} runs here as pid {}; its socket was not found", row.comm, row.id.pid),
            None => format!("{} runs here as pid {}; perftop cannot monitor it yet", row.comm, row.id.pid),
        }),
        way_in: Some(server.look.replace("{port}", &port.to_string())),
    }
}
