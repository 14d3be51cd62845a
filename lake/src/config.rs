//! Where a lake is, and what it may use.

use std::path::{Path, PathBuf};

/// Where a lake is, and what it may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// The catalog that holds the names.
    pub catalog: Catalog,
    /// Folder of the data, as a url: `file:///...`.
    pub warehouse: String,
    /// Memory that the queries of one lake may hold before they spill to disk; no limit when absent.
    pub memory_limit_bytes: Option<usize>,
    /// Partitions of a scan; the number of cores when absent.
    pub target_partitions: Option<usize>,
    /// What is flushed to the disk before a commit becomes visible.
    pub durability: Durability,
}

/// The catalog that holds the names.
#[derive(Debug, Clone)]
pub enum Catalog {
    /// One SQLite file, shared with pyiceberg's `SqlCatalog`.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
}

/// What is flushed to the disk before a commit becomes visible. Whatever is chosen, the death of the process at any
/// moment leaves the previous state; this is about the loss of power.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Data and metadata.
    All,
    /// Metadata only.
    #[default]
    Metadata,
    /// Nothing: for lakes that can be made again.
    Nothing,
}

impl Config {
    /// A lake in one folder: `catalog.db` and `warehouse/`.
    pub fn folder(path: &Path) -> Config {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        Config {
            catalog: Catalog::Sqlite { path: path.join("catalog.db") },
            warehouse: format!("file://{}", path.join("warehouse").display()),
            memory_limit_bytes: None,
            target_partitions: None,
            durability: Durability::default(),
        }
    }

    pub(crate) fn target_partitions(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.target_partitions.unwrap_or_else(cores).max(1)
    }
}
