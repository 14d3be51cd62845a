//! Transactions.

use std::collections::{BTreeMap, HashSet};

use datafusion::prelude::SessionContext;

use crate::{Error, Result, TableName, TableSpec, TableWriter, WrittenFiles};

/// Says who commits what: the same stamp is committed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The run.
    pub run_id: String,
    /// The stage of the run, for instance `etl` or `sql:marts.person`.
    pub stage: String,
    /// Fingerprint of the stage's input.
    pub fingerprint: String,
}

/// Keys of rows.
#[derive(Debug, Clone)]
pub enum KeySet {
    /// Keys of a bigint column.
    Int64(HashSet<i64>),
    /// Keys of a text column.
    Utf8(HashSet<String>),
}

/// What a commit did.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Nothing was done since the same stamp had been committed before.
    pub already: bool,
    /// The new snapshot of each table.
    pub snapshots: BTreeMap<TableName, i64>,
    /// Rows of each table after the commit.
    pub row_counts: BTreeMap<TableName, u64>,
}

/// Changes to several tables that become visible together or not at all.
pub struct Transaction {}

impl Transaction {
    /// Returns the properties given at the commit with this stamp, when it is there already.
    pub fn already_committed(&self) -> Option<&BTreeMap<String, String>> {
        None
    }

    /// Sets a property of every snapshot summary of the commit.
    pub fn set_property(&mut self, _key: &str, _value: String) {}

    /// Opens a writer; the table is created, or gets the columns that it lacks, with the commit.
    pub async fn writer(&mut self, _spec: &TableSpec) -> Result<TableWriter> {
        Err(Error::Unfinished)
    }

    /// Lets columns of a table go or change their type; the table must then be replaced whole.
    pub fn allow_schema_change(&mut self, _table: &TableName) {}

    /// Adds rows.
    pub fn append(&mut self, _table: &TableName, _files: WrittenFiles) {}

    /// Replaces all rows.
    pub fn replace(&mut self, _table: &TableName, _files: WrittenFiles) {}

    /// Replaces the rows of those partitions that the files belong to.
    pub fn replace_partitions(&mut self, _table: &TableName, _files: WrittenFiles) {}

    /// Takes away the rows whose key is in `removed`, then adds rows.
    pub async fn upsert(
        &mut self,
        _table: &TableName,
        _key_column: &str,
        _removed: KeySet,
        _files: WrittenFiles,
    ) -> Result<()> {
        Err(Error::Unfinished)
    }

    /// Creates or replaces a view.
    pub async fn create_view(&mut self, _name: &TableName, _sql: &str) -> Result<()> {
        Err(Error::Unfinished)
    }

    /// Makes a session that reads the staged state: this transaction's changes included.
    pub async fn session(&self) -> Result<SessionContext> {
        Err(Error::Unfinished)
    }

    /// Commits all tables or none.
    pub async fn commit(self) -> Result<Committed> {
        Err(Error::Unfinished)
    }
}
