//! Which request asks for what.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::IF_NONE_MATCH;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use iceberg::spec::TableMetadata;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::CatalogServer;
use super::change::{Change, Creation, commit, create};
use super::reply::{Refusal, Reply};
use crate::lake::Lake;
use crate::{TableName, config};

/// What is answered, as clients ask for it before they ask for anything else.
const ENDPOINTS: [&str; 15] = [
    "GET /v1/config",
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/transactions/commit",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
];

type Answer = Result<Reply, Refusal>;

#[derive(Deserialize)]
struct NewNamespace {
    namespace: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Properties {
    updates: BTreeMap<String, String>,
    removals: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Transaction {
    table_changes: Vec<Change>,
}

pub(super) async fn route(server: &CatalogServer, head: &Parts, body: &Bytes) -> Answer {
    let lake = &server.lake;
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let method = &head.method;
    let (get, post, delete) =
        ([Method::GET, Method::HEAD].contains(method), method == Method::POST, method == Method::DELETE);
    match path.as_slice() {
        ["v1", "config"] if get => settings(lake),
        ["v1", "namespaces"] if get => namespaces(lake, head).await,
        ["v1", "namespaces"] if post => create_namespace(server, read(body)?).await,
        ["v1", "namespaces", namespace] if get => namespace_properties(lake, namespace).await,
        ["v1", "namespaces", namespace, "properties"] if post => put_properties(server, namespace, read(body)?).await,
        ["v1", "namespaces", namespace, "tables"] if get => tables(lake, namespace).await,
        ["v1", "namespaces", namespace, "tables"] if post => {
            let creation: Creation = read(body)?;
            let table = named(namespace, &creation.name)?;
            known(lake, namespace).await?;
            let (location, metadata) = create(lake, &table, creation).await?;
            loaded(location.as_deref(), &metadata)
        }
        // Views are properties here, which other programs do not read.
        ["v1", "namespaces", _, "views"] if get => Reply::json(&json!({ "identifiers": [] })),
        ["v1", "namespaces", namespace, "tables", table] => {
            let table = named(namespace, table)?;
            if get {
                load(lake, &table, head).await
            } else if delete {
                drop_table(server, &table).await
            } else if post {
                let change: Change = read(body)?;
                let mut committed = commit(lake, vec![(table.clone(), change)]).await?;
                let (location, metadata) = committed.pop().ok_or_else(|| Refusal::no_table(table))?;
                loaded(Some(&location), &metadata)
            } else {
                Err(unknown(head))
            }
        }
        ["v1", "namespaces", _, "tables", _, "metrics"] if post => Ok(Reply::empty(StatusCode::NO_CONTENT)),
        ["v1", "transactions", "commit"] if post => {
            let transaction: Transaction = read(body)?;
            let named = |change: Change| Ok((change.table()?, change));
            let changes: Result<Vec<_>, Refusal> = transaction.table_changes.into_iter().map(named).collect();
            commit(lake, changes?).await?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(unknown(head)),
    }
}

fn unknown(head: &Parts) -> Refusal {
    let message = format!("`{} {}` is not answered here", head.method, head.uri.path());
    Refusal::new(StatusCode::NOT_FOUND, "UnsupportedOperationException", message)
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the request is not as expected: {error}")))
}

/// Names come from outside: they become folders.
fn named(namespace: &str, table: &str) -> Result<TableName, Refusal> {
    let name = TableName::new(namespace, table);
    name.check()?;
    Ok(name)
}

fn settings(lake: &Lake) -> Answer {
    let config::Config { s3, warehouse, .. } = &lake.inner.config;
    let mut defaults = BTreeMap::new();
    if warehouse.starts_with("s3://") {
        // Where the bucket is, but not who may read it.
        let settings = [("s3.endpoint", s3.endpoint.clone()), ("s3.region", s3.region.clone())];
        defaults.extend(settings.into_iter().filter_map(|(key, value)| Some((key, value?))));
        defaults.insert("s3.path-style-access", s3.path_style.to_string());
    }
    Reply::json(&json!({ "defaults": defaults, "overrides": {}, "endpoints": ENDPOINTS }))
}

async fn namespaces(lake: &Lake, head: &Parts) -> Answer {
    // Nothing lies below a namespace.
    let below = head.uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("parent=")));
    let names = if below { Vec::new() } else { lake.inner.catalog.namespaces().await? };
    Reply::json(&json!({ "namespaces": names.iter().map(|name| [name]).collect::<Vec<_>>() }))
}

async fn known(lake: &Lake, namespace: &str) -> Result<(), Refusal> {
    let known = lake.inner.catalog.namespaces().await?.iter().any(|name| name == namespace);
    if known { Ok(()) } else { Err(Refusal::no_namespace(namespace)) }
}

async fn create_namespace(CatalogServer { lake, catalog, .. }: &CatalogServer, new: NewNamespace) -> Answer {
    let [namespace] = new.namespace.as_slice() else {
        return Err(Refusal::bad("a namespace here has one level"));
    };
    named(namespace, "any")?;
    if known(lake, namespace).await.is_ok() {
        return Err(Refusal::exists(format!("namespace `{namespace}`")));
    }
    catalog.put_properties(namespace, &new.properties, &[]).await?;
    Reply::json(&json!({ "namespace": [namespace], "properties": new.properties }))
}

async fn namespace_properties(lake: &Lake, namespace: &str) -> Answer {
    known(lake, namespace).await?;
    let mut properties = lake.inner.catalog.properties().await?.remove(namespace).unwrap_or_default();
    // Trino makes tables only where it is told where those of the namespace are.
    let location = || format!("{}/{namespace}", lake.inner.warehouse);
    properties.entry("location".to_string()).or_insert_with(location);
    Reply::json(&json!({ "namespace": [namespace], "properties": properties }))
}

async fn put_properties(
    CatalogServer { lake, catalog, .. }: &CatalogServer,
    namespace: &str,
    change: Properties,
) -> Answer {
    let Properties { updates, removals } = change;
    known(lake, namespace).await?;
    let had = catalog.properties().await?.remove(namespace).unwrap_or_default();
    catalog.put_properties(namespace, &updates, &removals).await?;
    let (removed, missing): (Vec<_>, Vec<_>) = removals.into_iter().partition(|key| had.contains_key(key));
    Reply::json(&json!({ "updated": updates.keys().collect::<Vec<_>>(), "removed": removed, "missing": missing }))
}

async fn tables(lake: &Lake, namespace: &str) -> Answer {
    known(lake, namespace).await?;
    let tables = lake.tables().await?;
    let ours = tables.iter().filter(|table| table.namespace == namespace);
    let identifiers: Vec<Value> = ours.map(|table| json!({ "namespace": [namespace], "name": table.name })).collect();
    Reply::json(&json!({ "identifiers": identifiers }))
}

async fn load(lake: &Lake, table: &TableName, head: &Parts) -> Answer {
    let location = lake.inner.catalog.pointer(table).await?.ok_or_else(|| Refusal::no_table(table))?;
    let tag = tag(&location);
    let known = head.headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if known == Some(tag.as_str()) {
        return Ok(Reply::empty(StatusCode::NOT_MODIFIED).tagged(tag));
    }
    let metadata = lake.inner.metadata(table, &location).await?;
    loaded(Some(&location), &metadata)
}

async fn drop_table(CatalogServer { catalog, .. }: &CatalogServer, table: &TableName) -> Answer {
    if !catalog.drop_table(table).await? {
        return Err(Refusal::no_table(table));
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

fn loaded(location: Option<&str>, metadata: &TableMetadata) -> Answer {
    let reply = Reply::json(&json!({ "metadata-location": location, "metadata": metadata, "config": {} }))?;
    Ok(match location {
        Some(location) => reply.tagged(tag(location)),
        None => reply,
    })
}

/// A metadata file never changes: its name is the table's state. Not all of its letters may stand in a header.
fn tag(location: &str) -> String {
    let name = location.rsplit('/').next().unwrap_or(location);
    format!("\"{}\"", name.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Catalog;
    use crate::testing::served;

    #[tokio::test]
    async fn a_namespace_tells_where_its_tables_are() {
        let (_folder, lake, client) = served(None).await;
        let Catalog::Rest(rest) = &client.catalog else { panic!("it is served") };
        let (http, namespaces) = (reqwest::Client::new(), format!("{}v1/namespaces", rest.uri));
        let told = async |name: &str| {
            let told: Value = http.get(format!("{namespaces}/{name}")).send().await.unwrap().json().await.unwrap();
            told["properties"]["location"].as_str().unwrap().to_string()
        };
        let elsewhere = format!("{}/elsewhere", lake.inner.warehouse);
        for (name, properties) in [("t", json!({})), ("u", json!({ "location": elsewhere }))] {
            http.post(&namespaces)
                .json(&json!({ "namespace": [name], "properties": properties }))
                .send()
                .await
                .unwrap();
        }
        assert_eq!(told("t").await, format!("{}/t", lake.inner.warehouse));
        assert_eq!(told("u").await, elsewhere);
    }
}
