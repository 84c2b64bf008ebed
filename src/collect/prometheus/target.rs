//! Which server: a URL, a port that was seen. How it is reached and as whom.

use std::path::PathBuf;
use std::sync::Arc;

use crate::collect::bounded;
use crate::collect::tls::{Certificates, Trust};
use crate::collect::url::{has_password, loopback, percent, split};
use crate::model::alerting::RuleText;
use crate::model::capacity::plan::CapacityPlan;
use crate::model::foreign::Private;
use crate::model::host::ProcId;
use crate::model::kpi::KpiPlan;
use crate::model::objective::Objective;

/// A server to ask.
#[derive(Clone)]
pub struct Target {
    /// The source's id: `prometheus:9090`.
    pub id: String,
    /// Its URL up to the prefix, without a user and without a slash at the end.
    pub base: String,
    /// Its port.
    pub port: u16,
    /// The user, and where the password comes from.
    pub user: Option<String>,
    /// Its password, if one is known.
    pub password: Option<Private<String>>,
    /// The file that it is read from.
    pub password_file: Option<PathBuf>,
    /// A file with a bearer token, which is read again for each question: tokens are rotated.
    pub token_file: Option<PathBuf>,
    /// The tenant of Mimir, Cortex or Thanos (`X-Scope-OrgID`).
    pub tenant: Option<String>,
    /// A file of headers, one a line: `Name: value`.
    pub header_file: Option<PathBuf>,
    /// By which certificates.
    pub certificates: Certificates,
    /// Whom to believe.
    pub trust: Trust,
    /// The process that was seen here.
    pub seen: Option<ProcId>,
    /// What it is asked to count.
    pub objectives: Vec<Objective>,
    /// Objectives that are left out, with the reason.
    pub left_out: Vec<String>,
    /// Rules that it is asked to evaluate.
    pub rules: Vec<RuleText>,
    /// What it is asked for of capacity.
    pub capacity: Arc<CapacityPlan>,
    /// The key figures that it is asked for.
    pub kpis: Arc<KpiPlan>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
}

const FORM: &str = "write http://HOST:PORT or https://HOST/PREFIX";

impl Target {
    /// From a URL.
    ///
    /// # Errors
    /// What is wrong with it; the password is not in the message.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| format!("an address without http:// or https://: {FORM}"))?;
        let default = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return Err(FORM.into()),
        };
        let (authority, query) = split(url);
        if !query.is_empty() || rest.contains('#') {
            return Err(format!("{FORM}, without ? and #"));
        }
        if rest.split_once('/').is_some_and(|(_, path)| path.contains('@')) {
            return Err(format!("{FORM}: a / or @ of a user or password is written %2F or %40"));
        }
        if !rest.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{FORM}, with %20 for a space"));
        }
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (name, port) = host_and_port(host, default)?;
        let prefix = rest.split_once('/').map_or("", |(_, path)| path).trim_end_matches('/');
        // Some write the address of the API, or of the page.
        let prefix = ["api/v1", "graph", "query"].iter().find_map(|tail| prefix.strip_suffix(tail)).unwrap_or(prefix);
        let prefix = prefix.trim_end_matches('/');
        let base = format!("{scheme}://{host}{}{prefix}", if prefix.is_empty() { "" } else { "/" });
        let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
            Some((user, password)) => (Some(percent(user)).filter(|u| !u.is_empty()), Some(percent(password))),
            None => (None, None),
        };
        Ok(Self {
            id: if loopback(&name) { format!("prometheus:{port}") } else { format!("prometheus:{name}:{port}") },
            base,
            port,
            user,
            password: password.filter(|p| !p.is_empty()).map(Private::new),
            password_file: None,
            token_file: None,
            tenant: None,
            header_file: None,
            certificates: Certificates::default(),
            trust: Trust::Host,
            seen: None,
            objectives: Vec::new(),
            left_out: Vec::new(),
            rules: Vec::new(),
            capacity: Arc::default(),
            kpis: Arc::default(),
        })
    }

    /// A server that was seen here.
    ///
    /// # Errors
    /// Never for a port that is one.
    pub fn seen(port: u16, process: ProcId) -> Result<Self, String> {
        Ok(Self { seen: Some(process), ..Self::parse(&format!("http://127.0.0.1:{port}"))? })
    }

    /// Its password, read again where it comes from a file.
    #[must_use]
    pub fn secret(&self) -> Option<Private<String>> {
        line_of(self.password_file.as_ref()).or_else(|| self.password.clone())
    }

    /// Its token, read again.
    #[must_use]
    pub fn token(&self) -> Option<Private<String>> {
        line_of(self.token_file.as_ref())
    }

    /// Headers that are sent along, read again.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Private<String>)> {
        let text = self.header_file.as_ref().and_then(|path| bounded::secret(path).ok()).unwrap_or_default();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), Private::new(value.trim().to_owned())))
        };
        let tenant = self.tenant.iter().map(|tenant| ("X-Scope-OrgID".to_owned(), Private::new(tenant.clone())));
        text.lines().filter_map(header).chain(tenant).collect()
    }
}

fn line_of(path: Option<&PathBuf>) -> Option<Private<String>> {
    let text = bounded::secret(path?).ok()?;
    let text = text.trim_end_matches(['\n', '\r']);
    (!text.is_empty()).then(|| Private::new(text.to_owned()))
}

fn host_and_port(host: &str, default: u16) -> Result<(String, u16), String> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|p| *p > 0).ok_or(format!("that is not a valid port; {FORM}"));
    if let Some(rest) = host.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(FORM)?;
        return Ok((host.to_owned(), rest.strip_prefix(':').map_or(Ok(default), number)?));
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, number(port)?),
        None => (host, default),
    };
    if name.is_empty() { Err(FORM.into()) } else { Ok((name.to_owned(), port)) }
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
        let of = |url: &str| Target::parse(url).map(|t| (t.id, t.base));
        let is = |id: &str, base: &str| Ok((id.to_owned(), base.to_owned()));
        assert_eq!(of("http://localhost:9090"), is("prometheus:9090", "http://localhost:9090"));
        assert_eq!(of("http://localhost:9090/"), is("prometheus:9090", "http://localhost:9090"));
        assert_eq!(
            of("https://mimir.example/prometheus/"),
            is("prometheus:mimir.example:443", "https://mimir.example/prometheus")
        );
        assert_eq!(of("http://10.0.2.5:9090/api/v1"), is("prometheus:10.0.2.5:9090", "http://10.0.2.5:9090"));
        assert_eq!(of("http://[fd00::1]:9090/x"), is("prometheus:fd00::1:9090", "http://[fd00::1]:9090/x"));
        let t = Target::parse("https://app:p%40ss@metrics.example").unwrap();
        assert_eq!((t.user.as_deref(), t.base.as_str()), (Some("app"), "https://metrics.example"));
        assert_eq!(t.secret().map(|p| p.reveal().clone()), Some("p@ss".to_owned()));
        for wrong in
            ["", "localhost:9090", "ftp://x", "http://h:0", "http://:9090", "http://[::1", "http://h/?a=b", "http://h/a b"]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
        assert!(secret_in("http://u:p@h") && !secret_in("http://u@h:1"));
    }

    proptest! {
        #[test]
        fn no_url_panics(text in "https?://\\PC{0,60}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert!(!target.base.contains('@') || text.matches('@').count() > 1);
            }
        }
    }
}
