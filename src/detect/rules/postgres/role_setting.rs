//! A setting for the new sessions of a role, as a fix: with the way back to what the role has of its own now.

use crate::detect::command::Command;
use crate::detect::finding::{Fix, Horizon, Phase, Preflight};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::{RoleSetting, identifier, literal};

use super::support::sql;

/// So many settings are read: of more than these some are not listed.
const LISTED: usize = 500;

/// The fix. `None` where the role's name cannot be written, and where it has that or more already.
#[must_use]
pub fn role_setting(
    pg: &PgFacts,
    phase: Phase,
    horizon: Horizon,
    title: &str,
    role: &Foreign,
    (name, value): (&str, &str),
) -> Option<Fix> {
    let who = identifier(role)?;
    let known = pg.cluster.as_ref().ok().map(|c| c.role_settings.as_slice());
    let rows = known.unwrap_or_default();
    let of_role = |row: &&RoleSetting| row.role.raw() == role.raw() && row.name == name;
    let now = rows.iter().filter(of_role).find(|row| row.database.is_empty());
    if now.is_some_and(|row| enough(name, row.value.shown(), value)) {
        return None;
    }
    let mut fix = sql(pg, phase, horizon, title, format!("ALTER ROLE {who} SET {name} = '{value}';"), &Foreign::default());
    fix.undo = match now.map(|row| literal(&row.value)) {
        // What was not read may be there.
        None if known.is_none_or(|rows| rows.len() >= LISTED) => None,
        None => Some(Command::sql(format!("ALTER ROLE {who} RESET {name};"))),
        Some(value) => value.map(|value| Command::sql(format!("ALTER ROLE {who} SET {name} = {value};"))),
    };
    // What is set for the role in one database wins over what is set for the role.
    fix.preflight = rows
        .iter()
        .filter(of_role)
        .filter(|row| !row.database.is_empty())
        .map(|row| Preflight {
            ok: false,
            what: format!("in database {} the role has its own {name} = {}, which takes precedence", row.database, row.value),
        })
        .collect();
    fix.preflight.insert(0, new_sessions(pg, role));
    fix.waits = true;
    fix.needs = "a role that may alter that role".into();
    if let Some(role) = literal(role) {
        fix.verify = Command::sql(format!(
            "SELECT setdatabase, setconfig FROM pg_db_role_setting WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = {role});"
        ));
    }
    Some(fix)
}

/// What is set for a role counts from a session's start: those that run keep what they have.
fn new_sessions(pg: &PgFacts, role: &Foreign) -> Preflight {
    let known = pg.cluster.as_ref().ok().filter(|_| pg.refused(&["postgres.connections"]).is_none());
    let Some(rows) = known.map(|c| c.connections.as_slice()) else {
        return Preflight { ok: false, what: "applies to new sessions; the number of open ones is not known here".into() };
    };
    let running: u32 = rows.iter().filter(|row| row.role == *role).map(|row| row.all).sum();
    let what = match running {
        0 => "applies to new sessions".to_owned(),
        n => {
            format!("applies to new sessions: its {n} open ones get it when they reconnect (restart its pool, or end idle ones)")
        }
    };
    Preflight { ok: running == 0, what }
}

/// The value of now is as good as the one that is proposed: more memory, a shorter limit, the same word.
fn enough(name: &str, now: &str, proposed: &str) -> bool {
    match (quantity(now), quantity(proposed)) {
        // 0 is no limit at all.
        (Some(now), Some(proposed)) if name.ends_with("timeout") => now > 0.0 && now <= proposed,
        (Some(now), Some(proposed)) => now >= proposed,
        _ => now == proposed,
    }
}

/// A setting as the server reads it: kilobytes, or milliseconds, where it has no unit (`work_mem`, the timeouts).
fn quantity(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..at].parse().ok()?;
    let unit = match text[at..].trim() {
        "" | "kB" | "ms" => 1.0,
        "B" | "us" => 1e-3,
        "MB" => 1024.0,
        "GB" => 1_048_576.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_has_already_is_not_proposed() {
        for (name, now, proposed, expected) in [
            ("work_mem", "64MB", "32MB", true),
            ("work_mem", "333kB", "8MB", false),
            ("work_mem", "8192", "8MB", true),
            ("statement_timeout", "0", "30s", false),
            ("statement_timeout", "5s", "30s", true),
            ("statement_timeout", "1min", "30s", false),
            ("statement_timeout", "30000", "30s", true),
            ("synchronous_commit", "off", "off", true),
            ("synchronous_commit", "local", "off", false),
        ] {
            assert_eq!(enough(name, now, proposed), expected, "{name} {now} {proposed}");
        }
    }
}
