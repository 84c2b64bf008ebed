//! A table or an index in a statement to paste: by its name, or by its OID where no text can be the name (no UTF-8, or escapes that the
//! encoding of its database does not know).

use crate::detect::command::Command;
use crate::detect::finding::{Fix, Horizon, Phase};
use crate::model::facts::PgFacts;
use crate::model::foreign::Foreign;
use crate::model::postgres::{identifier, literal, qualified};
use crate::model::subject::{Subject, SubjectType};

use super::support::sql;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// How people read it.
    pub label: String,
    /// How SQL writes it.
    name: Option<String>,
    oid: u32,
    database: String,
}

impl Object {
    /// Of that database.
    #[must_use]
    pub fn of(pg: &PgFacts, database: &Foreign, schema: &Foreign, name: &Foreign, oid: u32) -> Self {
        let utf8 = pg.catalogs.get(database.shown()).is_none_or(|c| matches!(c.encoding.as_str(), "" | "UTF8"));
        let written = qualified(schema, name).filter(|text| utf8 || !text.contains("U&\""));
        let label = written.clone().unwrap_or_else(|| format!("{}.{}", schema.shown(), name.shown()));
        let database = identifier(database).unwrap_or_else(|| database.shown().to_owned());
        Self { label, name: written, oid, database }
    }

    /// The subject of a finding about it.
    #[must_use]
    pub fn subject(&self, kind: SubjectType) -> Subject {
        Subject::new(kind, format!("{}.{}", self.database, self.label), self.label.clone())
    }

    /// A statement about it: what stands before its name, and what behind. By the OID psql writes the name itself.
    #[must_use]
    pub fn statement(&self, before: &str, after: &str) -> String {
        if let Some(name) = &self.name {
            return format!("{before}{name}{after};");
        }
        let pattern = format!("{}%s{}", before.replace('%', "%%"), after.replace('%', "%%"));
        let pattern = literal(&Foreign::from(pattern.as_str())).unwrap_or_default();
        format!("SELECT format({pattern}, {}::oid::regclass) \\gexec", self.oid)
    }

    /// A vacuum of it, of so many pages, by its owner.
    #[must_use]
    pub fn vacuum(&self, pg: &PgFacts, database: &Foreign, title: &str, owner: &Foreign, pages: u64) -> Fix {
        /// Bytes per second that a vacuum reads and writes, throttled as it is by default.
        const BYTES_PER_S: f64 = 50e6;
        let command = self.statement("VACUUM (VERBOSE, ANALYZE) ", "");
        let mut fix = sql(pg, Phase::Relief, Horizon::Immediate, title, command, database);
        fix.risk = "reads and writes the table; blocks neither reads nor writes; keeps rows that the horizon holds".into();
        fix.needs = format!("owner of the table ({owner}), or MAINTAIN on it");
        fix.takes_s = Some((pages as f64 * 8192.0 / BYTES_PER_S).max(1.0).round());
        fix.verify = Command::sql(format!(
            "SELECT n_dead_tup, n_live_tup, last_vacuum FROM pg_stat_user_tables WHERE relid = {}::oid;",
            self.oid
        ));
        fix
    }

    /// Autovacuum comes to it sooner: `what` is vacuum or analyze, `own` what the table has of its own. `None` where that is
    /// as small already; the default of the server is not compared.
    #[must_use]
    pub fn sooner(&self, pg: &PgFacts, database: &Foreign, owner: &Foreign, (what, own): (&str, Option<f64>)) -> Option<Fix> {
        const FACTOR: f64 = 0.02;
        let option = format!("autovacuum_{what}_scale_factor");
        let server = || pg.cluster.as_ref().ok()?.number(&option);
        if own.or_else(server).is_some_and(|now| now <= FACTOR) {
            return None;
        }
        let title = format!("Trigger auto{what} earlier for it (at 2 % of its rows)");
        let command = self.statement("ALTER TABLE ", &format!(" SET ({option} = {FACTOR})"));
        let mut fix = sql(pg, Phase::Cure, Horizon::ShortTerm, &title, command, database);
        fix.undo = Some(Command::sql(match own {
            Some(own) => self.statement("ALTER TABLE ", &format!(" SET ({option} = {own})")),
            None => self.statement("ALTER TABLE ", &format!(" RESET ({option})")),
        }));
        fix.risk = format!("auto{what} runs on it more often; a brief lock that blocks no reads or writes");
        fix.needs = format!("owner of the table ({owner})");
        Some(fix)
    }

    /// True once nothing has its OID any more.
    #[must_use]
    pub fn gone(&self) -> Command {
        Command::sql(format!("SELECT count(*) = 0 AS gone FROM pg_class WHERE oid = {}::oid;", self.oid))
    }
}
