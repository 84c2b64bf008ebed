//! Which server: a URL, a socket that was seen. How to reach it, and by which options.
//! What never lives here: passwords of files (`credentials`).

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::credentials::Credentials;

use crate::collect::bounded;
use crate::collect::tls::{Certificates, Trust};
use crate::collect::url::{loopback, percent, split};
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
    /// The file that it was read from.
    pub password_file: Option<PathBuf>,
    /// `sslmode` as it was said; unsaid, TLS is required to other hosts and preferred on this one.
    pub tls: Option<PgSslMode>,
    /// By which certificates.
    pub certificates: Certificates,
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
        // Without a password in it the library would read a password file by itself, be it a device that never ends.
        let joint = if whole.contains('?') { '&' } else { '?' };
        let whole = if crate::collect::url::has_password(url) { whole } else { format!("{whole}{joint}password=none") };
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
            password_file: None,
            tls: mode(named("sslmode"), extra.get_ssl_mode(), named("sslrootcert").map(percent).as_deref())?,
            certificates: certificates(|url, variable| {
                let said = url.iter().find_map(|name| named(name)).map(percent);
                said.or_else(|| std::env::var(variable).ok()).filter(|path| !path.is_empty())
            })?,
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
            password_file: None,
            tls: None,
            certificates: Certificates::default(),
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
        // With `=` in it psql takes a name for a whole connection string.
        let name = if database.contains(['=', ':']) {
            format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
        } else {
            database.to_owned()
        };
        let words = (Word::quoted(host), Word::quoted(role.as_bytes()), Word::quoted(name.as_bytes()));
        match words {
            (Some(host), Some(role), Some(name)) => format!("psql -h {host} -p {} -U {role} -d {name}", self.port),
            _ => format!("psql to port {}, with a role and a database whose names cannot be passed to a shell", self.port),
        }
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

    /// Whether TLS is asked for, whether there may be none, and whom it must prove. None through a socket.
    #[must_use]
    pub fn encryption(&self) -> Option<(bool, Trust)> {
        use PgSslMode as M;
        if matches!(self.address, Address::Socket(_)) {
            return None;
        }
        match self.tls.unwrap_or(if self.near() { M::Prefer } else { M::Require }) {
            M::Disable | M::Allow => None,
            M::Prefer => Some((true, Trust::Anyone)),
            // As libpq has it: who names an authority wants it to be asked.
            M::Require if self.certificates.authority.is_none() => Some((false, Trust::Anyone)),
            M::Require | M::VerifyCa => Some((false, Trust::Authority)),
            M::VerifyFull => Some((false, Trust::Host)),
        }
    }

    /// The options to speak with, as `role`, to `database`, through the guard's socket in `dir`.
    #[must_use]
    pub fn options(&self, role: &str, database: &str, credentials: &Credentials, dir: &Path) -> PgConnectOptions {
        let options = self
            .extra
            .clone()
            .username(role)
            .database(database)
            .port(self.port)
            .application_name(super::mark::APPLICATION)
            .statement_cache_capacity(0)
            .extra_float_digits(None)
            .ssl_mode(PgSslMode::Disable)
            .socket(dir);
        match self.secret(role, database, credentials) {
            Some(password) => options.password(password.reveal()),
            // The library would look for one itself.
            None => options.password(""),
        }
    }

    /// The password to send, if there is one.
    #[must_use]
    pub fn secret(&self, role: &str, database: &str, credentials: &Credentials) -> Option<Private<String>> {
        let host = match &self.address {
            Address::Tcp(host) => host.as_str(),
            Address::Socket(_) => "localhost",
        };
        // What was merely seen gets no password, of a file or of the environment, unless whoever runs it may well be the server.
        if self.discovered && !self.trusted() {
            return None;
        }
        let known = self.password.clone().or_else(|| credentials.password(host, self.port, database, role).map(Private::new));
        // What the library takes from the environment for a server that was asked for.
        known.or_else(|| std::env::var("PGPASSWORD").ok().filter(|p| !p.is_empty()).map(Private::new))
    }

    /// Reads the password again, where it comes from a file of its own.
    pub fn reread(&mut self) {
        let read = self.password_file.as_ref().and_then(|path| bounded::secret(path).ok());
        let text = read.as_deref().map(|text| text.trim_end_matches(['\n', '\r'])).unwrap_or_default();
        // One that is just being rewritten may be empty for a moment: no password is better than a wrong one.
        if !text.is_empty() {
            self.password = Some(Private::new(text.to_owned()));
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

/// `sslmode` of a URL, else of `PGSSLMODE`, which the library has read. The authorities of the system vouch for anybody's host: with
/// them only the name makes the difference, as libpq has it since 16.
fn mode(said: Option<&str>, read: PgSslMode, authority: Option<&str>) -> Result<Option<PgSslMode>, String> {
    let by_variable = || std::env::var("PGSSLMODE").ok().filter(|mode| !mode.is_empty()).map(|_| read);
    let mode = said.map(|_| read).or_else(by_variable);
    let variable = || std::env::var("PGSSLROOTCERT").is_ok_and(|path| path == "system");
    let of_system = authority.map_or_else(variable, |path| path == "system");
    match mode {
        _ if !of_system => Ok(mode),
        None | Some(PgSslMode::VerifyFull) => Ok(Some(PgSslMode::VerifyFull)),
        Some(_) => {
            Err("sslrootcert=system needs sslmode=verify-full: anyone can get a certificate from those authorities".into())
        }
    }
}

/// Certificates by the parameters of a URL, else by libpq's variables.
fn certificates(said: impl Fn(&[&str], &str) -> Option<String>) -> Result<Certificates, String> {
    // `system` is libpq's word for the authorities of the system; what it asks of sslmode says `mode`.
    let authority = said(&["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT").filter(|path| path != "system");
    let certificate = said(&["sslcert", "ssl-cert"], "PGSSLCERT");
    let key = said(&["sslkey", "ssl-key"], "PGSSLKEY");
    let own = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
        (None, None) => None,
        (Some(_), None) => return Err("sslcert needs sslkey, the key of that certificate".into()),
        (None, Some(_)) => return Err("sslkey needs sslcert, the certificate of that key".into()),
    };
    Ok(Certificates { authority: authority.map(PathBuf::from), own })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::url::has_password;
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
        let sent = |t: &Target| format!("{:?}", t.options("app", "shop", &credentials, Path::new("/"))).contains("secret");
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

    proptest! {
        #[test]
        fn no_url_panics(text in "postgres://\\PC{0,60}") {
            _ = Target::parse(&text);
            _ = has_password(&text);
        }
    }
}
