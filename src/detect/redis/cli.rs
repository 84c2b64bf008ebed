//! How an operator reaches a server: `redis-cli -p 6379`, for commands that are pasted into a shell.

use crate::detect::command::Part;
use crate::model::facts::RedisFacts;
use crate::model::shell::Word;

/// The client program with its options. Every name in it is one word of a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cli(String);

impl Cli {
    /// As it is typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Part for Cli {
    fn write(&self, out: &mut String) {
        out.push_str(&self.0);
    }
}

/// The way to a server; `None` where it cannot be written safely.
#[must_use]
pub fn cli(r: &RedisFacts) -> Option<Cli> {
    let instance = r.instance.as_ref()?;
    let way = &instance.reached;
    let mut text = instance.client().to_owned();
    if way.socket.is_empty() {
        let near =
            way.host.shown() == "localhost" || way.host.shown().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !near {
            text.push_str(&format!(" -h {}", Word::quoted(way.host.raw())?));
        }
        text.push_str(&format!(" -p {}", way.port));
    } else {
        text.push_str(&format!(" -s {}", Word::quoted(way.socket.raw())?));
    }
    if !way.user.is_empty() {
        text.push_str(&format!(" --user {} --askpass", Word::quoted(way.user.raw())?));
    }
    if way.tls {
        text.push_str(" --tls");
    }
    Some(Cli(text))
}
