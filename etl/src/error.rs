//! Why a run cannot go on. Bad records are no errors: they are data, see [`model::quality::Reject`].

use std::path::PathBuf;

use thiserror::Error;

/// Why a run cannot go on.
#[derive(Debug, Error)]
pub enum Error {
    /// A source that the user named does not exist.
    #[error("no such file or folder `{name}`")]
    NoSuchSource {
        /// As the user wrote it.
        name: String,
    },
    /// A pattern that matches nothing, or is none.
    #[error("pattern `{pattern}` {problem}")]
    Pattern {
        /// As the user wrote it.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that the user named is of a kind that cannot be read.
    #[error("file `{name}` is not FHIR in JSON\nhint: .ndjson, .json, .ndjson.gz and .json.gz are read")]
    UnknownFormat {
        /// As the user wrote it.
        name: String,
    },
    /// No source holds a file to read.
    #[error("no FHIR file in {sources}\nhint: .ndjson, .json, .ndjson.gz and .json.gz are read")]
    NothingToRead {
        /// What was looked through.
        sources: String,
    },
    /// The folder holds no file that the mapping takes.
    #[error("no file in {sources}")]
    NoRows {
        /// Where, and what was looked for.
        sources: String,
    },
    /// A mapping of rows that cannot be used.
    #[error("mapping `{name}` {problem}")]
    Mapping {
        /// As the user named it.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// A table that a resource type cannot be forced into.
    #[error("`{choice}` {problem}\nhint: such as `Observation=observation`")]
    TableChoice {
        /// As the user wrote it.
        choice: String,
        /// What is wrong.
        problem: String,
    },
    /// Nothing that could be explained.
    #[error("{problem}\nhint: `healthlake explain Condition/123`, or `healthlake explain condition_occurrence 456`")]
    Question {
        /// What is wrong.
        problem: String,
    },
    /// Rows of a source would stand beside those of an earlier run.
    #[error(
        "the lake has {count} persons of source `{source_id}` already\nhint: `--lake DIR` names another folder, `HEALTHLAKE_ETL_SOURCE_ID` another source"
    )]
    SourceIsThere {
        /// The source.
        source_id: String,
        /// How many persons.
        count: i64,
    },
    /// Rows of a source were made without resources: nobody could tell which of them a resource changes.
    #[error(
        "{count} persons of source `{source_id}` in the lake were made, not read\nhint: `--lake DIR` names another folder, `HEALTHLAKE_ETL_SOURCE_ID` another source"
    )]
    SourceIsMade {
        /// The source.
        source_id: String,
        /// How many persons.
        count: i64,
    },
    /// A resource that was made elsewhere has no name.
    #[error(
        "a {resource_type} was made without an id\nhint: spoilt resources are for files; they are read by `healthlake etl`"
    )]
    MadeWithoutId {
        /// The type.
        resource_type: String,
    },
    /// There are no resources kept as they came.
    #[error(
        "the lake keeps no resources of source `{source_id}` in `raw.resource_version`\nhint: `healthlake etl --keep-raw PATH` keeps them; without them, give the files to `healthlake etl` again"
    )]
    NothingKept {
        /// The source.
        source_id: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A temporary file cannot be used.
    #[error("cannot use a temporary file in `{folder}`\nhint: TMPDIR names another folder")]
    Spill {
        /// Where temporary files go.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Two rows that are not the same have one key.
    #[error(
        "{count} keys are used twice, first {id} in table `{table}`\nhint: choose another source id, and report this"
    )]
    KeyCollision {
        /// The table of the first.
        table: String,
        /// Its key.
        id: i64,
        /// How many there are.
        count: usize,
    },
    /// The accounting does not balance: nothing is committed.
    #[error("`{resource_type}`: {read} read, but {mapped} mapped + {excluded} excluded + {rejected} rejected")]
    Unbalanced {
        /// The type whose records were lost.
        resource_type: String,
        /// Records read.
        read: u64,
        /// Records mapped.
        mapped: u64,
        /// Records excluded.
        excluded: u64,
        /// Records rejected.
        rejected: u64,
    },
    /// A view definition that cannot be compiled.
    #[error("`{}`: {problem}", file.display())]
    View {
        /// The file with the definition, or the folder where one should be.
        file: PathBuf,
        /// What is wrong, with the view, column, path and place.
        problem: String,
    },
    /// The vocabulary cannot be read or imported.
    #[error("vocabulary: {0}")]
    Vocabulary(String),
    /// A thread stopped where it should not.
    #[error("a worker stopped unexpectedly\nhint: this is a defect of the program; please report it with the input")]
    Worker,
    /// The lake refused.
    #[error(transparent)]
    Lake(#[from] lake::Error),
    /// A query over the lake failed.
    #[error("query over the lake")]
    Query(#[from] datafusion::error::DataFusionError),
    /// Rows do not fit their table.
    #[error("rows of the lake")]
    Arrow(#[from] arrow::error::ArrowError),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
