//! From the footer of a Parquet file that was just written to Iceberg's entry for it: counts, sizes, bounds.

use std::collections::HashMap;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, PrimitiveType, Schema, Struct, Type,
};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

/// What the footer does not say.
pub(crate) struct Placement {
    pub url: String,
    pub size_bytes: u64,
    pub partition: Struct,
    pub partition_spec_id: i32,
    /// The table's sort order, if the rows follow it.
    pub sort_order_id: Option<i32>,
}

/// Builds the entry. Columns of the file are those of the schema, in order.
pub(crate) fn describe(
    placement: Placement,
    footer: &ParquetMetaData,
    schema: &Schema,
) -> Result<DataFile, iceberg::Error> {
    let columns: Vec<Column> =
        schema.as_struct().fields().iter().enumerate().filter_map(|(i, f)| Column::read(i, f, footer)).collect();
    let by_id = |value: fn(&Column) -> u64| columns.iter().map(|c| (c.id, value(c))).collect::<HashMap<_, _>>();
    let mut offsets: Vec<i64> = footer.row_groups().iter().filter_map(|group| group.file_offset()).collect();
    if offsets.len() != footer.num_row_groups() {
        offsets = footer.row_groups().iter().map(first_offset).collect();
    }
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::Data)
        .file_format(DataFileFormat::Parquet)
        .file_path(placement.url)
        .file_size_in_bytes(placement.size_bytes)
        .partition(placement.partition)
        .partition_spec_id(placement.partition_spec_id)
        .record_count(footer.file_metadata().num_rows().unsigned_abs())
        .column_sizes(by_id(|c| c.size_bytes))
        .value_counts(by_id(|c| c.values))
        .null_value_counts(columns.iter().filter_map(|c| Some((c.id, c.nulls?))).collect())
        .lower_bounds(columns.iter().filter_map(|c| Some((c.id, c.lower.clone()?))).collect())
        .upper_bounds(columns.iter().filter_map(|c| Some((c.id, c.upper.clone()?))).collect())
        .split_offsets(Some(offsets));
    if let Some(id) = placement.sort_order_id {
        builder.sort_order_id(id);
    }
    builder.build().map_err(|error| iceberg::Error::new(iceberg::ErrorKind::Unexpected, error.to_string()))
}

fn first_offset(group: &parquet::file::metadata::RowGroupMetaData) -> i64 {
    let column = group.column(0);
    column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())
}

/// One column over all row groups.
struct Column {
    id: i32,
    size_bytes: u64,
    values: u64,
    nulls: Option<u64>,
    lower: Option<Datum>,
    upper: Option<Datum>,
}

impl Column {
    fn read(index: usize, field: &iceberg::spec::NestedField, footer: &ParquetMetaData) -> Option<Column> {
        let Type::Primitive(kind) = field.field_type.as_ref() else { return None };
        let mut column = Column { id: field.id, size_bytes: 0, values: 0, nulls: Some(0), lower: None, upper: None };
        let mut bounded = true;
        for group in footer.row_groups() {
            let chunk = group.column(index);
            column.size_bytes += chunk.compressed_size().unsigned_abs();
            column.values += chunk.num_values().unsigned_abs();
            let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
            column.nulls = column.nulls.zip(nulls).map(|(sum, more)| sum + more);
            if nulls == Some(chunk.num_values().unsigned_abs()) {
                continue;
            }
            let bounds = chunk.statistics().and_then(|s| Some((bound(kind, s, false)?, bound(kind, s, true)?)));
            match bounds {
                Some((lower, upper)) => column.widen(lower, upper),
                None => bounded = false,
            }
        }
        if !bounded {
            (column.lower, column.upper) = (None, None);
        }
        Some(column)
    }

    fn widen(&mut self, lower: Datum, upper: Datum) {
        if self.lower.as_ref().is_none_or(|have| lower < *have) {
            self.lower = Some(lower);
        }
        if self.upper.as_ref().is_none_or(|have| upper > *have) {
            self.upper = Some(upper);
        }
    }
}

/// Reads the least or greatest value. Long texts come shortened by the Parquet writer, still as valid bounds.
fn bound(kind: &PrimitiveType, statistics: &Statistics, upper: bool) -> Option<Datum> {
    fn pick<'a, T>(upper: bool, min: Option<&'a T>, max: Option<&'a T>) -> Option<&'a T> {
        if upper { max } else { min }
    }
    match (kind, statistics) {
        (PrimitiveType::Boolean, Statistics::Boolean(s)) => {
            pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::bool(*v))
        }
        (PrimitiveType::Int, Statistics::Int32(s)) => pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::int(*v)),
        (PrimitiveType::Date, Statistics::Int32(s)) => pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::date(*v)),
        (PrimitiveType::Long, Statistics::Int64(s)) => pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::long(*v)),
        (PrimitiveType::Timestamp, Statistics::Int64(s)) => {
            pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::timestamp_micros(*v))
        }
        (PrimitiveType::Double, Statistics::Double(s)) => {
            pick(upper, s.min_opt(), s.max_opt()).map(|v| Datum::double(*v))
        }
        (PrimitiveType::String, Statistics::ByteArray(s)) => {
            pick(upper, s.min_opt(), s.max_opt()).and_then(|v| v.as_utf8().ok()).map(Datum::string)
        }
        _ => None,
    }
}
