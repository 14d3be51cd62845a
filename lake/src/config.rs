//! Where a lake is, and what it may use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a lake is, and what it may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// The catalog that holds the names.
    pub catalog: Catalog,
    /// Folder of the data, as a url: `file:///...` or `s3://bucket/prefix`.
    pub warehouse: String,
    /// How a warehouse on S3 is reached.
    pub s3: S3,
    /// Local folder for what can be made again from the tables.
    pub cache: PathBuf,
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
    /// A server that speaks Iceberg's REST protocol.
    Rest(Rest),
    /// The AWS Glue Data Catalog of an account, for a warehouse on S3.
    Glue(Glue),
}

/// The AWS Glue Data Catalog, asked with the credentials and the region of S3.
#[derive(Debug, Clone, Default)]
pub struct Glue {
    /// Url of the service; that of AWS in the region when absent.
    pub endpoint: Option<String>,
}

/// A server that speaks Iceberg's REST protocol, and who asks it.
#[derive(Clone, Default)]
pub struct Rest {
    /// Url of the server, to which `/v1/` is added.
    pub uri: String,
    /// Which of the server's warehouses, if it has several.
    pub warehouse: Option<String>,
    /// A token that the server knows.
    pub token: Option<String>,
    /// Id and secret, `id:secret`, for which the server gives a token.
    pub credential: Option<String>,
}

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").field("uri", &self.uri).field("warehouse", &self.warehouse).finish_non_exhaustive()
    }
}

/// How a warehouse on S3, or on a server that speaks its protocol, is reached.
#[derive(Clone, Default)]
pub struct S3 {
    /// Url of the server; that of AWS when absent.
    pub endpoint: Option<String>,
    /// Region; what `AWS_REGION` says, or us-east-1, when absent.
    pub region: Option<String>,
    /// Whether the bucket is named in the path of a request (`endpoint/bucket/key`), not in its host.
    pub path_style: bool,
    /// Key of AWS KMS that objects are encrypted with; what the bucket says when absent.
    pub kms_key: Option<String>,
    /// Variables of the environment, `AWS_*`: credentials of any kind that the AWS tools take, and time limits.
    pub environment: BTreeMap<String, String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("kms_key", &self.kms_key)
            // Values may be secret.
            .field("environment", &self.environment.keys())
            .finish()
    }
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
            s3: S3::default(),
            cache: path.join("cache"),
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
