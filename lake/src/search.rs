//! Looks for keys in one data file: the key column alone is read, and of it only the row groups that may hold one.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use iceberg::spec::DataFile;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::schema::types::SchemaDescriptor;

use crate::key_set::Sought;
use crate::live::LiveFile;
use crate::store::{Input, Store, shown};
use crate::{Error, Result};

const BATCH_ROWS: usize = 16 << 10;

/// Finds the rows that bear one of the keys and are not deleted; returns their positions, ascending.
pub(crate) fn positions(store: &Store, file: &LiveFile, key_id: i32, sought: &Sought) -> Result<Vec<u64>> {
    let LiveFile { file, deleted, .. } = file;
    let builder = open(store, file)?;
    let schema = builder.parquet_schema();
    let Some(column) = field_ids(schema).iter().position(|id| *id == Some(key_id)) else { return Ok(Vec::new()) };
    let is_key = |leaf: &usize| schema.get_column_root_idx(*leaf) == column;
    let leaf = (0..schema.num_columns()).find(is_key).unwrap_or(column);
    let (mut groups, mut spans, mut from) = (Vec::new(), Vec::new(), 0);
    for (index, group) in builder.metadata().row_groups().iter().enumerate() {
        let rows = group.num_rows().unsigned_abs();
        if sought.may_be_among(group.column(leaf).statistics()) {
            groups.push(index);
            spans.push(from..from + rows);
        }
        from += rows;
    }
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let mask = ProjectionMask::roots(schema, [column]);
    let reader = builder.with_projection(mask).with_row_groups(groups).with_batch_size(BATCH_ROWS).build();
    let mut read = Spans { left: spans.into(), passed: 0 };
    let mut found = Vec::new();
    for batch in reader.map_err(|error| unreadable(file, error.into()))? {
        let batch = batch.map_err(|error| unreadable(file, error))?;
        sought.find(batch.column(0), |row| found.push(read.position(row))).map_err(|error| unreadable(file, error))?;
        read.pass(batch.num_rows());
    }
    found.retain(|position| deleted.binary_search(position).is_err());
    Ok(found)
}

/// Where in a file the rows are that are read of it one after the other.
struct Spans {
    /// Positions of the row groups that are not wholly read.
    left: VecDeque<Range<u64>>,
    /// Rows read of the first of them.
    passed: u64,
}

impl Spans {
    /// The position of one of the next rows.
    fn position(&self, row: usize) -> u64 {
        let mut ahead = self.passed + row as u64;
        for span in &self.left {
            if ahead < span.end - span.start {
                return span.start + ahead;
            }
            ahead -= span.end - span.start;
        }
        unreachable!("a reader gives no more rows than its row groups have")
    }

    /// Goes on behind so many rows.
    fn pass(&mut self, rows: usize) {
        self.passed += rows as u64;
        while let Some(span) = self.left.front().filter(|span| span.end - span.start <= self.passed) {
            self.passed -= span.end - span.start;
            self.left.pop_front();
        }
    }
}

/// Reads some rows of a file in the columns of a schema, whose fields bear their ids; a column that the file has not
/// is null.
pub(crate) fn rows(
    store: &Store,
    file: &DataFile,
    wanted: &ArrowSchemaRef,
    selection: RowSelection,
    mut take: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let ids: Vec<Option<i32>> = wanted.fields().iter().map(|field| field_id(field.metadata())).collect();
    let builder = open(store, file)?;
    let columns = field_ids(builder.parquet_schema()).into_iter().enumerate();
    let columns = columns.filter(|(_, id)| id.is_some() && ids.contains(id)).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    let reader = builder.with_projection(mask).with_row_selection(selection).with_batch_size(BATCH_ROWS).build();
    for batch in reader.map_err(|error| unreadable(file, error.into()))? {
        let batch = batch.and_then(|batch| fit(&batch, wanted, &ids));
        take(batch.map_err(|error| unreadable(file, error))?)?;
    }
    Ok(())
}

/// Brings rows into the columns of a schema.
fn fit(rows: &RecordBatch, wanted: &ArrowSchemaRef, ids: &[Option<i32>]) -> Result<RecordBatch, ArrowError> {
    let have: Vec<Option<i32>> = rows.schema_ref().fields().iter().map(|field| field_id(field.metadata())).collect();
    let columns = wanted.fields().iter().zip(ids).map(|(field, id)| -> Result<ArrayRef, ArrowError> {
        match have.iter().position(|have| have == id) {
            Some(index) if rows.column(index).data_type() == field.data_type() => Ok(rows.column(index).clone()),
            Some(index) => cast(rows.column(index), field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        }
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(wanted.clone(), columns.collect::<Result<_, _>>()?, &options)
}

/// Picks columns of a schema by name.
pub(crate) fn pick(schema: &ArrowSchema, columns: &[&str]) -> Result<ArrowSchemaRef, String> {
    let picked = columns.iter().map(|name| schema.field_with_name(name).cloned().map_err(|_| (*name).to_string()));
    let picked = picked.map(|field| field.map(|field| field.with_nullable(true))).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(ArrowSchema::new(picked)))
}

fn open(store: &Store, file: &DataFile) -> Result<ParquetRecordBatchReaderBuilder<Input>> {
    let path = shown(file.file_path());
    let input = store.open(file.file_path(), file.file_size_in_bytes()).map_err(Error::file(&path, "read"))?;
    ParquetRecordBatchReaderBuilder::try_new(input).map_err(Error::parquet(&path, "read"))
}

fn unreadable(file: &DataFile, error: ArrowError) -> Error {
    Error::parquet(&shown(file.file_path()), "read")(error.into())
}

fn field_id(metadata: &HashMap<String, String>) -> Option<i32> {
    metadata.get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn field_ids(schema: &SchemaDescriptor) -> Vec<Option<i32>> {
    let ids = schema.root_schema().get_fields().iter().map(|field| field.get_basic_info());
    ids.map(|info| info.has_id().then(|| info.id())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_across_batches_and_row_groups() {
        let spans = [10..14, 20..22, 22..27];
        let expected: Vec<u64> = spans.iter().cloned().flatten().collect();
        for batch in 1..=11 {
            let mut read = Spans { left: spans.clone().into(), passed: 0 };
            let mut found = Vec::new();
            for rows in expected.chunks(batch) {
                found.extend((0..rows.len()).map(|row| read.position(row)));
                read.pass(rows.len());
            }
            assert_eq!(found, expected, "{batch} rows at a time");
        }
    }
}
