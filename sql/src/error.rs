//! What can go wrong, in words that name the file and what was expected in it.

use std::fmt;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// One thing that is wrong with the files of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, from the project's folder on.
    pub file: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(file: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { file: file.into(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_nearest<'a>(self, word: &str, words: impl IntoIterator<Item = &'a str>) -> Problem {
        match nearest(word, words) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// What can go wrong with models.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files do not make a project; every problem is named.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    Read {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A selector matches no model.
    #[error("selector `{selector}` matches no model{}", hint(.nearest))]
    NoMatch {
        /// The selector.
        selector: String,
        /// A model whose name is much like it.
        nearest: Option<String>,
    },
    /// A selector cannot be understood.
    #[error("selector `{selector}` is not understood: {reason}")]
    BadSelector {
        /// The selector.
        selector: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No such model.
    #[error("there is no model `{name}`{}", hint(.nearest))]
    NoSuchModel {
        /// The name asked for.
        name: String,
        /// A model whose name is much like it.
        nearest: Option<String>,
    },
    /// A query failed.
    #[error("{0}")]
    Query(String),
    /// A query found no memory beside what else was running, or at all.
    #[error("{0}")]
    OutOfMemory(String),
    /// A distributed engine did not run a statement.
    #[error("{engine}{} {reason}", query(.query_id))]
    Engine {
        /// Its name.
        engine: &'static str,
        /// Its own name of the query; empty when it never got one.
        query_id: String,
        /// What it said.
        reason: String,
    },
    /// The lake refused.
    #[error(transparent)]
    Lake(#[from] lake::Error),
}

/// The result of a function about models.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Error {
        let message = message_of(&error).0;
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Error::OutOfMemory(message),
            _ => Error::Query(message),
        }
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Error {
        Error::Query(error.to_string())
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

fn query(id: &str) -> String {
    if id.is_empty() { ":".to_owned() } else { format!(" query `{id}` failed:") }
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or(String::new(), |near| format!("\n  hint: did you mean `{near}`?"))
}

/// The message of a failed plan or query, with a hint where a column's name is near another one.
pub(crate) fn message_of(error: &DataFusionError) -> (String, Option<String>) {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => schema_message(error),
        DataFusionError::Diagnostic(_, error) => message_of(error),
        DataFusionError::Collection(errors) if !errors.is_empty() => message_of(&errors[0]),
        root => {
            let text = root.strip_backtrace();
            let text = text.strip_prefix("Error during planning: ").unwrap_or(&text);
            (text.lines().next().unwrap_or(text).trim().to_owned(), None)
        }
    }
}

fn schema_message(error: &SchemaError) -> (String, Option<String>) {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let wanted = field.flat_name();
            let full = valid_fields.iter().map(|column| column.flat_name()).collect::<Vec<_>>();
            let near = nearest(&wanted, full.iter().map(String::as_str)).map(str::to_owned).or_else(|| {
                let bare = valid_fields.iter().map(|column| column.name.as_str());
                nearest(&field.name, bare).map(str::to_owned)
            });
            let message = format!("there is no column `{wanted}`");
            (message, near.map(|near| format!("did you mean `{near}`?")))
        }
        other => (other.to_string(), None),
    }
}

/// The word that takes the fewest edits to reach, if that is few enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|other| (edits(word, other), other))
        .filter(|(edits, other)| *edits > 0 && *edits <= (word.len().max(other.len()) / 3).max(1))
        .min()
        .map(|(_, other)| other)
}

fn edits(a: &str, b: &str) -> usize {
    let b = b.chars().collect::<Vec<_>>();
    let mut row = (0..=b.len()).collect::<Vec<_>>();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_a_slip_away() {
        let words = ["omop.person", "omop.provider", "omop.death"];
        assert_eq!(nearest("omop.persons", words), Some("omop.person"));
        assert_eq!(nearest("omop.detah", words), Some("omop.death"));
        assert_eq!(nearest("fhir.observation", words), None);
    }
}
