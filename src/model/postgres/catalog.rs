//! One database as it was visited: tables, indexes and sequences that could matter.

use serde::{Deserialize, Serialize};

use crate::model::foreign::Foreign;

/// One visit to one database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalog {
    /// The database.
    pub database: Foreign,
    /// Its OID.
    pub oid: u32,
    /// When, by the server's clock, microseconds since 1970.
    pub server_us: i64,
    /// Statistics were reset then; `None` = never.
    pub reset_us: Option<i64>,
    /// Its encoding: UTF8, SQL_ASCII ….
    pub encoding: String,
    /// Tables, the largest and the most troubled.
    pub tables: Vec<TableRow>,
    /// Tables that were left out.
    pub more_tables: u32,
    /// Invalid, unused and large indexes.
    pub indexes: Vec<IndexRow>,
    /// Indexes that another one makes superfluous.
    pub duplicates: Vec<DuplicateIndex>,
    /// Sequences that are used up by more than a tenth.
    pub sequences: Vec<SequenceRow>,
    /// Sequences whose position this role may not see.
    pub hidden_sequences: u32,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the views' columns; units in the names")]
pub struct TableRow {
    pub oid: u32,
    pub schema: Foreign,
    pub name: Foreign,
    /// `r`, `m`, `p`, `t`.
    pub kind: String,
    pub pages: u64,
    pub rows: f64,
    pub live: u64,
    pub dead: u64,
    pub modified: u64,
    pub seq_rows: u64,
    pub index_scans: u64,
    pub writes: u64,
    /// Dead rows from which autovacuum acts.
    pub vacuum_at: f64,
    pub autovacuum: bool,
    /// Seconds ago.
    pub vacuumed_s: Option<f64>,
    pub analyzed_s: Option<f64>,
    /// age(relfrozenxid), transactions.
    pub xid_age: u64,
    pub owner: Foreign,
    /// `autovacuum_vacuum_scale_factor` and `autovacuum_analyze_scale_factor` of its own.
    pub vacuum_factor: Option<f64>,
    pub analyze_factor: Option<f64>,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the views' columns; units in the names")]
pub struct IndexRow {
    pub oid: u32,
    pub schema: Foreign,
    pub table: Foreign,
    pub name: Foreign,
    pub pages: u64,
    pub scans: u64,
    pub valid: bool,
    /// Belongs to a constraint, a replica identity, a partitioned index: not to be dropped.
    pub needed: bool,
    /// It is being built.
    pub building: bool,
    pub definition: Option<Foreign>,
    /// Transactions since its row in pg_class was written last: at the earliest when it was made.
    pub changed_age: Option<u64>,
}

/// One index that another one serves as well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct DuplicateIndex {
    pub oid: u32,
    pub schema: Foreign,
    pub table: Foreign,
    pub name: Foreign,
    pub kept: Foreign,
    pub pages: u64,
    /// The same columns, not only the first ones.
    pub same: bool,
    pub definition: Option<Foreign>,
}

/// A column and its table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct ColumnOf {
    pub table_oid: u32,
    pub schema: Foreign,
    pub table: Foreign,
    pub column: Foreign,
}

/// A sequence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "named by what they are")]
pub struct SequenceRow {
    pub oid: u32,
    pub schema: Foreign,
    pub name: Foreign,
    /// The column that it feeds.
    pub feeds: Option<ColumnOf>,
    pub last: i64,
    /// The end: of the sequence, or of the column's type if that comes first.
    pub limit: i64,
    pub by_column: bool,
}
