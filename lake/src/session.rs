//! DataFusion sessions over the lake: catalog `lake`, one schema per namespace, tables and views loaded when named.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::memory::{MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Result as QueryResult;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{LogicalPlan, TableType};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use iceberg::spec::{SnapshotRef, TableMetadataRef};

use crate::catalog::CATALOG_NAME;
use crate::filter_is_true::FilterIsTrue;
use crate::lake::{Inner, Lake};
use crate::large_join::LargeJoin;
use crate::live::LiveFile;
use crate::memory::SharedMemory;
use crate::scan::LakeTable;
use crate::store::Store;
use crate::transaction::Transaction;
use crate::{AsOf, Config, Error, Result, TableName, as_of};

/// Schema for what a session registers itself.
const SCRATCH_SCHEMA: &str = "public";
/// Joins that may hold a side in memory at the same moment: two queries of several joins each, with room to err.
const JOINS_AT_A_TIME: usize = 8;
/// What a sort puts aside to merge what it has spilled, as a share of all memory.
const SPILL_RESERVE: usize = 512;
/// Views that name views; deeper is a circle.
const MAX_VIEW_DEPTH: usize = 32;

/// Builds what queries run in: memory, and a place to spill to, which is the system's folder for such files.
fn runtime(config: &Config, store: &Store) -> Result<Arc<RuntimeEnv>> {
    let mut builder = RuntimeEnvBuilder::new();
    if let Some(limit) = config.memory_limit_bytes {
        let consumers_to_name = std::num::NonZeroUsize::MIN.saturating_add(2);
        builder =
            builder.with_memory_pool(Arc::new(TrackConsumersPool::new(SharedMemory::new(limit), consumers_to_name)));
    }
    let runtime = builder.build_arc()?;
    store.register(&runtime);
    Ok(runtime)
}

/// The rules of the engine, and ours for joins where the memory has a limit.
fn physical_rules(config: &Config) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    if let Some(limit) = config.memory_limit_bytes {
        let chosen = rules.iter().position(|rule| rule.name() == "join_selection").map_or(0, |place| place + 1);
        rules.insert(chosen, Arc::new(LargeJoin { build_limit_bytes: limit / JOINS_AT_A_TIME }));
    }
    rules
}

/// Builds the state that every session starts from.
pub(crate) fn template(config: &Config, store: &Store) -> Result<SessionState> {
    let mut session = SessionConfig::new()
        .with_target_partitions(config.target_partitions())
        .with_default_catalog_and_schema(CATALOG_NAME, SCRATCH_SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true);
    // The lake's own type for text; views of it would leak into what is written back.
    session.options_mut().execution.parquet.schema_force_view_types = false;
    if let Some(limit) = config.memory_limit_bytes {
        session.options_mut().execution.sort_spill_reservation_bytes = limit / SPILL_RESERVE;
    }
    let builder = SessionStateBuilder::new().with_config(session).with_runtime_env(runtime(config, store)?);
    let builder = builder.with_default_features().with_analyzer_rule(Arc::new(FilterIsTrue));
    Ok(builder.with_physical_optimizer_rules(physical_rules(config)).build())
}

/// Opens a session at a moment. No table is read yet, except to find the moment.
pub(crate) async fn open(lake: &Lake, moment: &AsOf) -> Result<SessionContext> {
    let inner = &lake.inner;
    let pointers = inner.catalog.pointers().await?;
    let views = inner.catalog.views().await?;
    let mut entries = BTreeMap::new();
    if *moment == AsOf::Latest {
        entries.extend(pointers.into_iter().map(|(table, location)| (table, Entry::Current { location })));
    } else {
        let metadata = inner.metadata_of(&pointers).await?;
        let tables: BTreeMap<_, _> = metadata.into_iter().map(|(table, metadata)| (table.clone(), metadata)).collect();
        for (table, snapshot) in as_of::pick(moment, &tables)? {
            let metadata = tables[&table].clone();
            entries.insert(table, Entry::Then { metadata, snapshot });
        }
    }
    entries.extend(views.into_iter().map(|(view, sql)| (view, Entry::View { sql })));
    Ok(context(inner, entries, inner.catalog.namespaces().await?))
}

/// Opens a session that reads what a transaction has staged, and beside it the lake as it was when the transaction began.
pub(crate) async fn open_staged(transaction: &Transaction) -> Result<SessionContext> {
    let inner = &transaction.lake.inner;
    let mut entries = BTreeMap::new();
    for (table, location) in &transaction.pointers {
        entries.insert(table.clone(), Entry::Current { location: location.clone() });
    }
    for (table, staged) in &transaction.tables {
        let files = Arc::new(staged.live_files(&transaction.lake, table).await?);
        entries.insert(table.clone(), Entry::Staged { metadata: staged.current.clone(), files });
    }
    for (view, sql) in &transaction.known_views {
        entries.insert(view.clone(), Entry::View { sql: sql.clone() });
    }
    for (view, sql) in &transaction.views {
        match sql {
            Some(sql) => entries.insert(view.clone(), Entry::View { sql: sql.clone() }),
            None => entries.remove(view),
        };
    }
    Ok(context(inner, entries, Vec::new()))
}

fn context(inner: &Arc<Inner>, entries: BTreeMap<TableName, Entry>, namespaces: Vec<String>) -> SessionContext {
    let mut schemas: BTreeMap<String, BTreeMap<String, Entry>> =
        namespaces.into_iter().map(|namespace| (namespace, BTreeMap::new())).collect();
    for (name, entry) in entries {
        schemas.entry(name.namespace).or_default().insert(name.name, entry);
    }
    let contents = Arc::new(Contents { inner: inner.clone(), schemas, loaded: Mutex::default() });
    SessionContext::new_with_state(state(inner, &contents, 0))
}

fn state(inner: &Inner, contents: &Arc<Contents>, depth: usize) -> SessionState {
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    catalogs.register_catalog(CATALOG_NAME.to_string(), Arc::new(LakeCatalog::new(contents, depth)));
    SessionStateBuilder::new_from_existing(inner.template.clone()).with_catalog_list(catalogs).build()
}

/// Refuses a view whose SQL is not one query.
pub(crate) fn check_view(lake: &Lake, view: &TableName, sql: &str) -> Result<()> {
    let bad = |source| Error::BadView { view: view.clone(), source: Box::new(source) };
    match lake.inner.template.sql_to_statement(sql, &datafusion::config::Dialect::Generic).map_err(bad)? {
        Statement::Statement(statement) if matches!(*statement, SqlStatement::Query(_)) => Ok(()),
        other => Err(bad(DataFusionError::Plan(format!("expected one select, found `{other}`")))),
    }
}

/// What a name stands for.
enum Entry {
    Current { location: String },
    Then { metadata: TableMetadataRef, snapshot: SnapshotRef },
    Staged { metadata: TableMetadataRef, files: Arc<Vec<LiveFile>> },
    View { sql: String },
}

/// What a session can name, and what it has loaded of it.
struct Contents {
    inner: Arc<Inner>,
    schemas: BTreeMap<String, BTreeMap<String, Entry>>,
    loaded: Mutex<HashMap<TableName, Arc<dyn TableProvider>>>,
}

impl Contents {
    fn entry(&self, name: &TableName) -> Option<&Entry> {
        self.schemas.get(&name.namespace)?.get(&name.name)
    }

    async fn load(self: &Arc<Self>, name: &TableName, depth: usize) -> QueryResult<Option<Arc<dyn TableProvider>>> {
        let Some(entry) = self.entry(name) else { return Ok(None) };
        if let Some(loaded) = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(Some(loaded.clone()));
        }
        let provider: Arc<dyn TableProvider> = match entry {
            Entry::Current { location } => {
                let metadata = self.inner.metadata(name, location).await?;
                self.at_snapshot(name, &metadata, metadata.current_snapshot()).await?
            }
            Entry::Then { metadata, snapshot } => self.at_snapshot(name, metadata, Some(snapshot)).await?,
            Entry::Staged { metadata, files } => {
                Arc::new(LakeTable::new(&self.inner.store, name, metadata.current_schema(), files.clone())?)
            }
            Entry::View { sql } => Arc::new(self.plan_view(name, sql, depth).await?),
        };
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), provider.clone());
        Ok(Some(provider))
    }

    async fn at_snapshot(
        &self,
        name: &TableName,
        metadata: &TableMetadataRef,
        snapshot: Option<&SnapshotRef>,
    ) -> Result<Arc<dyn TableProvider>> {
        let files = self.inner.live_files(name, metadata, snapshot.map(AsRef::as_ref)).await?;
        // A snapshot of the past has the columns of its time; the current one those that were added since, too.
        let current = snapshot.map(|snapshot| snapshot.snapshot_id()) == metadata.current_snapshot_id();
        let schema = match snapshot {
            Some(snapshot) if !current => snapshot.schema(metadata).map_err(Error::metadata(name, "read"))?,
            _ => metadata.current_schema().clone(),
        };
        Ok(Arc::new(LakeTable::new(&self.inner.store, name, &schema, files)?))
    }

    async fn plan_view(self: &Arc<Self>, name: &TableName, sql: &str, depth: usize) -> QueryResult<ViewTable> {
        if depth >= MAX_VIEW_DEPTH {
            let message = format!("view `{name}` cannot be planned: it names itself, or views that name it");
            return Err(DataFusionError::Plan(message));
        }
        let state = state(&self.inner, self, depth + 1);
        let plan: LogicalPlan = Box::pin(state.create_logical_plan(sql)).await.map_err(|error| {
            // The innermost view is the one to look at.
            if depth > 0 { error } else { error.context(format!("view `{name}` cannot be planned")) }
        })?;
        Ok(ViewTable::new(plan, Some(sql.to_string())))
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contents").field("schemas", &self.schemas.keys()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct LakeCatalog {
    schemas: BTreeMap<String, Arc<dyn SchemaProvider>>,
}

impl LakeCatalog {
    fn new(contents: &Arc<Contents>, depth: usize) -> LakeCatalog {
        let mut schemas: BTreeMap<String, Arc<dyn SchemaProvider>> = BTreeMap::new();
        for namespace in contents.schemas.keys() {
            let schema = LakeSchema {
                namespace: namespace.clone(),
                contents: contents.clone(),
                depth,
                scratch: MemorySchemaProvider::new(),
            };
            schemas.insert(namespace.clone(), Arc::new(schema));
        }
        schemas.entry(SCRATCH_SCHEMA.to_string()).or_insert_with(|| Arc::new(MemorySchemaProvider::new()));
        LakeCatalog { schemas }
    }
}

impl CatalogProvider for LakeCatalog {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema_names(&self) -> Vec<String> {
        self.schemas.keys().cloned().collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.schemas.get(name).cloned()
    }
}

/// One namespace; a session may lay tables of its own over it.
#[derive(Debug)]
struct LakeSchema {
    namespace: String,
    contents: Arc<Contents>,
    depth: usize,
    scratch: MemorySchemaProvider,
}

impl LakeSchema {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.contents.schemas.get(&self.namespace)?.get(name)
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_names(&self) -> Vec<String> {
        let mut names = self.scratch.table_names();
        names.extend(self.contents.schemas.get(&self.namespace).into_iter().flat_map(BTreeMap::keys).cloned());
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> QueryResult<Option<Arc<dyn TableProvider>>> {
        if let Some(own) = self.scratch.table(name).await? {
            return Ok(Some(own));
        }
        self.contents.load(&TableName::new(&self.namespace, name), self.depth).await
    }

    async fn table_type(&self, name: &str) -> QueryResult<Option<TableType>> {
        if self.scratch.table_exist(name) {
            return self.scratch.table_type(name).await;
        }
        Ok(self.entry(name).map(|entry| match entry {
            Entry::View { .. } => TableType::View,
            _ => TableType::Base,
        }))
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> QueryResult<Option<Arc<dyn TableProvider>>> {
        self.scratch.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> QueryResult<Option<Arc<dyn TableProvider>>> {
        self.scratch.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.scratch.table_exist(name) || self.entry(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{append, lake, query, rows, show, spec, stamp};
    use crate::{AsOf, Error, TableName};

    #[tokio::test]
    async fn a_session_reads_the_lake_as_it_was() {
        let (_folder, lake) = lake().await;
        append(&lake, "one", &spec("a"), rows(0..10)).await;
        let first = lake.history(&spec("a").name).await.unwrap()[0].id;
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        append(&lake, "two", &spec("b"), rows(0..5)).await;
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        append(&lake, "three", &spec("a"), rows(10..20)).await;

        let count = "select count(*) from t.a";
        let one = lake.session(&AsOf::Run("one".to_string())).await.unwrap();
        assert_eq!(show(&one, count).await, "10");
        let absent = one.sql("select * from t.b").await.unwrap_err().to_string();
        assert!(absent.contains("t.b' not found"), "{absent}");
        let two = lake.session(&AsOf::Run("two".to_string())).await.unwrap();
        assert_eq!(show(&two, "select count(*) from t.a, t.b").await, "50");
        let snapshot = lake.session(&AsOf::Snapshot(first)).await.unwrap();
        assert_eq!(show(&snapshot, count).await, "10");
        assert_eq!(query(&lake, count).await, "20");

        let unknown = lake.session(&AsOf::Run("four".to_string())).await.err().unwrap();
        assert_eq!(unknown.to_string(), "run `four` committed nothing to this lake");
        assert!(matches!(lake.session(&AsOf::Snapshot(7)).await, Err(Error::NoSuchSnapshot(7))));
    }

    #[tokio::test]
    async fn views_are_kept_replaced_dropped_and_may_name_views() {
        let (_folder, lake) = lake().await;
        append(&lake, "one", &spec("a"), rows(0..10)).await;
        let (small, smaller) = (TableName::new("v", "small"), TableName::new("v", "smaller"));
        let mut transaction = lake.begin(stamp("two")).await.unwrap();
        transaction.create_view(&smaller, "select id from v.small where id < 3").await.unwrap();
        transaction.create_view(&small, "select id from t.a where id < 5").await.unwrap();
        assert!(matches!(transaction.create_view(&small, "drop table t.a").await, Err(Error::BadView { .. })));
        assert!(matches!(transaction.create_view(&spec("a").name, "select 1").await, Err(Error::WrongKind { .. })));
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select count(*) from v.smaller").await, "3");
        assert_eq!(lake.views().await.unwrap().len(), 2);

        let mut transaction = lake.begin(stamp("three")).await.unwrap();
        transaction.create_view(&small, "select id from v.smaller").await.unwrap();
        transaction.commit().await.unwrap();
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let circle = session.sql("select * from v.small").await.unwrap_err().to_string();
        assert!(circle.contains("it names itself"), "{circle}");

        let mut transaction = lake.begin(stamp("four")).await.unwrap();
        transaction.drop_view(&small);
        transaction.commit().await.unwrap();
        assert_eq!(lake.views().await.unwrap().into_keys().collect::<Vec<_>>(), [smaller]);
        assert!(matches!(
            lake.begin(stamp("five"))
                .await
                .unwrap()
                .writer(&crate::TableSpec { name: TableName::new("v", "smaller"), ..spec("a") })
                .await,
            Err(Error::WrongKind { .. })
        ));
    }

    #[tokio::test]
    async fn a_session_names_many_tables() {
        let (_folder, lake) = lake().await;
        let mut transaction = lake.begin(stamp("one")).await.unwrap();
        for table in 0..80 {
            let spec = spec(&format!("t{table}"));
            drop(transaction.writer(&spec).await.unwrap());
        }
        transaction.commit().await.unwrap();
        let other = crate::Lake::open(&lake.inner.config).await.unwrap();
        let session = other.session(&AsOf::Latest).await.unwrap();
        assert_eq!(
            show(&session, "select count(*) from information_schema.tables where table_schema = 't'").await,
            "80"
        );
    }

    #[tokio::test]
    async fn a_session_may_lay_its_own_tables_over_the_lake() {
        let (_folder, lake) = lake().await;
        append(&lake, "one", &spec("a"), rows(0..10)).await;
        let session = lake.session(&AsOf::Latest).await.unwrap();
        session.register_batch("mine", rows(0..3)).unwrap();
        assert_eq!(show(&session, "select count(*) from mine join t.a on mine.id = a.id").await, "3");
    }
}
