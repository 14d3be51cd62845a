//! Writes the Parquet files of a table. Synchronous on purpose: it runs on the threads that make the rows.
//!
//! Rows are written in the order given, so callers of large tables hand them over clustered. What fits into one
//! row group is sorted here by the table's sort order before it is written.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, make_comparator, new_null_array};
use arrow::compute::{CastOptions, SortColumn, SortOptions, cast_with_options, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use iceberg::arrow::RecordBatchPartitionSplitter;
use iceberg::spec::{DataFile, PartitionKey, PartitionSpecRef, SchemaRef, Struct};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use uuid::Uuid;

use crate::data_file::{Placement, describe};
use crate::dictionary::hardly_repeats;
use crate::litter::Litter;
use crate::store::{Output, Store, shown};
use crate::{Error, Result, TableName};

/// A file is closed and the next one begun at this size.
const FILE_BYTES: usize = 256 << 20;
const ROW_GROUP_ROWS: usize = 256 << 10;
/// A row group is closed early when it holds this much memory,
const ROW_GROUP_BYTES: usize = 48 << 20;
/// or this little, when all writers of the transaction together hold more than their share.
const CROWDED_ROW_GROUP_BYTES: usize = 2 << 20;
const TRANSACTION_BYTES: usize = 256 << 20;

/// What all writers of one table have in common.
#[derive(Debug)]
pub(crate) struct Layout {
    pub table: TableName,
    pub schema: SchemaRef,
    /// Arrow schema of the files, with field ids.
    pub file_schema: ArrowSchemaRef,
    pub partition_spec: PartitionSpecRef,
    pub store: Store,
    /// Url of the folder of the data files.
    pub folder: String,
    pub key: Vec<String>,
    pub sort: Vec<String>,
    pub sort_order_id: Option<i32>,
    pub litter: Arc<Litter>,
    /// Memory held by all writers of the transaction.
    pub held_bytes: Arc<AtomicUsize>,
}

/// Writes rows of one table into Parquet files. To be used from one thread; open several for several threads.
pub struct TableWriter {
    layout: Arc<Layout>,
    splitter: Option<RecordBatchPartitionSplitter>,
    open: HashMap<Struct, OpenFile>,
    done: Vec<DataFile>,
}

/// Files that were written, but belong to no table yet.
#[derive(Debug, Clone, Default)]
pub struct WrittenFiles {
    pub(crate) files: Vec<(TableName, DataFile)>,
}

impl WrittenFiles {
    /// Adds the files of another writer of the same table.
    pub fn extend(&mut self, other: WrittenFiles) {
        self.files.extend(other.files);
    }

    /// Counts the rows.
    pub fn row_count(&self) -> u64 {
        self.files.iter().map(|(_, file)| file.record_count()).sum()
    }

    /// Counts the bytes on disk.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|(_, file)| file.file_size_in_bytes()).sum()
    }

    /// Takes the files, if all of them were written for this table.
    pub(crate) fn of(self, table: &TableName) -> Result<Vec<DataFile>> {
        let checked = |(found, file): (TableName, DataFile)| {
            if found == *table { Ok(file) } else { Err(Error::ForeignFiles { table: table.clone(), found }) }
        };
        self.files.into_iter().map(checked).collect()
    }
}

impl TableWriter {
    pub(crate) fn new(layout: Arc<Layout>) -> Result<TableWriter> {
        let splitter = if layout.partition_spec.is_unpartitioned() {
            None
        } else {
            let (schema, spec) = (layout.schema.clone(), layout.partition_spec.clone());
            Some(
                RecordBatchPartitionSplitter::try_new_with_computed_values(schema, spec)
                    .map_err(Error::metadata(&layout.table, "read"))?,
            )
        };
        Ok(TableWriter { layout, splitter, open: HashMap::new(), done: Vec::new() })
    }

    /// Writes rows. Columns are matched by name; a nullable column that is absent is written as null.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = conform(&self.layout, batch)?;
        match &self.splitter {
            None => self.write_partition(Struct::empty(), None, rows),
            Some(splitter) => {
                let parts = splitter.split(&rows).map_err(Error::metadata(&self.layout.table, "read"))?;
                for (key, rows) in parts {
                    self.write_partition(key.data().clone(), Some(&key), rows)?;
                }
                Ok(())
            }
        }
    }

    fn write_partition(&mut self, partition: Struct, key: Option<&PartitionKey>, rows: RecordBatch) -> Result<()> {
        let mut file = match self.open.remove(&partition) {
            Some(file) => file,
            None => OpenFile::create(&self.layout, partition.clone(), key, &rows)?,
        };
        file.write(&self.layout, rows)?;
        if file.size_bytes() >= FILE_BYTES {
            self.done.push(file.close(&self.layout)?);
        } else {
            self.open.insert(partition, file);
        }
        Ok(())
    }

    /// Finishes the files.
    pub fn close(mut self) -> Result<WrittenFiles> {
        for (_, file) in std::mem::take(&mut self.open) {
            self.done.push(file.close(&self.layout)?);
        }
        // Partitions are kept in a map without order; file lists should not depend on it.
        self.done.sort_by(|a, b| a.file_path().cmp(b.file_path()));
        let table = &self.layout.table;
        Ok(WrittenFiles { files: std::mem::take(&mut self.done).into_iter().map(|f| (table.clone(), f)).collect() })
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        // The files themselves are the transaction's litter.
        for file in self.open.values() {
            self.layout.held_bytes.fetch_sub(file.held_bytes, Ordering::Relaxed);
        }
    }
}

/// Brings rows into the table's columns, order and types.
fn conform(layout: &Layout, batch: &RecordBatch) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let mut matched = 0;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(layout.file_schema.fields().len());
    for field in layout.file_schema.fields() {
        let (table, column) = (|| layout.table.clone(), || field.name().clone());
        let values = match batch.schema_ref().column_with_name(field.name()) {
            Some((index, _)) => {
                matched += 1;
                let values = batch.column(index);
                if values.data_type() == field.data_type() {
                    values.clone()
                } else {
                    let strict = CastOptions { safe: false, ..CastOptions::default() };
                    cast_with_options(values, field.data_type(), &strict).map_err(|source| Error::BadValue {
                        table: table(),
                        column: column(),
                        source,
                    })?
                }
            }
            None if field.is_nullable() => new_null_array(field.data_type(), rows),
            None => return Err(Error::MissingColumn { table: table(), column: column() }),
        };
        if !field.is_nullable() && values.null_count() > 0 {
            return Err(Error::NullValue { table: table(), column: column(), count: values.null_count() });
        }
        columns.push(values);
    }
    if matched < batch.num_columns() {
        let known = |name: &str| layout.file_schema.field_with_name(name).is_ok();
        if let Some(surplus) = batch.schema_ref().fields().iter().find(|field| !known(field.name())) {
            return Err(Error::SurplusColumn { table: layout.table.clone(), column: surplus.name().clone() });
        }
    }
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(layout.file_schema.clone(), columns, &options).map_err(|source| Error::BadValue {
        table: layout.table.clone(),
        column: layout.file_schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", "),
        source,
    })
}

struct OpenFile {
    url: String,
    partition: Struct,
    writer: ArrowWriter<Output>,
    /// Rows held back to be sorted, as long as they are few.
    pending: Option<Vec<RecordBatch>>,
    pending_rows: usize,
    /// This file's share of the transaction's `held_bytes`.
    held_bytes: usize,
}

impl OpenFile {
    /// Begins a file whose first rows are these.
    fn create(layout: &Layout, partition: Struct, key: Option<&PartitionKey>, first: &RecordBatch) -> Result<OpenFile> {
        let mut name = format!("{}.parquet", Uuid::now_v7());
        if let Some(key) = key {
            name = format!("{}/{name}", folder_name(&key.to_path()));
        }
        let url = format!("{}/{name}", layout.folder);
        layout.litter.add(&url);
        let file = layout.store.create(&url).map_err(Error::file(shown(&url), "created"))?;
        let options =
            ArrowWriterOptions::new().with_properties(properties(layout, first)).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, layout.file_schema.clone(), options)
            .map_err(Error::parquet(&shown(&url), "written"))?;
        Ok(OpenFile {
            url,
            partition,
            writer,
            pending: (!layout.sort.is_empty()).then(Vec::new),
            pending_rows: 0,
            held_bytes: 0,
        })
    }

    fn size_bytes(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    fn write(&mut self, layout: &Layout, rows: RecordBatch) -> Result<()> {
        match &mut self.pending {
            Some(pending) if self.pending_rows + rows.num_rows() <= ROW_GROUP_ROWS => {
                self.pending_rows += rows.num_rows();
                pending.push(rows);
                return Ok(());
            }
            Some(_) => {
                // Too many to sort: from here on the caller's order stands.
                for held in self.pending.take().into_iter().flatten() {
                    self.encode(layout, &held)?;
                }
            }
            None => {}
        }
        self.encode(layout, &rows)
    }

    fn encode(&mut self, layout: &Layout, rows: &RecordBatch) -> Result<()> {
        let path = shown(&self.url);
        let writing = || Error::parquet(&path, "written");
        self.writer.write(rows).map_err(writing())?;
        let held = self.writer.memory_size();
        let all = update(&layout.held_bytes, self.held_bytes, held);
        self.held_bytes = held;
        let crowded = all > TRANSACTION_BYTES && held > CROWDED_ROW_GROUP_BYTES;
        if held > ROW_GROUP_BYTES || crowded {
            self.writer.flush().map_err(writing())?;
            let held = self.writer.memory_size();
            update(&layout.held_bytes, self.held_bytes, held);
            self.held_bytes = held;
        }
        Ok(())
    }

    fn close(mut self, layout: &Layout) -> Result<DataFile> {
        let sorted = self.pending.is_some();
        if let Some(pending) = self.pending.take() {
            let rows = sort(layout, pending)?;
            self.encode(layout, &rows)?;
        }
        update(&layout.held_bytes, self.held_bytes, 0);
        let path = shown(&self.url);
        let footer = self.writer.finish().map_err(Error::parquet(&path, "written"))?;
        let size_bytes = self.writer.inner_mut().finish().map_err(Error::file(&path, "written"))?;
        let placement = Placement {
            url: self.url,
            size_bytes,
            partition: self.partition,
            partition_spec_id: layout.partition_spec.spec_id(),
            sort_order_id: layout.sort_order_id.filter(|_| sorted),
        };
        describe(placement, &footer, &layout.schema).map_err(Error::metadata(&layout.table, "made"))
    }
}

/// Replaces one share of a sum, and returns the sum.
fn update(sum: &AtomicUsize, old: usize, new: usize) -> usize {
    sum.fetch_sub(old, Ordering::Relaxed);
    sum.fetch_add(new, Ordering::Relaxed) + new
}

fn sort(layout: &Layout, pending: Vec<RecordBatch>) -> Result<RecordBatch> {
    let failed = |source| Error::BadValue { table: layout.table.clone(), column: layout.sort.join(", "), source };
    let rows = arrow::compute::concat_batches(&layout.file_schema, &pending).map_err(failed)?;
    let columns: Vec<SortColumn> = layout
        .sort
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: Some(SortOptions::default()) })
        .collect();
    // Most callers hand rows over in order.
    if is_sorted(&columns, rows.num_rows()).map_err(failed)? {
        return Ok(rows);
    }
    let order = lexsort_to_indices(&columns, None).map_err(failed)?;
    take_record_batch(&rows, &order).map_err(failed)
}

fn is_sorted(columns: &[SortColumn], rows: usize) -> Result<bool, arrow::error::ArrowError> {
    let comparators = columns
        .iter()
        .map(|column| make_comparator(&column.values, &column.values, SortOptions::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let ordered = |row: &usize| {
        let unequal = comparators.iter().map(|compare| compare(row - 1, *row)).find(|order| order.is_ne());
        unequal.is_none_or(|order| order.is_lt())
    };
    Ok((1..rows).all(|row| ordered(&row)))
}

fn properties(layout: &Layout, first: &RecordBatch) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_created_by(concat!("healthlake ", env!("CARGO_PKG_VERSION")).to_string());
    // A key of one column has no value twice, and others tell: a dictionary of them is work for nothing.
    let is_key = |name: &str| matches!(layout.key.as_slice(), [key] if key == name);
    for (field, values) in first.schema_ref().fields().iter().zip(first.columns()) {
        if is_key(field.name()) || hardly_repeats(values) {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(field.name().as_str()), false);
        }
    }
    builder.build()
}

/// A folder's name says what is in it, but nothing reads it back.
fn folder_name(partition: &str) -> String {
    partition.chars().map(|c| if c.is_ascii_alphanumeric() || "=-_.".contains(c) { c } else { '_' }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListBuilder, RecordBatch, StringBuilder};

    use crate::testing::{append, files_below, lake, query, rows, spec, stamp, write};
    use crate::{Config, Lake, TableSpec};

    #[tokio::test]
    async fn few_rows_are_sorted_and_say_so() {
        let (_folder, lake) = lake().await;
        let sorted = TableSpec { sort: vec!["name".into(), "id".into()], ..spec("a") };
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let files = write(&mut transaction, &sorted, &[rows([31, 5, 22]), rows([1, 12, 15])]).await;
        assert_eq!(files.files[0].1.sort_order_id(), Some(1));
        transaction.append(&sorted.name, files);
        let more = vec![rows(0..200_000), rows(0..200_000)];
        let many = write(&mut transaction, &TableSpec { name: spec("b").name, ..sorted.clone() }, &more).await;
        assert_eq!(many.files[0].1.sort_order_id(), None);
        transaction.append(&spec("b").name, many);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select id from t.a").await, "1\n31\n12\n22\n5\n15");
        assert_eq!(query(&lake, "select count(*), sum(id) from t.b").await, "400000 39999800000");
    }

    #[tokio::test]
    async fn lists_come_back_as_they_went() {
        let (_folder, lake) = lake().await;
        let mut words = ListBuilder::new(StringBuilder::new());
        words.append_value([Some("x"), None]);
        words.append_value([None::<&str>; 0]);
        words.append_null();
        let words: ArrayRef = Arc::new(words.finish());
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("words", words, true)]).unwrap();
        let listing = TableSpec { schema: batch.schema(), ..spec("a") };
        append(&lake, "1", &listing, batch.clone()).await;
        append(&lake, "2", &listing, batch).await;
        let sql = "select id, words, cardinality(words), words is null as none from t.a where id < 9 order by id";
        let twice = |line: &str| format!("{line}\n{line}");
        let expected = [twice("1 [x, ] 2 false"), twice("2 [] 0 false"), twice("3 true")].join("\n");
        assert_eq!(query(&lake, sql).await, expected);
        assert_eq!(query(&lake, "select unnest(words) as word from t.a where id = 1").await, "x\n\nx\n");
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let lake = Lake::open(&Config::folder(folder.path())).await.unwrap();
        // Root may write anywhere, so that a file in the way has to do.
        std::fs::create_dir_all(folder.path().join("warehouse/t/a")).unwrap();
        std::fs::write(folder.path().join("warehouse/t/a/data"), "").unwrap();
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let mut writer = transaction.writer(&spec("a")).await.unwrap();
        let error = writer.write(&rows(0..1)).unwrap_err().to_string();
        assert!(error.contains("warehouse/t/a/data/") && error.contains("` cannot be created"), "{error}");
        drop(transaction);
        assert!(files_below(folder.path(), ".parquet").is_empty());
    }
}
