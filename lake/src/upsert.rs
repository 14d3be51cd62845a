//! Copy-on-write: takes rows out of files by writing those files anew. No delete files, so that every reader
//! understands the table and no scan gets slower.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema as ArrowSchema};
use arrow::record_batch::RecordBatch;
use iceberg::spec::DataFile;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::schema::types::SchemaDescriptor;

use crate::key_set::KeyRange;
use crate::lake::Lake;
use crate::location::path_of;
use crate::writer::{Layout, TableWriter};
use crate::{Error, KeySet, Result};

const BATCH_ROWS: usize = 16 << 10;

/// What became of the files.
pub(crate) struct Removal {
    /// Paths of the table's files that go.
    pub gone: HashSet<String>,
    /// Files that come: the transaction's own that stay, and those written anew.
    pub add: Vec<DataFile>,
}

/// Takes the rows with these keys out of the table's files and out of those that the transaction has added.
pub(crate) async fn remove_keys(
    lake: &Lake,
    layout: Arc<Layout>,
    committed: Vec<DataFile>,
    added: &[DataFile],
    key_column: &str,
    keys: &Arc<KeySet>,
) -> Result<Removal> {
    let key_id = key_id(&layout, key_column, keys)?;
    let range = KeyRange::of(keys);
    let own: HashSet<String> = added.iter().map(|file| file.file_path().to_string()).collect();
    let mut suspects: Vec<DataFile> =
        committed.into_iter().chain(added.iter().cloned()).filter(|file| range.may_be_in(file, key_id)).collect();
    suspects.sort_by_key(|file| std::cmp::Reverse(file.file_size_in_bytes()));
    let suspects = Arc::new(std::sync::Mutex::new(suspects));
    let threads = lake.inner.config.target_partitions();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let (layout, keys, suspects) = (layout.clone(), keys.clone(), suspects.clone());
        workers.spawn_blocking(move || Worker { layout, key_id, keys, suspects, touched: vec![] }.run());
    }
    let (mut touched, mut rewritten) = (HashSet::new(), Vec::new());
    while let Some(outcome) = workers.join_next().await {
        // A worker that panicked has shown why; there is nothing to save.
        let (paths, files) = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        touched.extend(paths);
        rewritten.extend(files);
    }
    rewritten.sort_by(|a: &DataFile, b| a.file_path().cmp(b.file_path()));
    let mut add: Vec<DataFile> = added.iter().filter(|file| !touched.contains(file.file_path())).cloned().collect();
    add.extend(rewritten);
    Ok(Removal { gone: touched.into_iter().filter(|path| !own.contains(path)).collect(), add })
}

/// Finds the key column and checks that it is of the keys' type.
fn key_id(layout: &Layout, key_column: &str, keys: &KeySet) -> Result<i32> {
    let (table, column) = (layout.table.clone(), key_column.to_string());
    let missing = || Error::NoSuchColumn { table: table.clone(), column: column.clone(), role: "key" };
    let field = layout.schema.field_by_name(key_column).ok_or_else(missing)?;
    let have = layout.file_schema.field_with_name(key_column).map(|field| field.data_type().clone());
    let fits = matches!(
        (keys, have),
        (KeySet::Int64(_), Ok(DataType::Int64 | DataType::Int32)) | (KeySet::Utf8(_), Ok(DataType::Utf8))
    );
    if fits {
        return Ok(field.id);
    }
    let want = if matches!(keys, KeySet::Int64(_)) { "long" } else { "string" };
    Err(Error::TypeChange { table, column, have: field.field_type.to_string(), want: want.to_string() })
}

/// Takes files from the common list until it is empty, and writes what is left of them into its own files.
struct Worker {
    layout: Arc<Layout>,
    key_id: i32,
    keys: Arc<KeySet>,
    suspects: Arc<std::sync::Mutex<Vec<DataFile>>>,
    touched: Vec<String>,
}

impl Worker {
    fn run(mut self) -> Result<(Vec<String>, Vec<DataFile>)> {
        let mut writer = None;
        loop {
            let next = self.suspects.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
            let Some(file) = next else { break };
            let Some(kept) = self.search(&file)? else { continue };
            self.touched.push(file.file_path().to_string());
            if kept.iter().all(|mask| mask.true_count() == 0) {
                continue;
            }
            let mut open = match writer.take() {
                Some(open) => open,
                None => TableWriter::new(self.layout.clone())?,
            };
            self.copy(&file, &kept, &mut open)?;
            writer = Some(open);
        }
        let files = match writer {
            Some(writer) => writer.close()?.of(&self.layout.table)?,
            None => Vec::new(),
        };
        Ok((self.touched, files))
    }

    /// Reads the key column, and says for each row whether it stays; none when all do.
    fn search(&self, file: &DataFile) -> Result<Option<Vec<BooleanArray>>> {
        let mut touched = false;
        let mut kept = Vec::new();
        let Some(reader) = self.open(file, Some(self.key_id))? else { return Ok(None) };
        for batch in reader {
            let batch = batch.map_err(|error| self.unreadable(file, error))?;
            let mask = keep(&self.keys, &batch).map_err(|error| self.unreadable(file, error))?;
            touched |= mask.true_count() < mask.len();
            kept.push(mask);
        }
        Ok(touched.then_some(kept))
    }

    fn copy(&self, file: &DataFile, kept: &[BooleanArray], writer: &mut TableWriter) -> Result<()> {
        let Some(reader) = self.open(file, None)? else { return Ok(()) };
        for (batch, mask) in reader.zip(kept) {
            let batch = batch.map_err(|error| self.unreadable(file, error))?;
            let rows = filter_record_batch(&batch, mask).map_err(|error| self.unreadable(file, error))?;
            writer.write(&self.rename(&rows).map_err(|error| self.unreadable(file, error))?)?;
        }
        Ok(())
    }

    /// Opens a file for one column or for all that the table still has; none when it has not the one column.
    fn open(&self, file: &DataFile, only: Option<i32>) -> Result<Option<ParquetRecordBatchReader>> {
        let path = path_of(file.file_path());
        let reading = || Error::parquet(&path, "read");
        let handle = File::open(&path).map_err(Error::file(&path, "read"))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(handle).map_err(reading())?;
        let wanted: Vec<usize> = field_ids(builder.parquet_schema())
            .into_iter()
            .enumerate()
            .filter(|(_, id)| match only {
                Some(only) => *id == Some(only),
                None => id.is_some_and(|id| self.layout.schema.field_by_id(id).is_some()),
            })
            .map(|(index, _)| index)
            .collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let reader = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(reading())?;
        Ok(Some(reader))
    }

    /// Gives columns the names that the table has for their ids now.
    fn rename(&self, rows: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
        let names: HashMap<String, &str> = self
            .layout
            .schema
            .as_struct()
            .fields()
            .iter()
            .map(|field| (field.id.to_string(), field.name.as_str()))
            .collect();
        let fields = rows.schema_ref().fields().iter().map(|field| {
            let id = field.metadata().get(parquet::arrow::PARQUET_FIELD_ID_META_KEY);
            let name = id.and_then(|id| names.get(id)).map_or(field.name().as_str(), |name| name);
            Field::new(name, field.data_type().clone(), field.is_nullable())
        });
        RecordBatch::try_new(Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>())), rows.columns().to_vec())
    }

    fn unreadable(&self, file: &DataFile, error: arrow::error::ArrowError) -> Error {
        Error::parquet(&path_of(file.file_path()), "read")(error.into())
    }
}

fn field_ids(schema: &SchemaDescriptor) -> Vec<Option<i32>> {
    let ids = schema.root_schema().get_fields().iter().map(|field| field.get_basic_info());
    ids.map(|info| info.has_id().then(|| info.id())).collect()
}

/// Says for each row whether its key is not among the keys.
fn keep(keys: &KeySet, batch: &RecordBatch) -> Result<BooleanArray, arrow::error::ArrowError> {
    let column = batch.column(0);
    Ok(match keys {
        KeySet::Int64(keys) => {
            let column = cast(column, &DataType::Int64)?;
            column
                .as_primitive::<Int64Type>()
                .iter()
                .map(|key| Some(key.is_none_or(|key| !keys.contains(&key))))
                .collect()
        }
        KeySet::Utf8(keys) => {
            let column = cast(column, &DataType::Utf8)?;
            column.as_string::<i32>().iter().map(|key| Some(key.is_none_or(|key| !keys.contains(key)))).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::testing::{append, files_below, lake, query, rows, spec, stamp, write};
    use crate::{Error, KeySet, WrittenFiles};

    const SUM: &str = "select count(*), count(distinct id), sum(id) from t.a";

    fn keys(ids: impl IntoIterator<Item = i64>) -> KeySet {
        KeySet::Int64(ids.into_iter().collect::<HashSet<_>>())
    }

    #[tokio::test]
    async fn rows_go_by_key_and_untouched_files_stay() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..1000)).await;
        append(&lake, "2", &spec("a"), rows(1000..2000)).await;
        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows([5, 5000])]).await;
        transaction.upsert(&spec("a").name, "id", keys([5, 6, 5000]), files).await.unwrap();
        transaction.commit().await.unwrap();
        // Of 0..2000 went 5 and 6, and 5 and 5000 came.
        assert_eq!(query(&lake, SUM).await, format!("2000 2000 {}", 1999 * 1000 - 6 + 5000));
        let last = lake.history(&spec("a").name).await.unwrap().pop().unwrap();
        assert_eq!(last.summary["deleted-data-files"], "1");
        assert_eq!(last.summary["total-data-files"], "3");
    }

    #[tokio::test]
    async fn a_second_upsert_sees_the_first_ones_rows() {
        let (folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        for ids in [[20, 21], [21, 22]] {
            let files = write(&mut transaction, &spec("a"), &[rows(ids)]).await;
            transaction.upsert(&spec("a").name, "id", keys(ids), files).await.unwrap();
        }
        transaction.upsert(&spec("a").name, "id", keys(0..10), WrittenFiles::default()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select id from t.a order by id").await, "20\n21\n22");
        // The first table file is history; the transaction's file that was rewritten is gone.
        assert_eq!(files_below(folder.path(), ".parquet").len(), 3);
    }

    #[tokio::test]
    async fn an_upsert_that_comes_late_also_takes_rows_that_came_meanwhile() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let mut late = lake.begin(stamp("late")).await.unwrap();
        let files = write(&mut late, &spec("a"), &[rows([3])]).await;
        late.upsert(&spec("a").name, "id", keys([3]), files).await.unwrap();
        append(&lake, "2", &spec("a"), rows([3, 11])).await;
        late.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*), count(distinct id) from t.a").await, "11 11");
    }

    #[tokio::test]
    async fn text_keys_work_and_keys_of_the_wrong_type_do_not() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..100)).await;
        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        let names = KeySet::Utf8(["n1".to_string(), "zz".to_string()].into());
        transaction.upsert(&spec("a").name, "name", names, WrittenFiles::default()).await.unwrap();
        let wrong = transaction.upsert(&spec("a").name, "name", keys([1]), WrittenFiles::default()).await;
        assert!(matches!(wrong, Err(Error::TypeChange { .. })));
        let missing = transaction.upsert(&spec("a").name, "nix", keys([1]), WrittenFiles::default()).await;
        assert!(matches!(missing, Err(Error::NoSuchColumn { .. })));
        drop(transaction);

        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let names = KeySet::Utf8(["n1".to_string()].into());
        transaction.upsert(&spec("a").name, "name", names, WrittenFiles::default()).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*), count(distinct name) from t.a").await, "90 9");
    }
}
