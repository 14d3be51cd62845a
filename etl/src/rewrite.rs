//! Rows that stay what they are but for one column: what they refer to has moved, or went.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema};
use lake::{KeySet, TableName, Transaction};
use model::omop::{self, Lineage, Table};

use crate::error::Result;
use crate::load::{cdm_tables, omop_spec};
use crate::query::{numbers, sought};
use crate::view::column::{constant, timestamp};

/// Tables whose rows others name, and may stay without.
const NAMED: [&str; 4] = ["visit_occurrence", "visit_detail", "provider", "care_site"];

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

/// Gives the staged rows that bear one of the values in a column another value, or none. Returns how many rows that are;
/// a table without a key has none.
///
/// # Errors
/// The lake refuses.
pub async fn reassign(
    transaction: &mut Transaction,
    table: &'static Table,
    column: &str,
    to: &HashMap<i64, Option<i64>>,
    lineage: &Lineage,
) -> Result<u64> {
    let Some(key) = table.key().filter(|_| !to.is_empty()) else { return Ok(0) };
    let name = TableName::new("omop", table.name);
    let schema = table.lake_schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let stale = transaction.find(&name, column, &sought(to.keys().copied()), &columns).await?;
    if stale.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(0);
    }
    let mut writer = transaction.writer(&omop_spec(table)).await?;
    let mut ids = HashSet::new();
    for batch in &stale {
        let cells = |column: &str| Ok::<_, crate::Error>(numbers(batch, batch.schema().index_of(column)?));
        let values: Int64Array = cells(column)?.iter().map(|old| to.get(old).copied().flatten()).collect();
        writer.write(&rewritten(batch, column, Arc::new(values), lineage)?)?;
        ids.extend(cells(key.name)?);
    }
    let count = ids.len() as u64;
    transaction.upsert(&name, key.name, KeySet::Int64(ids), writer.close()?).await?;
    Ok(count)
}

/// Lets go of visits, providers and care sites that went and did not come again: who names them stays, without them.
/// Returns how many rows that are, by `omop.table`.
///
/// # Errors
/// The lake refuses.
pub async fn let_go(
    transaction: &mut Transaction,
    removed: &BTreeMap<String, HashSet<i64>>,
    lineage: &Lineage,
) -> Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for target in NAMED {
        let Some(key) = omop::table(target).and_then(Table::key) else { continue };
        let Some(ids) = removed.get(target) else { continue };
        let (name, kept) = (TableName::new("omop", target), sought(ids.iter().copied()));
        let there = transaction.find(&name, key.name, &kept, &[key.name]).await?;
        let there: HashSet<i64> = there.iter().flat_map(|batch| numbers(batch, 0)).collect();
        let gone: HashMap<i64, Option<i64>> = ids.difference(&there).map(|id| (*id, None)).collect();
        if gone.is_empty() {
            continue;
        }
        for table in cdm_tables() {
            let naming = table.columns.iter().filter(|column| column.references == Some(target));
            for column in naming.filter(|column| !column.primary_key && !column.required) {
                let count = reassign(transaction, table, column.name, &gone, lineage).await?;
                counts.push((format!("omop.{}", table.name), count));
            }
        }
    }
    Ok(counts)
}
