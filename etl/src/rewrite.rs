//! Rows that stay what they are but for one column.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use model::omop::Lineage;

use crate::error::Result;
use crate::view::column::{constant, timestamp};

/// The rows with other values in one column, written by this run.
///
/// # Errors
/// The values do not fit the column.
pub fn rewritten(batch: &RecordBatch, column: &str, values: ArrayRef, lineage: &Lineage) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, kept)| match field.name().as_str() {
        name if name == column => Arc::clone(&values),
        "pipeline_run_id" => constant(&lineage.pipeline_run_id, rows),
        "persisted_at" => timestamp(vec![Some(lineage.persisted_at.and_utc().timestamp_micros()); rows]),
        _ => Arc::clone(kept),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields = schema.fields().iter().zip(&columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?)
}
