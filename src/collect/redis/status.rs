//! Where a server stands as a source, and the way in.

use crate::model::redis::{Instance, Mode};
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::probe::acl;
use super::target::Target;
use super::trouble::Trouble;

/// Of a server of which nothing is known yet.
#[must_use]
pub fn blank(target: &Target, state: SourceState) -> SourceStatus {
    SourceStatus {
        place: if target.seen.is_some() { Place::Local } else { Place::Unknown },
        ..SourceStatus::new(&target.id, SourceKind::Redis, state)
    }
}

/// Of a server that introduced itself.
#[must_use]
pub fn introduced(target: &Target, instance: &Instance) -> SourceStatus {
    let denied = instance.missing.values().find(|lack| lack.lift.is_some());
    let role = match (instance.mode, instance.replica) {
        (Mode::Sentinel, _) => "sentinel",
        (Mode::Cluster, false) => "cluster primary",
        (Mode::Cluster, true) => "cluster replica",
        (Mode::Standalone, false) => "primary",
        (Mode::Standalone, true) => "replica",
    };
    SourceStatus {
        place: instance.place,
        role: Some(role.to_owned()),
        version: Some(instance.version.shown().to_owned()),
        reader: Some(if instance.reached.user.is_empty() { "default" } else { instance.reached.user.shown() }.to_owned()),
        why: denied.map(ToString::to_string),
        way_in: denied.and_then(|lack| lack.lift.clone()),
        ..blank(target, if denied.is_some() { SourceState::Degraded } else { SourceState::Ok })
    }
}

/// Of a server that refuses us, or does not answer.
#[must_use]
pub fn lost(target: &Target, known: Option<&Instance>, trouble: &Trouble) -> SourceStatus {
    let cli = target.cli(known.map_or("redis-cli", Instance::client));
    let (state, way_in) = match trouble {
        _ if trouble.of_password() => (
            SourceState::Denied,
            "its password in REDISCLI_AUTH, or password_file in [redis.NAME] of the configuration".to_owned(),
        ),
        Trouble::Refused { word, .. } if word == "NOPERM" => (SourceState::Denied, acl(target)),
        Trouble::Refused { word, .. } if word == "DENIED" => {
            (SourceState::Denied, "protected mode: ask it from its own host, or give it a password".to_owned())
        }
        Trouble::Refused { message, .. } if message.contains("max number of clients") => {
            (SourceState::Unreachable, format!("end idle clients, or raise maxclients by a client that is connected: {cli}"))
        }
        Trouble::Refused { word, .. } if word == "BUSY" => (SourceState::Unreachable, format!("{cli} SCRIPT KILL")),
        Trouble::Refused { .. } => (SourceState::Denied, cli),
        Trouble::Nobody(_) => (SourceState::Unreachable, format!("start the server, or name it: {cli}")),
        Trouble::Silent(_) | Trouble::Lost(_) | Trouble::TooLarge => (SourceState::Unreachable, format!("{cli} PING")),
    };
    SourceStatus {
        place: known.map_or_else(|| blank(target, state).place, |k| k.place),
        version: known.map(|k| k.version.shown().to_owned()),
        why: Some(match trouble {
            Trouble::Lost(why) if target.tls.is_none() => format!("{why}: does it expect TLS (rediss://)?"),
            Trouble::Lost(why) | Trouble::Silent(why) if target.tls.is_some() => {
                format!("{why}: does it speak TLS at all (redis://)?")
            }
            other => other.to_string(),
        }),
        way_in: Some(way_in),
        ..blank(target, state)
    }
}
