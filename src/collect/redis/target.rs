//! Which server: a URL, a port that was seen. How it is reached and as whom.

use std::path::PathBuf;

use crate::collect::bounded;
use crate::collect::tls::{Certificates, Trust};
use crate::collect::url::{has_password, loopback, percent, split};
use crate::model::foreign::{Foreign, Private};
use crate::model::host::ProcId;
use crate::model::redis::Reached;
use crate::model::shell::Word;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host name or address, and port.
    Tcp(String, u16),
    /// Path of the socket.
    Socket(PathBuf),
}

/// A server to watch.
#[derive(Clone)]
pub struct Target {
    /// The source's id: `redis:6379`.
    pub id: String,
    /// Where.
    pub address: Address,
    /// The ACL user; `default` unless it is said.
    pub user: Option<String>,
    /// Its password, if one is known.
    pub password: Option<Private<String>>,
    /// The file that it was read from.
    pub password_file: Option<PathBuf>,
    /// TLS, and whom to believe.
    pub tls: Option<Trust>,
    /// By which certificates.
    pub certificates: Certificates,
    /// The process that was seen here; the server must turn out to be that one.
    pub seen: Option<ProcId>,
    /// What was merely seen gets no password of the environment unless whoever runs it may well be the server.
    pub trusted: bool,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

const FORM: &str = "write redis://USER@HOST:PORT, rediss://HOST:PORT for TLS, or unix:///PATH/OF/SOCKET";

impl Target {
    /// From a URL.
    ///
    /// # Errors
    /// What is wrong with it; the password is not in the message.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
        let (authority, query) = split(url);
        let named = |name: &str| {
            let value = query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
            value.map(percent).filter(|v| !v.is_empty())
        };
        let socket = matches!(scheme, "unix" | "redis+unix" | "valkey+unix");
        let tls = match scheme {
            "redis" | "valkey" => None,
            _ if socket => None,
            "rediss" | "valkeys" => Some(Trust::Host),
            _ => return Err(FORM.into()),
        };
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let address = match socket {
            true => {
                let path = percent(rest.split('?').next().unwrap_or_default());
                let path = path.rsplit_once('@').map_or(path.as_str(), |(_, path)| path);
                if !path.starts_with('/') {
                    return Err(FORM.into());
                }
                Address::Socket(path.into())
            }
            false => tcp(host)?,
        };
        let (name, in_url) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((name, password)) => (Some(percent(name)).filter(|n| !n.is_empty()), Some(percent(password))),
            None => (None, None),
        };
        // `redis://secret@host` would be a user of that name: nobody's password is sent as one.
        let password = in_url.filter(|p| !p.is_empty()).map(Private::new);
        let own = match (named("tls_cert"), named("tls_key")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err("tls_cert and tls_key go together: the certificate and its key".into()),
        };
        let certificates = Certificates { authority: named("tls_ca").map(PathBuf::from), own };
        let tls = tls.map(|_| match named("tls_verify").as_deref() {
            Some("none") => Trust::Anyone,
            Some("ca") => Trust::Authority,
            _ => Trust::Host,
        });
        let mut target = Self {
            id: String::new(),
            address,
            user: name,
            password,
            password_file: None,
            tls,
            certificates,
            seen: None,
            trusted: true,
        };
        target.id = target.default_id();
        Ok(target)
    }

    /// A server that was seen here.
    #[must_use]
    pub fn seen(address: Address, process: ProcId, trusted: bool) -> Self {
        let mut target = Self {
            id: String::new(),
            address,
            user: None,
            password: None,
            password_file: None,
            tls: None,
            certificates: Certificates::default(),
            seen: Some(process),
            trusted,
        };
        target.id = target.default_id();
        target
    }

    /// `redis:PORT` on this host, else `redis:HOST:PORT`.
    #[must_use]
    pub fn default_id(&self) -> String {
        match &self.address {
            Address::Tcp(host, port) if self.seen.is_some() || loopback(host) => format!("redis:{port}"),
            Address::Tcp(host, port) => format!("redis:{host}:{port}"),
            Address::Socket(path) => format!("redis:{}", Foreign::new(path.as_os_str().as_encoded_bytes()).shown()),
        }
    }

    /// The port; 0 through a socket.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match &self.address {
            Address::Tcp(_, port) => *port,
            Address::Socket(_) => 0,
        }
    }

    /// The client program with the way there, as nobody in particular: `redis-cli -h … -p …`.
    #[must_use]
    pub fn way(&self, client: &str) -> String {
        let tls = if self.tls.is_some() { " --tls" } else { "" };
        match &self.address {
            Address::Tcp(host, port) => match Word::quoted(host.as_bytes()).filter(|_| !loopback(host)) {
                Some(host) => format!("{client} -h {host} -p {port}{tls}"),
                None => format!("{client} -p {port}{tls}"),
            },
            Address::Socket(path) => match Word::quoted(path.as_os_str().as_encoded_bytes()) {
                Some(path) => format!("{client} -s {path}"),
                None => client.to_owned(),
            },
        }
    }

    /// The same as the user that perftop is there.
    #[must_use]
    pub fn cli(&self, client: &str) -> String {
        match self.user.as_deref().map(|user| Word::quoted(user.as_bytes())) {
            Some(Some(user)) => format!("{} --user {user} --askpass", self.way(client)),
            _ => self.way(client),
        }
    }

    /// The way there, as fixes name it.
    #[must_use]
    pub fn reached(&self) -> Reached {
        let (host, port, socket) = match &self.address {
            Address::Tcp(host, port) => (Foreign::from(host.as_str()), *port, Foreign::default()),
            Address::Socket(path) => (Foreign::default(), 0, Foreign::new(path.as_os_str().as_encoded_bytes())),
        };
        Reached { host, port, socket, user: Foreign::from(self.user.as_deref().unwrap_or_default()), tls: self.tls.is_some() }
    }

    /// The password to send, if there is one.
    #[must_use]
    pub fn secret(&self) -> Option<Private<String>> {
        let variable = || std::env::var("REDISCLI_AUTH").ok().filter(|p| !p.is_empty()).map(Private::new);
        if self.seen.is_some() && !self.trusted {
            return None;
        }
        self.password.clone().or_else(variable)
    }

    /// Reads the password again, where it comes from a file of its own.
    pub fn reread(&mut self) {
        let read = self.password_file.as_ref().and_then(|path| bounded::secret(path).ok());
        let text = read.as_deref().map(|text| text.trim_end_matches(['\n', '\r'])).unwrap_or_default();
        if !text.is_empty() {
            self.password = Some(Private::new(text.to_owned()));
        }
    }
}

fn tcp(host: &str) -> Result<Address, String> {
    const PORT: u16 = 6379;
    let number = |text: &str| text.parse::<u16>().ok().filter(|p| *p > 0).ok_or(format!("{text:?} is not a port; {FORM}"));
    if let Some(rest) = host.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(FORM)?;
        let port = rest.strip_prefix(':').map_or(Ok(PORT), number)?;
        return Ok(Address::Tcp(host.to_owned(), port));
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, number(port)?),
        None => (host, PORT),
    };
    let host = percent(host);
    Ok(Address::Tcp(if host.is_empty() { "localhost".into() } else { host }, port))
}

/// Whether the URL holds a password.
#[must_use]
pub fn secret_in(url: &str) -> bool {
    has_password(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_give_targets_with_the_ids_of_the_contract() {
        let id = |url: &str| Target::parse(url).map(|t| t.id);
        assert_eq!(id("redis://localhost").unwrap(), "redis:6379");
        assert_eq!(id("redis://10.0.2.5:7000/0").unwrap(), "redis:10.0.2.5:7000");
        assert_eq!(id("rediss://[fd00::1]:6380").unwrap(), "redis:fd00::1:6380");
        assert_eq!(id("unix:///run/redis/redis.sock").unwrap(), "redis:/run/redis/redis.sock");
        let t = Target::parse("rediss://app:p%40ss@cache.example?tls_verify=ca&tls_ca=/etc/ca.pem").unwrap();
        assert_eq!((t.user.as_deref(), t.tls), (Some("app"), Some(Trust::Authority)));
        assert_eq!(t.password.as_ref().map(|p| p.reveal().as_str()), Some("p@ss"));
        assert_eq!(t.cli("redis-cli"), "redis-cli -h cache.example -p 6379 --tls --user app --askpass");
        let t = Target::parse("redis://:secret@localhost").unwrap();
        assert_eq!((t.user, t.password.map(|p| p.reveal().clone())), (None, Some("secret".to_owned())));
        for wrong in
            ["", "redis", "http://x", "redis://h:0", "redis://h:99999", "redis://[::1", "unix://x", "rediss://h?tls_cert=/a"]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        assert!(secret_in("redis://:p@h") && secret_in("redis://u:p@h") && !secret_in("redis://u@h:1"));
    }

    #[test]
    fn what_was_merely_seen_gets_no_password_of_others() {
        let seen = Target::seen(Address::Tcp("127.0.0.1".into(), 6379), ProcId { pid: 42, start: 1 }, false);
        assert!(Target { password: Some(Private::new("x".into())), ..seen }.secret().is_none());
    }

    proptest! {
        #[test]
        fn no_url_panics(text in "(redis|rediss|unix)://\\PC{0,60}") {
            if let Ok(target) = Target::parse(&text) {
                _ = (target.cli("redis-cli"), target.default_id(), secret_in(&text));
            }
        }
    }
}
