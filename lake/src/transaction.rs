//! Transactions: changes to several tables that become visible together or not at all.
//!
//! A change is kept as what was asked for, so that it can be applied again when somebody else committed first.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::record_batch::RecordBatch;
use chrono::Utc;
use datafusion::prelude::SessionContext;
use iceberg::spec::DataFile;

use crate::find::{Find, find};
use crate::lake::Lake;
use crate::litter::Litter;
use crate::plan::Change;
use crate::snapshot::Base;
use crate::staged::Staged;
use crate::stamp::{FINGERPRINT_KEY, PROPERTY_PREFIX, RUN_KEY, STAGE_KEY, TABLES_KEY};
use crate::writer::{Layout, TableWriter, WrittenFiles};
use crate::{Error, Result, Sought, Stamp, TableName, TableSpec, commit, in_turn, schema, session, upsert};

/// What a commit did.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// Nothing was done, since the same stamp had been committed before.
    pub already: bool,
    /// The new snapshot of each table.
    pub snapshots: BTreeMap<TableName, i64>,
    /// Rows of each table after the commit.
    pub row_counts: BTreeMap<TableName, u64>,
    /// How often the commit had to be made again since somebody else was faster.
    pub retries: u32,
}

/// Changes to several tables that become visible together or not at all.
///
/// Dropping it removes the files that its writers wrote.
pub struct Transaction {
    pub(crate) lake: Lake,
    pub(crate) stamp: Stamp,
    /// Tables and views when the transaction began, those of its scope; a table that has moved since is found out at
    /// the commit.
    pub(crate) pointers: BTreeMap<TableName, String>,
    pub(crate) known_views: BTreeMap<TableName, String>,
    scope: Option<BTreeSet<TableName>>,
    already: Option<BTreeMap<String, String>>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) tables: BTreeMap<TableName, Staged>,
    /// Views that come; without SQL, those that go.
    pub(crate) views: BTreeMap<TableName, Option<String>>,
    free_schemas: HashSet<TableName>,
    /// A mistake of a call that could not return it.
    pub(crate) mistake: Option<Error>,
    /// How many tables there are, when they are committed one by one.
    pub(crate) tables_in_turn: Option<usize>,
    pub(crate) litter: Arc<Litter>,
    held_bytes: Arc<AtomicUsize>,
}

impl Transaction {
    pub(crate) async fn begin(lake: &Lake, stamp: Stamp, scope: Option<BTreeSet<TableName>>) -> Result<Transaction> {
        let (pointers, already) = in_turn::pointers_and_stamp(lake, &stamp, scope.as_ref()).await?;
        let known_views = match &scope {
            Some(names) => lake.inner.catalog.views_of(names).await?,
            None => lake.inner.catalog.views().await?,
        };
        Ok(Transaction {
            lake: lake.clone(),
            stamp,
            pointers,
            known_views,
            scope,
            already,
            properties: BTreeMap::new(),
            tables: BTreeMap::new(),
            views: BTreeMap::new(),
            free_schemas: HashSet::new(),
            mistake: None,
            tables_in_turn: None,
            litter: Arc::new(Litter::new(&lake.inner.store)),
            held_bytes: Arc::default(),
        })
    }

    /// Returns the properties given at the commit with this stamp, when it is there already.
    pub fn already_committed(&self) -> Option<&BTreeMap<String, String>> {
        self.already.as_ref()
    }

    /// Sets a property of every snapshot summary of the commit.
    pub fn set_property(&mut self, key: &str, value: String) {
        self.properties.insert(key.to_string(), value);
    }

    /// Lets columns of a table go or change their type; the table must then be replaced whole. To be called before `writer`.
    pub fn allow_schema_change(&mut self, table: &TableName) {
        self.free_schemas.insert(table.clone());
    }

    /// Opens a writer; the table is created, or gets the columns that it lacks, with the commit.
    ///
    /// # Errors
    /// When a column's type is not the table's, or not one that tables can hold.
    pub async fn writer(&mut self, spec: &TableSpec) -> Result<TableWriter> {
        spec.name.check()?;
        let staged = match self.tables.remove(&spec.name) {
            Some(mut staged) => {
                staged.spec = Some(spec.clone());
                staged.fit()?;
                staged
            }
            None => {
                self.refuse_view(&spec.name)?;
                let free = self.free_schemas.contains(&spec.name);
                Staged::open(&self.lake, &spec.name, self.base(&spec.name).await?, Some(spec.clone()), free)?
            }
        };
        let layout = self.layout(&spec.name, &staged)?;
        self.tables.insert(spec.name.clone(), staged);
        TableWriter::new(Arc::new(layout))
    }

    /// The state of a table when the transaction began; none when it did not exist.
    async fn base(&self, table: &TableName) -> Result<Option<Base>> {
        if self.scope.as_ref().is_some_and(|scope| !scope.contains(table)) {
            return Err(Error::OutOfScope(table.clone()));
        }
        let Some(location) = self.pointers.get(table) else { return Ok(None) };
        let metadata = self.lake.inner.metadata(table, location).await?;
        Ok(Some(Base { location: Some(location.clone()), metadata }))
    }

    fn refuse_view(&self, name: &TableName) -> Result<()> {
        let taken = match self.views.get(name) {
            Some(view) => view.is_some(),
            None => self.known_views.contains_key(name),
        };
        if taken { Err(Error::WrongKind { name: name.clone(), is: "view", wanted: "table" }) } else { Ok(()) }
    }

    /// Describes the files of a table as it will be after the commit.
    pub(crate) fn layout(&self, table: &TableName, staged: &Staged) -> Result<Layout> {
        let current = &staged.current;
        let order = current.default_sort_order();
        let schema = current.current_schema().clone();
        let sort = order.fields.iter().filter_map(|field| schema.name_by_field_id(field.source_id)).map(String::from);
        Ok(Layout {
            table: table.clone(),
            file_schema: schema::file_schema(table, &schema)?,
            partition_spec: current.default_partition_spec().clone(),
            store: self.lake.inner.store.clone(),
            folder: format!("{}/data", current.location()),
            key: staged.spec.as_ref().map(|spec| spec.key.clone()).unwrap_or_default(),
            sort: sort.collect(),
            sort_order_id: i32::try_from(order.order_id).ok().filter(|id| *id > 0),
            litter: self.litter.clone(),
            held_bytes: self.held_bytes.clone(),
            schema,
        })
    }

    /// Adds rows.
    pub fn append(&mut self, table: &TableName, files: WrittenFiles) {
        self.change(table, files, Change::Append);
    }

    /// Replaces all rows.
    pub fn replace(&mut self, table: &TableName, files: WrittenFiles) {
        self.change(table, files, Change::Replace);
    }

    /// Replaces the rows of those partitions that the files belong to. A table without partitions is one partition.
    pub fn replace_partitions(&mut self, table: &TableName, files: WrittenFiles) {
        self.change(table, files, Change::ReplacePartitions);
    }

    fn change(&mut self, table: &TableName, files: WrittenFiles, make: fn(Vec<DataFile>) -> Change) {
        let changed = match self.tables.get_mut(table) {
            None => Err(Error::NoWriter(table.clone())),
            Some(staged) => files.of(table).map(|files| {
                let change = make(files);
                staged.plan.apply(&change);
                staged.changes.push(change);
            }),
        };
        if let Err(error) = changed {
            self.mistake.get_or_insert(error);
        }
    }

    /// Takes away the rows whose key is in `removed`, then adds rows. Files that hold few such rows stay, and position
    /// deletes say which of their rows are gone; others are written anew.
    pub async fn upsert(
        &mut self,
        table: &TableName,
        key_column: &str,
        removed: impl Into<Sought>,
        files: WrittenFiles,
    ) -> Result<()> {
        let mut staged = match self.tables.remove(table) {
            Some(staged) => staged,
            // Without a writer only rows of a table that exists can go.
            None => Staged::open(&self.lake, table, self.base(table).await?, None, false)?,
        };
        let files = files.of(table)?;
        let change = Change::Upsert { key_column: key_column.to_string(), removed: removed.into(), files };
        let applied = self.apply(table, &mut staged, &change).await;
        staged.changes.push(change);
        self.tables.insert(table.clone(), staged);
        applied
    }

    async fn apply(&self, table: &TableName, staged: &mut Staged, change: &Change) -> Result<()> {
        let Change::Upsert { key_column, removed, files } = change else {
            staged.plan.apply(change);
            return Ok(());
        };
        let layout = Arc::new(self.layout(table, staged)?);
        if !removed.is_empty() {
            let live = staged.live_files(&self.lake, table).await?;
            staged.plan.remove(upsert::remove_keys(&self.lake, layout, live, key_column, removed).await?);
        }
        staged.plan.add.extend(files.iter().cloned());
        Ok(())
    }

    /// Puts a table's changes on the table's newest state.
    pub(crate) async fn rebase(&mut self, table: &TableName) -> Result<()> {
        let Some(old) = self.tables.remove(table) else { return Ok(()) };
        let base = self.lake.inner.base(table).await?;
        let mut staged = Staged::open(&self.lake, table, base, old.spec.clone(), old.free_schema)?;
        if !staged.holds_files_of(&old) {
            let reason = "its columns are no longer those that the rows were written with".to_string();
            return Err(Error::Conflict { table: table.clone(), reason });
        }
        for change in old.changes {
            self.apply(table, &mut staged, &change).await?;
            staged.changes.push(change);
        }
        self.tables.insert(table.clone(), staged);
        Ok(())
    }

    /// Creates or replaces a view. It is planned when it is read, so it may name tables that do not exist yet.
    ///
    /// # Errors
    /// When the SQL is not one query, or a table has the name.
    pub async fn create_view(&mut self, name: &TableName, sql: &str) -> Result<()> {
        name.check()?;
        session::check_view(&self.lake, name, sql)?;
        let exists = self.tables.contains_key(name) || self.lake.inner.catalog.pointer(name).await?.is_some();
        if exists {
            return Err(Error::WrongKind { name: name.clone(), is: "table", wanted: "view" });
        }
        self.views.insert(name.clone(), Some(sql.to_string()));
        Ok(())
    }

    /// Drops a view, if it is there.
    pub fn drop_view(&mut self, name: &TableName) {
        self.views.insert(name.clone(), None);
    }

    /// Makes a session that reads the staged state: this transaction's changes included, visible to nobody else.
    pub async fn session(&self) -> Result<SessionContext> {
        session::open_staged(self).await
    }

    /// Reads some columns of the rows that bear one of the keys, in no order, this transaction's changes included.
    ///
    /// # Errors
    /// The table or a column does not exist, or files cannot be read.
    pub async fn find(
        &self,
        table: &TableName,
        key_column: &str,
        keys: &Sought,
        columns: &[&str],
    ) -> Result<Vec<RecordBatch>> {
        let staged = match self.tables.get(table) {
            Some(staged) => staged,
            None => &Staged::open(&self.lake, table, self.base(table).await?, None, false)?,
        };
        let files = staged.live_files(&self.lake, table).await?;
        find(&self.lake, Find { table, schema: staged.current.current_schema(), key_column, keys, columns }, files)
            .await
    }

    /// Commits all tables or none. When somebody else commits first, the changes are applied to the new state.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the changes do not fit the new state; nothing is visible then.
    pub async fn commit(self) -> Result<Committed> {
        commit::commit(self).await
    }

    /// The summary that every snapshot of the commit gets.
    pub(crate) fn summary(&self) -> BTreeMap<String, String> {
        let mut summary: BTreeMap<String, String> =
            self.properties.iter().map(|(key, value)| (format!("{PROPERTY_PREFIX}{key}"), value.clone())).collect();
        summary.insert(RUN_KEY.to_string(), self.stamp.run_id.clone());
        summary.insert(STAGE_KEY.to_string(), self.stamp.stage.clone());
        summary.insert(FINGERPRINT_KEY.to_string(), self.stamp.fingerprint.clone());
        if let Some(tables) = self.tables_in_turn {
            summary.insert(TABLES_KEY.to_string(), tables.to_string());
        }
        summary
    }

    /// The moment of the commit: one for all tables, and not before anything they contain.
    pub(crate) fn timestamp_ms(&self) -> i64 {
        let newest = self.tables.values().map(|staged| staged.base.metadata.last_updated_ms()).max();
        Utc::now().timestamp_millis().max(newest.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::testing::{append, files_below, lake, query, rows, show, spec, stamp, write};
    use crate::{Partition, Transform};

    const SUM: &str = "select count(*), sum(id), min(name), sum(value) from t.a";

    #[tokio::test]
    async fn a_transaction_sees_the_lake_as_it_was_when_it_began() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let transaction = lake.begin(stamp("2")).await.unwrap();
        append(&lake, "3", &spec("a"), rows(10..20)).await;
        append(&lake, "4", &spec("b"), rows(0..1)).await;
        let session = transaction.session().await.unwrap();
        assert_eq!(show(&session, "select count(*) from t.a").await, "10");
        assert!(session.table("t.b").await.is_err());
    }

    #[tokio::test]
    async fn a_transaction_on_some_tables_sees_no_others() {
        let (_folder, lake) = lake().await;
        for name in ["a", "b"] {
            append(&lake, name, &spec(name), rows(0..10)).await;
        }
        let view = TableName::new("v", "b");
        let mut transaction = lake.begin(stamp("view")).await.unwrap();
        transaction.create_view(&view, "select id from t.b").await.unwrap();
        transaction.commit().await.unwrap();

        let scope = BTreeSet::from([spec("a").name, spec("c").name]);
        let begin = || lake.begin_on(stamp("1"), scope.clone());
        let mut transaction = begin().await.unwrap();
        let session = transaction.session().await.unwrap();
        assert_eq!(show(&session, "select count(*) from t.a").await, "10");
        assert!(session.table("t.b").await.is_err() && session.table("v.b").await.is_err());
        assert!(
            matches!(transaction.writer(&spec("b")).await, Err(Error::OutOfScope(table)) if table == spec("b").name)
        );
        let files = write(&mut transaction, &spec("c"), &[rows(0..3)]).await;
        transaction.append(&spec("c").name, files);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*) from t.c").await, "3");
        assert!(begin().await.unwrap().already_committed().is_some());

        let transaction = lake.begin_on(stamp("2"), BTreeSet::from([view.clone(), spec("b").name])).await.unwrap();
        let session = transaction.session().await.unwrap();
        assert_eq!(show(&session, "select count(*) from v.b").await, "10");
    }

    #[tokio::test]
    async fn appended_rows_are_there_and_a_replaced_table_has_only_the_new_ones() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..100)).await;
        append(&lake, "2", &spec("a"), rows(100..200)).await;
        assert_eq!(query(&lake, SUM).await, "200 19900 n0 9950.0");

        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows(1..4)]).await;
        assert_eq!(files.row_count(), 3);
        transaction.replace(&spec("a").name, files);
        let committed = transaction.commit().await.unwrap();
        assert_eq!(committed.row_counts[&spec("a").name], 3);
        assert_eq!(query(&lake, SUM).await, "3 6 n1 3.0");
        assert_eq!(lake.row_counts().await.unwrap()[&spec("a").name], 3);

        let history = lake.history(&spec("a").name).await.unwrap();
        let operations: Vec<_> = history.iter().map(|s| (s.operation.as_str(), s.run_id.as_deref().unwrap())).collect();
        assert_eq!(operations, [("append", "1"), ("append", "2"), ("overwrite", "3")]);
        assert_eq!(history[2].summary["deleted-records"], "200");
        assert_eq!(history[2].stage.as_deref(), Some("test"));
    }

    #[tokio::test]
    async fn a_transaction_may_only_create_tables_and_views() {
        let (_folder, lake) = lake().await;
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        drop(transaction.writer(&spec("a")).await.unwrap());
        transaction.create_view(&TableName::new("v", "b"), "select count(*) as n from t.a").await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select n from v.b").await, "0");
        assert_eq!(lake.tables().await.unwrap(), [spec("a").name]);
        assert_eq!(lake.begin(stamp("1")).await.unwrap().already_committed(), Some(&BTreeMap::new()));
    }

    fn dated() -> TableSpec {
        let fields = vec![Field::new("id", DataType::Int64, false), Field::new("day", DataType::Date32, true)];
        TableSpec {
            schema: Arc::new(Schema::new(fields)),
            partition: Some(Partition { column: "day".to_string(), transform: Transform::Year }),
            ..spec("a")
        }
    }

    fn dated_rows(rows: &[(i64, Option<i32>)]) -> RecordBatch {
        let ids: Int64Array = rows.iter().map(|(id, _)| *id).collect();
        let days: Date32Array = rows.iter().map(|(_, day)| *day).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(days)];
        RecordBatch::try_new(dated().schema, columns).unwrap()
    }

    #[tokio::test]
    async fn replaced_partitions_leave_the_others_alone() {
        let (folder, lake) = lake().await;
        append(&lake, "1", &dated(), dated_rows(&[(1, Some(10)), (2, Some(400)), (3, None), (4, Some(401))])).await;
        assert_eq!(files_below(folder.path(), ".parquet").len(), 3);

        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        let files = write(&mut transaction, &dated(), &[dated_rows(&[(5, Some(500)), (6, None)])]).await;
        transaction.replace_partitions(&dated().name, files);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select id, day from t.a order by id").await, "1 1970-01-11\n5 1971-05-16\n6");
        assert_eq!(query(&lake, "select id from t.a where day = date '1971-05-16'").await, "5");
    }

    #[tokio::test]
    async fn rows_that_do_not_fit_are_refused_with_table_and_column() {
        let (_folder, lake) = lake().await;
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let mut writer = transaction.writer(&spec("a")).await.unwrap();
        let one = |name: &str, nullable| {
            let schema = Schema::new(vec![Field::new(name, DataType::Int64, nullable)]);
            let column: ArrayRef = Arc::new(Int64Array::from(vec![(!nullable).then_some(1)]));
            RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
        };
        let null = writer.write(&one("id", true)).unwrap_err().to_string();
        assert_eq!(null, "column `id` of table `t.a` is required, but 1 rows have no value for it");
        let missing = writer.write(&one("x", false)).unwrap_err().to_string();
        assert_eq!(missing, "rows for table `t.a` lack column `id`, which is required");
        let mut surplus = rows(0..1).schema().fields().to_vec();
        surplus.push(Arc::new(Field::new("more", DataType::Int64, true)));
        let mut columns = rows(0..1).columns().to_vec();
        columns.push(Arc::new(Int64Array::from(vec![1])));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(surplus)), columns).unwrap();
        assert!(matches!(writer.write(&batch), Err(Error::SurplusColumn { column, .. }) if column == "more"));
        // Columns that may be null need not be given.
        writer.write(&one("id", false)).unwrap();
    }

    #[tokio::test]
    async fn files_of_another_table_or_of_none_fail_the_commit() {
        let (_folder, lake) = lake().await;
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows(0..1)]).await;
        drop(transaction.writer(&spec("b")).await.unwrap());
        transaction.append(&spec("b").name, files);
        assert!(matches!(transaction.commit().await, Err(Error::ForeignFiles { .. })));
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        transaction.replace(&spec("c").name, WrittenFiles::default());
        assert!(matches!(transaction.commit().await, Err(Error::NoWriter(_))));
        assert!(lake.tables().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing_behind() {
        let (folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let before = files_below(folder.path(), "");
        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows(10..20)]).await;
        let mut open = transaction.writer(&spec("a")).await.unwrap();
        open.write(&rows(20..30)).unwrap();
        transaction.append(&spec("a").name, files);
        assert_eq!(files_below(folder.path(), "").len(), before.len() + 2);
        drop(transaction);
        drop(open);
        assert_eq!(files_below(folder.path(), "").len(), before.len());
        assert_eq!(query(&lake, "select count(*) from t.a").await, "10");
    }

    #[tokio::test]
    async fn the_staged_session_sees_what_nobody_else_sees() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows(10..13)]).await;
        transaction.append(&spec("a").name, files);
        let files = write(&mut transaction, &spec("b"), &[rows(0..5)]).await;
        transaction.replace(&spec("b").name, files);
        transaction
            .create_view(&TableName::new("v", "both"), "select id from t.a union all select id from t.b")
            .await
            .unwrap();
        let session = transaction.session().await.unwrap();
        assert_eq!(crate::testing::show(&session, "select count(*) from v.both").await, "18");
        assert_eq!(query(&lake, "select count(*) from t.a").await, "10");
        assert_eq!(lake.tables().await.unwrap().len(), 1);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*) from v.both").await, "18");
    }
}
