//! Who waits for whose lock: `pg_blocking_pids`, `pg_locks`, `pg_prepared_xacts`.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

use super::activity::Session;

/// The waits for locks in one sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Blocking {
    /// Who waits; at most as many as were asked about.
    pub waiters: Vec<Waiter>,
    /// Waiters that were not checked: each query takes the lock manager.
    pub more: u32,
    /// Sessions in the way that `Activity` left out: idle ones that hold an advisory lock.
    pub holders: Vec<Session>,
}

/// One who waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiter {
    /// Who.
    pub pid: i32,
    /// Whom it waits for, by `pg_blocking_pids`: holders, and those before it in the queue; 0 is a prepared transaction.
    pub by: Vec<i32>,
    /// `locktype`: relation, transactionid, tuple, advisory …; `notify` for a commit that notifies.
    pub kind: String,
    /// The mode that it wants.
    pub mode: String,
    /// OID of the database.
    pub database: Option<u32>,
    /// OID of the relation, its own or that of the row it waits for.
    pub relation: Option<u32>,
    /// That relation's name, where it is in the database that we are in: schema and name, quoted as SQL needs it.
    pub name: Option<Foreign>,
    /// For how long, seconds; by `waitstart`, before 14 by the change of state.
    pub waited_s: Option<f64>,
    /// The transaction it waits for, when it waits for one.
    pub transaction: Option<u32>,
}
