//! Where a server stands as a source, and the way in.

use std::collections::BTreeMap;

use crate::model::foreign::Foreign;
use crate::model::prometheus::Instance;
use crate::model::shell::Word;
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::target::Target;
use super::trouble::Trouble;

fn blank(target: &Target, state: SourceState) -> SourceStatus {
    let place = if target.seen.is_some() { Place::Local } else { Place::Unknown };
    SourceStatus { place, ..SourceStatus::new(&target.id, SourceKind::Prometheus, state) }
}

/// Of a server that introduced itself; `warnings`: answers that are not whole.
#[must_use]
pub fn introduced(target: &Target, instance: &Instance, warnings: &BTreeMap<String, Foreign>) -> SourceStatus {
    let state = if warnings.is_empty() { SourceState::Ok } else { SourceState::Degraded };
    let first = warnings.iter().next();
    SourceStatus {
        place: instance.place.unwrap_or_else(|| blank(target, state).place),
        role: Some(instance.flavour.name().to_owned()),
        version: Some(instance.version.shown().to_owned()).filter(|v| !v.is_empty()),
        reader: target.user.clone().or_else(|| target.token_file.as_ref().map(|_| "token".to_owned())),
        why: first.map(|(asked, said)| format!("not whole: {asked}: {}", said.shown())),
        way_in: first.map(|_| look(target, "/api/v1/query?query=up")),
        ..blank(target, state)
    }
}

/// Of a server that refuses us, or does not answer.
#[must_use]
pub fn lost(target: &Target, known: Option<&Instance>, trouble: &Trouble) -> SourceStatus {
    let name = target.id.split_once(':').map_or("NAME", |(_, name)| name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let section = if name.chars().all(plain) && name.chars().any(|c| !c.is_ascii_digit()) { name } else { "NAME" };
    let (state, way_in) = match trouble {
        Trouble::Denied(_) => (
            SourceState::Denied,
            format!("user and password_file, token_file or header_file in [prometheus.{section}] of the configuration"),
        ),
        Trouble::Elsewhere(_) => (SourceState::Unreachable, "name the URL that it sends us to, where that is its own".to_owned()),
        Trouble::Other(_) | Trouble::Refused { .. } | Trouble::TooLarge => {
            (SourceState::Unreachable, look(target, "/api/v1/status/buildinfo"))
        }
        Trouble::Tls(_) => (
            SourceState::Unreachable,
            format!(
                "tls_ca, tls_cert and tls_key in [prometheus.{section}] of the configuration, or http:// where it speaks no TLS"
            ),
        ),
        Trouble::Nobody(_) | Trouble::Silent(_) => (SourceState::Unreachable, look(target, "/-/ready")),
    };
    SourceStatus {
        version: known.map(|k| k.version.shown().to_owned()).filter(|v| !v.is_empty()),
        why: Some(trouble.to_string()),
        way_in: Some(way_in),
        ..blank(target, state)
    }
}

/// How it is looked at by hand.
#[must_use]
pub fn look(target: &Target, path: &str) -> String {
    let url = format!("{}{path}", target.base);
    Word::quoted(url.as_bytes()).map_or_else(|| "curl".to_owned(), |word| format!("curl -sS {word}"))
}
