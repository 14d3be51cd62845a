//! Queries over the lake, and their rows as plain values.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::NaiveDate;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use lake::{KeySet, Sought};

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

/// Ids as the keys of rows to find.
pub fn sought(ids: impl IntoIterator<Item = i64>) -> Sought {
    Sought::new(KeySet::Int64(ids.into_iter().collect()))
}

/// A column of whole numbers; 0 where there is none.
pub fn numbers(batch: &RecordBatch, column: usize) -> Vec<i64> {
    let column = batch.column(column);
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return numbers.iter().map(Option::unwrap_or_default).collect();
    }
    match column.as_primitive_opt::<Int32Type>() {
        Some(numbers) => numbers.iter().map(|number| number.map_or(0, i64::from)).collect(),
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

/// A column of calendar days; `None` where there is none.
pub fn days(batch: &RecordBatch, column: usize) -> Vec<Option<NaiveDate>> {
    let Ok(days) = cast(batch.column(column), &DataType::Date32) else { return vec![None; batch.num_rows()] };
    let days = days.as_primitive::<Date32Type>();
    (0..days.len()).map(|row| if days.is_null(row) { None } else { days.value_as_date(row) }).collect()
}

/// A column of moments in microseconds; `None` where there is none.
pub fn micros(batch: &RecordBatch, column: usize) -> Vec<Option<i64>> {
    let Ok(moments) = cast(batch.column(column), &DataType::Timestamp(TimeUnit::Microsecond, None)) else {
        return vec![None; batch.num_rows()];
    };
    moments.as_primitive::<TimestampMicrosecondType>().iter().collect()
}

/// A text for between the quotes of an SQL literal.
pub fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}
