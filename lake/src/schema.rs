//! From a [`TableSpec`] to Iceberg's schema, partition spec and sort order, and how a table's schema grows.
//! Columns get their field ids here, once; everything else goes by id or by the names of the current schema.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef as ArrowSchemaRef, TimeUnit};
use iceberg::spec::{
    FormatVersion, ListType, NestedField, NestedFieldRef, NullOrder, PrimitiveType, Schema, SortDirection, SortField,
    SortOrder, TableMetadata, TableMetadataBuilder, Transform as IcebergTransform, Type, UnboundPartitionSpec,
};

use crate::{Error, Result, TableName, TableSpec, Transform};

/// Types that Athena, Trino, Spark, DuckDB and pyiceberg all read alike.
const EXPECTED_TYPES: &str =
    "boolean, integer, double, decimal, text, date or timestamp without zone, or a list of one";

/// Builds the metadata of a table that does not exist yet.
pub(crate) fn create(spec: &TableSpec, location: String) -> Result<TableMetadata> {
    let making = || Error::metadata(&spec.name, "made");
    let columns = spec.schema.fields();
    let mut element_ids = columns.len() as i32 + 1..;
    let mut fields = Vec::new();
    for (field, id) in columns.iter().zip(1..) {
        let column_type = column_type(&spec.name, field)?.with_ids(&mut || element_ids.next().unwrap_or_default());
        fields.push(nested_field(id, field, column_type, field.is_nullable()));
    }
    let schema = schema_with_key(spec, fields)?;
    let partition = partition_spec(spec, &schema)?;
    let sort_order = sort_order(spec, &schema)?;
    let properties = HashMap::from([
        ("write.parquet.compression-codec".to_string(), "zstd".to_string()),
        ("write.format.default".to_string(), "parquet".to_string()),
    ]);
    let builder = TableMetadataBuilder::new(schema, partition, sort_order, location, FormatVersion::V2, properties)
        .map_err(making())?;
    Ok(builder.build().map_err(making())?.metadata)
}

/// Finds the schema that a table needs so that the spec's rows fit; none when it has it already.
/// With `free` the schema becomes the spec's, whatever the table had; otherwise columns are only added or relaxed.
pub(crate) fn evolve(spec: &TableSpec, table: &TableMetadata, free: bool) -> Result<Option<Schema>> {
    let current = table.current_schema();
    let mut next_id = table.last_column_id() + 1;
    let mut fresh_id = || {
        next_id += 1;
        next_id - 1
    };
    let mut fields: Vec<NestedFieldRef> = Vec::new();
    let mut named = BTreeSet::new();
    for field in spec.schema.fields() {
        named.insert(field.name().clone());
        let wanted = column_type(&spec.name, field)?;
        match current.field_by_name(field.name()) {
            Some(have) if wanted.is(&have.field_type) => {
                let nullable = !have.required || field.is_nullable();
                fields.push(nested_field(have.id, field, *have.field_type.clone(), nullable));
            }
            Some(have) if !free => {
                return Err(Error::TypeChange {
                    table: spec.name.clone(),
                    column: field.name().clone(),
                    have: have.field_type.to_string(),
                    want: wanted.to_string(),
                });
            }
            // Rows that are there already have no value for a new column.
            _ => {
                let id = fresh_id();
                fields.push(nested_field(id, field, wanted.with_ids(&mut fresh_id), true));
            }
        }
    }
    if !free {
        fields.extend(current.as_struct().fields().iter().filter(|field| !named.contains(&field.name)).cloned());
        fields = keep_order(current, fields);
    }
    let schema = schema_with_key(spec, fields)?;
    Ok((schema.as_struct() != current.as_struct()).then_some(schema))
}

/// Puts the columns of the current schema first, in their order, and the new ones behind.
fn keep_order(current: &Schema, fields: Vec<NestedFieldRef>) -> Vec<NestedFieldRef> {
    let mut by_id: HashMap<i32, NestedFieldRef> = fields.iter().map(|field| (field.id, field.clone())).collect();
    let mut ordered: Vec<_> = current.as_struct().fields().iter().filter_map(|field| by_id.remove(&field.id)).collect();
    ordered.extend(fields.into_iter().filter(|field| by_id.contains_key(&field.id)));
    ordered
}

fn nested_field(id: i32, field: &Field, column_type: Type, nullable: bool) -> NestedFieldRef {
    Arc::new(NestedField::new(id, field.name(), column_type, !nullable))
}

/// Key columns become Iceberg's identifier fields when none of them may be null.
fn schema_with_key(spec: &TableSpec, fields: Vec<NestedFieldRef>) -> Result<Schema> {
    let mut key = Vec::new();
    for column in &spec.key {
        let field = fields.iter().find(|field| field.name == *column).ok_or_else(|| no_column(spec, column, "key"))?;
        let exact = !matches!(*field.field_type, Type::Primitive(PrimitiveType::Double | PrimitiveType::Float));
        if field.required && exact {
            key.push(field.id);
        }
    }
    if key.len() < spec.key.len() {
        key.clear();
    }
    Schema::builder()
        .with_fields(fields)
        .with_identifier_field_ids(key)
        .build()
        .map_err(Error::metadata(&spec.name, "made"))
}

fn no_column(spec: &TableSpec, column: &str, role: &'static str) -> Error {
    Error::NoSuchColumn { table: spec.name.clone(), column: column.to_string(), role }
}

fn partition_spec(spec: &TableSpec, schema: &Schema) -> Result<UnboundPartitionSpec> {
    let builder = UnboundPartitionSpec::builder();
    let Some(partition) = &spec.partition else { return Ok(builder.build()) };
    let source = schema
        .field_id_by_name(&partition.column)
        .ok_or_else(|| no_column(spec, &partition.column, "partition column"))?;
    let (name, transform) = match partition.transform {
        Transform::Identity => (partition.column.clone(), IcebergTransform::Identity),
        Transform::Year => (format!("{}_year", partition.column), IcebergTransform::Year),
        Transform::Month => (format!("{}_month", partition.column), IcebergTransform::Month),
        Transform::Day => (format!("{}_day", partition.column), IcebergTransform::Day),
        Transform::Bucket(count) => (format!("{}_bucket", partition.column), IcebergTransform::Bucket(count)),
    };
    let builder = builder.add_partition_field(source, name, transform).map_err(Error::metadata(&spec.name, "made"))?;
    Ok(builder.build())
}

/// Builds the spec's sort order: ascending, nulls first.
pub(crate) fn sort_order(spec: &TableSpec, schema: &Schema) -> Result<SortOrder> {
    if spec.sort.is_empty() {
        return Ok(SortOrder::unsorted_order());
    }
    let fields = spec
        .sort
        .iter()
        .map(|column| {
            let source_id = schema.field_id_by_name(column).ok_or_else(|| no_column(spec, column, "sort column"))?;
            Ok(SortField {
                source_id,
                transform: IcebergTransform::Identity,
                direction: SortDirection::Ascending,
                null_order: NullOrder::First,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut builder = SortOrder::builder();
    builder.with_order_id(1).with_fields(fields);
    builder.build_unbound().map_err(Error::metadata(&spec.name, "made"))
}

/// What a column holds: values, or lists of values. Lists of lists and structures are for other tools.
struct ColumnType {
    value: PrimitiveType,
    is_list: bool,
}

impl ColumnType {
    fn is(&self, have: &Type) -> bool {
        match have {
            Type::Primitive(have) => !self.is_list && *have == self.value,
            Type::List(list) => self.is_list && *list.element_field.field_type == Type::Primitive(self.value.clone()),
            _ => false,
        }
    }

    /// The same as Iceberg has it, where the elements of a list have an id of their own.
    fn with_ids(self, fresh_id: &mut dyn FnMut() -> i32) -> Type {
        let value = Type::Primitive(self.value);
        if !self.is_list {
            return value;
        }
        Type::List(ListType { element_field: Arc::new(NestedField::list_element(fresh_id(), value, false)) })
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_list { write!(formatter, "list of {}", self.value) } else { self.value.fmt(formatter) }
    }
}

/// Maps an Arrow type to the column type that holds it. Kinds that only differ in width or layout are widened.
fn column_type(table: &TableName, field: &Field) -> Result<ColumnType> {
    let (of, is_list) = match field.data_type() {
        DataType::List(element) | DataType::LargeList(element) => (element.data_type(), true),
        other => (other, false),
    };
    let plain = match of {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let value = match plain {
        DataType::Boolean => PrimitiveType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => PrimitiveType::Int,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => PrimitiveType::Long,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => PrimitiveType::Double,
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            PrimitiveType::Decimal { precision: u32::from(*precision), scale: u32::from(scale.unsigned_abs()) }
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PrimitiveType::String,
        DataType::Date32 | DataType::Date64 => PrimitiveType::Date,
        DataType::Timestamp(
            TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
            None,
        ) => PrimitiveType::Timestamp,
        _ => {
            return Err(Error::UnsupportedType {
                table: table.clone(),
                column: field.name().clone(),
                found: field.data_type().to_string(),
                expected: EXPECTED_TYPES,
            });
        }
    };
    Ok(ColumnType { value, is_list })
}

/// The Arrow schema of a table's Parquet files: each field carries its id.
pub(crate) fn file_schema(table: &TableName, schema: &Schema) -> Result<ArrowSchemaRef> {
    let is_flat = |of: &Type| match of {
        Type::Primitive(_) => true,
        Type::List(list) => list.element_field.field_type.is_primitive(),
        _ => false,
    };
    if let Some(field) = schema.as_struct().fields().iter().find(|field| !is_flat(&field.field_type)) {
        return Err(Error::Unsupported {
            table: table.clone(),
            reason: format!("has a nested column `{}`, which cannot be read or written here", field.name),
        });
    }
    Ok(Arc::new(iceberg::arrow::schema_to_arrow_schema(schema).map_err(Error::metadata(table, "read"))?))
}

/// The Arrow schema that queries see: the same without ids, so that plans from several tables mix.
pub(crate) fn query_schema(file_schema: &ArrowSchema) -> ArrowSchemaRef {
    let fields: Vec<Field> = file_schema
        .fields()
        .iter()
        .map(|field| {
            let without_id = match field.data_type() {
                DataType::List(element) => {
                    let element = Field::new(element.name(), element.data_type().clone(), element.is_nullable());
                    DataType::List(Arc::new(element))
                }
                other => other.clone(),
            };
            Field::new(field.name(), without_id, field.is_nullable())
        })
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Partition;

    fn spec(columns: &[(&str, DataType, bool)]) -> TableSpec {
        let fields: Vec<Field> = columns.iter().map(|(n, t, null)| Field::new(*n, t.clone(), *null)).collect();
        TableSpec {
            name: TableName::new("t", "t"),
            schema: Arc::new(ArrowSchema::new(fields)),
            key: vec![],
            sort: vec![],
            partition: None,
        }
    }

    #[test]
    fn columns_are_added_behind_and_keep_their_ids() {
        let old =
            create(&spec(&[("a", DataType::Int64, false), ("b", DataType::Utf8, true)]), "file:///x".into()).unwrap();
        let wider = spec(&[("c", DataType::Float64, false), ("a", DataType::Int64, true)]);
        let schema = evolve(&wider, &old, false).unwrap().unwrap();
        let got: Vec<_> = schema.as_struct().fields().iter().map(|f| (f.id, f.name.as_str(), f.required)).collect();
        assert_eq!(got, [(1, "a", false), (2, "b", false), (3, "c", false)]);
        assert!(evolve(&spec(&[("a", DataType::Int64, false)]), &old, false).unwrap().is_none());
    }

    #[test]
    fn a_type_change_names_table_and_column_unless_it_is_allowed() {
        let old =
            create(&spec(&[("a", DataType::Int64, false), ("b", DataType::Utf8, true)]), "file:///x".into()).unwrap();
        let changed = spec(&[("a", DataType::Utf8, true)]);
        let message = evolve(&changed, &old, false).unwrap_err().to_string();
        assert!(message.starts_with("column `a` of table `t.t` is long and cannot become string"), "{message}");
        let schema = evolve(&changed, &old, true).unwrap().unwrap();
        let got: Vec<_> = schema.as_struct().fields().iter().map(|f| (f.id, f.name.as_str())).collect();
        assert_eq!(got, [(3, "a")]);
    }

    #[test]
    fn lists_have_an_id_for_their_elements() {
        let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
        let old = spec(&[("a", list(DataType::Utf8), true), ("b", DataType::Int64, true)]);
        let old = create(&old, "file:///x".into()).unwrap();
        assert_eq!((old.current_schema().field_id_by_name("a.element"), old.last_column_id()), (Some(3), 3));
        let wider = spec(&[("a", list(DataType::Utf8), true), ("c", list(DataType::Date32), true)]);
        let schema = evolve(&wider, &old, false).unwrap().unwrap();
        assert_eq!((schema.field_id_by_name("a.element"), schema.field_id_by_name("c.element")), (Some(3), Some(5)));
        let changed = spec(&[("a", DataType::Utf8, true)]);
        let message = evolve(&changed, &old, false).unwrap_err().to_string();
        assert!(message.contains("cannot become string"), "{message}");
    }

    #[test]
    fn timestamps_with_zone_and_nested_columns_are_refused() {
        let list = |of| DataType::List(Arc::new(Field::new("item", of, true)));
        for bad in [
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            list(list(DataType::Utf8)),
            DataType::Struct(vec![Field::new("item", DataType::Utf8, true)].into()),
            DataType::Null,
        ] {
            let error = create(&spec(&[("x", bad, true)]), "file:///x".into()).unwrap_err();
            assert!(matches!(error, Error::UnsupportedType { .. }), "{error}");
        }
    }

    #[test]
    fn unknown_key_sort_and_partition_columns_are_errors() {
        let good = spec(&[("a", DataType::Date32, false)]);
        let partition = Some(Partition { column: "z".into(), transform: Transform::Year });
        for bad in [
            TableSpec { key: vec!["z".into()], ..good.clone() },
            TableSpec { sort: vec!["z".into()], ..good.clone() },
            TableSpec { partition, ..good.clone() },
        ] {
            assert!(matches!(create(&bad, "file:///x".into()), Err(Error::NoSuchColumn { .. })));
        }
        let keyed = create(&TableSpec { key: vec!["a".into()], ..good }, "file:///x".into()).unwrap();
        assert_eq!(keyed.current_schema().identifier_field_ids().collect::<Vec<_>>(), [1]);
    }
}
