#![doc = include_str!("../README.md")]

mod config;
mod error;
mod name;
mod spec;
mod transaction;
mod writer;

use std::collections::BTreeMap;

use datafusion::prelude::SessionContext;

pub use config::{Catalog, Config, Durability};
pub use error::{Error, Result};
pub use name::TableName;
pub use spec::{Partition, TableSpec, Transform};
pub use transaction::{Committed, KeySet, Stamp, Transaction};
pub use writer::{TableWriter, WrittenFiles};

/// A moment of the lake that a session reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AsOf {
    /// Whatever is committed now.
    #[default]
    Latest,
    /// The moment at which this snapshot became visible.
    Snapshot(i64),
    /// The moment at which this run made its last commit.
    Run(String),
}

/// One snapshot of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Iceberg's snapshot id.
    pub id: i64,
    /// Milliseconds since 1970, UTC.
    pub timestamp_ms: i64,
    /// `append`, `replace`, `overwrite` or `delete`.
    pub operation: String,
    /// Run that committed it, if it was committed here.
    pub run_id: Option<String>,
    /// Stage that committed it, if it was committed here.
    pub stage: Option<String>,
    /// The whole summary: stamps, properties, counts.
    pub summary: BTreeMap<String, String>,
}

/// An open lake: a catalog and its warehouse.
#[derive(Clone)]
pub struct Lake {}

impl Lake {
    /// Opens the lake and creates what is missing.
    pub async fn open(_config: &Config) -> Result<Lake> {
        Err(Error::Unfinished)
    }

    /// Lists all tables, in order.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        Err(Error::Unfinished)
    }

    /// Lists all views with their SQL.
    pub async fn views(&self) -> Result<BTreeMap<TableName, String>> {
        Err(Error::Unfinished)
    }

    /// Reads the row count of every table from its snapshot summary.
    pub async fn row_counts(&self) -> Result<BTreeMap<TableName, u64>> {
        Err(Error::Unfinished)
    }

    /// Lists the snapshots of a table, oldest first.
    pub async fn history(&self, _table: &TableName) -> Result<Vec<Snapshot>> {
        Err(Error::Unfinished)
    }

    /// Makes a DataFusion session that reads the lake at a moment.
    pub async fn session(&self, _as_of: &AsOf) -> Result<SessionContext> {
        Err(Error::Unfinished)
    }

    /// Begins a transaction.
    pub async fn begin(&self, _stamp: Stamp) -> Result<Transaction> {
        Err(Error::Unfinished)
    }
}
