//! What can stop a validation. A failed check is a finding, not an error.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

/// What can stop a validation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lake could not be read or written.
    #[error(transparent)]
    Lake(#[from] lake::Error),
    /// A query that is not one check's own could not be answered.
    #[error("{what} could not be read")]
    Query {
        /// What was asked for.
        what: String,
        /// The engine's reason.
        #[source]
        source: Box<DataFusionError>,
    },
    /// The folder of the expected rows holds none.
    #[error(
        "folder `{0}` holds no expected rows: expected `<table>.parquet` files\nhint: pass the folder `omop` that `generate` wrote"
    )]
    NoExpectedRows(PathBuf),
    /// The folder of the generator's manifests holds none.
    #[error("folder `{0}` holds no `manifest.json`\nhint: pass the folder that `generate` wrote to")]
    NoManifest(PathBuf),
    /// A manifest does not say what must become of the resources.
    #[error("file `{path}` is no manifest of `generate`: {source}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A file could not be read or written.
    #[error("file `{path}` is not accessible")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The page could not be rendered.
    #[error("the report page could not be rendered")]
    Page(#[from] minijinja::Error),
    /// The report could not be written as JSON.
    #[error("the report could not be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Results could not be put into columns.
    #[error("results do not fit their table")]
    Columns(#[from] arrow::error::ArrowError),
}

/// The result of a validator function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what was being read when the engine failed: `.map_err(reading("the accounting"))`.
pub(crate) fn reading(what: impl Into<String>) -> impl FnOnce(DataFusionError) -> Error {
    let what = what.into();
    |source| Error::Query { what, source: Box::new(source) }
}
