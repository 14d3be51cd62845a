//! Incremental models: which keys changed since the last build, and the plan narrowed to them.
//!
//! The watermark tables tell the changed keys: the values of `unique_key` in rows past the high-water mark. Every
//! watermark table is then read for these keys *in full*, so that aggregates and windows over a key see all of its rows.
//! A watermark table without such a column is read past the mark only.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit};
use datafusion::sql::TableReference;
use futures::TryStreamExt;
use lake::KeySet;

use crate::definition::Watermark;
use crate::error::{Error, Result};
use crate::project::Model;

/// Keys of the snapshot summary that hold a table's high-water mark.
pub(crate) fn property(table: &str) -> String {
    format!("sql.watermark.{table}")
}

/// The high-water mark of each table, as text; empty when the table is.
pub(crate) async fn marks(session: &SessionContext, model: &Model) -> Result<BTreeMap<String, String>> {
    let mut marks = BTreeMap::new();
    for watermark in &model.definition.watermark {
        let frame = scan(session, watermark).await?;
        let newest = max(ident(&watermark.column));
        let text = cast(ident("newest"), ArrowType::Utf8).alias("newest");
        let plan = frame.aggregate(Vec::<Expr>::new(), [newest.alias("newest")])?.project([text])?.build()?;
        let batches = session.execute_logical_plan(plan).await?.collect().await?;
        let newest = batches.first().filter(|batch| batch.num_rows() > 0).map(|batch| texts(batch.column(0)));
        let newest = newest.transpose()?.and_then(|texts| texts.into_iter().next()).unwrap_or_default();
        marks.insert(watermark.table.clone(), newest);
    }
    Ok(marks)
}

/// The keys that changed since the marks were taken.
pub(crate) async fn changed_keys(
    session: &SessionContext,
    model: &Model,
    key: &str,
    marks: &BTreeMap<String, String>,
) -> Result<KeySet> {
    let field = model.schema().field_with_name(key)?.clone();
    let mut keys = empty_keys(field.data_type());
    for watermark in &model.definition.watermark {
        let frame = scan(session, watermark).await?;
        let plan = frame.clone().build()?;
        if !has_column(&plan, key) {
            continue;
        }
        let newer = past(&plan, watermark, marks)?;
        let keyed = cast(ident(key), field.data_type().clone()).alias(key);
        let plan = frame.filter(newer)?.project([keyed])?.distinct()?.build()?;
        let mut stream = session.execute_logical_plan(plan).await?.execute_stream().await?;
        while let Some(batch) = stream.try_next().await? {
            add_keys(&mut keys, batch.column(0))?;
        }
    }
    Ok(keys)
}

/// The model's plan, reading only what the changed keys need.
pub(crate) fn narrow(
    plan: LogicalPlan,
    model: &Model,
    key: &str,
    keys: &KeySet,
    marks: &BTreeMap<String, String>,
) -> Result<LogicalPlan> {
    let batch = keys_batch(key, keys)?;
    let changed = Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?);
    let narrowed = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        let table = scan.table_name.to_string();
        let Some(watermark) = model.definition.watermark.iter().find(|watermark| watermark.table == table) else {
            return Ok(Transformed::no(node));
        };
        let narrowed = if has_column(&node, key) {
            let right = LogicalPlanBuilder::scan("changed_key", provider_as_source(changed.clone()), None)?.build()?;
            let on =
                (vec![Column::new(Some(scan.table_name.clone()), key)], vec![Column::new(Some("changed_key"), key)]);
            LogicalPlanBuilder::from(node).join(right, JoinType::LeftSemi, on, None)?.build()?
        } else {
            let newer = past(&node, watermark, marks)
                .map_err(|error| datafusion::error::DataFusionError::Plan(error.to_string()))?;
            LogicalPlanBuilder::from(node).filter(newer)?.build()?
        };
        Ok(Transformed::yes(narrowed))
    })?;
    Ok(narrowed.data)
}

pub(crate) fn empty_keys(kind: &ArrowType) -> KeySet {
    match kind {
        ArrowType::Int64 => KeySet::Int64(HashSet::new()),
        _ => KeySet::Utf8(HashSet::new()),
    }
}

/// Adds the values of a column; null is no key.
pub(crate) fn add_keys(keys: &mut KeySet, column: &ArrayRef) -> Result<()> {
    match keys {
        KeySet::Int64(keys) => {
            let column = arrow::compute::cast(column, &ArrowType::Int64)?;
            let values = column.as_any().downcast_ref::<Int64Array>().expect("cast to bigint");
            keys.extend(values.iter().flatten());
        }
        KeySet::Utf8(keys) => {
            let column = arrow::compute::cast(column, &ArrowType::Utf8)?;
            let values = column.as_any().downcast_ref::<StringArray>().expect("cast to varchar");
            keys.extend(values.iter().flatten().map(str::to_owned));
        }
    }
    Ok(())
}

fn keys_batch(key: &str, keys: &KeySet) -> Result<RecordBatch> {
    let (kind, column): (ArrowType, ArrayRef) = match keys {
        KeySet::Int64(keys) => (ArrowType::Int64, Arc::new(keys.iter().copied().collect::<Int64Array>())),
        KeySet::Utf8(keys) => (ArrowType::Utf8, Arc::new(keys.iter().map(Some).collect::<StringArray>())),
    };
    Ok(RecordBatch::try_new(Arc::new(Schema::new(vec![Field::new(key, kind, true)])), vec![column])?)
}

async fn scan(session: &SessionContext, watermark: &Watermark) -> Result<LogicalPlanBuilder> {
    let reference = TableReference::parse_str(&watermark.table);
    let provider = session.table_provider(reference.clone()).await?;
    Ok(LogicalPlanBuilder::scan(reference, provider_as_source(provider), None)?)
}

fn has_column(plan: &LogicalPlan, column: &str) -> bool {
    plan.schema().fields().iter().any(|field| field.name() == column)
}

/// True for rows past the mark; for all rows where there is no mark.
fn past(plan: &LogicalPlan, watermark: &Watermark, marks: &BTreeMap<String, String>) -> Result<Expr> {
    let (qualifier, field) = plan
        .schema()
        .iter()
        .find(|(_, field)| *field.name() == watermark.column)
        .ok_or_else(|| Error::Query(format!("`{}` has no column `{}`", watermark.table, watermark.column)))?;
    let column = col(Column::new(qualifier.cloned(), field.name()));
    match marks.get(&watermark.table).map(String::as_str) {
        None | Some("") => Ok(lit(true)),
        Some(text) => {
            let mark = ScalarValue::try_from_string(text.to_owned(), field.data_type())?;
            Ok(column.gt(lit(earlier(mark, watermark.lookback_days))))
        }
    }
}

fn earlier(mark: ScalarValue, days: u32) -> ScalarValue {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    match mark {
        ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
            ScalarValue::TimestampMicrosecond(Some(micros - i64::from(days) * MICROS_PER_DAY), zone)
        }
        ScalarValue::Date32(Some(day)) => ScalarValue::Date32(Some(day - days as i32)),
        other => other,
    }
}

fn texts(column: &ArrayRef) -> Result<Vec<String>> {
    let column = arrow::compute::cast(column, &ArrowType::Utf8)?;
    let values = column.as_any().downcast_ref::<StringArray>().expect("cast to varchar");
    Ok(values.iter().flatten().map(str::to_owned).collect())
}
