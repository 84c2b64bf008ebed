//! Redis as a kind of server: found by its port and title, named by URLs, watched by its own thread.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::collect::kind::Kind;
use crate::collect::root::Roots;
use crate::collect::url::loopback;
use crate::collect::watched::{Configured, Given, Reach, Reads, Slot, spawn};
use crate::model::demand::Demand;
use crate::model::host::ProcId;
use crate::model::source::{SourceKind, SourceState, SourceStatus};

use super::place;
use super::session::Asked;
use super::slot::Shared;
use super::target::{Address, Target, secret_in};
use super::watcher::Watcher;

/// Its row.
pub const KIND: Kind = Kind {
    kind: SourceKind::Redis,
    programs: &["redis-server", "valkey-server"],
    port: 6379,
    look: "redis-cli -p {port} INFO",
    reads: Some(&Redis),
};

/// The kind.
struct Redis;

impl Reads for Redis {
    fn configured(&self, asked: &Configured<'_>) -> Result<Arc<dyn Reach>, String> {
        let mut target = Target::parse(asked.url)?;
        if let Some(name) = asked.name {
            target.id = format!("redis:{name}");
        }
        if let Some(file) = asked.password_file {
            target.password_file = Some(file.into());
            target.reread();
        }
        Ok(Arc::new(target))
    }

    fn has_password(&self, url: &str) -> bool {
        secret_in(url)
    }

    fn url(&self) -> &'static str {
        "redis://USER@HOST:PORT, rediss:// for TLS, or unix:///PATH"
    }

    fn passwords(&self) -> &'static str {
        "REDISCLI_AUTH, REDIS_URL, or password_file in [redis.NAME]"
    }

    fn environment(&self, variable: &dyn Fn(&str) -> Option<String>, _: &Given) -> (Vec<Arc<dyn Reach>>, Vec<SourceStatus>) {
        let Some(url) = variable("REDIS_URL").filter(|url| !url.is_empty()) else { return (Vec::new(), Vec::new()) };
        match Target::parse(&url) {
            Ok(target) => (vec![Arc::new(target)], Vec::new()),
            Err(why) => {
                let wrong = SourceStatus {
                    why: Some(format!("the variable REDIS_URL: {why}")),
                    way_in: Some("correct REDIS_URL, or unset it".into()),
                    ..SourceStatus::new("redis:REDIS_URL", SourceKind::Redis, SourceState::NotWatched)
                };
                (Vec::new(), vec![wrong])
            }
        }
    }

    fn locate(&self, roots: &Roots, pid: i32, tcp: Option<u16>, _: &Given) -> Option<Arc<dyn Reach>> {
        let title = std::fs::read(roots.proc.join(pid.to_string()).join("cmdline")).ok()?;
        let trusted = owner_is_trusted(roots, pid);
        let address = match (by_title(&title), tcp) {
            (Some(Address::Tcp(host, port)), seen) if seen.is_none_or(|s| s == port) => Address::Tcp(host, port),
            (Some(socket @ Address::Socket(_)), None) => socket,
            (_, Some(port)) => Address::Tcp("127.0.0.1".into(), port),
            (found, None) => found?,
        };
        let process = ProcId { pid, start: place::started(roots, pid)? };
        Some(Arc::new(Target::seen(address, process, trusted)))
    }
}

/// `redis-server 127.0.0.1:6379`, `redis-server *:6379 [cluster]`, `redis-server unixsocket:/run/redis.sock`.
fn by_title(title: &[u8]) -> Option<Address> {
    let text = String::from_utf8_lossy(title);
    let mut words = text.split([' ', '\0']).filter(|w| !w.is_empty());
    let place = words.nth(1)?;
    if let Some(path) = place.strip_prefix("unixsocket:") {
        return path.starts_with('/').then(|| Address::Socket(PathBuf::from(path)));
    }
    let (host, port) = place.rsplit_once(':')?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "*" | "0.0.0.0" | "::" | "" | "-::*" | "::*" => "127.0.0.1",
        other => other.trim_start_matches('-'),
    };
    Some(Address::Tcp(host.to_owned(), port.parse().ok().filter(|p| *p > 0)?))
}

/// Root, an account of the system, or who runs perftop: no other user can ask for passwords there.
fn owner_is_trusted(roots: &Roots, pid: i32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(roots.proc.join(pid.to_string())).map(|m| m.uid());
    owner.is_ok_and(|uid| uid < 1000 || uid == rustix::process::getuid().as_raw())
}

impl Reach for Target {
    fn id(&self) -> &str {
        &self.id
    }

    fn port(&self) -> u16 {
        Self::port(self)
    }

    fn local(&self) -> bool {
        matches!(&self.address, Address::Tcp(host, _) if loopback(host))
    }

    fn discovered(&self) -> bool {
        self.seen.is_some()
    }

    fn watch(&self, roots: &Roots, asked: mpsc::Receiver<Demand>, stop: watch::Receiver<bool>) -> std::io::Result<Box<dyn Slot>> {
        let slot = Shared::default();
        let watcher = Watcher {
            target: self.clone(),
            roots: roots.clone(),
            slot: slot.clone(),
            asked,
            settings: BTreeMap::new(),
            connected: 0.0,
            known: None,
            asked_so_far: Asked::default(),
            walk: None,
        };
        spawn("redis", stop, move || watcher.run())?;
        Ok(Box::new(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_where_it_listens() {
        let of = |title: &str| by_title(title.as_bytes());
        let tcp = |host: &str, port| Some(Address::Tcp(host.into(), port));
        assert_eq!(of("/usr/bin/redis-server 127.0.0.1:6379"), tcp("127.0.0.1", 6379));
        assert_eq!(of("redis-server *:6380 [cluster]"), tcp("127.0.0.1", 6380));
        assert_eq!(of("valkey-server 10.0.0.5:7000\0\0"), tcp("10.0.0.5", 7000));
        assert_eq!(of("redis-server [::1]:6379"), tcp("::1", 6379));
        assert_eq!(of("redis-server unixsocket:/run/r.sock"), Some(Address::Socket("/run/r.sock".into())));
        assert_eq!((of("redis-server"), of("redis-server /etc/redis.conf"), of("")), (None, None, None));
    }
}
