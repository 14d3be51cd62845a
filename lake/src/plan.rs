//! What a transaction does to one table: what was asked for, and what that means for the table's files.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{DataFile, Struct};

use crate::KeySet;

/// What was asked for.
#[derive(Clone)]
pub(crate) enum Change {
    Append(Vec<DataFile>),
    Replace(Vec<DataFile>),
    ReplacePartitions(Vec<DataFile>),
    Upsert { key_column: String, removed: Arc<KeySet>, files: Vec<DataFile> },
}

/// What a transaction does to the files of one table: first some go, then some come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub all: bool,
    pub partitions: HashSet<Struct>,
    pub paths: HashSet<String>,
    pub add: Vec<DataFile>,
}

impl Plan {
    pub fn removes(&self, file: &DataFile) -> bool {
        self.all || self.paths.contains(file.file_path()) || self.partitions.contains(file.partition())
    }

    pub fn only_adds(&self) -> bool {
        !self.all && self.paths.is_empty() && self.partitions.is_empty()
    }

    /// Applies a change that needs no reading of files.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Append(files) | Change::Upsert { files, .. } => self.add.extend(files.iter().cloned()),
            Change::Replace(files) => *self = Plan { all: true, add: files.clone(), ..Plan::default() },
            Change::ReplacePartitions(files) => {
                let partitions: HashSet<_> = files.iter().map(|file| file.partition().clone()).collect();
                self.add.retain(|file| !partitions.contains(file.partition()));
                self.add.extend(files.iter().cloned());
                self.partitions.extend(partitions);
            }
        }
    }
}
