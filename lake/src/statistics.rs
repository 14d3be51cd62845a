//! What the manifests say about files, in DataFusion's words: row counts, bounds, nulls.

use std::sync::Arc;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use iceberg::spec::{DataFile, Datum, PrimitiveLiteral, PrimitiveType, Schema};

/// Describes one file, deleted rows included. Bounds count as exact: that is how DataFusion prunes, and a shortened text is still a bound.
pub(crate) fn of_file(file: &DataFile, schema: &Schema) -> Statistics {
    let rows = usize::try_from(file.record_count()).unwrap_or(usize::MAX);
    let columns = schema.as_struct().fields().iter().map(|field| {
        let Some(values) = file.value_counts().get(&field.id) else {
            // The file is older than the column, or its writer did not count.
            return ColumnStatistics::default();
        };
        let nulls = file.null_value_counts().get(&field.id).and_then(|nulls| usize::try_from(*nulls).ok());
        // A NaN is in no bounds, so those of a float do not hold for all its values.
        let float = matches!(field.field_type.as_primitive_type(), Some(PrimitiveType::Double | PrimitiveType::Float));
        let bound = |datum: Option<&Datum>| match datum.and_then(scalar) {
            Some(value) if float => Precision::Inexact(value),
            Some(value) => Precision::Exact(value),
            None => Precision::Absent,
        };
        ColumnStatistics {
            null_count: match nulls {
                Some(nulls) if usize::try_from(*values) == Ok(rows) => Precision::Exact(nulls),
                _ => Precision::Absent,
            },
            min_value: bound(file.lower_bounds().get(&field.id)),
            max_value: bound(file.upper_bounds().get(&field.id)),
            ..ColumnStatistics::default()
        }
    });
    Statistics {
        num_rows: Precision::Exact(rows),
        total_byte_size: Precision::Absent,
        column_statistics: columns.collect(),
    }
}

/// Adds files up, for the planner: neither a shortened text nor a deleted row's value must be taken for one that is
/// there.
pub(crate) fn of_scan(files: &[Arc<Statistics>], deleted_rows: usize, schema: &ArrowSchema) -> Statistics {
    let mut sum = match files.split_first() {
        None => empty(schema),
        Some((first, rest)) => {
            let merged = rest.iter().try_fold(first.as_ref().clone(), |sum, next| sum.try_merge(next));
            merged.unwrap_or_else(|_| Statistics::new_unknown(schema))
        }
    };
    let rows = sum.num_rows.get_value().copied().unwrap_or(0);
    let mut row_bytes = 0;
    for (column, field) in sum.column_statistics.iter_mut().zip(schema.fields()) {
        row_bytes += field.data_type().primitive_width().unwrap_or(16);
        if field.data_type().primitive_width().is_none() && field.data_type().is_string() {
            column.min_value = std::mem::take(&mut column.min_value).to_inexact();
            column.max_value = std::mem::take(&mut column.max_value).to_inexact();
        }
    }
    if deleted_rows > 0 {
        sum = sum.to_inexact();
        sum.num_rows = Precision::Exact(rows - deleted_rows.min(rows));
    }
    sum.total_byte_size = Precision::Inexact(rows.saturating_mul(row_bytes));
    sum
}

fn empty(schema: &ArrowSchema) -> Statistics {
    let none = ColumnStatistics { null_count: Precision::Exact(0), ..ColumnStatistics::default() };
    Statistics {
        num_rows: Precision::Exact(0),
        total_byte_size: Precision::Exact(0),
        column_statistics: vec![none; schema.fields().len()],
    }
}

fn scalar(datum: &Datum) -> Option<ScalarValue> {
    Some(match (datum.data_type(), datum.literal()) {
        (PrimitiveType::Boolean, PrimitiveLiteral::Boolean(value)) => ScalarValue::Boolean(Some(*value)),
        (PrimitiveType::Int, PrimitiveLiteral::Int(value)) => ScalarValue::Int32(Some(*value)),
        (PrimitiveType::Date, PrimitiveLiteral::Int(value)) => ScalarValue::Date32(Some(*value)),
        (PrimitiveType::Long, PrimitiveLiteral::Long(value)) => ScalarValue::Int64(Some(*value)),
        (PrimitiveType::Timestamp, PrimitiveLiteral::Long(value)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), None)
        }
        (PrimitiveType::Double, PrimitiveLiteral::Double(value)) => ScalarValue::Float64(Some(value.0)),
        (PrimitiveType::String, PrimitiveLiteral::String(value)) => ScalarValue::Utf8(Some(value.clone())),
        _ => return None,
    })
}

/// Says for each file whether it may hold a row for which the predicate is true.
pub(crate) fn may_match(
    predicate: &Arc<dyn datafusion::physical_plan::PhysicalExpr>,
    files: &[Arc<Statistics>],
    schema: &ArrowSchemaRef,
) -> Vec<bool> {
    use datafusion::common::pruning::PrunableStatistics;
    use datafusion::physical_optimizer::pruning::PruningPredicate;
    let all = || vec![true; files.len()];
    match PruningPredicate::try_new(predicate.clone(), schema.clone()) {
        Ok(pruning) if !pruning.always_true() => {
            pruning.prune(&PrunableStatistics::new(files.to_vec(), schema.clone())).unwrap_or_else(|_| all())
        }
        // What cannot be judged is read.
        _ => all(),
    }
}
