//! Seeds: small tables of facts that models need, kept as CSV.

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::csv::ReaderBuilder;

use crate::error::{Error, Result};
use crate::project::Model;

/// The rows of a seed.
pub(crate) fn read(model: &Model) -> Result<Vec<RecordBatch>> {
    let reader = ReaderBuilder::new(model.schema()).with_header(true).build(Cursor::new(&model.text))?;
    reader
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::Query(format!("`{}` does not hold what its YAML says: {error}", model.file)))
}
