//! An open lake: its catalog, its files, and what is remembered of both.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{Snapshot as IcebergSnapshot, TableMetadata, TableMetadataRef};

use crate::catalog::Client;
use crate::find::{Find, find};
use crate::live::LiveFile;
use crate::location::check_warehouse;
use crate::snapshot::Base;
use crate::store::Store;
use crate::totals::row_count;
use crate::transaction::Transaction;
use crate::{AsOf, Config, Error, Result, Snapshot, Sought, Stamp, TableName, as_of, live, session};

/// An open lake: a catalog and its warehouse. Cloning is cheap; clones share what they remember.
#[derive(Clone)]
pub struct Lake {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub catalog: Client,
    pub store: Store,
    /// The store again, for the iceberg crate.
    pub files: FileIO,
    pub config: Config,
    /// Url of the warehouse, without a slash at the end.
    pub warehouse: String,
    /// Every session is made from this one: it knows the functions and the options.
    pub template: SessionState,
    metadata: Mutex<HashMap<TableName, (String, TableMetadataRef)>>,
    /// The data files of each table's last read snapshots, by manifest list.
    live: Mutex<HashMap<String, Arc<Vec<LiveFile>>>>,
}

/// So many snapshots' file lists are remembered.
const REMEMBERED_LISTS: usize = 512;
/// Tables whose metadata is read or written at the same moment: with a bucket most of the time is waiting.
pub(crate) const TABLES_AT_ONCE: usize = 8;

impl Lake {
    /// Opens the lake and creates what is missing.
    pub async fn open(config: &Config) -> Result<Lake> {
        let warehouse = check_warehouse(&config.warehouse)?;
        let store = Store::of_warehouse(&warehouse, &config.s3)?;
        let inner = Inner {
            catalog: Client::open(config, &store, &warehouse).await?,
            files: store.files(),
            warehouse,
            template: session::template(config, &store)?,
            store,
            config: config.clone(),
            metadata: Mutex::default(),
            live: Mutex::default(),
        };
        Ok(Lake { inner: Arc::new(inner) })
    }

    /// Lists all tables, in order.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        self.inner.catalog.tables().await
    }

    /// Lists all views with their SQL.
    pub async fn views(&self) -> Result<BTreeMap<TableName, String>> {
        self.inner.catalog.views().await
    }

    /// Reads the row count of every table from its snapshot summary.
    pub async fn row_counts(&self) -> Result<BTreeMap<TableName, u64>> {
        let mut counts = BTreeMap::new();
        for (table, metadata) in self.inner.metadata_of(&self.inner.catalog.pointers().await?).await? {
            counts.insert(table.clone(), row_count(&self.inner.files, table, &metadata).await?);
        }
        Ok(counts)
    }

    /// Reads the row count of one table from its snapshot summary; none when it does not exist.
    pub async fn row_count(&self, table: &TableName) -> Result<Option<u64>> {
        let Some(base) = self.inner.base(table).await? else { return Ok(None) };
        row_count(&self.inner.files, table, &base.metadata).await.map(Some)
    }

    /// Lists the snapshots of a table, oldest first.
    pub async fn history(&self, table: &TableName) -> Result<Vec<Snapshot>> {
        let base = self.inner.base(table).await?.ok_or_else(|| Error::NoSuchTable(table.clone()))?;
        Ok(as_of::history(&base.metadata))
    }

    /// Reads some columns of the rows that bear one of the keys, in no order. Quicker than a query where few are sought.
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
        let base = self.inner.base(table).await?.ok_or_else(|| Error::NoSuchTable(table.clone()))?;
        let metadata = &base.metadata;
        let files = self.inner.live_files(table, metadata, metadata.current_snapshot().map(AsRef::as_ref)).await?;
        let sought = Find { table, schema: metadata.current_schema(), key_column, keys, columns };
        find(self, sought, files.to_vec()).await
    }

    /// Makes a DataFusion session that reads the lake at a moment. Every namespace is a schema of catalog `lake`.
    pub async fn session(&self, as_of: &AsOf) -> Result<SessionContext> {
        session::open(self, as_of).await
    }

    /// Begins a transaction.
    pub async fn begin(&self, stamp: Stamp) -> Result<Transaction> {
        Transaction::begin(self, stamp, None).await
    }

    /// Begins a transaction that sees some tables and views only: all that it reads, and all that it may write. With a
    /// catalog that tells of one table at a time that is many requests less.
    pub async fn begin_on(&self, stamp: Stamp, scope: BTreeSet<TableName>) -> Result<Transaction> {
        Transaction::begin(self, stamp, Some(scope)).await
    }

    /// Names the local folder for what can be made again from the tables. It may be removed at any time.
    pub fn cache_folder(&self) -> &Path {
        &self.inner.config.cache
    }

    /// Names the current metadata file of a table, as other programs want it.
    pub async fn metadata_location(&self, table: &TableName) -> Result<String> {
        self.inner.catalog.pointer(table).await?.ok_or_else(|| Error::NoSuchTable(table.clone()))
    }
}

impl Inner {
    /// Reads a table's metadata file, or remembers it.
    pub async fn metadata(&self, table: &TableName, location: &str) -> Result<TableMetadataRef> {
        if let Some((known, metadata)) = self.metadata.lock().unwrap_or_else(PoisonError::into_inner).get(table)
            && known == location
        {
            return Ok(metadata.clone());
        }
        let metadata = TableMetadata::read_from(&self.files, location).await.map_err(Error::metadata(table, "read"))?;
        let metadata = Arc::new(metadata);
        self.remember(table, location, metadata.clone());
        Ok(metadata)
    }

    /// Reads the metadata files of several tables, in the order of their names.
    pub async fn metadata_of<'t>(
        &self,
        pointers: &'t BTreeMap<TableName, String>,
    ) -> Result<Vec<(&'t TableName, TableMetadataRef)>> {
        let read = pointers.iter().map(|(table, location)| async move {
            let metadata = self.metadata(table, location).await?;
            Ok((table, metadata))
        });
        stream::iter(read.collect::<Vec<_>>()).buffered(TABLES_AT_ONCE).try_collect().await
    }

    pub fn remember(&self, table: &TableName, location: &str, metadata: TableMetadataRef) {
        let mut known = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(table.clone(), (location.to_string(), metadata));
    }

    /// Names the folder of a table that does not exist yet.
    pub fn location_of(&self, table: &TableName) -> String {
        format!("{}/{}/{}", self.warehouse, table.namespace, table.name)
    }

    /// Reads the current state of a table; none when it does not exist.
    pub async fn base(&self, table: &TableName) -> Result<Option<Base>> {
        let Some(location) = self.catalog.pointer(table).await? else { return Ok(None) };
        let metadata = self.metadata(table, &location).await?;
        Ok(Some(Base { location: Some(location), metadata }))
    }

    /// Reads which data files a snapshot has, or remembers it.
    pub async fn live_files(
        &self,
        table: &TableName,
        metadata: &TableMetadata,
        snapshot: Option<&IcebergSnapshot>,
    ) -> Result<Arc<Vec<LiveFile>>> {
        let Some(snapshot) = snapshot else { return Ok(Arc::default()) };
        let list = snapshot.manifest_list();
        if let Some(known) = self.live.lock().unwrap_or_else(PoisonError::into_inner).get(list) {
            return Ok(known.clone());
        }
        let files = live::live_files(&self.files, table, metadata, snapshot).await?;
        let mut remembered = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_LISTS {
            remembered.clear();
        }
        remembered.insert(list.to_string(), files.clone());
        Ok(files)
    }
}
