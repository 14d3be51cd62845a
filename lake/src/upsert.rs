//! Takes rows out of a table by key. Data files stay as they are, and position deletes tell which of their rows are
//! gone; a file that is more hole than rows, and small files once they are many, are written anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::DataType;
use iceberg::spec::DataFile;

use crate::key_set::Sought;
use crate::lake::Lake;
use crate::live::LiveFile;
use crate::plan::Removal;
use crate::position_delete::{DeletedRows, in_order, kept_rows};
use crate::search::{positions, rows};
use crate::writer::{Layout, TableWriter};
use crate::{Error, KeySet, Result};

/// A file of which more than one row in so many is gone is written anew.
const ROTTEN: u64 = 2;
/// A file with fewer rows is small,
const SMALL_FILE_ROWS: u64 = 64 << 10;
/// and so many small ones become one.
const SMALL_FILES_TO_MERGE: usize = 32;

/// Takes the rows with these keys out of files.
pub(crate) async fn remove_keys(
    lake: &Lake,
    layout: Arc<Layout>,
    files: Vec<LiveFile>,
    key_column: &str,
    sought: &Sought,
) -> Result<Removal> {
    let key_id = key_id(&layout, key_column, sought.keys())?;
    let is_small = |file: &&LiveFile| file.file.record_count() < SMALL_FILE_ROWS;
    let merge = files.iter().filter(is_small).count() >= SMALL_FILES_TO_MERGE;
    let mut suspects: Vec<Suspect> = files
        .iter()
        .map(|file| Suspect { file: file.clone(), rewrite: merge && is_small(&file) })
        .filter(|suspect| suspect.rewrite || sought.may_be_in(&suspect.file.file, key_id))
        .collect();
    // Workers take the last first: large files before small ones.
    suspects.sort_by_key(|suspect| suspect.file.file.file_size_in_bytes());
    let workers = lake.inner.config.target_partitions().min(suspects.len());
    let suspects = Arc::new(Mutex::new(suspects));
    let mut working = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (layout, sought, suspects) = (layout.clone(), sought.clone(), suspects.clone());
        working.spawn_blocking(move || Worker { layout, key_id, sought, suspects, found: Found::default() }.run());
    }
    let mut found = Found::default();
    while let Some(outcome) = working.join_next().await {
        // A worker that panicked has shown why; there is nothing to save.
        let more = outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        found.gone.extend(more.gone);
        found.deleted.extend(more.deleted);
        found.rewritten.extend(more.rewritten);
    }
    found.rewritten.sort_by(|a, b| a.file_path().cmp(b.file_path()));
    let is_touched = !found.gone.is_empty() || !found.deleted.is_empty();
    let deletes = is_touched.then(|| {
        let stays = files.into_iter().filter(|file| !found.gone.contains(file.file.file_path()));
        stays.filter_map(|file| {
            let path = file.file.file_path().to_string();
            let positions = found.deleted.remove(&path).unwrap_or(file.deleted);
            let partition = file.file.partition().clone();
            let rows = DeletedRows { partition, partition_spec_id: file.partition_spec_id, positions };
            (!rows.positions.is_empty()).then_some((path, rows))
        })
    });
    let deletes = deletes.map(Iterator::collect);
    Ok(Removal { gone: found.gone, rewritten: found.rewritten, deletes })
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

/// A file that may hold rows to be taken out.
struct Suspect {
    file: LiveFile,
    /// It is written anew in any case.
    rewrite: bool,
}

#[derive(Default)]
struct Found {
    gone: HashSet<String>,
    rewritten: Vec<DataFile>,
    /// All deleted positions of files that lost rows and stay.
    deleted: HashMap<String, Arc<Vec<u64>>>,
}

/// Takes files from the common list until it is empty, and writes what is left of some into files of its own.
struct Worker {
    layout: Arc<Layout>,
    key_id: i32,
    sought: Sought,
    suspects: Arc<Mutex<Vec<Suspect>>>,
    found: Found,
}

impl Worker {
    fn run(mut self) -> Result<Found> {
        let mut writer = None;
        loop {
            let next = self.suspects.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(Suspect { file, rewrite }) = next else { break };
            let mut all = positions(&self.layout.store, &file, self.key_id, &self.sought)?;
            if all.is_empty() && !rewrite {
                continue;
            }
            all.extend(file.deleted.iter());
            let all = in_order(all);
            let file = file.file;
            let path = file.file_path().to_string();
            let gone_rows = all.len() as u64;
            if !rewrite && gone_rows * ROTTEN <= file.record_count() {
                self.found.deleted.insert(path, all);
                continue;
            }
            self.found.gone.insert(path);
            if gone_rows < file.record_count() {
                let mut open = match writer.take() {
                    Some(open) => open,
                    None => TableWriter::new(self.layout.clone())?,
                };
                let kept = kept_rows(&all, usize::try_from(file.record_count()).unwrap_or(usize::MAX));
                rows(&self.layout.store, &file, &self.layout.file_schema, kept, |batch| open.write(&batch))?;
                writer = Some(open);
            }
        }
        if let Some(writer) = writer {
            self.found.rewritten = writer.close()?.of(&self.layout.table)?;
        }
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::testing::{append, files_below, lake, query, rows, show, spec, stamp, write};
    use crate::{AsOf, Error, KeySet, Lake, Partition, TableSpec, Transform, WrittenFiles};

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
        assert_eq!(
            counts(&lake).await,
            [
                ("added-data-files", 1),
                ("added-position-deletes", 2),
                ("total-data-files", 3),
                ("total-delete-files", 1)
            ]
        );
        assert_eq!(lake.row_counts().await.unwrap()[&spec("a").name], 2000);
        let then = lake.session(&AsOf::Run("2".to_string())).await.unwrap();
        assert_eq!(show(&then, SUM).await, format!("2000 2000 {}", 1999 * 1000));
    }

    async fn remove(lake: &Lake, run: &str, ids: impl IntoIterator<Item = i64>) {
        let mut transaction = lake.begin(stamp(run)).await.unwrap();
        transaction.upsert(&spec("a").name, "id", keys(ids), WrittenFiles::default()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// What the last summary says of files and deletes, without what is 0.
    async fn counts(lake: &Lake) -> Vec<(&'static str, u64)> {
        let last = lake.history(&spec("a").name).await.unwrap().pop().unwrap();
        let keys = [
            "added-data-files",
            "added-position-deletes",
            "deleted-data-files",
            "removed-position-deletes",
            "total-data-files",
            "total-delete-files",
        ];
        let count = |key| Some((key, last.summary.get(key)?.parse().ok()?));
        keys.into_iter().filter_map(count).filter(|(_, count)| *count > 0).collect()
    }

    #[tokio::test]
    async fn deletes_of_several_commits_are_kept_in_one_file() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..1000)).await;
        remove(&lake, "2", [0, 999]).await;
        remove(&lake, "3", [500, 0]).await;
        assert_eq!(
            counts(&lake).await,
            [
                ("added-position-deletes", 3),
                ("removed-position-deletes", 2),
                ("total-data-files", 1),
                ("total-delete-files", 1)
            ]
        );
        let history = lake.history(&spec("a").name).await.unwrap();
        assert_eq!(history.iter().map(|s| s.operation.as_str()).collect::<Vec<_>>(), ["append", "delete", "delete"]);
        assert_eq!(query(&lake, "select count(*), min(id), max(id) from t.a").await, "997 1 998");
        let then = lake.session(&AsOf::Run("2".to_string())).await.unwrap();
        assert_eq!(show(&then, "select count(*), min(id), max(id) from t.a").await, "998 1 998");
        // What is not there is not taken away again, and a commit that changes nothing adds no snapshot but its stamp.
        remove(&lake, "4", [500, 5000]).await;
        assert_eq!(query(&lake, "select count(*) from t.a").await, "997");
        append(&lake, "5", &spec("a"), rows([0])).await;
        assert_eq!(query(&lake, "select count(*), min(id) from t.a").await, "998 0");
    }

    #[tokio::test]
    async fn a_file_that_is_more_hole_than_rows_is_written_anew() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..1000)).await;
        remove(&lake, "2", 0..500).await;
        assert_eq!(counts(&lake).await[1], ("total-data-files", 1));
        remove(&lake, "3", [700]).await;
        assert_eq!(
            counts(&lake).await,
            [
                ("added-data-files", 1),
                ("deleted-data-files", 1),
                ("removed-position-deletes", 500),
                ("total-data-files", 1)
            ]
        );
        assert_eq!(query(&lake, "select count(*), min(id) from t.a where id <> 701").await, "498 500");
        remove(&lake, "4", 0..1000).await;
        assert_eq!(query(&lake, "select count(*) from t.a").await, "0");
    }

    #[tokio::test]
    async fn many_small_files_become_one() {
        let (_folder, lake) = lake().await;
        for run in 0..super::SMALL_FILES_TO_MERGE as i64 {
            append(&lake, &format!("a{run}"), &spec("a"), rows(run * 10..run * 10 + 10)).await;
        }
        remove(&lake, "r", [5]).await;
        let last = counts(&lake).await;
        assert_eq!(last[1], ("deleted-data-files", 32));
        assert!(last[2].0 == "total-data-files" && last[2].1 <= 2, "{last:?}");
        assert_eq!(query(&lake, SUM).await, format!("319 319 {}", 319 * 160 - 5));
    }

    #[tokio::test]
    async fn deleted_rows_are_seen_by_no_query() {
        let (_folder, lake) = lake().await;
        // Two row groups, of which the second loses its first and last rows, and nothing compresses away.
        let scattered = |from: i64, to: i64| rows((from..to).map(|id| id * 7_919 % 1_000_003));
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[scattered(1, 270_000), scattered(270_000, 400_000)]).await;
        transaction.append(&spec("a").name, files);
        transaction.commit().await.unwrap();
        let gone: Vec<i64> =
            (1..400_000).filter(|id| id % 1000 < 3 || *id > 399_900).map(|id| id * 7_919 % 1_000_003).collect();
        let left = 399_999 - gone.len();
        remove(&lake, "2", gone.clone()).await;
        assert_eq!(
            query(&lake, "select count(*), count(distinct id), count(name) from t.a").await,
            format!("{left} {left} {left}")
        );
        let sought = gone.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        assert_eq!(query(&lake, &format!("select count(*) from t.a where id in ({sought})")).await, "0");
        let most = (1..400_000_i64).map(|id| id * 7_919 % 1_000_003).filter(|id| !gone.contains(id)).max().unwrap();
        assert_eq!(query(&lake, "select max(id) from t.a").await, most.to_string());
        assert_eq!(
            query(&lake, &format!("select count(*) from (select id from t.a limit {left})")).await,
            left.to_string()
        );
        let of_filter = format!("select count(*) from (select id from t.a where id >= 0 limit {left})");
        assert_eq!(query(&lake, &of_filter).await, left.to_string());
    }

    #[tokio::test]
    async fn replaced_partitions_lose_their_deletes_and_others_keep_them() {
        let (_folder, lake) = lake().await;
        let partition = Some(Partition { column: "name".to_string(), transform: Transform::Identity });
        let parted = TableSpec { partition, ..spec("a") };
        append(&lake, "1", &parted, rows(0..100)).await;
        remove(&lake, "2", [1, 2, 11]).await;
        assert_eq!(counts(&lake).await[2], ("total-delete-files", 2));
        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &parted, &[rows([1, 101])]).await;
        transaction.replace_partitions(&parted.name, files);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*), count(distinct id) from t.a where name = 'n1'").await, "2 2");
        assert_eq!(query(&lake, "select count(*) from t.a where name = 'n2'").await, "9");
        assert_eq!(lake.row_counts().await.unwrap()[&parted.name], 91);
        let mut transaction = lake.begin(stamp("4")).await.unwrap();
        let files = write(&mut transaction, &parted, &[rows([2])]).await;
        transaction.replace(&parted.name, files);
        transaction.commit().await.unwrap();
        assert_eq!(counts(&lake).await.last(), Some(&("total-data-files", 1)));
        assert_eq!(query(&lake, "select id from t.a").await, "2");
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
        // The first table file is history; one of the transaction's two has a deleted row.
        assert_eq!(files_below(folder.path(), ".parquet").len(), 4);
        assert_eq!(files_below(folder.path(), "-deletes.parquet").len(), 1);
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
