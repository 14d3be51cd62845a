//! Makes a transaction's changes visible: write the metadata, move the pointers, and on conflict do it again.

use std::time::Duration;

use futures::{StreamExt, stream};
use iceberg::spec::DataFile;

use crate::catalog::{Swap, Swapped};
use crate::flush::flush;
use crate::lake::TABLES_AT_ONCE;
use crate::snapshot::{Produced, Write, produce};
use crate::staged::Staged;
use crate::transaction::{Committed, Transaction};
use crate::{Durability, Error, Result, TableName, in_turn};

/// Somebody makes progress in every round, so that this many suffice for this many writers of one table.
const ATTEMPTS: u32 = 60;
/// A catalog that does not answer is asked so often.
const ATTEMPTS_AT_A_SERVER: u32 = 12;

pub(crate) async fn commit(mut transaction: Transaction) -> Result<Committed> {
    if let Some(mistake) = transaction.mistake.take() {
        return Err(mistake);
    }
    if transaction.already_committed().is_some() {
        return Ok(Committed { already: true, ..Committed::default() });
    }
    for (table, staged) in &transaction.tables {
        if staged.free_schema && staged.evolution.is_some() && !staged.plan.all && staged.base.location.is_some() {
            return Err(Error::PartialSchemaChange(table.clone()));
        }
    }
    let tables: Vec<TableName> = transaction.tables.keys().cloned().collect();
    if tables.len() > 1 && !transaction.lake.inner.catalog.moves_together() {
        return in_turn::commit(transaction).await;
    }
    match attempt(&mut transaction, &tables).await? {
        Outcome::Made { produced, attempts } => Ok(finish(&transaction, produced, attempts)),
        Outcome::Already { attempts } => Ok(Committed { already: true, retries: attempts, ..Committed::default() }),
        Outcome::OneAtATime => in_turn::commit(transaction).await,
    }
}

/// What became of an attempt.
pub(crate) enum Outcome {
    Made { produced: Vec<(TableName, Produced)>, attempts: u32 },
    Already { attempts: u32 },
    OneAtATime,
}

/// Commits the views and some of the tables of a transaction, again and again if need be.
pub(crate) async fn attempt(transaction: &mut Transaction, tables: &[TableName]) -> Result<Outcome> {
    for attempts in 0..ATTEMPTS {
        // Somebody may have committed the same since the transaction began.
        let committed = |table: &TableName| {
            let staged = transaction.tables.get(table)?;
            transaction.stamp.find(&staged.base.metadata)
        };
        if tables.iter().any(|table| committed(table).is_some()) {
            return Ok(Outcome::Already { attempts });
        }
        let produced = write_metadata(transaction, tables).await?;
        let swaps: Vec<Swap> = produced
            .iter()
            .map(|(table, next)| Swap {
                table: table.clone(),
                from: transaction.tables.get(table).and_then(|staged| staged.base.location.clone()),
                to: next.location.clone(),
                metadata: next.metadata.clone(),
                updates: next.updates.clone(),
                requirements: next.requirements.clone(),
            })
            .collect();
        match swap(transaction, &swaps).await {
            Ok(Swapped::All) => return Ok(Outcome::Made { produced, attempts }),
            Ok(Swapped::OneAtATime) => {
                discard(transaction, &produced);
                return Ok(Outcome::OneAtATime);
            }
            Ok(Swapped::Stale(table)) => {
                discard(transaction, &produced);
                tracing::debug!(table.name = ?table, attempts, "somebody else committed first");
                if attempts > 0 {
                    pause(attempts, transaction).await;
                }
                rebase(transaction, &swaps).await?;
            }
            Err(error @ Error::Busy { .. }) if attempts + 1 < ATTEMPTS => {
                discard(transaction, &produced);
                tracing::debug!(%error, attempts, "the catalog is busy");
                pause(attempts, transaction).await;
            }
            Err(error) => {
                if is_visible(transaction, &produced).await {
                    return Ok(Outcome::Made { produced, attempts });
                }
                if !error.is_uncertain() || attempts + 1 >= ATTEMPTS_AT_A_SERVER {
                    return Err(error);
                }
                // The request may still arrive: then the next round finds the stamp, and the files are needed.
                tracing::warn!(%error, attempts, "the catalog did not answer; the commit is tried again");
                transaction.litter.keep_all();
                pause_long(attempts).await;
                rebase(transaction, &swaps).await?;
            }
        }
    }
    let table = tables.first().cloned().unwrap_or_else(|| TableName::new("", ""));
    Err(Error::Conflict { table, reason: format!("{ATTEMPTS} attempts to commit were too late") })
}

/// Writes the next state of the tables, where nobody looks yet.
async fn write_metadata(transaction: &Transaction, tables: &[TableName]) -> Result<Vec<(TableName, Produced)>> {
    let inner = &transaction.lake.inner;
    let write = Write {
        files: &inner.files,
        litter: &transaction.litter,
        properties: &transaction.summary(),
        timestamp_ms: transaction.timestamp_ms(),
        by_updates: inner.catalog.takes_updates(),
    };
    // Where nothing changes there is nothing to say; but a stamp has to be somewhere, and on as many as were counted.
    let all = transaction.tables_in_turn.is_some() || transaction.tables.values().all(Staged::is_still);
    let staged = tables.iter().filter_map(|table| transaction.tables.get_key_value(table));
    let write = &write;
    let produced = staged.filter(|(_, staged)| all || !staged.is_still()).map(|(table, staged)| async move {
        let next = produce(write, table, &staged.base, staged.evolution.as_ref(), &staged.plan).await?;
        Ok((table.clone(), next))
    });
    // All of them before the first error counts: what is still being written could not be removed.
    let produced: Vec<Result<_>> = stream::iter(produced.collect::<Vec<_>>()).buffered(TABLES_AT_ONCE).collect().await;
    let produced: Vec<(TableName, Produced)> = produced.into_iter().collect::<Result<_>>()?;
    let metadata = produced.iter().flat_map(|(_, next)| next.written.iter().map(String::as_str));
    let data = transaction.tables.values().flat_map(|staged| &staged.plan.add).map(DataFile::file_path);
    let unsafe_yet = match inner.config.durability {
        Durability::Nothing => Vec::new(),
        Durability::Metadata => inner.store.paths_to_flush(metadata),
        Durability::All => inner.store.paths_to_flush(metadata.chain(data)),
    };
    flush(unsafe_yet).await?;
    Ok(produced)
}

async fn swap(transaction: &Transaction, swaps: &[Swap]) -> Result<Swapped> {
    if swaps.is_empty() && transaction.views.is_empty() {
        return Ok(Swapped::All);
    }
    transaction.lake.inner.catalog.swap(swaps, &transaction.views).await
}

/// Puts those tables on their newest state that are not where they were.
async fn rebase(transaction: &mut Transaction, swaps: &[Swap]) -> Result<()> {
    for swap in swaps {
        let now = transaction.lake.inner.catalog.pointer(&swap.table).await?;
        if now.is_none() && swap.from.is_some() {
            return Err(Error::Conflict { table: swap.table.clone(), reason: "it was dropped".to_string() });
        }
        if now != swap.from {
            transaction.rebase(&swap.table).await?;
        }
    }
    Ok(())
}

/// After an error of the catalog: looks whether the tables moved nevertheless.
async fn is_visible(transaction: &Transaction, produced: &[(TableName, Produced)]) -> bool {
    for (table, next) in produced {
        match transaction.lake.inner.base(table).await {
            Ok(Some(now)) if now.metadata.snapshot_by_id(next.snapshot_id).is_some() => {}
            Ok(_) => return false,
            Err(error) => {
                // Better files that nobody needs than files that somebody misses.
                tracing::warn!(%error, "it is not known whether a commit succeeded; its files are kept");
                transaction.litter.keep_all();
                return false;
            }
        }
    }
    !produced.is_empty()
}

fn discard(transaction: &Transaction, produced: &[(TableName, Produced)]) {
    let written = produced.iter().flat_map(|(_, next)| &next.written);
    transaction.litter.remove(written.map(String::as_str));
}

/// Keeps the files of what was committed, and says what that is.
pub(crate) fn finish(transaction: &Transaction, produced: Vec<(TableName, Produced)>, retries: u32) -> Committed {
    let mut committed = Committed { retries, ..Committed::default() };
    for (table, next) in produced {
        let added = transaction.tables.get(&table).into_iter().flat_map(|staged| &staged.plan.add);
        transaction.litter.keep(added.map(DataFile::file_path));
        transaction.litter.keep(next.written.iter().map(String::as_str));
        tracing::debug!(table.name = %table, snapshot.id = next.snapshot_id, row.count = next.row_count, "committed");
        if !transaction.lake.inner.catalog.takes_updates() {
            transaction.lake.inner.remember(&table, &next.location, next.metadata);
        }
        committed.snapshots.insert(table.clone(), next.snapshot_id);
        committed.row_counts.insert(table, next.row_count);
    }
    committed
}

/// Waits longer each time, and not as long as the others.
async fn pause(attempt: u32, transaction: &Transaction) {
    let spread = std::ptr::from_ref(transaction).addr() as u64 / 64 % 7;
    let step = u64::from(attempt.min(6));
    tokio::time::sleep(Duration::from_millis((1 << step) + spread * step)).await;
}

/// Waits for a server that may be overloaded or starting again: in all about a minute.
async fn pause_long(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(200 << attempt.min(5))).await;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::testing::{append, config, files_below, lake, query, rows, spec, stamp, write};
    use crate::{Error, Lake};

    #[tokio::test]
    async fn the_same_stamp_is_committed_once() {
        let (_folder, lake) = lake().await;
        for _ in 0..2 {
            let mut transaction = lake.begin(stamp("1")).await.unwrap();
            transaction.set_property("rows", "10".to_string());
            let files = write(&mut transaction, &spec("a"), &[rows(0..10)]).await;
            transaction.append(&spec("a").name, files);
            transaction.commit().await.unwrap();
        }
        assert_eq!(query(&lake, "select count(*) from t.a").await, "10");
        let transaction = lake.begin(stamp("1")).await.unwrap();
        let properties = BTreeMap::from([("rows".to_string(), "10".to_string())]);
        assert_eq!(transaction.already_committed(), Some(&properties));
        let mut other = stamp("1");
        other.fingerprint = "2".to_string();
        assert_eq!(lake.begin(other).await.unwrap().already_committed(), None);
    }

    #[tokio::test]
    async fn of_two_that_commit_the_same_stamp_at_once_one_wins() {
        let (folder, lake) = lake().await;
        append(&lake, "0", &spec("a"), rows(0..1)).await;
        let other = Lake::open(&config(&folder)).await.unwrap();
        let mut first = lake.begin(stamp("1")).await.unwrap();
        let mut second = other.begin(stamp("1")).await.unwrap();
        for transaction in [&mut first, &mut second] {
            let files = write(transaction, &spec("a"), &[rows(10..20)]).await;
            transaction.append(&spec("a").name, files);
        }
        assert!(!first.commit().await.unwrap().already);
        assert!(second.commit().await.unwrap().already);
        assert_eq!(query(&lake, "select count(*) from t.a").await, "11");
        assert_eq!(files_below(folder.path(), ".parquet").len(), 2);
    }

    #[tokio::test]
    async fn a_late_transaction_is_put_on_top_in_all_its_tables_at_once() {
        let (_folder, lake) = lake().await;
        append(&lake, "0", &spec("b"), rows(0..1)).await;
        let mut late = lake.begin(stamp("late")).await.unwrap();
        for name in ["a", "b"] {
            let files = write(&mut late, &spec(name), &[rows(100..110)]).await;
            late.append(&spec(name).name, files);
        }
        append(&lake, "1", &spec("b"), rows(1..2)).await;
        let committed = late.commit().await.unwrap();
        assert_eq!(committed.retries, 1);
        assert_eq!(query(&lake, "select count(*) from t.a").await, "10");
        assert_eq!(query(&lake, "select count(*) from t.b").await, "12");
        let a = lake.history(&spec("a").name).await.unwrap();
        let b = lake.history(&spec("b").name).await.unwrap();
        assert_eq!(a.len(), 1);
        assert_eq!(a[0].timestamp_ms, b[2].timestamp_ms);
    }

    #[tokio::test]
    async fn when_one_table_cannot_follow_none_moves() {
        let (folder, lake) = lake().await;
        append(&lake, "0", &spec("b"), rows(0..1)).await;
        let mut late = lake.begin(stamp("late")).await.unwrap();
        let mut wider = spec("b");
        let extra = arrow::datatypes::Field::new("more", arrow::datatypes::DataType::Int64, true);
        let fields: Vec<_> = wider.schema.fields().iter().cloned().chain([extra.into()]).collect();
        wider.schema = arrow::datatypes::Schema::new(fields).into();
        for spec in [&spec("a"), &wider] {
            let files = write(&mut late, spec, &[rows(100..110)]).await;
            late.append(&spec.name, files);
        }
        // Somebody takes the next field id for another column.
        let mut other = wider.clone();
        let extra = arrow::datatypes::Field::new("other", arrow::datatypes::DataType::Utf8, true);
        let fields: Vec<_> = spec("b").schema.fields().iter().cloned().chain([extra.into()]).collect();
        other.schema = arrow::datatypes::Schema::new(fields).into();
        append(&lake, "1", &other, rows(1..2)).await;
        let error = late.commit().await.unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }) && error.is_retryable(), "{error}");
        assert_eq!(lake.tables().await.unwrap(), [spec("b").name]);
        assert_eq!(query(&lake, "select count(*) from t.b").await, "2");
        assert_eq!(files_below(folder.path(), ".parquet").len(), 2);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_who_append_at_once_all_land() {
        let (folder, lake) = lake().await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8_i64 {
            let config = config(&folder);
            writers.spawn(async move {
                let lake = Lake::open(&config).await.unwrap();
                for round in 0..5_i64 {
                    let from = writer * 1000 + round * 100;
                    append(&lake, &format!("{writer} {round}"), &spec("a"), rows(from..from + 100)).await;
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(query(&lake, "select count(*), count(distinct id) from t.a").await, "4000 4000");
        assert_eq!(lake.history(&spec("a").name).await.unwrap().len(), 40);
        assert_eq!(files_below(folder.path(), ".parquet").len(), 40);
    }

    #[tokio::test]
    async fn many_appends_do_not_make_many_manifests() {
        let (_folder, lake) = lake().await;
        for run in 0..70 {
            append(&lake, &run.to_string(), &spec("a"), rows(run..run + 1)).await;
        }
        let base = lake.inner.base(&spec("a").name).await.unwrap().unwrap();
        let snapshot = base.metadata.current_snapshot().unwrap();
        let manifests =
            crate::live::manifest_files(&lake.inner.files, &spec("a").name, &base.metadata, snapshot).await.unwrap();
        assert!(manifests.len() < 10, "{}", manifests.len());
        assert_eq!(query(&lake, "select count(*), sum(id) from t.a").await, "70 2415");
    }

    #[tokio::test]
    async fn an_unwritable_folder_is_named() {
        let (folder, _lake) = lake().await;
        let file = folder.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let error = Lake::open(&crate::Config::folder(&file)).await.err().unwrap().to_string();
        assert!(error.contains(&*file.to_string_lossy()), "{error}");
    }
}
