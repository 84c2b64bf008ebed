//! Prometheus as a kind of server: found by its process and port, named by URLs, watched by its own thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::collect::bounded;
use crate::collect::kind::Kind;
use crate::collect::root::Roots;
use crate::collect::tls::Trust;
use crate::collect::url::loopback;
use crate::collect::watched::{Configured, Given, Reach, Reads, Slot, spawn};
use crate::model::demand::Demand;
use crate::model::host::ProcId;
use crate::model::source::{SourceKind, SourceState, SourceStatus};

use super::slot::Shared;
use super::target::{Target, secret_in};
use super::watcher::Watcher;

/// Its row.
pub const KIND: Kind = Kind {
    kind: SourceKind::Prometheus,
    programs: &["prometheus", "victoria-metric", "victoria-metrics"],
    port: 9090,
    look: "curl -s localhost:{port}/api/v1/targets",
    reads: Some(&Prometheus),
};

/// The kind.
struct Prometheus;

impl Reads for Prometheus {
    fn configured(&self, asked: &Configured<'_>) -> Result<Arc<dyn Reach>, String> {
        let mut target = Target::parse(asked.url)?;
        if let Some(name) = asked.name {
            target.id = format!("prometheus:{name}");
        }
        let text = |key: &str| asked.more.get(key).map(|text| (*text).to_owned());
        let path = |key: &str| text(key).map(PathBuf::from);
        for key in ["token_file", "header_file"] {
            if let Some(file) = path(key) {
                bounded::secret(&file).map_err(|refused| format!("{key}: {refused}"))?;
            }
        }
        target.user = text("user").or(target.user);
        target.password_file = asked.password_file.map(Path::to_path_buf);
        (target.token_file, target.header_file) = (path("token_file"), path("header_file"));
        target.tenant = text("tenant");
        target.certificates.authority = path("tls_ca");
        target.certificates.own = match (path("tls_cert"), path("tls_key")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("tls_cert and tls_key go together: the certificate and its key".into()),
        };
        target.trust = match text("tls_verify").as_deref() {
            None | Some("full") => Trust::Host,
            Some("ca") => Trust::Authority,
            Some("none") => Trust::Anyone,
            Some(other) => return Err(format!("tls_verify = {other:?}: write full, ca or none")),
        };
        if target.password_file.is_some() && target.user.is_none() {
            return Err("password_file needs a user: user = \"NAME\", or http://NAME@HOST".into());
        }
        Ok(Arc::new(counts(target, asked.given)))
    }

    fn has_password(&self, url: &str) -> bool {
        secret_in(url)
    }

    fn url(&self) -> &'static str {
        "http://HOST:PORT, or https://HOST/PREFIX"
    }

    fn passwords(&self) -> &'static str {
        "PROMETHEUS_URL, or password_file and token_file in [prometheus.NAME]"
    }

    fn environment(&self, variable: &dyn Fn(&str) -> Option<String>, given: &Given) -> (Vec<Arc<dyn Reach>>, Vec<SourceStatus>) {
        let Some(url) = variable("PROMETHEUS_URL").filter(|url| !url.is_empty()) else { return (Vec::new(), Vec::new()) };
        match Target::parse(&url) {
            Ok(target) => (vec![Arc::new(counts(target, given))], Vec::new()),
            Err(why) => {
                let wrong = SourceStatus {
                    why: Some(format!("the variable PROMETHEUS_URL: {why}")),
                    way_in: Some("correct PROMETHEUS_URL, or unset it".into()),
                    ..SourceStatus::new("prometheus:PROMETHEUS_URL", SourceKind::Prometheus, SourceState::NotWatched)
                };
                (Vec::new(), vec![wrong])
            }
        }
    }

    fn locate(&self, roots: &Roots, pid: i32, tcp: Option<u16>, given: &Given) -> Option<Arc<dyn Reach>> {
        let title = std::fs::read(roots.proc.join(pid.to_string()).join("cmdline")).ok()?;
        let port = tcp.or_else(|| port_of(&title))?;
        let stat = std::fs::read_to_string(roots.proc.join(pid.to_string()).join("stat")).ok()?;
        let start = stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()?;
        let mut target = Target::seen(port, ProcId { pid, start }).ok()?;
        // Behind `--web.external-url` or `--web.route-prefix` its API has a prefix.
        if let Some(prefix) = prefix_of(&title) {
            target.base.push_str(&prefix);
        }
        Some(Arc::new(counts(target, given)))
    }
}

/// The objectives that it is to count.
fn counts(mut target: Target, given: &Given) -> Target {
    let name = target.id.split_once(':').map_or("", |(_, name)| name).to_owned();
    let mine = given.objectives.iter().filter(|o| o.at.as_deref().is_none_or(|at| at == name));
    target.objectives = mine.cloned().collect();
    (target.left_out, target.rules) = (given.left_out.clone(), given.rules.clone());
    (target.capacity, target.kpis) = (given.capacity.clone(), given.kpis.clone());
    target
}

/// The value of an option: `--name=value`, `--name value`, or with one dash.
fn option<'t>(title: &'t str, name: &str) -> Option<&'t str> {
    let mut words = title.split('\0');
    while let Some(word) = words.next() {
        let Some(word) = word.strip_prefix('-').map(|w| w.trim_start_matches('-')) else { continue };
        match word.split_once('=') {
            Some((found, value)) if found == name => return Some(value),
            None if word == name => return words.next(),
            _ => {}
        }
    }
    None
}

fn port_of(title: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(title);
    let address = option(&text, "web.listen-address").or_else(|| option(&text, "httpListenAddr"));
    match address {
        Some(address) => address.rsplit_once(':')?.1.parse().ok().filter(|p| *p > 0),
        None if text.contains("victoria") => Some(8428),
        None => Some(9090),
    }
}

fn prefix_of(title: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(title);
    let external = || {
        let url = option(&text, "web.external-url")?;
        Some(url.split_once("://").map_or(url, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path)))
    };
    let prefix = option(&text, "web.route-prefix").or_else(external).or_else(|| option(&text, "http.pathPrefix"))?;
    let prefix = prefix.trim_matches('/');
    (!prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c))).then(|| format!("/{prefix}"))
}

impl Reach for Target {
    fn id(&self) -> &str {
        &self.id
    }

    fn port(&self) -> u16 {
        self.port
    }

    fn local(&self) -> bool {
        let host = self.base.split_once("://").map_or("", |(_, rest)| rest.split(['/']).next().unwrap_or(""));
        loopback(host.rsplit_once(':').map_or(host, |(host, _)| host).trim_start_matches('[').trim_end_matches(']'))
    }

    fn discovered(&self) -> bool {
        self.seen.is_some()
    }

    fn watch(&self, roots: &Roots, asked: mpsc::Receiver<Demand>, stop: watch::Receiver<bool>) -> std::io::Result<Box<dyn Slot>> {
        let slot = Shared::default();
        let watcher = Watcher::new(self.clone(), roots.clone(), slot.clone(), asked);
        spawn("prometheus", stop, move || watcher.run())?;
        Ok(Box::new(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_says_where_it_listens() {
        let port = |title: &str| port_of(title.replace(' ', "\0").as_bytes());
        assert_eq!(port("prometheus --web.listen-address=127.0.0.1:9191"), Some(9191));
        assert_eq!(port("prometheus --web.listen-address :9192"), Some(9192));
        assert_eq!(port("/usr/bin/prometheus"), Some(9090));
        assert_eq!(port("victoria-metrics -httpListenAddr=:8429"), Some(8429));
        assert_eq!(port("victoria-metrics"), Some(8428));
        let prefix = |title: &str| prefix_of(title.replace(' ', "\0").as_bytes());
        assert_eq!(prefix("prometheus --web.external-url=https://x.example/prom/"), Some("/prom".into()));
        assert_eq!(prefix("prometheus --web.external-url=https://x.example/prom --web.route-prefix=/"), None);
        assert_eq!(prefix("prometheus --web.external-url=https://x.example"), None);
    }
}
