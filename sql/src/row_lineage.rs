//! The lineage columns of stored rows: which run wrote a row, which model made it, since when it is known and since when
//! it is as it is. A row is the same row as long as its grain is the same.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use arrow::row::{RowConverter, SortField};
use chrono::NaiveDateTime;
use datafusion::common::{Column, DFSchema, NullEquality, ScalarValue};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{
    ColumnarValue, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast, col, ident, lit, when,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::definition::LINEAGE_COLUMNS;
use crate::project::Model;

const OLD: &str = "lineage_old";
const HASH: &str = "lineage_row_hash";
const TIMESTAMP: ArrowType = ArrowType::Timestamp(TimeUnit::Microsecond, None);

/// The run that writes.
pub(crate) struct Writing<'a> {
    pub(crate) run_id: &'a str,
    pub(crate) started_at: NaiveDateTime,
}

/// The columns of a stored model: those of the YAML, then those of the runner.
pub(crate) fn stored_schema(model: &Model) -> SchemaRef {
    let mut fields = model.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    fields.push(Field::new(LINEAGE_COLUMNS[0], ArrowType::Utf8, false));
    fields.push(Field::new(LINEAGE_COLUMNS[1], ArrowType::Utf8, false));
    fields.push(Field::new(LINEAGE_COLUMNS[2], TIMESTAMP, false));
    fields.push(Field::new(LINEAGE_COLUMNS[3], TIMESTAMP, false));
    Arc::new(Schema::new(fields))
}

/// The columns of the YAML, in its order and with its types, whatever string or time type the query yields.
pub(crate) fn shaped(plan: LogicalPlan, model: &Model) -> Result<LogicalPlan> {
    let columns = model.schema().fields().iter().map(|field| typed(field)).collect::<Vec<_>>();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// Adds the lineage columns; `old` is the table as it stands, where it stands.
pub(crate) fn with_lineage(
    new: LogicalPlan,
    old: Option<LogicalPlan>,
    model: &Model,
    writing: &Writing<'_>,
) -> Result<LogicalPlan> {
    let now = lit(ScalarValue::TimestampMicrosecond(Some(writing.started_at.and_utc().timestamp_micros()), None));
    let fields = model.schema();
    let mut columns = fields.fields().iter().map(|field| ident(field.name())).collect::<Vec<_>>();
    columns.push(lit(writing.run_id).alias(LINEAGE_COLUMNS[0]));
    columns.push(lit(model.name.as_str()).alias(LINEAGE_COLUMNS[1]));
    let Some(old) = old else {
        columns.push(now.clone().alias(LINEAGE_COLUMNS[2]));
        columns.push(now.alias(LINEAGE_COLUMNS[3]));
        return LogicalPlanBuilder::from(new).project(columns)?.build();
    };

    let hash = row_hash(model);
    let mut hashed = fields.fields().iter().map(|field| ident(field.name())).collect::<Vec<_>>();
    hashed.push(hash.clone().alias(HASH));
    let new = LogicalPlanBuilder::from(new).project(hashed)?.alias("lineage_new")?.build()?;

    let grain = &model.definition.grain;
    let old_name = |column: &str| format!("old_{column}");
    let mut kept = fields.fields().iter().map(|field| typed(field)).collect::<Vec<_>>();
    kept.extend(LINEAGE_COLUMNS[2..].iter().map(|column| ident(*column)));
    let mut told = grain.iter().map(|column| ident(column).alias(old_name(column))).collect::<Vec<_>>();
    told.push(ident(LINEAGE_COLUMNS[2]));
    told.push(ident(LINEAGE_COLUMNS[3]));
    told.push(hash.alias(HASH));
    // Should the grain not be unique, one old row speaks for all: the join never multiplies rows.
    let groups = grain.iter().map(|column| ident(old_name(column))).collect::<Vec<_>>();
    let facts = [
        min(ident(LINEAGE_COLUMNS[2])).alias(LINEAGE_COLUMNS[2]),
        max(ident(LINEAGE_COLUMNS[3])).alias(LINEAGE_COLUMNS[3]),
        min(ident(HASH)).alias(HASH),
    ];
    let old =
        LogicalPlanBuilder::from(old).project(kept)?.project(told)?.aggregate(groups, facts)?.alias(OLD)?.build()?;

    let keys = (
        grain.iter().map(|column| Column::new(Some("lineage_new"), column.as_str())).collect::<Vec<_>>(),
        grain.iter().map(|column| Column::new(Some(OLD), old_name(column))).collect::<Vec<_>>(),
    );
    let joined =
        LogicalPlanBuilder::from(new).join_detailed(old, JoinType::Left, keys, None, NullEquality::NullEqualsNull)?;
    let of_old = |column: &str| col(Column::new(Some(OLD), column));
    let of_new = |column: &str| col(Column::new(Some("lineage_new"), column));
    let mut columns = fields.fields().iter().map(|field| of_new(field.name())).collect::<Vec<_>>();
    columns.push(lit(writing.run_id).alias(LINEAGE_COLUMNS[0]));
    columns.push(lit(model.name.as_str()).alias(LINEAGE_COLUMNS[1]));
    let first_seen =
        when(of_old(LINEAGE_COLUMNS[2]).is_not_null(), of_old(LINEAGE_COLUMNS[2])).otherwise(now.clone())?;
    columns.push(first_seen.alias(LINEAGE_COLUMNS[2]));
    let unchanged = of_old(HASH).eq(of_new(HASH));
    let last_updated = when(unchanged, of_old(LINEAGE_COLUMNS[3])).otherwise(now)?;
    columns.push(last_updated.alias(LINEAGE_COLUMNS[3]));
    joined.project(columns)?.build()
}

/// True when a table has every column that [`with_lineage`] reads of it, with types that still fit.
pub(crate) fn is_comparable(old: &DFSchema, model: &Model) -> bool {
    stored_schema(model).fields().iter().all(|field| {
        old.fields().iter().any(|other| {
            other.name() == field.name()
                && crate::definition::DataType::of(other.data_type())
                    == crate::definition::DataType::of(field.data_type())
        })
    })
}

fn typed(field: &Field) -> Expr {
    cast(ident(field.name()), field.data_type().clone()).alias(field.name())
}

fn row_hash(model: &Model) -> Expr {
    let columns = model.schema().fields().iter().map(|field| ident(field.name())).collect();
    ScalarUDF::new_from_impl(RowHash { signature: Signature::variadic_any(Volatility::Immutable) }).call(columns)
}

/// A hash over the values of a row, the same for the same values and types.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowHash {
    signature: Signature,
}

impl ScalarUDFImpl for RowHash {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn name(&self) -> &str {
        HASH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(ArrowType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
        let rows = RowConverter::new(fields)?.convert_columns(&arrays)?;
        let hashes = rows.iter().map(|row| xxh3_64(row.as_ref()) as i64).collect::<Int64Array>();
        debug_assert_eq!(hashes.len(), args.number_rows);
        Ok(ColumnarValue::Array(Arc::new(hashes) as ArrayRef))
    }
}
