//! The SQLite catalog, embedded or behind `catalog serve`.
//! The tables are those of pyiceberg's `SqlCatalog` and of iceberg-catalog-sql, so that either opens the same file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{CATALOG_NAME, Swap, Swapped, VIEW_PREFIX};
use crate::{Durability, Error, Result, TableName};

#[derive(Debug, Clone)]
pub(crate) struct SqliteCatalog {
    path: PathBuf,
    pool: SqlitePool,
}

impl SqliteCatalog {
    pub async fn open(path: &Path, durability: Durability) -> Result<SqliteCatalog> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file(folder, "created"))?;
        }
        let synchronous =
            if durability == Durability::Nothing { SqliteSynchronous::Off } else { SqliteSynchronous::Full };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(20))
            .synchronous(synchronous);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .acquire_timeout(Duration::from_secs(60))
            .connect_with(options)
            .await
            .map_err(Error::catalog(path, "opened"))?;
        let catalog = SqliteCatalog { path: path.to_path_buf(), pool };
        catalog.create_tables().await?;
        Ok(catalog)
    }

    async fn create_tables(&self) -> Result<()> {
        let opening = || Error::catalog(&self.path, "opened");
        let columns: Vec<(String,)> = sqlx::query_as("select name from pragma_table_info('iceberg_tables')")
            .fetch_all(&self.pool)
            .await
            .map_err(opening())?;
        if columns.iter().any(|(name,)| name == "iceberg_type") {
            return Ok(());
        }
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(opening())?;
        for statement in [
            "create table if not exists iceberg_tables (
                catalog_name varchar(255) not null,
                table_namespace varchar(255) not null,
                table_name varchar(255) not null,
                metadata_location varchar(1000),
                previous_metadata_location varchar(1000),
                iceberg_type varchar(5),
                primary key (catalog_name, table_namespace, table_name))",
            "create table if not exists iceberg_namespace_properties (
                catalog_name varchar(255) not null,
                namespace varchar(255) not null,
                property_key varchar(255),
                property_value varchar(1000),
                primary key (catalog_name, namespace, property_key))",
        ] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(opening())?;
        }
        // A file made by pyiceberg lacks this column.
        let typed: (i64,) =
            sqlx::query_as("select count(*) from pragma_table_info('iceberg_tables') where name = 'iceberg_type'")
                .fetch_one(&mut *transaction)
                .await
                .map_err(opening())?;
        if typed.0 == 0 {
            sqlx::query("alter table iceberg_tables add column iceberg_type varchar(5)")
                .execute(&mut *transaction)
                .await
                .map_err(opening())?;
        }
        transaction.commit().await.map_err(opening())
    }

    /// Reads the pointers of all tables, as of one moment.
    pub async fn pointers(&self) -> Result<BTreeMap<TableName, String>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "select table_namespace, table_name, metadata_location from iceberg_tables
             where catalog_name = ? and (iceberg_type = 'TABLE' or iceberg_type is null)
               and metadata_location is not null",
        )
        .bind(CATALOG_NAME)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::catalog(&self.path, "read"))?;
        Ok(rows.into_iter().map(|(namespace, name, location)| (TableName { namespace, name }, location)).collect())
    }

    /// Reads the pointer of one table; none when it does not exist.
    pub async fn pointer(&self, table: &TableName) -> Result<Option<String>> {
        let row: Option<(String,)> = sqlx::query_as(
            "select metadata_location from iceberg_tables
             where catalog_name = ? and table_namespace = ? and table_name = ?
               and (iceberg_type = 'TABLE' or iceberg_type is null) and metadata_location is not null",
        )
        .bind(CATALOG_NAME)
        .bind(&table.namespace)
        .bind(&table.name)
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::catalog(&self.path, "read"))?;
        Ok(row.map(|(location,)| location))
    }

    /// Reads the properties of all namespaces that have any.
    pub async fn properties(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "select namespace, property_key, property_value from iceberg_namespace_properties where catalog_name = ?",
        )
        .bind(CATALOG_NAME)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::catalog(&self.path, "read"))?;
        let mut properties: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (namespace, key, value) in rows {
            properties.entry(namespace).or_default().insert(key, value.unwrap_or_default());
        }
        Ok(properties)
    }

    /// Reads the names of all namespaces.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = sqlx::query_as(
            "select table_namespace from iceberg_tables where catalog_name = ?1
             union select namespace from iceberg_namespace_properties where catalog_name = ?1 order by 1",
        )
        .bind(CATALOG_NAME)
        .fetch_all(&self.pool)
        .await
        .map_err(Error::catalog(&self.path, "read"))?;
        Ok(rows.into_iter().map(|(namespace,)| namespace).collect())
    }

    /// Sets and removes properties of a namespace, and creates it.
    pub async fn put_properties(
        &self,
        namespace: &str,
        updates: &BTreeMap<String, String>,
        removals: &[String],
    ) -> Result<()> {
        let writing = || Error::catalog(&self.path, "written");
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(writing())?;
        put_property(&mut transaction, namespace, "exists", "true").await.map_err(writing())?;
        for (key, value) in updates {
            put_property(&mut transaction, namespace, key, value).await.map_err(writing())?;
        }
        for key in removals {
            delete_property(&mut transaction, namespace, key).await.map_err(writing())?;
        }
        transaction.commit().await.map_err(writing())
    }

    /// Forgets a table. Says whether there was one.
    pub async fn drop_table(&self, table: &TableName) -> Result<bool> {
        let dropped = sqlx::query(
            "delete from iceberg_tables where catalog_name = ? and table_namespace = ? and table_name = ?
             and (iceberg_type = 'TABLE' or iceberg_type is null)",
        )
        .bind(CATALOG_NAME)
        .bind(&table.namespace)
        .bind(&table.name)
        .execute(&self.pool)
        .await
        .map_err(Error::catalog(&self.path, "written"))?;
        Ok(dropped.rows_affected() > 0)
    }

    /// Moves all pointers and puts all views, or does nothing.
    pub async fn swap(&self, swaps: &[Swap], views: &BTreeMap<TableName, Option<String>>) -> Result<Swapped> {
        let writing = || Error::catalog(&self.path, "written");
        // Dropping the transaction rolls it back.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(writing())?;
        for swap in swaps {
            let moved = match &swap.from {
                Some(from) => {
                    sqlx::query(
                        "update iceberg_tables set metadata_location = ?, previous_metadata_location = ?
                         where catalog_name = ? and table_namespace = ? and table_name = ? and metadata_location = ?",
                    )
                    .bind(&swap.to)
                    .bind(from)
                    .bind(CATALOG_NAME)
                    .bind(&swap.table.namespace)
                    .bind(&swap.table.name)
                    .bind(from)
                    .execute(&mut *transaction)
                    .await
                }
                None => {
                    sqlx::query(
                        "insert or ignore into iceberg_tables
                         (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                         values (?, ?, ?, ?, 'TABLE')",
                    )
                    .bind(CATALOG_NAME)
                    .bind(&swap.table.namespace)
                    .bind(&swap.table.name)
                    .bind(&swap.to)
                    .execute(&mut *transaction)
                    .await
                }
            };
            if moved.map_err(writing())?.rows_affected() != 1 {
                transaction.rollback().await.map_err(writing())?;
                return Ok(Swapped::Stale(Some(swap.table.clone())));
            }
        }
        let namespaces = swaps.iter().map(|swap| &swap.table.namespace).chain(views.keys().map(|view| &view.namespace));
        for namespace in namespaces.collect::<std::collections::BTreeSet<_>>() {
            put_property(&mut transaction, namespace, "exists", "true").await.map_err(writing())?;
        }
        for (view, sql) in views {
            let key = format!("{VIEW_PREFIX}{}", view.name);
            match sql {
                Some(sql) => put_property(&mut transaction, &view.namespace, &key, sql).await,
                None => delete_property(&mut transaction, &view.namespace, &key).await,
            }
            .map_err(writing())?;
        }
        transaction.commit().await.map_err(writing())?;
        Ok(Swapped::All)
    }
}

async fn put_property(
    transaction: &mut sqlx::SqliteConnection,
    namespace: &str,
    key: &str,
    value: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
         values (?, ?, ?, ?) on conflict do update set property_value = excluded.property_value",
    )
    .bind(CATALOG_NAME)
    .bind(namespace)
    .bind(key)
    .bind(value)
    .execute(transaction)
    .await
    .map(drop)
}

async fn delete_property(
    transaction: &mut sqlx::SqliteConnection,
    namespace: &str,
    key: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from iceberg_namespace_properties where catalog_name = ? and namespace = ? and property_key = ?",
    )
    .bind(CATALOG_NAME)
    .bind(namespace)
    .bind(key)
    .execute(transaction)
    .await
    .map(drop)
}
