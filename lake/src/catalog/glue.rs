//! The AWS Glue Data Catalog: which Athena, EMR and Glue jobs read.
//!
//! Glue moves one table at a time, by its own version of the table. Its columns are what Athena lists, so they are
//! written with every commit. Databases are namespaces; tables of other warehouses in them are not the lake's.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{PrimitiveType, TableMetadata, Type};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::{Swap, Swapped, VIEW_PREFIX};
use crate::store::Bucket;
use crate::{Aws, AwsFault, AwsService, Error, Glue, Result, S3, TableName};

const REQUESTS_AT_ONCE: usize = 4;
const ATTEMPTS: u32 = 10;
const LOCATION: &str = "metadata_location";
const PREVIOUS_LOCATION: &str = "previous_metadata_location";
const NOT_FOUND: &str = "EntityNotFoundException";
const EXISTS: &str = "AlreadyExistsException";
const STALE: &str = "ConcurrentModificationException";

/// An open Glue catalog.
#[derive(Debug)]
pub(crate) struct GlueCatalog {
    requests: Aws,
    /// Url of the lake's tables, with a slash at the end.
    warehouse: String,
    /// Held while a database is read and written.
    databases: Mutex<()>,
}

impl GlueCatalog {
    /// Prepares the requests, which are signed with the bucket's credentials.
    pub fn open(glue: &Glue, s3: &S3, bucket: &Arc<Bucket>, warehouse: &str) -> Result<GlueCatalog> {
        let requests = Aws::by(AwsService::Glue, glue.endpoint.as_deref(), s3, bucket)?;
        Ok(GlueCatalog { requests, warehouse: format!("{warehouse}/"), databases: Mutex::default() })
    }

    pub async fn namespaces(&self) -> Result<Vec<String>> {
        Ok(self.properties().await?.into_keys().collect())
    }

    pub async fn properties(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let databases = self.requests.list("GetDatabases", json!({}), "DatabaseList").await?;
        let named = databases.into_iter().filter_map(|database| {
            let name = database["Name"].as_str().filter(|name| TableName::new(*name, "any").check().is_ok())?;
            Some((name.to_string(), texts(&database["Parameters"])))
        });
        Ok(named.collect())
    }

    pub async fn pointers(&self) -> Result<BTreeMap<TableName, String>> {
        let found = stream::iter(self.namespaces().await?).map(async |namespace| {
            let asked = json!({ "DatabaseName": namespace });
            let tables = match self.requests.list("GetTables", asked, "TableList").await {
                // A database that has gone meanwhile has no tables.
                Err(fault) if fault.kind == NOT_FOUND => Vec::new(),
                tables => tables?,
            };
            let ours = tables.into_iter().filter_map(|table| {
                let location = location(&table).filter(|location| location.starts_with(&self.warehouse))?;
                Some((TableName::new(&namespace, table["Name"].as_str()?), location.to_string()))
            });
            Ok::<_, Error>(ours.collect::<Vec<_>>())
        });
        let found: Vec<Vec<_>> = found.buffer_unordered(REQUESTS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().filter(|(table, _)| table.check().is_ok()).collect())
    }

    pub async fn pointer(&self, table: &TableName) -> Result<Option<String>> {
        Ok(self.table(table).await?.as_ref().and_then(location).map(str::to_string))
    }

    async fn table(&self, table: &TableName) -> Result<Option<Value>> {
        let asked = json!({ "DatabaseName": table.namespace, "Name": table.name });
        match self.requests.repeat("GetTable", &asked).await {
            Ok(mut found) => Ok(Some(found["Table"].take())),
            Err(fault) if fault.kind == NOT_FOUND => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    pub async fn swap(&self, swaps: &[Swap], views: &BTreeMap<TableName, Option<String>>) -> Result<Swapped> {
        if swaps.len() > 1 {
            return Ok(Swapped::OneAtATime);
        }
        let namespaces = swaps.iter().map(|swap| &swap.table.namespace).chain(views.keys().map(|view| &view.namespace));
        for namespace in namespaces.collect::<std::collections::BTreeSet<_>>() {
            self.put_namespace(namespace, views).await?;
        }
        let Some(swap) = swaps.first() else { return Ok(Swapped::All) };
        let moved = match &swap.from {
            None => {
                let asked =
                    json!({ "DatabaseName": swap.table.namespace, "TableInput": table_input(swap, Map::new()) });
                self.requests.once("CreateTable", &asked).await
            }
            Some(from) => {
                let Some(table) = self.table(&swap.table).await? else {
                    return Ok(Swapped::Stale(Some(swap.table.clone())));
                };
                if location(&table) != Some(from.as_str()) {
                    return Ok(Swapped::Stale(Some(swap.table.clone())));
                }
                let parameters = table["Parameters"].as_object().cloned().unwrap_or_default();
                let mut asked = json!({
                    "DatabaseName": swap.table.namespace,
                    "TableInput": table_input(swap, parameters),
                    // Old versions count against a limit, and the table has its own history.
                    "SkipArchive": true,
                });
                if let Some(version) = table["VersionId"].as_str() {
                    asked["VersionId"] = json!(version);
                }
                self.requests.once("UpdateTable", &asked).await
            }
        };
        match moved {
            Ok(_) => Ok(Swapped::All),
            Err(AwsFault { kind, uncertain: false, .. }) if [STALE, EXISTS, NOT_FOUND].contains(&kind.as_str()) => {
                Ok(Swapped::Stale(Some(swap.table.clone())))
            }
            Err(fault) => Err(fault.into()),
        }
    }

    /// Creates a database that is not there, and puts the views into its parameters. Databases have no versions: who finds
    /// that somebody else wrote over it writes again.
    async fn put_namespace(&self, namespace: &str, views: &BTreeMap<TableName, Option<String>>) -> Result<()> {
        let _alone = self.databases.lock().await;
        for _ in 0..ATTEMPTS {
            if self.has_namespace(namespace, views).await? {
                return Ok(());
            }
        }
        let table = TableName::new(namespace, "*");
        Err(Error::Conflict { table, reason: format!("views were put {ATTEMPTS} times, and did not stay") })
    }

    /// Says whether a database has the views; if not, gives them to it.
    async fn has_namespace(&self, namespace: &str, views: &BTreeMap<TableName, Option<String>>) -> Result<bool> {
        let found = match self.requests.repeat("GetDatabase", &json!({ "Name": namespace })).await {
            Ok(mut found) => Some(found["Database"].take()),
            Err(fault) if fault.kind == NOT_FOUND => None,
            Err(fault) => return Err(fault.into()),
        };
        let had = found.as_ref().map(|database| texts(&database["Parameters"])).unwrap_or_default();
        let mut parameters = had.clone();
        for (view, sql) in views.iter().filter(|(view, _)| view.namespace == namespace) {
            let key = format!("{VIEW_PREFIX}{}", view.name);
            match sql {
                Some(sql) => parameters.insert(key, sql.clone()),
                None => parameters.remove(&key),
            };
        }
        let action = match &found {
            Some(_) if parameters == had => return Ok(true),
            Some(_) => "UpdateDatabase",
            None => "CreateDatabase",
        };
        let mut input = json!({ "Name": namespace, "Parameters": parameters });
        // What others have set stays.
        for kept in ["Description", "LocationUri", "CreateTableDefaultPermissions"] {
            if let Some(value) = found.as_ref().and_then(|database| database.get(kept)) {
                input[kept] = value.clone();
            }
        }
        let asked = match found {
            Some(_) => json!({ "Name": namespace, "DatabaseInput": input }),
            None => json!({ "DatabaseInput": input }),
        };
        match self.requests.repeat(action, &asked).await {
            Ok(_) => Ok(false),
            Err(fault) if fault.kind == EXISTS => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn location(table: &Value) -> Option<&str> {
    table["Parameters"][LOCATION].as_str()
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

/// A table as Glue keeps it, over the parameters that it had.
fn table_input(swap: &Swap, mut parameters: Map<String, Value>) -> Value {
    parameters.insert("table_type".to_string(), json!("ICEBERG"));
    parameters.insert(LOCATION.to_string(), json!(swap.to));
    if let Some(from) = &swap.from {
        parameters.insert(PREVIOUS_LOCATION.to_string(), json!(from));
    }
    json!({
        "Name": swap.table.name,
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "StorageDescriptor": { "Columns": columns(&swap.metadata), "Location": swap.metadata.location() },
    })
}

fn columns(metadata: &TableMetadata) -> Vec<Value> {
    let fields = metadata.current_schema().as_struct().fields().iter();
    let column = |field: &iceberg::spec::NestedFieldRef| {
        let parameters = json!({
            "iceberg.field.id": field.id.to_string(),
            "iceberg.field.optional": (!field.required).to_string(),
            "iceberg.field.current": "true",
        });
        json!({ "Name": field.name, "Type": hive_type(&field.field_type), "Parameters": parameters })
    };
    fields.map(column).collect()
}

/// The type as Hive, and so Athena, names it.
fn hive_type(of: &Type) -> String {
    match of {
        Type::Primitive(PrimitiveType::Long) => "bigint".to_string(),
        Type::Primitive(PrimitiveType::Timestamptz) => "timestamp".to_string(),
        Type::Primitive(PrimitiveType::Time | PrimitiveType::Uuid) => "string".to_string(),
        Type::Primitive(PrimitiveType::Fixed(_)) => "binary".to_string(),
        Type::Primitive(plain) => plain.to_string(),
        Type::List(list) => format!("array<{}>", hive_type(&list.element_field.field_type)),
        Type::Map(map) => {
            format!("map<{},{}>", hive_type(&map.key_field.field_type), hive_type(&map.value_field.field_type))
        }
        Type::Struct(of) => {
            let fields = of.fields().iter().map(|field| format!("{}:{}", field.name, hive_type(&field.field_type)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
    }
}
