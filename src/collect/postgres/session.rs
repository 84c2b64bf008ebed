//! One connection and how it is asked: each batch is one round trip in a read-only transaction of its own, with limits that
//! end with it, so that it is the same through a pooler. Answers are text; cells are read in their order.
//! What never lives here: which SQL (one file per probe), when (`watcher`).

use std::time::Duration;

use futures_util::StreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Either, Row as _};

use crate::collect::clock;
use crate::model::foreign::Foreign;

use super::guard::Guard;
use super::trouble::Trouble;

/// A batch of many statements may take so many times what one of few may.
const MANY: u32 = 3;

/// A connection with its limits.
pub struct Session {
    connection: PgConnection,
    guard: Guard,
    limits: Limits,
    /// Least round trip so far, milliseconds.
    pub floor_ms: f64,
    /// Names come as the bytes that they are: some are not of the database's encoding, and the server will not convert them.
    unconverted: bool,
}

/// What every batch is run under.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `statement_timeout`.
    pub statement: Duration,
    /// How long a whole batch may take before the connection is given up.
    pub batch: Duration,
    /// The role to drop to, if there is one.
    pub role: Option<String>,
    /// `client_connection_check_interval` exists (14 and later).
    pub checks_client: bool,
    /// `work_mem` for readers of long texts.
    pub work_mem: &'static str,
}

impl Limits {
    /// The settings as one statement, for this transaction only. `foreign`: another role's statement is planned, as the server
    /// would plan it, but for parallel workers: a serial plan shows all of the work.
    fn sql(&self, unconverted: bool, foreign: bool) -> String {
        let mut settings = vec![
            ("search_path", "pg_catalog, pg_temp".to_owned()),
            ("statement_timeout", format!("{}ms", self.statement.as_millis())),
            ("lock_timeout", "100ms".to_owned()),
            ("idle_in_transaction_session_timeout", "5s".to_owned()),
            ("application_name", super::mark::APPLICATION.to_owned()),
            ("max_parallel_workers_per_gather", "0".to_owned()),
            ("jit", "off".to_owned()),
        ];
        if !foreign {
            settings.push(("work_mem", self.work_mem.to_owned()));
            // Our joins stand in the order in which they are to be made: to try all others costs more than the answers.
            settings.extend(["join_collapse_limit", "from_collapse_limit"].map(|name| (name, "1".to_owned())));
        }
        if unconverted {
            settings.push(("client_encoding", "SQL_ASCII".to_owned()));
        }
        if self.checks_client {
            settings.push(("client_connection_check_interval", "500ms".to_owned()));
        }
        settings.extend(self.role.clone().map(|role| ("role", role)));
        let calls = settings.iter().map(|(name, value)| format!("pg_catalog.set_config('{name}', {}, true)", literal(value)));
        format!("SELECT {}", calls.collect::<Vec<_>>().join(", "))
    }
}

/// A statement with our mark behind its first word: what stands before it is not part of it since PostgreSQL 18.
#[must_use]
pub fn marked(statement: &str) -> String {
    let (verb, rest) = statement.split_once(' ').unwrap_or((statement, ""));
    format!("{verb} {} {rest}", super::mark::MARK)
}

/// A string as SQL writes it, whatever `standard_conforming_strings` says.
#[must_use]
pub fn literal(text: &str) -> String {
    if text.contains('\\') {
        return format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Answers of a batch: one list of rows per statement.
pub type Answers = Vec<Vec<PgRow>>;

impl Session {
    /// Wraps a fresh connection.
    pub fn new((connection, guard): (PgConnection, Guard), limits: Limits) -> Self {
        Self { connection, guard, limits, floor_ms: f64::INFINITY, unconverted: false }
    }

    /// Changes the limits from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The server asked for a password before it let us in.
    #[must_use]
    pub fn asked_for_password(&self) -> bool {
        self.guard.asked()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits as one statement, for this transaction only; for statements of ours, or for a foreign one that is planned.
    #[must_use]
    pub fn settings(&self, foreign: bool) -> String {
        marked(&self.limits.sql(self.unconverted, foreign))
    }

    /// Asks: the statements, joined by semicolons, in one read-only transaction. Gives their rows and how long it took, ms.
    ///
    /// # Errors
    /// What the server said; after anything fatal the session is to be dropped.
    pub async fn ask(&mut self, statements: &[String]) -> Result<(Answers, f64), Trouble> {
        self.ask_within(statements, self.limits.batch).await
    }

    async fn ask_within(&mut self, statements: &[String], patience: Duration) -> Result<(Answers, f64), Trouble> {
        let answer = self.ask_once(statements, patience).await;
        // Bytes that are not text in the encoding, or that have no like in ours.
        let refused = answer.as_ref().is_err_and(|trouble| matches!(trouble.code(), "22021" | "22P05"));
        if refused && !self.unconverted {
            self.unconverted = true;
            return self.ask_once(statements, patience).await;
        }
        answer
    }

    /// Asks, and when the server refuses the batch, asks each statement alone: one that is refused does not take the others with it.
    /// Gives the rows of each, or what the server said to it, and what all of it cost, ms.
    ///
    /// # Errors
    /// What broke the connection.
    pub async fn each(&mut self, statements: &[String]) -> Result<(Vec<Result<Vec<PgRow>, Trouble>>, f64), Trouble> {
        // Many statements, of which each alone may be slow without being out of time.
        let patience = self.limits.batch * MANY;
        match self.ask_within(statements, patience).await {
            Ok((answers, took_ms)) => return Ok((answers.into_iter().map(Ok).collect(), self.cost_ms(took_ms))),
            Err(trouble) if trouble.fatal() => return Err(trouble),
            // Alone already: it need not be asked again.
            Err(trouble) if statements.len() == 1 => return Ok((vec![Err(trouble)], 0.0)),
            Err(_) => {}
        }
        let mut each = Vec::with_capacity(statements.len());
        let mut cost_ms = 0.0;
        for statement in statements {
            each.push(match self.ask(std::slice::from_ref(statement)).await {
                Ok((mut answers, took_ms)) => {
                    cost_ms += self.cost_ms(took_ms);
                    Ok(answers.pop().unwrap_or_default())
                }
                Err(trouble) if trouble.fatal() => return Err(trouble),
                Err(trouble) => Err(trouble),
            });
        }
        Ok((each, cost_ms))
    }

    async fn ask_once(&mut self, statements: &[String], patience: Duration) -> Result<(Answers, f64), Trouble> {
        let mut sql = format!("BEGIN READ ONLY; {}; ", self.settings(false));
        for statement in statements {
            sql.push_str(&marked(statement));
            sql.push_str("; ");
        }
        sql.push_str("COMMIT");
        let start = clock::instant();
        let answer = match tokio::time::timeout(patience, collect(&mut self.connection, sql)).await {
            Ok(answer) => answer,
            Err(_) => return Err(Trouble::TimedOut(patience)),
        };
        let took_ms = start.elapsed().as_secs_f64() * 1000.0;
        match answer {
            Ok(mut answers) => {
                // BEGIN, the settings, …, COMMIT.
                answers.drain(..2.min(answers.len()));
                answers.truncate(statements.len());
                answers.resize_with(statements.len(), Vec::new);
                Ok((answers, took_ms))
            }
            Err(error) => {
                let trouble = self.guard.trouble(&error);
                if !trouble.fatal() {
                    self.rollback().await?;
                }
                Err(trouble)
            }
        }
    }

    /// Sends text as it is, outside of a batch; for plans only.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn raw(&mut self, sql: String) -> Result<Answers, Trouble> {
        let patience = self.limits.statement + Duration::from_millis(500);
        match tokio::time::timeout(patience, collect(&mut self.connection, sql)).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) => {
                let trouble = self.guard.trouble(&error);
                if !trouble.fatal() {
                    self.rollback().await?;
                }
                Err(trouble)
            }
            Err(_) => Err(Trouble::TimedOut(patience)),
        }
    }

    /// Prepares a statement by the extended protocol, which takes one statement only and infers the types of its parameters.
    ///
    /// # Errors
    /// As [`Session::ask`].
    pub async fn prepare_one(&mut self, sql: String) -> Result<(), Trouble> {
        let patience = self.limits.statement + Duration::from_millis(500);
        let run = sqlx::query(AssertSqlSafe(sql)).persistent(false).execute(&mut self.connection);
        match tokio::time::timeout(patience, run).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.guard.trouble(&error)),
            Err(_) => Err(Trouble::TimedOut(patience)),
        }
    }

    /// Ends a transaction, whatever became of it.
    ///
    /// # Errors
    /// When the connection is to be dropped.
    pub async fn rollback(&mut self) -> Result<(), Trouble> {
        let patience = Duration::from_millis(500);
        match tokio::time::timeout(patience, collect(&mut self.connection, "ROLLBACK".to_owned())).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Trouble::Lost(self.guard.trouble(&error).to_string())),
            Err(_) => Err(Trouble::TimedOut(patience)),
        }
    }

    /// Milliseconds of `took_ms` that were the server's work: what is above the least round trip.
    pub fn cost_ms(&mut self, took_ms: f64) -> f64 {
        self.floor_ms = self.floor_ms.min(took_ms);
        took_ms - self.floor_ms
    }

    /// Ends the connection politely, for at most a moment.
    pub async fn close(self) {
        let Self { connection, guard, .. } = self;
        let politely = async {
            _ = connection.close().await;
            guard.finish().await;
        };
        _ = tokio::time::timeout(Duration::from_millis(200), politely).await;
    }
}

/// Rows of one batch. Ours bring some 10,000 at the most (two times 5,000 names, as many statements).
const ROWS: usize = 20_000;

async fn collect(connection: &mut PgConnection, sql: String) -> Result<Answers, sqlx::Error> {
    let mut answers: Answers = vec![Vec::new()];
    let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    let mut rows_seen = 0;
    while let Some(step) = stream.next().await {
        rows_seen += 1;
        if rows_seen > ROWS {
            return Err(sqlx::Error::Protocol(format!("it sent more than {ROWS} rows")));
        }
        match step? {
            Either::Left(_) => answers.push(Vec::new()),
            Either::Right(row) => {
                if let Some(rows) = answers.last_mut() {
                    rows.push(row);
                }
            }
        }
    }
    answers.pop();
    Ok(answers)
}

/// Reads the cells of a row from left to right.
pub struct Cells<'a> {
    row: &'a PgRow,
    at: usize,
}

impl<'a> Cells<'a> {
    /// From the first cell on.
    #[must_use]
    pub const fn of(row: &'a PgRow) -> Self {
        Self { row, at: 0 }
    }

    /// The bytes of the next cell; `None` for NULL and for a cell that is not there.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let at = self.at;
        self.at += 1;
        self.row.try_get_raw(at).ok()?.as_bytes().ok()
    }

    /// The next cell as text from outside; empty for NULL, and for one that is longer than any that is asked for.
    pub fn text(&mut self) -> Foreign {
        const LONGEST: usize = 64 << 10;
        self.bytes().filter(|bytes| bytes.len() <= LONGEST).map_or_else(Foreign::default, Foreign::new)
    }

    /// The next cell as a word of the server's own.
    pub fn word(&mut self) -> String {
        self.text().shown().to_owned()
    }

    /// The next cell as a number of any kind.
    pub fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        std::str::from_utf8(self.bytes()?).ok()?.parse().ok()
    }

    /// The next cell as a count; a negative one is 0.
    pub fn count(&mut self) -> Option<u64> {
        let text = std::str::from_utf8(self.bytes()?).ok()?;
        text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|v| v.max(0.0) as u64))
    }

    /// The next cell as a truth value.
    pub fn flag(&mut self) -> Option<bool> {
        self.bytes().map(|b| b == b"t" || b == b"true" || b == b"on")
    }
}
