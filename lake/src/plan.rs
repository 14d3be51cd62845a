//! What a transaction does to one table: what was asked for, and what that means for the table's files.

use std::collections::HashSet;

use iceberg::spec::{DataFile, Struct};

use crate::Sought;
use crate::position_delete::Deletes;

/// What was asked for.
#[derive(Clone)]
pub(crate) enum Change {
    Append(Vec<DataFile>),
    Replace(Vec<DataFile>),
    ReplacePartitions(Vec<DataFile>),
    Upsert { key_column: String, removed: Sought, files: Vec<DataFile> },
}

/// What became of the files that held rows to be removed.
pub(crate) struct Removal {
    /// Paths of files that go, whether the table has them or the transaction brought them.
    pub gone: HashSet<String>,
    /// Files written in their place.
    pub rewritten: Vec<DataFile>,
    /// Rows that are gone from the files that stay; none when no row went.
    pub deletes: Option<Deletes>,
}

/// What a transaction does to the files of one table: first some go, then some come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub all: bool,
    pub partitions: HashSet<Struct>,
    pub paths: HashSet<String>,
    pub add: Vec<DataFile>,
    /// All rows that are deleted from files that the table then has; none when those of the table stay as they are.
    pub deletes: Option<Deletes>,
}

impl Plan {
    pub fn removes(&self, file: &DataFile) -> bool {
        self.all || self.paths.contains(file.file_path()) || self.partitions.contains(file.partition())
    }

    /// Says whether a file of position deletes goes.
    pub fn removes_deletes(&self, file: &DataFile) -> bool {
        self.deletes.is_some() || self.removes(file)
    }

    pub fn only_adds(&self) -> bool {
        !self.all && self.paths.is_empty() && self.partitions.is_empty() && self.deletes.is_none()
    }

    /// Says whether the table stays as it is.
    pub fn is_empty(&self) -> bool {
        self.only_adds() && self.add.is_empty()
    }

    /// Takes over that rows are removed.
    pub fn remove(&mut self, removal: Removal) {
        let Removal { mut gone, rewritten, deletes } = removal;
        // What the transaction itself brought is not the table's to lose.
        self.add.retain(|file| !gone.remove(file.file_path()));
        self.paths.extend(gone);
        self.add.extend(rewritten);
        self.deletes = deletes.or(self.deletes.take());
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
                if let Some(deletes) = &mut self.deletes {
                    deletes.retain(|_, rows| !partitions.contains(&rows.partition));
                }
                self.partitions.extend(partitions);
            }
        }
    }
}
