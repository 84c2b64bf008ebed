//! Which server, and with which credentials: URLs, `PG*`, password and service files. The files supply credentials for a target
//! that is known, never targets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::model::foreign::{Foreign, Private};
use crate::model::shell::Word;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host name or address.
    Tcp(String),
    /// Directory of the socket.
    Socket(PathBuf),
}

/// A server to watch.
#[derive(Clone)]
pub struct Target {
    /// The source's id: `postgres:5432`.
    pub id: String,
    /// Where.
    pub address: Address,
    /// The port; of a socket the number in its name.
    pub port: u16,
    /// Database; `postgres` unless it is said.
    pub database: String,
    /// Role; that of the user who runs perftop unless it is said.
    pub role: Option<String>,
    /// Password, if one is known.
    pub password: Option<Private<String>>,
    /// `sslmode` as it was said; unsaid, TLS is required to other hosts and preferred on this one.
    pub tls: Option<PgSslMode>,
    /// The rest of what a URL may say.
    pub extra: PgConnectOptions,
    /// Seen here rather than asked for.
    pub discovered: bool,
    /// May become the owner of the socket for the moment of the connect, as root.
    pub impersonate: bool,
}

impl std::fmt::Debug for Target {
    /// Its id only: the library's options hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

impl Target {
    /// From a URL.
    ///
    /// # Errors
    /// What is wrong with it; the password is not in the message.
    pub fn parse(url: &str) -> Result<Self, String> {
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !scheme {
            return Err("write postgres://USER@HOST:PORT/DATABASE, or postgres:///DATABASE?host=/var/run/postgresql".into());
        }
        // A user without a host, as libpq takes it; the query names the socket.
        let (scheme_end, rest) = url.split_once("://").map_or(("", url), |(s, r)| (s, r));
        let whole = match rest.find(['/', '?']).map(|at| rest.split_at(at)) {
            Some((authority, tail)) if authority.ends_with('@') => format!("{scheme_end}://{authority}localhost{tail}"),
            _ => url.to_owned(),
        };
        let extra = PgConnectOptions::from_str(&whole).map_err(|e| {
            let hint =
                if rest.contains('@') { "; in a name or a password # / : @ % are written %23 %2F %3A %40 %25" } else { "" };
            let said = e.to_string();
            format!("{}{hint}", Foreign::from(said.trim_start_matches("error with configuration: ")).shown())
        })?;
        let (authority, query) = split(url);
        let named = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        let address = match extra.get_socket() {
            Some(dir) => Address::Socket(dir.clone()),
            None if extra.get_host().starts_with('/') => Address::Socket(extra.get_host().into()),
            // The brackets of an IPv6 address are the URL's.
            None => Address::Tcp(extra.get_host().trim_start_matches('[').trim_end_matches(']').to_owned()),
        };
        let password = user
            .and_then(|u| u.split_once(':'))
            .map(|(_, password)| percent(password))
            .or_else(|| named("password").map(percent));
        let port = extra.get_port();
        let mut target = Self {
            id: String::new(),
            address,
            port,
            database: extra.get_database().unwrap_or("postgres").to_owned(),
            role: Some(extra.get_username().to_owned()).filter(|_| user.is_some() || named("user").is_some()),
            password: password.filter(|p| !p.is_empty()).map(Private::new),
            tls: named("sslmode").map(|_| extra.get_ssl_mode()),
            extra,
            discovered: false,
            impersonate: true,
        };
        target.id = target.default_id();
        Ok(target)
    }

    /// A server that was seen here behind a socket.
    #[must_use]
    pub fn socket(dir: &Path, port: u16) -> Self {
        let extra = PgConnectOptions::new_without_pgpass().socket(dir).port(port);
        let mut target = Self {
            id: String::new(),
            address: Address::Socket(dir.to_owned()),
            port,
            database: "postgres".into(),
            role: None,
            password: None,
            tls: None,
            extra,
            discovered: true,
            impersonate: true,
        };
        target.id = target.default_id();
        target
    }

    /// `postgres:PORT` on this host, else `postgres:HOST:PORT`.
    #[must_use]
    pub fn default_id(&self) -> String {
        match &self.address {
            Address::Tcp(host) if !loopback(host) => format!("postgres:{host}:{}", self.port),
            _ => format!("postgres:{}", self.port),
        }
    }

    /// Host and port as people write them.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.address {
            Address::Tcp(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            Address::Tcp(host) => format!("{host}:{}", self.port),
            Address::Socket(dir) => format!("{}:{}", dir.display(), self.port),
        }
    }

    /// The same by a command that gets in: `psql -h … -p … -U … DB`.
    #[must_use]
    pub fn psql(&self, role: &str, database: &str) -> String {
        let host = match &self.address {
            Address::Tcp(host) => host.as_bytes(),
            Address::Socket(dir) => dir.as_os_str().as_encoded_bytes(),
        };
        let option = |name: &str, value: &[u8]| Word::quoted(value).map_or_else(String::new, |word| format!(" {name} {word}"));
        let [host, role, database] =
            [("-h", host), ("-U", role.as_bytes()), ("-d", database.as_bytes())].map(|(name, value)| option(name, value));
        format!("psql{host} -p {}{role}{database}", self.port)
    }

    /// Where TCP reaches it: all addresses of its name; none through a socket, or while the name cannot be looked up.
    pub async fn addresses(&self) -> Vec<std::net::SocketAddr> {
        const LOOK_UP: std::time::Duration = std::time::Duration::from_millis(500);
        let Address::Tcp(host) = &self.address else { return Vec::new() };
        let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host.as_str(), self.port)));
        found.await.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
    }

    /// True when it is reached by this host's own addresses only.
    #[must_use]
    pub fn near(&self) -> bool {
        match &self.address {
            Address::Socket(_) => true,
            Address::Tcp(host) => loopback(host),
        }
    }

    /// The options to connect with, as `role`, to `database`.
    #[must_use]
    pub fn options(&self, role: &str, database: &str, credentials: &Credentials) -> PgConnectOptions {
        let tls = self.tls.unwrap_or(if self.near() { PgSslMode::Prefer } else { PgSslMode::Require });
        let mut options = self
            .extra
            .clone()
            .username(role)
            .database(database)
            .port(self.port)
            .application_name(super::APPLICATION)
            .statement_cache_capacity(0)
            .extra_float_digits(None)
            .ssl_mode(tls);
        options = match &self.address {
            Address::Tcp(host) => options.host(host),
            Address::Socket(dir) => options.socket(dir),
        };
        let host = match &self.address {
            Address::Tcp(host) => host.as_str(),
            Address::Socket(_) => "localhost",
        };
        let known = self.password.as_ref().map(|p| p.reveal().clone());
        // What was merely seen gets no password, of a file or of the environment, unless whoever runs it may well be the server.
        if self.discovered && !self.trusted() {
            return options.password("");
        }
        match known.or_else(|| credentials.password(host, self.port, database, role)) {
            Some(password) => options.password(&password),
            None => options,
        }
    }

    /// The socket belongs to root, to us or to an account of the system, so that no other user can ask for passwords there.
    fn trusted(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Address::Socket(dir) = &self.address else { return false };
        let owner = std::fs::metadata(dir.join(format!(".s.PGSQL.{}", self.port))).map(|m| m.uid());
        owner.is_ok_and(|uid| uid < 1000 || uid == rustix::process::getuid().as_raw())
    }
}

/// Authority and query of a URL.
fn split(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    (authority, rest.split_once('?').map_or("", |(_, query)| query))
}

/// `%40` becomes `@`.
fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok())).flatten();
        out.push(hex.unwrap_or(bytes[at]));
        at += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The host is this one by its name.
#[must_use]
pub fn loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// True when a URL holds a password, which has no place on a command line.
#[must_use]
pub fn has_password(url: &str) -> bool {
    let (authority, query) = split(url);
    let in_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, p)| !p.is_empty()));
    in_user || query.split('&').any(|p| p.starts_with("password=") && p.len() > "password=".len())
}

/// The text of a file in the home directory, or where that variable says; empty when there is none, or others may read it.
fn private(variable: &str, name: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(name));
    let Some(path) = std::env::var_os(variable).map(PathBuf::from).or_else(home) else { return String::new() };
    let private = std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o077 == 0);
    if private { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() }
}

/// Passwords of the password file and of services.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    entries: Vec<[Private<String>; 5]>,
}

impl Credentials {
    /// Reads `PGPASSFILE` or `~/.pgpass`, then `PGSERVICEFILE` or `~/.pg_service.conf`; one that others may read is left alone,
    /// as libpq does with the first.
    #[must_use]
    pub fn read() -> Self {
        let mut all = Self::parse(&private("PGPASSFILE", ".pgpass"));
        all.entries.extend(Self::services(&private("PGSERVICEFILE", ".pg_service.conf")).entries);
        all
    }

    /// Sections of a service file: the password of a role on a host. One that names neither is for whomever, and left out.
    #[must_use]
    pub fn services(text: &str) -> Self {
        let mut sections: Vec<BTreeMap<&str, &str>> = Vec::new();
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            match line.split_once('=') {
                _ if line.starts_with('[') => sections.push(BTreeMap::new()),
                Some((key, value)) => {
                    if let Some(section) = sections.last_mut() {
                        section.insert(key.trim(), value.trim());
                    }
                }
                None => {}
            }
        }
        let entry = |s: &BTreeMap<&str, &str>| {
            let host = s.get("host").or_else(|| s.get("hostaddr"))?;
            let any = |key: &str, other: &'static str| (*s.get(key).unwrap_or(&other)).to_owned();
            let parts = [
                (*host).to_owned(),
                any("port", "5432"),
                any("dbname", "*"),
                (*s.get("user")?).to_owned(),
                (*s.get("password")?).to_owned(),
            ];
            Some(parts.map(Private::new))
        };
        Self { entries: sections.iter().filter_map(entry).collect() }
    }

    /// Lines `host:port:database:user:password`; `\:` and `\\` are escaped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let mut parts = vec![String::new()];
            let mut chars = line.chars();
            while let Some(c) = chars.next() {
                match c {
                    '\\' => parts.last_mut()?.extend(chars.next()),
                    ':' if parts.len() < 5 => parts.push(String::new()),
                    c => parts.last_mut()?.push(c),
                }
            }
            let parts: [String; 5] = parts.try_into().ok()?;
            Some(parts.map(Private::new))
        };
        let lines = text.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        Self { entries: lines.filter_map(entry).collect() }
    }

    fn password(&self, host: &str, port: u16, database: &str, role: &str) -> Option<String> {
        let fits = |pattern: &Private<String>, value: &str| pattern.reveal() == "*" || pattern.reveal() == value;
        let port = port.to_string();
        let found =
            self.entries.iter().find(|[h, p, d, u, _]| fits(h, host) && fits(p, &port) && fits(d, database) && fits(u, role));
        found.map(|[.., password]| password.reveal().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_give_targets_with_the_ids_of_the_contract() {
        let t = Target::parse("postgres://app@10.0.2.5:6432/shop?sslmode=disable").unwrap();
        assert_eq!((t.id.as_str(), t.database.as_str(), t.role.as_deref()), ("postgres:10.0.2.5:6432", "shop", Some("app")));
        assert!(!t.near() && t.password.is_none());
        let t = Target::parse("postgres:///shop?host=/run/pg&port=5499").unwrap();
        assert_eq!((t.id.as_str(), t.address.clone()), ("postgres:5499", Address::Socket("/run/pg".into())));
        assert!(t.near());
        let t = Target::parse("postgresql://u:p%40ss@localhost/db").unwrap();
        assert_eq!(t.password.unwrap().reveal(), "p@ss");
        assert!(Target::parse("mysql://x").is_err());
        assert!(has_password("postgres://u:p@h/d") && has_password("postgres://h/d?password=x"));
        assert!(!has_password("postgres://u@h/d") && !has_password("postgres://h:5432/d"));
    }

    /// Whoever opens a socket is handed what is sent there.
    #[test]
    fn what_was_merely_seen_gets_a_password_only_from_an_owner_who_is_trusted() {
        let dir = crate::collect::host::tempdir::Dir::new();
        let path = dir.path().join(".s.PGSQL.7001");
        let credentials = Credentials::parse("*:*:*:*:secret");
        let sent = |t: &Target| format!("{:?}", t.options("app", "shop", &credentials)).contains("secret");
        let mut target = Target::socket(dir.path(), 7001);
        assert!(!sent(&target), "no socket, no password");
        std::fs::write(&path, "").unwrap();
        assert!(sent(&target), "our own");
        if std::os::unix::fs::chown(&path, Some(54_321), None).is_ok() {
            assert!(!sent(&target), "another user's");
            target.discovered = false;
            assert!(sent(&target), "asked for by name");
        }
    }

    #[test]
    fn a_password_file_supplies_the_first_line_that_fits() {
        let c = Credentials::parse("# comment\nh:1:*:u:a\\:b\n*:*:*:*:c\nbroken\n");
        assert_eq!(c.password("h", 1, "d", "u").as_deref(), Some("a:b"));
        assert_eq!(c.password("h", 2, "d", "u").as_deref(), Some("c"));
        assert_eq!(Credentials::parse("h:1:d:u:p").password("x", 1, "d", "u"), None);
    }

    #[test]
    fn a_service_supplies_the_password_of_its_role_on_its_host() {
        let text = "[shop]\nhost = db1\nport=6000\nuser=app\npassword= x=y\n# [off]\n[half]\npassword=z\nuser=app\n[two]\nhost=db2\nuser=u\npassword=p";
        let c = Credentials::services(text);
        assert_eq!(c.password("db1", 6000, "any", "app").as_deref(), Some("x=y"));
        assert_eq!((c.password("db1", 5432, "any", "app"), c.password("db3", 5432, "any", "app")), (None, None));
        assert_eq!(c.password("db2", 5432, "d", "u").as_deref(), Some("p"));
    }

    proptest! {
        #[test]
        fn no_service_file_panics(text in "[\\[\\]a-z=# \n]{0,80}") {
            _ = Credentials::services(&text);
            _ = Credentials::parse(&text);
        }

        #[test]
        fn no_url_panics(text in "postgres://\\PC{0,60}") {
            _ = Target::parse(&text);
            _ = has_password(&text);
        }
    }
}
