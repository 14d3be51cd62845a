//! The catalog: which metadata file is each table's current one, and the views. This is what a commit moves.

mod glue;
mod rest;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use iceberg::spec::TableMetadataRef;
use iceberg::{TableRequirement, TableUpdate};

use crate::store::Store;
use crate::{Catalog, Config, Error, Result, TableName};
use glue::GlueCatalog;
use rest::RestCatalog;
pub(crate) use sqlite::SqliteCatalog;

/// Name under which every reader opens the catalog.
pub(crate) const CATALOG_NAME: &str = "lake";
/// Views are properties of their namespace; what follows is the view's name.
pub(crate) const VIEW_PREFIX: &str = "healthlake.view.";

/// Puts one table's next state in the place of the state that it was made of.
#[derive(Debug, Clone)]
pub(crate) struct Swap {
    pub table: TableName,
    /// The metadata file on which the change was made; none when the table is new.
    pub from: Option<String>,
    /// The metadata file of the next state; where a server writes it, it chooses another name.
    pub to: String,
    /// What is in it.
    pub metadata: TableMetadataRef,
    /// The same as updates of the old state,
    pub updates: Vec<TableUpdate>,
    /// and what the old state must be for them.
    pub requirements: Vec<TableRequirement>,
}

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swapped {
    All,
    /// Nothing was moved since a table is no longer where it was; this one if the catalog says which.
    Stale(Option<TableName>),
    /// Nothing was moved since the catalog moves one table at a time only.
    OneAtATime,
}

/// An open catalog.
#[derive(Debug)]
pub(crate) enum Client {
    Sqlite(SqliteCatalog),
    Rest(Box<RestCatalog>),
    Glue(GlueCatalog),
}

impl Client {
    pub async fn open(config: &Config, store: &Store, warehouse: &str) -> Result<Client> {
        Ok(match &config.catalog {
            Catalog::Sqlite { path } => Client::Sqlite(SqliteCatalog::open(path, config.durability).await?),
            Catalog::Rest(rest) => Client::Rest(Box::new(RestCatalog::open(rest).await?)),
            Catalog::Glue(glue) => match store {
                Store::Bucket(bucket) => Client::Glue(GlueCatalog::open(glue, &config.s3, bucket, warehouse)?),
                Store::Folder => return Err(Error::BadWarehouse(config.warehouse.clone())),
            },
        })
    }

    /// Says whether metadata files are written by the catalog's server, from updates.
    pub fn takes_updates(&self) -> bool {
        matches!(self, Client::Rest(_))
    }

    /// Says whether several tables can move at once; a server may still find that it cannot.
    pub fn moves_together(&self) -> bool {
        match self {
            Client::Sqlite(_) => true,
            Client::Rest(catalog) => catalog.moves_together(),
            Client::Glue(_) => false,
        }
    }

    /// Reads the pointers of all tables: with SQLite as of one moment, with a server one by one.
    pub async fn pointers(&self) -> Result<BTreeMap<TableName, String>> {
        match self {
            Client::Sqlite(catalog) => catalog.pointers().await,
            Client::Rest(catalog) => catalog.pointers().await,
            Client::Glue(catalog) => catalog.pointers().await,
        }
    }

    /// Reads the pointers of those of the tables that exist: with SQLite as of one moment, with a server one by one.
    pub async fn pointers_of(&self, tables: &BTreeSet<TableName>) -> Result<BTreeMap<TableName, String>> {
        match self {
            Client::Rest(catalog) => catalog.pointers_of(tables.iter().cloned().collect()).await,
            // One answer tells of many tables.
            Client::Sqlite(_) | Client::Glue(_) => {
                let mut pointers = self.pointers().await?;
                pointers.retain(|table, _| tables.contains(table));
                Ok(pointers)
            }
        }
    }

    /// Reads the pointer of one table; none when it does not exist.
    pub async fn pointer(&self, table: &TableName) -> Result<Option<String>> {
        match self {
            Client::Sqlite(catalog) => catalog.pointer(table).await,
            Client::Rest(catalog) => catalog.pointer(table).await,
            Client::Glue(catalog) => catalog.pointer(table).await,
        }
    }

    /// Reads the names of all tables.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        match self {
            Client::Sqlite(catalog) => Ok(catalog.pointers().await?.into_keys().collect()),
            Client::Rest(catalog) => catalog.tables().await,
            Client::Glue(catalog) => Ok(catalog.pointers().await?.into_keys().collect()),
        }
    }

    /// Reads the SQL of all views.
    pub async fn views(&self) -> Result<BTreeMap<TableName, String>> {
        Ok(views_among(self.properties().await?))
    }

    /// Reads the SQL of those of the names that are views.
    pub async fn views_of(&self, names: &BTreeSet<TableName>) -> Result<BTreeMap<TableName, String>> {
        let properties = match self {
            Client::Rest(catalog) => {
                let namespaces: BTreeSet<&str> = names.iter().map(|name| name.namespace.as_str()).collect();
                catalog.properties_of(namespaces.into_iter().map(String::from).collect()).await?
            }
            Client::Sqlite(_) | Client::Glue(_) => self.properties().await?,
        };
        let mut views = views_among(properties);
        views.retain(|view, _| names.contains(view));
        Ok(views)
    }

    /// Reads the names of all namespaces.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        match self {
            Client::Sqlite(catalog) => catalog.namespaces().await,
            Client::Rest(catalog) => catalog.namespaces().await,
            Client::Glue(catalog) => catalog.namespaces().await,
        }
    }

    /// Reads the properties of all namespaces.
    pub async fn properties(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        match self {
            Client::Sqlite(catalog) => catalog.properties().await,
            Client::Rest(catalog) => catalog.properties().await,
            Client::Glue(catalog) => catalog.properties().await,
        }
    }

    /// Moves all pointers and puts all views, or does nothing. A server puts the views first: views that name columns
    /// which are not there yet are harmless, and the tables, which bear the stamp, come with all that belongs to them.
    pub async fn swap(&self, swaps: &[Swap], views: &BTreeMap<TableName, Option<String>>) -> Result<Swapped> {
        match self {
            Client::Sqlite(catalog) => catalog.swap(swaps, views).await,
            Client::Rest(catalog) => catalog.swap(swaps, views).await,
            Client::Glue(catalog) => catalog.swap(swaps, views).await,
        }
    }
}

fn views_among(properties: BTreeMap<String, BTreeMap<String, String>>) -> BTreeMap<TableName, String> {
    let mut views = BTreeMap::new();
    for (namespace, properties) in properties {
        for (key, sql) in properties {
            if let Some(name) = key.strip_prefix(VIEW_PREFIX) {
                views.insert(TableName::new(&namespace, name), sql);
            }
        }
    }
    views
}
