#![doc = include_str!("../README.md")]

mod as_of;
mod aws;
mod catalog;
mod commit;
mod config;
mod data_file;
mod dictionary;
mod error;
mod field_id;
mod filter_is_true;
mod find;
mod flush;
mod in_turn;
mod key_set;
mod lake;
mod large_join;
mod litter;
mod live;
mod location;
mod manifest;
mod memory;
mod name;
#[cfg(test)]
mod other_readers;
mod plan;
mod position_delete;
mod scan;
mod schema;
mod search;
mod serve;
mod session;
mod snapshot;
mod spec;
mod staged;
mod stamp;
mod statistics;
mod store;
mod summary;
#[cfg(test)]
mod testing;
mod totals;
mod transaction;
mod upsert;
mod writer;

use std::collections::BTreeMap;

pub use aws::{Aws, AwsFault, AwsService};
pub use config::{Catalog, Config, Durability, Glue, Rest, S3};
pub use error::{Error, Result};
pub use filter_is_true::FilterIsTrue;
pub use key_set::{KeySet, Sought};
pub use lake::Lake;
pub use name::TableName;
pub use serve::CatalogServer;
pub use spec::{Partition, TableSpec, Transform};
pub use stamp::Stamp;
pub use transaction::{Committed, Transaction};
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
    /// `append`, `overwrite`, `delete`, or `replace` of another program.
    pub operation: String,
    /// Run that committed it, if it was committed here.
    pub run_id: Option<String>,
    /// Stage that committed it, if it was committed here.
    pub stage: Option<String>,
    /// The whole summary: stamps, properties, counts.
    pub summary: BTreeMap<String, String>,
}
