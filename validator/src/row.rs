//! Rows of small results.

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;

use crate::error::{Error, Result};

/// One row of a small result.
pub(crate) struct Row {
    batch: RecordBatch,
    index: usize,
}

/// Runs a query and names it in the error.
pub(crate) async fn rows(session: &SessionContext, what: &str, sql: &str) -> Result<Vec<Row>> {
    let found: Result<Vec<Row>, DataFusionError> = collect(session, sql).await;
    found.map_err(|source| Error::Query { what: what.to_owned(), source: Box::new(source) })
}

/// Runs a query.
pub(crate) async fn collect(session: &SessionContext, sql: &str) -> Result<Vec<Row>, DataFusionError> {
    let batches = session.sql(sql).await?.collect().await?;
    Ok(batches
        .into_iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |index| Row { batch: batch.clone(), index }))
        .collect())
}

impl Row {
    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.batch.num_columns()
    }

    /// True when the value is null.
    pub fn is_null(&self, column: usize) -> bool {
        self.batch.column(column).is_null(self.index)
    }

    /// The value as text; `None` when it is null.
    pub fn text(&self, column: usize) -> Option<String> {
        if self.is_null(column) {
            return None;
        }
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(self.batch.column(column), &options).ok()?;
        Some(formatter.value(self.index).to_string())
    }

    /// The value as a whole number; 0 when it is null or none.
    pub fn int(&self, column: usize) -> i64 {
        let column = self.batch.column(column);
        if column.is_null(self.index) {
            return 0;
        }
        match column.data_type() {
            DataType::Int64 => {
                column.as_any().downcast_ref::<Int64Array>().map_or(0, |values| values.value(self.index))
            }
            DataType::Int32 => {
                column.as_any().downcast_ref::<Int32Array>().map_or(0, |values| i64::from(values.value(self.index)))
            }
            _ => {
                let cast = arrow::compute::cast(&column.slice(self.index, 1), &DataType::Int64).ok();
                let value = cast.as_ref().and_then(|cast| cast.as_any().downcast_ref::<Int64Array>());
                value.filter(|value| value.is_valid(0)).map_or(0, |value| value.value(0))
            }
        }
    }
}
