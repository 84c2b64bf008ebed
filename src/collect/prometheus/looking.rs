//! One look at many things: its questions share a time, and what cannot be asked is said instead of held against the whole.

use std::collections::BTreeMap;

use crate::collect::clock;
use crate::model::cost::Cost;
use crate::model::foreign::Foreign;

use super::answers::Series;
use super::count::Answers;
use super::question::{FAR, Question};
use super::trouble::Trouble;

/// A look takes no longer than that: meanwhile nothing else is asked.
const LONGEST_NS: u64 = 30_000_000_000;
/// After so many questions in a row without an answer no more are asked.
const SILENT: u32 = 2;

/// A look.
pub struct Looking<'s, S> {
    server: &'s mut S,
    /// What it is called.
    name: &'static str,
    begin_ns: u64,
    silent: u32,
    /// When it began, seconds since 1970.
    pub end_s: i64,
    /// What of it is not known, and why.
    pub lacks: BTreeMap<String, Foreign>,
    /// What it took so far.
    pub cost: Cost,
}

impl<'s, S: Answers> Looking<'s, S> {
    /// Begins.
    pub fn new(server: &'s mut S, name: &'static str) -> Self {
        let (begin_ns, end_s) = (clock::mono_ns(), clock::now().wall_ms / 1000);
        Self { server, name, begin_ns, silent: 0, end_s, lacks: BTreeMap::new(), cost: Cost::default() }
    }

    /// One question about that. An answer that is not whole is none.
    ///
    /// # Errors
    /// The server cannot be asked at all.
    pub async fn ask(&mut self, about: &str, query: String, range: Option<(i64, i64, u64)>) -> Result<Vec<Series>, Trouble> {
        if self.silent >= SILENT || clock::mono_ns().saturating_sub(self.begin_ns) > LONGEST_NS {
            return self.lack(about, "not asked: the server takes too long");
        }
        self.cost.requests += 1;
        match self.server.ask(self.name, Question { query, range, patience: FAR }).await {
            Ok(told) => {
                self.silent = 0;
                self.cost.bytes += told.bytes as u64;
                match told.warnings.first() {
                    None => Ok(told.data),
                    Some(said) => self.lack(about, said.shown()),
                }
            }
            Err(trouble) if trouble.of_question() => {
                self.silent = if matches!(&trouble, Trouble::Silent(_))
                    || matches!(&trouble, Trouble::Refused { kind, .. } if kind == "timeout")
                {
                    self.silent + 1
                } else {
                    0
                };
                self.lack(about, &trouble.to_string())
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn lack(&mut self, about: &str, says: &str) -> Result<Vec<Series>, Trouble> {
        self.lacks.insert(about.to_owned(), Foreign::from(says));
        Ok(Vec::new())
    }

    /// What it took.
    pub fn took(&self) -> Cost {
        Cost { took_ms: clock::mono_ns().saturating_sub(self.begin_ns) / 1_000_000, ..self.cost }
    }
}
