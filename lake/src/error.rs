//! What can go wrong, and whether trying again may help. Errors of other crates are translated here and nowhere else.

use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;

use crate::{AwsFault, TableName};

/// The result of a lake function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the lake.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name without namespace, or with a character that is not allowed.
    #[error("`{0}` is not a table name: expected `namespace.table` of letters, digits and underscores")]
    BadName(String),
    /// The warehouse is somewhere the lake cannot write to.
    #[error("`{0}` is not a warehouse: expected `file:///` and an absolute path, or `s3://` and a bucket")]
    BadWarehouse(String),
    /// No such table.
    #[error("table `{0}` does not exist")]
    NoSuchTable(TableName),
    /// No such snapshot in any table.
    #[error("no table has a snapshot `{0}`\nhint: the history of a table lists its snapshots")]
    NoSuchSnapshot(i64),
    /// No such run in any table.
    #[error("run `{0}` committed nothing to this lake")]
    NoSuchRun(String),
    /// The name is taken by something else.
    #[error("`{name}` is a {is}, not a {wanted}")]
    WrongKind {
        /// The name.
        name: TableName,
        /// What it is.
        is: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// A type that tables cannot hold.
    #[error("table `{table}` cannot hold column `{column}` of type {found}: expected {expected}")]
    UnsupportedType {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// A column has another type than before.
    #[error(
        "column `{column}` of table `{table}` is {have} and cannot become {want}: columns can be added, not changed"
    )]
    TypeChange {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its type in the table.
        have: String,
        /// Its type in the new schema.
        want: String,
    },
    /// A column that a schema must have is not there.
    #[error("table `{table}` has no column `{column}`, which is named as {role}")]
    NoSuchColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// What names it: key, sort column, partition.
        role: &'static str,
    },
    /// Rows lack a column that may not be null.
    #[error("rows for table `{table}` lack column `{column}`, which is required")]
    MissingColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// Rows have a column that the table has not.
    #[error("rows for table `{table}` have a column `{column}` that the table's schema does not have")]
    SurplusColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// A null in a required column.
    #[error("column `{column}` of table `{table}` is required, but {count} rows have no value for it")]
    NullValue {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// How many rows.
        count: usize,
    },
    /// A value that does not fit the column's type.
    #[error("values of column `{column}` do not fit table `{table}`")]
    BadValue {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The cause.
        source: arrow::error::ArrowError,
    },
    /// A change was registered for a table that has no writer and does not exist.
    #[error("files were registered for table `{0}`, but this transaction opened no writer for it")]
    NoWriter(TableName),
    /// A table was named that a transaction said it would not look at.
    #[error("table `{0}` is not among those that this transaction was begun on")]
    OutOfScope(TableName),
    /// Files of one table were given to another.
    #[error("files of table `{found}` were given to table `{table}`")]
    ForeignFiles {
        /// The table that got them.
        table: TableName,
        /// The table they were written for.
        found: TableName,
    },
    /// Columns went away or changed, but the table keeps rows.
    #[error("columns of table `{0}` go or change their type, but the table is not replaced whole")]
    PartialSchemaChange(TableName),
    /// Something that this version does not do to a table made elsewhere.
    #[error("table `{table}` {reason}")]
    Unsupported {
        /// The table.
        table: TableName,
        /// What it has.
        reason: String,
    },
    /// Somebody else changed the table first, again and again or in a way that cannot be merged.
    #[error("table `{table}` was changed by somebody else: {reason}")]
    Conflict {
        /// The table.
        table: TableName,
        /// What does not fit.
        reason: String,
    },
    /// The catalog file is locked by another process.
    #[error("catalog `{path}` is busy\nhint: another process holds it; try again")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The catalog file cannot be opened, read or written.
    #[error("catalog `{path}` cannot be {doing}")]
    Catalog {
        /// The file.
        path: PathBuf,
        /// What was tried: opened, read, written.
        doing: &'static str,
        /// The cause.
        source: sqlx::Error,
    },
    /// The server of the catalog cannot be reached, or does not do what was asked.
    #[error("catalog `{uri}` {reason}")]
    CatalogServer {
        /// The server.
        uri: String,
        /// What it answered, or why it did not.
        reason: String,
        /// Whether what was asked may be done all the same, or may be done when it is asked again.
        uncertain: bool,
    },
    /// The lake's catalog cannot be served to others.
    #[error("the catalog is not served: {0}")]
    NotServed(String),
    /// A file or folder cannot be read or written.
    #[error("`{path}` cannot be {doing}")]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A Parquet file cannot be read or written.
    #[error("Parquet file `{path}` cannot be {doing}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// Metadata of a table cannot be read, made or written.
    #[error("metadata of table `{table}` cannot be {doing}")]
    Metadata {
        /// The table.
        table: TableName,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        source: Box<iceberg::Error>,
    },
    /// A query could not be planned or run.
    #[error(transparent)]
    Query(Box<DataFusionError>),
    /// A view's SQL is not a query.
    #[error("view `{view}` is not a query")]
    BadView {
        /// The view.
        view: TableName,
        /// The cause.
        source: Box<DataFusionError>,
    },
}

impl Error {
    /// Says whether the same call may succeed when it is made again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Conflict { .. } | Error::Busy { .. }) || self.is_uncertain()
    }

    /// Says whether the catalog's server left open what became of a request.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self, Error::CatalogServer { uncertain: true, .. })
    }

    pub(crate) fn catalog(path: &Path, doing: &'static str) -> impl FnOnce(sqlx::Error) -> Error {
        let path = path.to_path_buf();
        move |source| if is_busy(&source) { Error::Busy { path } } else { Error::Catalog { path, doing, source } }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, doing: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { path, doing, source }
    }

    pub(crate) fn parquet(path: &Path, doing: &'static str) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Parquet { path, doing, source }
    }

    pub(crate) fn metadata(table: &TableName, doing: &'static str) -> impl FnOnce(iceberg::Error) -> Error {
        let table = table.clone();
        move |source| Error::Metadata { table, doing, source: Box::new(source) }
    }
}

/// Glue is the only service of AWS that the lake itself asks.
impl From<AwsFault> for Error {
    fn from(AwsFault { endpoint: uri, reason, uncertain, .. }: AwsFault) -> Error {
        Error::CatalogServer { uri, reason, uncertain }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Error {
        Error::Query(Box::new(error))
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> DataFusionError {
        match error {
            Error::Query(inner) => *inner,
            other => DataFusionError::External(Box::new(other)),
        }
    }
}

/// SQLite's codes for "somebody else holds the lock", extended ones included.
fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
            matches!(code & 0xff, 5 | 6)
        }
        sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}
