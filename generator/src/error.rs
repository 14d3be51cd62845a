//! What can stop a generation: a module or data file that cannot be read as what it claims to be, or a disk that fails.

use std::path::PathBuf;

/// Why the generator could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that cannot be used.
    #[error("option `{option}`: {message}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A module file is not valid Generic Module Framework JSON.
    #[error("module `{file}`: state `{state}`: field `{field}`: {message}")]
    Module {
        /// Path of the module, without `.json`.
        file: String,
        /// The state, or `-` for the file as a whole.
        state: String,
        /// The field, as a path inside the state.
        field: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A folder of modules holds what no module can be.
    #[error("`{path}`: {message}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A file of rates says what cannot be meant.
    #[error("`{path}`: {message}")]
    Rates {
        /// The file, or the preset.
        path: PathBuf,
        /// What is wrong and what was expected.
        message: String,
    },
    /// A built-in table of data is broken.
    #[error("data table `{table}`: {message}")]
    Data {
        /// The table's name.
        table: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A module runs in circles, or calls submodules without end.
    #[error("module `{module}`, state `{state}`: {message} (patient {patient})\nhint: {hint}")]
    Endless {
        /// The module.
        module: String,
        /// The state that was next.
        state: String,
        /// Index of the patient.
        patient: u64,
        /// What there was too much of.
        message: String,
        /// What a module can do about it.
        hint: &'static str,
    },
    /// A file or folder could not be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A Parquet file could not be written.
    #[error("`{path}`: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the writer said.
        #[source]
        source: parquet::errors::ParquetError,
    },
}

impl Error {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}
