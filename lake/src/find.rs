//! Rows by key: a look-up that plans nothing and reads the key column, and of the others only the rows it found.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use iceberg::spec::Schema;

use crate::key_set::Sought;
use crate::lake::Lake;
use crate::live::LiveFile;
use crate::position_delete::selected_rows;
use crate::schema::file_schema;
use crate::search::{pick, positions, rows};
use crate::store::Store;
use crate::{Error, Result, TableName};

/// What is looked for in one table.
pub(crate) struct Find<'f> {
    pub table: &'f TableName,
    pub schema: &'f Schema,
    pub key_column: &'f str,
    pub keys: &'f Sought,
    pub columns: &'f [&'f str],
}

/// Reads the rows of some files that bear one of the keys.
pub(crate) async fn find(lake: &Lake, find: Find<'_>, files: Vec<LiveFile>) -> Result<Vec<RecordBatch>> {
    let Find { table, schema, key_column, keys, columns } = find;
    let missing = |column: &str, role| Error::NoSuchColumn { table: table.clone(), column: column.to_string(), role };
    let key_id = schema.field_by_name(key_column).ok_or_else(|| missing(key_column, "key"))?.id;
    let file_schema = file_schema(table, schema)?;
    let wanted = pick(&file_schema, columns).map_err(|column| missing(&column, "column to read"))?;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut files = files;
    files.retain(|file| keys.may_be_in(&file.file, key_id));
    let workers = lake.inner.config.target_partitions().min(files.len());
    let files = Arc::new(Mutex::new(files));
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (store, files) = (lake.inner.store.clone(), files.clone());
        let (sought, wanted) = (keys.clone(), wanted.clone());
        working.spawn_blocking(move || work(&store, &files, key_id, &sought, &wanted));
    }
    let mut found = Vec::new();
    while let Some(outcome) = working.join_next().await {
        // A worker that panicked has shown why; there is nothing to save.
        found.extend(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?);
    }
    Ok(found)
}

fn work(
    store: &Store,
    files: &Mutex<Vec<LiveFile>>,
    key_id: i32,
    sought: &Sought,
    wanted: &ArrowSchemaRef,
) -> Result<Vec<RecordBatch>> {
    let mut found = Vec::new();
    loop {
        let next = files.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(file) = next else { return Ok(found) };
        let positions = positions(store, &file, key_id, sought)?;
        if positions.is_empty() {
            continue;
        }
        let all = usize::try_from(file.file.record_count()).unwrap_or(usize::MAX);
        rows(store, &file.file, wanted, selected_rows(&positions, all), |batch| {
            found.push(batch);
            Ok(())
        })?;
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use crate::testing::{append, lake, rows, spec, stamp, write};
    use crate::{Error, KeySet, Sought};

    #[tokio::test]
    async fn rows_are_found_by_key_in_all_files_and_not_when_they_are_deleted() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows((0..50_000).map(|id| id * 7 % 50_000))).await;
        append(&lake, "2", &spec("a"), rows(50_000..50_010)).await;
        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows([60_000])]).await;
        transaction.upsert(&spec("a").name, "id", KeySet::Int64([7, 50_001].into()), files).await.unwrap();
        let keys = Sought::new(KeySet::Int64([3, 7, 20_000, 50_001, 50_002, 60_000, 70_000].into()));
        let values = async |staged: bool| {
            let table = &spec("a").name;
            let found = match staged {
                true => transaction.find(table, "id", &keys, &["value"]).await.unwrap(),
                false => lake.find(table, "id", &keys, &["value", "id"]).await.unwrap(),
            };
            let value = |batch: &arrow::array::RecordBatch| {
                batch.column(0).as_primitive::<arrow::datatypes::Float64Type>().values().to_vec()
            };
            let mut values: Vec<f64> = found.iter().flat_map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        assert_eq!(values(false).await, [1.5, 3.5, 10_000.0, 25_000.5, 25_001.0]);
        assert_eq!(values(true).await, [1.5, 10_000.0, 25_001.0, 30_000.0]);
        transaction.commit().await.unwrap();
        let found = lake.find(&spec("a").name, "id", &keys, &["id"]).await.unwrap();
        let mut ids: Vec<i64> =
            found.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values()).copied().collect();
        ids.sort_unstable();
        assert_eq!(ids, [3, 20_000, 50_002, 60_000]);
    }

    #[tokio::test]
    async fn texts_are_keys_too_and_names_that_are_not_there_are_told() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..100)).await;
        let names = Sought::new(KeySet::Utf8(["n3".to_string(), "x".to_string()].into()));
        let found = lake.find(&spec("a").name, "name", &names, &["id"]).await.unwrap();
        assert_eq!(found.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 10);
        let no_column = lake.find(&spec("a").name, "name", &names, &["nix"]).await;
        assert!(matches!(no_column, Err(Error::NoSuchColumn { column, .. }) if column == "nix"));
        let no_table = lake.find(&spec("b").name, "name", &names, &["id"]).await;
        assert!(matches!(no_table, Err(Error::NoSuchTable(_))));
    }
}
