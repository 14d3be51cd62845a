//! Changes of tables that a client asks for: what must hold, what is done, and all of it or nothing.

use std::collections::HashMap;

use chrono::Utc;
use futures::{StreamExt, stream};
use iceberg::spec::{
    FormatVersion, Schema, SortOrder, TableMetadata, TableMetadataBuilder, TableMetadataRef, UnboundPartitionSpec,
};
use iceberg::{TableRequirement, TableUpdate};
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::Refusal;
use crate::catalog::{Swap, Swapped};
use crate::lake::{Lake, TABLES_AT_ONCE};
use crate::litter::Litter;
use crate::snapshot::{Base, next_location};
use crate::{Error, TableName};

/// Field ids of partitions begin above this.
const LAST_PARTITION_ID: i64 = 999;

/// The change of one table.
#[derive(Deserialize)]
pub(super) struct Change {
    identifier: Option<Identifier>,
    requirements: Vec<TableRequirement>,
    updates: Vec<Value>,
}

#[derive(Deserialize)]
struct Identifier {
    namespace: Vec<String>,
    name: String,
}

/// A table that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Creation {
    pub name: String,
    location: Option<String>,
    schema: Schema,
    partition_spec: Option<UnboundPartitionSpec>,
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: bool,
    #[serde(default)]
    properties: HashMap<String, String>,
}

impl Change {
    /// The table that the change names.
    pub fn table(&self) -> Result<TableName, Refusal> {
        let identifier = self.identifier.as_ref().ok_or_else(|| Refusal::bad("a change names no table"))?;
        let [namespace] = identifier.namespace.as_slice() else {
            return Err(Refusal::bad("a namespace here has one level"));
        };
        let table = TableName::new(namespace, &identifier.name);
        table.check()?;
        Ok(table)
    }

    /// Makes the next state of a table.
    fn apply(self, lake: &Lake, table: &TableName, base: Option<&Base>) -> Result<TableMetadata, Refusal> {
        for requirement in &self.requirements {
            if let Err(error) = requirement.check(base.map(|base| base.metadata.as_ref())) {
                return Err(match base {
                    None => Refusal::no_table(table),
                    Some(_) => Refusal::conflict(format!("table `{table}`: {}", error.message())),
                });
            }
        }
        let (mut builder, updates) = match base {
            Some(base) => (TableMetadata::clone(&base.metadata).into_builder(base.location.clone()), self.updates),
            None => {
                let (created, rest) = created(lake, table, self.updates)?;
                (created.into_builder(None), rest)
            }
        };
        for update in updates {
            let update: TableUpdate = read(update)?;
            if let TableUpdate::SetLocation { location } = &update {
                check_location(lake, table, location)?;
            }
            builder = update.apply(builder)?;
        }
        Ok(builder.build()?.metadata)
    }
}

/// Commits changes of several tables, all or none. Returns the new metadata files and what is in them.
pub(super) async fn commit(
    lake: &Lake,
    changes: Vec<(TableName, Change)>,
) -> Result<Vec<(String, TableMetadataRef)>, Refusal> {
    let mut next = Vec::with_capacity(changes.len());
    for (table, change) in changes {
        let base = lake.inner.base(&table).await?;
        let metadata = change.apply(lake, &table, base.as_ref())?;
        next.push((table, base, metadata));
    }
    publish(lake, next).await
}

/// Creates a table, or, when it is only staged, says what it will be.
pub(super) async fn create(
    lake: &Lake,
    table: &TableName,
    creation: Creation,
) -> Result<(Option<String>, TableMetadataRef), Refusal> {
    if lake.inner.catalog.pointer(table).await?.is_some() || lake.views().await?.contains_key(table) {
        return Err(Refusal::exists(format!("table `{table}`")));
    }
    let location = creation.location.unwrap_or_else(|| lake.inner.location_of(table));
    let location = location.trim_end_matches('/').to_string();
    check_location(lake, table, &location)?;
    let version = match creation.properties.get("format-version").map(String::as_str) {
        Some("1") => FormatVersion::V1,
        Some("3") => FormatVersion::V3,
        _ => FormatVersion::V2,
    };
    let spec = creation.partition_spec.unwrap_or_default();
    let order = creation.write_order.unwrap_or_else(SortOrder::unsorted_order);
    let mut properties = creation.properties;
    properties.remove("format-version");
    let metadata = TableMetadataBuilder::new(creation.schema, spec, order, location, version, properties)?;
    let metadata = metadata.build()?.metadata;
    if creation.stage_create {
        return Ok((None, metadata.into()));
    }
    let mut published = publish(lake, vec![(table.clone(), None, metadata)]).await?;
    let (location, metadata) = published.pop().ok_or_else(|| Refusal::no_table(table))?;
    Ok((Some(location), metadata))
}

/// Writes the metadata files and moves the pointers.
async fn publish(
    lake: &Lake,
    next: Vec<(TableName, Option<Base>, TableMetadata)>,
) -> Result<Vec<(String, TableMetadataRef)>, Refusal> {
    let litter = Litter::new(&lake.inner.store);
    let mut writes = Vec::with_capacity(next.len());
    for (table, base, metadata) in next {
        let from = base.and_then(|base| base.location);
        let location = next_location(from.as_deref(), &metadata)?;
        litter.add(&location.to_string());
        writes.push(async move {
            let written = metadata.write_to(&lake.inner.files, &location).await;
            written.map_err(Error::metadata(&table, "written"))?;
            let (to, metadata) = (location.to_string(), TableMetadataRef::new(metadata));
            Ok(Swap { table, from, to, metadata, updates: Vec::new(), requirements: Vec::new() })
        });
    }
    let swaps: Vec<Result<Swap, Error>> = stream::iter(writes).buffered(TABLES_AT_ONCE).collect().await;
    let swaps: Vec<Swap> = swaps.into_iter().collect::<Result<_, _>>()?;
    let published: Vec<_> = swaps.iter().map(|swap| (swap.to.clone(), swap.metadata.clone())).collect();
    let swapped = lake.inner.catalog.swap(&swaps, &Default::default()).await;
    match swapped {
        Ok(Swapped::All) => {}
        Ok(Swapped::Stale(table)) => {
            let table = table.map_or_else(String::new, |table| format!(" `{table}`"));
            return Err(Refusal::conflict(format!("table{table} was changed by somebody else")));
        }
        Ok(Swapped::OneAtATime) => return Err(Refusal::internal("the catalog moves one table at a time")),
        Err(error @ Error::Busy { .. }) => return Err(error.into()),
        Err(error) => {
            // It is not known what the catalog has: the files stay.
            litter.keep_all();
            return Err(error.into());
        }
    }
    litter.keep_all();
    for (swap, (location, metadata)) in swaps.iter().zip(&published) {
        lake.inner.remember(&swap.table, location, metadata.clone());
    }
    Ok(published)
}

/// A table's folder must be its own and in the warehouse: metadata is written there with the server's rights.
fn check_location(lake: &Lake, table: &TableName, location: &str) -> Result<(), Refusal> {
    let below = location.strip_prefix(&lake.inner.warehouse).and_then(|rest| rest.strip_prefix('/'));
    let plain = below.is_some_and(|rest| rest.split('/').all(|part| !["", ".", ".."].contains(&part)));
    if plain {
        return Ok(());
    }
    let warehouse = &lake.inner.warehouse;
    Err(Refusal::bad(format!("table `{table}` cannot be at `{location}`, which is not in `{warehouse}`")))
}

/// Makes the first state of a table from the updates that describe it; the others are left. Ids stay as they are, since
/// the client has written files with them.
fn created(lake: &Lake, table: &TableName, updates: Vec<Value>) -> Result<(TableMetadata, Vec<Value>), Refusal> {
    let mut said: HashMap<String, Value> = HashMap::new();
    let mut rest = Vec::new();
    for mut update in updates {
        let action = update["action"].as_str().unwrap_or_default().to_string();
        let part = match action.as_str() {
            "assign-uuid" => "uuid",
            "upgrade-format-version" => "format-version",
            "set-location" => "location",
            "add-schema" => "schema",
            "add-spec" => "spec",
            "add-sort-order" => "sort-order",
            "set-properties" => "updates",
            "set-current-schema" | "set-default-spec" | "set-default-sort-order" => continue,
            _ => {
                rest.push(update);
                continue;
            }
        };
        said.insert(part.to_string(), update[part].take());
    }
    let location = match said.get("location").and_then(Value::as_str) {
        Some(location) => location.trim_end_matches('/').to_string(),
        None => lake.inner.location_of(table),
    };
    check_location(lake, table, &location)?;
    let parsed: Schema = read(said.remove("schema").ok_or_else(|| Refusal::bad("a new table has no schema"))?)?;
    let mut spec = said.remove("spec").unwrap_or_else(|| json!({ "fields": [] }));
    spec["spec-id"] = json!(0);
    let mut last_partition_id = LAST_PARTITION_ID;
    for field in spec["fields"].as_array_mut().into_iter().flatten() {
        let id = field["field-id"].as_i64().unwrap_or(last_partition_id + 1);
        field["field-id"] = json!(id);
        last_partition_id = last_partition_id.max(id);
    }
    let order = said.remove("sort-order").unwrap_or_else(|| json!({ "order-id": 0, "fields": [] }));
    let metadata = json!({
        "format-version": said.remove("format-version").unwrap_or_else(|| json!(2)),
        "table-uuid": said.remove("uuid").unwrap_or_else(|| json!(uuid::Uuid::now_v7())),
        "location": location,
        "last-sequence-number": 0,
        "last-updated-ms": Utc::now().timestamp_millis(),
        "last-column-id": parsed.highest_field_id(),
        "current-schema-id": parsed.schema_id(),
        "schemas": [parsed],
        "default-spec-id": 0,
        "partition-specs": [spec],
        "last-partition-id": last_partition_id,
        "default-sort-order-id": order["order-id"],
        "sort-orders": [order],
        "properties": said.remove("updates").unwrap_or_else(|| json!({})),
        "next-row-id": 0,
    });
    Ok((read(metadata)?, rest))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::bad(format!("a change is not as expected: {error}")))
}
