//! Rows as hashes, added up in buckets by key: which buckets of two sides differ, and the rows of those.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::DataFusionError;
use datafusion::prelude::DataFrame;
use futures::TryStreamExt;
use model::omop::Table;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const BUCKETS: usize = 1024;

/// The rows of one bucket, whatever their order.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Digest {
    pub rows: u64,
    pub sum: u128,
}

/// The digests of rows, by bucket.
pub async fn digest(table: &'static Table, rows: Option<DataFrame>) -> Result<Vec<Digest>, DataFusionError> {
    let mut total = vec![Digest::default(); BUCKETS];
    let Some(rows) = rows else { return Ok(total) };
    let mut tasks = JoinSet::new();
    for mut stream in projected(table, rows)?.execute_stream_partitioned().await? {
        tasks.spawn(async move {
            let mut digests = vec![Digest::default(); BUCKETS];
            while let Some(batch) = stream.try_next().await? {
                let columns = specified(table, &batch)?;
                let (keys, rows) = (encode_key(table, &columns)?, encode(&columns)?);
                for (key, row) in keys.iter().zip(rows.iter()) {
                    let digest = &mut digests[bucket(key.as_ref())];
                    digest.rows += 1;
                    digest.sum = digest.sum.wrapping_add(xxh3_128(row.as_ref()));
                }
            }
            Ok::<_, DataFusionError>(digests)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let part = done.map_err(|panic| DataFusionError::External(panic.into()))??;
        for (sum, part) in total.iter_mut().zip(part) {
            sum.rows += part.rows;
            sum.sum = sum.sum.wrapping_add(part.sum);
        }
    }
    Ok(total)
}

/// Buckets that differ, in groups of at most so many rows of both sides, or of one bucket.
pub fn groups(left: &[Digest], right: &[Digest], most_rows: u64) -> Vec<Arc<BTreeSet<usize>>> {
    let mut groups = Vec::new();
    let (mut group, mut size) = (BTreeSet::new(), 0);
    for bucket in (0..BUCKETS).filter(|bucket| left[*bucket] != right[*bucket]) {
        let rows = left[bucket].rows + right[bucket].rows;
        if size + rows > most_rows && !group.is_empty() {
            groups.push(Arc::new(std::mem::take(&mut group)));
            size = 0;
        }
        group.insert(bucket);
        size += rows;
    }
    if !group.is_empty() {
        groups.push(Arc::new(group));
    }
    groups
}

/// The rows of some buckets, as columns of the specification.
pub async fn gather(
    table: &'static Table,
    rows: Option<DataFrame>,
    group: Arc<BTreeSet<usize>>,
) -> Result<RecordBatch, DataFusionError> {
    let mut kept = Vec::new();
    if let Some(rows) = rows {
        let mut stream = projected(table, rows)?.execute_stream().await?;
        while let Some(batch) = stream.try_next().await? {
            let columns = specified(table, &batch)?;
            let keys = encode_key(table, &columns)?;
            let mask: BooleanArray = keys.iter().map(|key| Some(group.contains(&bucket(key.as_ref())))).collect();
            let fields = table.schema();
            let nullable = fields.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
            let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
            kept.push(filter_record_batch(&RecordBatch::try_new(schema, columns)?, &mask)?);
        }
    }
    match kept.first() {
        Some(first) => Ok(concat_batches(&first.schema(), &kept)?),
        None => Ok(RecordBatch::new_empty(table.schema())),
    }
}

/// Columns that tell one row from another; all of them where the table has no key.
pub fn key_columns(table: &Table) -> Vec<usize> {
    let name = if table.name == "death" { Some("person_id") } else { table.key().map(|key| key.name) };
    match name.and_then(|name| table.columns.iter().position(|column| column.name == name)) {
        Some(index) => vec![index],
        None => (0..table.columns.len()).collect(),
    }
}

/// Encodes rows as bytes that are equal when the values are, null included.
pub fn encode(columns: &[ArrayRef]) -> Result<Rows, DataFusionError> {
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(columns)?)
}

/// Encodes the keys of rows.
pub fn encode_key(table: &Table, columns: &[ArrayRef]) -> Result<Rows, DataFusionError> {
    encode(&key_columns(table).into_iter().map(|index| columns[index].clone()).collect::<Vec<_>>())
}

fn bucket(key: &[u8]) -> usize {
    (xxh3_64(key) % BUCKETS as u64) as usize
}

/// The columns of the specification, in its order and types; null where the batch has none.
fn specified(table: &Table, batch: &RecordBatch) -> Result<Vec<ArrayRef>, DataFusionError> {
    table
        .columns
        .iter()
        .map(|column| {
            let data_type = column.data_type.arrow();
            match batch.column_by_name(column.name) {
                Some(values) if *values.data_type() == data_type => Ok(values.clone()),
                Some(values) => Ok(cast(values, &data_type)?),
                None => Ok(new_null_array(&data_type, batch.num_rows())),
            }
        })
        .collect()
}

/// Only the specification's columns are read.
fn projected(table: &Table, rows: DataFrame) -> Result<DataFrame, DataFusionError> {
    let schema = rows.schema().inner().clone();
    let names: Vec<&str> =
        table.columns.iter().map(|column| column.name).filter(|name| schema.field_with_name(name).is_ok()).collect();
    rows.select_columns(&names)
}
