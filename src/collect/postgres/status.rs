//! Where a server stands as a source: one truth, from what it said of itself and what it refused a moment ago.

use std::collections::BTreeMap;

use crate::model::postgres::{Server, StatementsView};
use crate::model::source::{Place, SourceKind, SourceState, SourceStatus};

use super::target::Target;
use super::trouble::Trouble;

/// What the sampling connection reads, each with its own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Sessions.
    Activity,
    /// Who waits for whom.
    Locks,
    /// What statements used.
    Statements,
    /// Texts of statements.
    Texts,
    /// Figures of databases, WAL, replication; settings.
    Cluster,
    /// One statement of those, by what it reads.
    Figures(&'static str),
}

impl Part {
    /// Where it comes from.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Activity => "pg_stat_activity",
            Self::Locks => "pg_locks",
            Self::Statements => "pg_stat_statements",
            Self::Texts => "texts of statements",
            Self::Cluster => "statistics of the cluster",
            Self::Figures(label) => label,
        }
    }
}

/// The state of a source that answers, with what it refused a moment ago: the header and the figures tell one truth.
/// `monitor`: our role has pg_monitor.
#[must_use]
pub fn missing(status: SourceStatus, failing: &BTreeMap<Part, Trouble>, monitor: bool) -> SourceStatus {
    let answers = matches!(status.state, SourceState::Ok | SourceState::Degraded);
    let Some((part, trouble)) = failing.iter().next().filter(|_| answers) else { return status };
    let others = match failing.len() - 1 {
        0 => String::new(),
        n => format!("; {n} more likewise"),
    };
    let lift = match trouble.code() {
        // lock_not_available: our own limit of 100 ms.
        "55P03" => Some(
            "find who locks the catalogs: SELECT pid, relation, mode FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock';",
        ),
        // A role that has it already was refused what was revoked from it.
        "42501" if monitor => Some("have an administrator re-grant pg_monitor the privilege named in the message"),
        "42501" => Some("GRANT pg_monitor to the role that perftop uses"),
        _ => None,
    };
    SourceStatus {
        state: SourceState::Degraded,
        why: Some(format!("{} cannot be read: {trouble}{others}", part.label())),
        way_in: lift.map(str::to_owned).or(status.way_in),
        ..status
    }
}

/// Of a server of which nothing is known yet.
#[must_use]
pub fn blank(target: &Target) -> SourceStatus {
    SourceStatus {
        place: if target.discovered { Place::Local } else { Place::Unknown },
        ..SourceStatus::new(&target.id, SourceKind::Postgres, SourceState::NotWatched)
    }
}

/// How to be let in.
#[must_use]
pub fn way_in(target: &Target) -> String {
    match target.discovered {
        true => format!(
            "sudo perftop, or your own role: CREATE ROLE \"$USER\" LOGIN IN ROLE pg_monitor; (by {})",
            target.psql("postgres", "postgres")
        ),
        false => "a role that may log in, with pg_monitor; its password in PGPASSWORD, ~/.pgpass or password_file".to_owned(),
    }
}

/// Of a server that introduced itself.
#[must_use]
pub fn introduced(target: &Target, server: &Server) -> SourceStatus {
    let login = &server.login;
    let (why, way_in) = if !login.monitor {
        let role = crate::model::postgres::identifier(&login.role);
        (
            Some(format!("role {} may not see the sessions and statements of others", login.role)),
            role.map(|role| format!("GRANT pg_monitor TO {role};")),
        )
    } else {
        match &server.statements {
            StatementsView::Missing { why, lift, .. } => (Some(why.clone()), Some(lift.clone())),
            StatementsView::Ready { .. } => (None, None),
        }
    };
    SourceStatus {
        state: if why.is_some() { SourceState::Degraded } else { SourceState::Ok },
        place: server.place,
        role: Some(if server.standby { "standby" } else { "primary" }.to_owned()),
        version: Some(server.version.shown().to_owned()),
        reader: Some(match (login.superuser, login.monitor) {
            (true, _) => format!("{} (superuser, sampling as pg_monitor)", login.role),
            (false, true) => "pg_monitor".to_owned(),
            (false, false) => login.role.shown().to_owned(),
        }),
        why,
        way_in,
        ..blank(target)
    }
}
