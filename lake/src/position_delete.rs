//! Position deletes: which rows of data files are gone, told by files of their own. A data file stays as it is when
//! a few of its rows go.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema as ArrowSchema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use iceberg::io::FileIO;
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Struct};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::store::shown;
use crate::{Error, Result, TableName};

/// Columns of a delete file with the ids that Iceberg reserves for them.
const FILE_PATH: (&str, i32) = ("file_path", i32::MAX - 101);
const POSITION: (&str, i32) = ("pos", i32::MAX - 102);

/// Deleted rows of one data file.
#[derive(Debug, Clone)]
pub(crate) struct DeletedRows {
    /// The data file's partition; its deletes are kept in files of the same.
    pub partition: Struct,
    pub partition_spec_id: i32,
    /// Positions in the file, ascending, each once.
    pub positions: Arc<Vec<u64>>,
}

/// Deleted rows by path of the data file.
pub(crate) type Deletes = BTreeMap<String, DeletedRows>;

/// Reads a delete file: positions by path of the data file, in the order of the file.
pub(crate) async fn read(files: &FileIO, table: &TableName, file: &DataFile) -> Result<BTreeMap<String, Vec<u64>>> {
    let reading = || Error::metadata(table, "read");
    let input = files.new_input(file.file_path()).map_err(reading())?;
    let bytes = input.read().await.map_err(reading())?;
    let path = shown(file.file_path());
    let unreadable = || Error::parquet(&path, "read");
    // Thousands of rows name the same few files.
    let options = ArrowReaderOptions::new();
    let metadata = ArrowReaderMetadata::load(&bytes, options.clone()).map_err(unreadable())?;
    let fields = metadata.schema().fields().iter().map(|field| match field.name().as_str() {
        name if name == FILE_PATH.0 => Arc::new(field.as_ref().clone().with_data_type(path_type())),
        _ => field.clone(),
    });
    let schema = Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()));
    let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), options.with_schema(schema));
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, metadata.map_err(unreadable())?);
    let mut deleted = BTreeMap::new();
    for batch in builder.build().map_err(unreadable())? {
        let taken = batch.and_then(|batch| take_positions(&batch, &mut deleted));
        taken.map_err(|error| unreadable()(ParquetError::from(error)))?;
    }
    Ok(deleted)
}

fn take_positions(batch: &RecordBatch, deleted: &mut BTreeMap<String, Vec<u64>>) -> Result<(), ArrowError> {
    let missing = |name: &str| ArrowError::SchemaError(format!("a delete file has no column `{name}`"));
    let paths = batch.column_by_name(FILE_PATH.0).and_then(|column| column.as_dictionary_opt::<Int32Type>());
    let paths = paths.ok_or_else(|| missing(FILE_PATH.0))?;
    let names = paths.values().as_string_opt::<i32>().ok_or_else(|| missing(FILE_PATH.0))?;
    let positions = batch.column_by_name(POSITION.0).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let positions = positions.ok_or_else(|| missing(POSITION.0))?.values();
    let mut from = 0;
    for same in paths.keys().values().chunk_by(|one, next| one == next) {
        let name = names.value(usize::try_from(same[0]).unwrap_or_default());
        let of_file = positions[from..from + same.len()].iter().map(|position| position.cast_unsigned());
        match deleted.get_mut(name) {
            Some(known) => known.extend(of_file),
            None => {
                deleted.insert(name.to_string(), of_file.collect());
            }
        }
        from += same.len();
    }
    Ok(())
}

/// Brings positions into order and leaves out those that come twice.
pub(crate) fn in_order(mut positions: Vec<u64>) -> Arc<Vec<u64>> {
    positions.sort_unstable();
    positions.dedup();
    Arc::new(positions)
}

/// Selects the rows at all positions but these, which are in ascending order.
pub(crate) fn kept_rows(gone: &[u64], rows: usize) -> RowSelection {
    let gone = gone.iter().map(|position| usize::try_from(*position).unwrap_or(usize::MAX));
    let ends = gone.clone().chain(std::iter::once(rows));
    let starts = std::iter::once(0).chain(gone.map(|position| position + 1));
    RowSelection::from_consecutive_ranges(starts.zip(ends).map(|(start, end)| start..end), rows)
}

/// Selects the rows at these positions, which are in ascending order.
pub(crate) fn selected_rows(positions: &[u64], rows: usize) -> RowSelection {
    let positions = positions.iter().map(|position| usize::try_from(*position).unwrap_or(usize::MAX));
    RowSelection::from_consecutive_ranges(positions.map(|position| position..position + 1), rows)
}

fn path_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Makes the bytes of a delete file. All deletes are of one partition.
pub(crate) fn encode(deletes: &[(&String, &DeletedRows)]) -> Result<Vec<u8>, ParquetError> {
    let field = |(name, id): (&str, i32), kind| {
        let id = (PARQUET_FIELD_ID_META_KEY.to_string(), id.to_string());
        Field::new(name, kind, false).with_metadata([id].into())
    };
    let schema = Arc::new(ArrowSchema::new(vec![field(FILE_PATH, path_type()), field(POSITION, DataType::Int64)]));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(deletes.iter().map(|(path, _)| path.as_str())));
    let keys: Int32Array =
        deletes.iter().zip(0..).flat_map(|((_, rows), key)| std::iter::repeat_n(key, rows.positions.len())).collect();
    let positions: Int64Array =
        deletes.iter().flat_map(|(_, rows)| rows.positions.iter().map(|position| position.cast_signed())).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(DictionaryArray::<Int32Type>::try_new(keys, names)?), Arc::new(positions)];
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(ColumnPath::from(POSITION.0), false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("healthlake ", env!("CARGO_PKG_VERSION")).to_string())
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, schema.clone(), options)?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    writer.close()?;
    Ok(bytes)
}

/// Describes a delete file for its manifest.
pub(crate) fn describe(
    url: String,
    size_bytes: usize,
    deletes: &[(&String, &DeletedRows)],
) -> Result<DataFile, iceberg::Error> {
    let count: usize = deletes.iter().map(|(_, rows)| rows.positions.len()).sum();
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let counted = |value: u64| [(FILE_PATH.1, value), (POSITION.1, value)].into();
    let bound = |path: Option<&(&String, &DeletedRows)>, position: Option<u64>| {
        let path = path.map(|(path, _)| (FILE_PATH.1, Datum::string(path.as_str())));
        let position = position.map(|position| (POSITION.1, Datum::long(position.cast_signed())));
        path.into_iter().chain(position).collect()
    };
    let least = deletes.iter().filter_map(|(_, rows)| rows.positions.first()).min();
    let greatest = deletes.iter().filter_map(|(_, rows)| rows.positions.last()).max();
    let mut builder = DataFileBuilder::default();
    builder
        .content(DataContentType::PositionDeletes)
        .file_format(DataFileFormat::Parquet)
        .file_path(url)
        .file_size_in_bytes(u64::try_from(size_bytes).unwrap_or(u64::MAX))
        .record_count(count)
        .value_counts(counted(count))
        .null_value_counts(counted(0))
        .lower_bounds(bound(deletes.first(), least.copied()))
        .upper_bounds(bound(deletes.last(), greatest.copied()));
    if let Some((_, rows)) = deletes.first() {
        builder.partition(rows.partition.clone()).partition_spec_id(rows.partition_spec_id);
    }
    builder.build().map_err(|error| iceberg::Error::new(iceberg::ErrorKind::Unexpected, error.to_string()))
}
