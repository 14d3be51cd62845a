//! Queries over the lake, and their rows as plain values.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::prelude::SessionContext;
use futures::StreamExt;

use crate::error::Result;

/// Runs a query and hands over its rows, a batch at a time.
///
/// # Errors
/// The query fails.
pub async fn for_each(session: &SessionContext, sql: &str, mut take: impl FnMut(&RecordBatch)) -> Result<()> {
    let mut stream = session.sql(sql).await?.execute_stream().await?;
    while let Some(batch) = stream.next().await {
        take(&batch?);
    }
    Ok(())
}

/// A column of 64-bit numbers; 0 where there is none.
pub fn numbers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    let column = batch.column(column);
    match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) => {
            (0..numbers.len()).map(|row| if numbers.is_null(row) { 0 } else { numbers.value(row) }).collect()
        }
        None => vec![0; column.len()],
    }
}

/// A column of text; empty where there is none.
pub fn texts(batch: &RecordBatch, column: usize) -> Vec<String> {
    let column = cast(batch.column(column), &DataType::Utf8);
    match column {
        Ok(column) => {
            let column = column.as_string::<i32>();
            (0..column.len())
                .map(|row| if column.is_null(row) { String::new() } else { column.value(row).to_owned() })
                .collect()
        }
        Err(_) => vec![String::new(); batch.num_rows()],
    }
}

/// A text for between the quotes of an SQL literal.
pub fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
