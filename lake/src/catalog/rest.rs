//! A client of an Iceberg REST catalog. Its server writes the metadata files, from updates and what they require.

mod http;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Swap, Swapped, VIEW_PREFIX};
use crate::{Error, Rest, Result, TableName};
use http::Http;

const REQUESTS_AT_ONCE: usize = 8;
const TRANSACTIONS: &str = "transactions/commit";

/// An open REST catalog.
#[derive(Debug)]
pub(crate) struct RestCatalog {
    http: Http,
    /// Namespaces that are there; none goes while the lake is open.
    namespaces: Mutex<HashSet<String>>,
    /// Each table's pointer as it was last read, with the server's word for that state.
    pointers: Mutex<HashMap<TableName, (String, String)>>,
    /// Whether the server commits several tables at once, as far as is known.
    together: AtomicBool,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    defaults: BTreeMap<String, String>,
    #[serde(default)]
    overrides: BTreeMap<String, String>,
    endpoints: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Namespaces {
    namespaces: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    properties: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Tables {
    identifiers: Vec<Identifier>,
}

#[derive(Deserialize)]
struct Identifier {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LoadedTable {
    metadata_location: Option<String>,
}

impl RestCatalog {
    /// Asks the server how it wants to be talked to.
    pub async fn open(rest: &Rest) -> Result<RestCatalog> {
        let mut http = Http::new(rest)?;
        let query: Vec<(&str, &str)> = rest.warehouse.iter().map(|name| ("warehouse", name.as_str())).collect();
        let settings: Settings = http.get("config", &query).await?.ok_or_else(|| http.refused("has no v1/config"))?;
        let prefix = settings.overrides.get("prefix").or_else(|| settings.defaults.get("prefix"));
        http.set_prefix(prefix.map_or("", String::as_str));
        let endpoints = settings.endpoints.unwrap_or_default();
        // A server that does not say what it answers is asked.
        let together = endpoints.is_empty() || endpoints.iter().any(|endpoint| endpoint.ends_with(TRANSACTIONS));
        let together = AtomicBool::new(together);
        Ok(RestCatalog { http, namespaces: Mutex::default(), pointers: Mutex::default(), together })
    }

    pub async fn namespaces(&self) -> Result<Vec<String>> {
        let found: Option<Namespaces> = self.http.get("namespaces", &[]).await?;
        // Names of several levels, or of other letters, are not ours and no schema of a session.
        let ours = found.into_iter().flat_map(|found| found.namespaces).filter_map(|levels| match levels.as_slice() {
            [name] if TableName::new(name, "any").check().is_ok() => Some(name.clone()),
            _ => None,
        });
        let ours: BTreeSet<String> = ours.collect();
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).extend(ours.iter().cloned());
        Ok(ours.into_iter().collect())
    }

    pub async fn properties(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        self.properties_of(self.namespaces().await?).await
    }

    /// Reads the properties of some namespaces; one that does not exist has none.
    pub async fn properties_of(&self, names: Vec<String>) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
        let found = stream::iter(names).map(async |name| {
            let found: Option<Namespace> = self.http.get(&format!("namespaces/{name}"), &[]).await?;
            Ok::<_, Error>((name, found.and_then(|found| found.properties).unwrap_or_default()))
        });
        found.buffer_unordered(REQUESTS_AT_ONCE).try_collect().await
    }

    pub async fn tables(&self) -> Result<Vec<TableName>> {
        let names = self.namespaces().await?;
        let found = stream::iter(names).map(async |namespace| {
            let found: Option<Tables> = self.http.get(&format!("namespaces/{namespace}/tables"), &[]).await?;
            let names = found.into_iter().flat_map(|found| found.identifiers);
            let tables: Vec<_> = names.map(|table| TableName::new(&namespace, table.name)).collect();
            Ok::<_, Error>(tables)
        });
        let tables: Vec<Vec<TableName>> = found.buffer_unordered(REQUESTS_AT_ONCE).try_collect().await?;
        let mut tables: Vec<TableName> = tables.into_iter().flatten().filter(|table| table.check().is_ok()).collect();
        tables.sort();
        Ok(tables)
    }

    pub async fn pointers(&self) -> Result<BTreeMap<TableName, String>> {
        self.pointers_of(self.tables().await?).await
    }

    pub async fn pointers_of(&self, tables: Vec<TableName>) -> Result<BTreeMap<TableName, String>> {
        let found = stream::iter(tables).map(async |table| {
            let pointer = self.pointer(&table).await?;
            Ok::<_, Error>(pointer.map(|location| (table, location)))
        });
        let found: Vec<_> = found.buffer_unordered(REQUESTS_AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    pub async fn pointer(&self, table: &TableName) -> Result<Option<String>> {
        let known = self.pointers.lock().unwrap_or_else(PoisonError::into_inner).get(table).cloned();
        let path = format!("{}?snapshots=refs", path_of(table));
        let answer = self.http.get_if_changed(&path, known.as_ref().map(|(tag, _)| tag.as_str())).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(known.map(|(_, location)| location));
        }
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let tag = answer.tag.clone();
        let found: LoadedTable = self.http.read(answer)?;
        if let (Some(tag), Some(location)) = (tag, &found.metadata_location) {
            let mut pointers = self.pointers.lock().unwrap_or_else(PoisonError::into_inner);
            pointers.insert(table.clone(), (tag, location.clone()));
        }
        Ok(found.metadata_location)
    }

    pub fn moves_together(&self) -> bool {
        self.together.load(Ordering::Relaxed)
    }

    pub async fn swap(&self, swaps: &[Swap], views: &BTreeMap<TableName, Option<String>>) -> Result<Swapped> {
        let namespaces = swaps.iter().map(|swap| &swap.table.namespace).chain(views.keys().map(|view| &view.namespace));
        for namespace in namespaces.collect::<BTreeSet<_>>() {
            self.create_namespace(namespace).await?;
            self.put_views(namespace, views).await?;
        }
        let answer = match swaps {
            [] => return Ok(Swapped::All),
            [swap] => self.http.commit(&path_of(&swap.table), &change(swap)).await?,
            _ => {
                let changes: Vec<Value> = swaps.iter().map(change).collect();
                self.http.commit(TRANSACTIONS, &json!({ "table-changes": changes })).await?
            }
        };
        match answer.status {
            status if status.is_success() => Ok(Swapped::All),
            StatusCode::CONFLICT | StatusCode::NOT_FOUND if answer.is_about_tables() => Ok(Swapped::Stale(None)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED if swaps.len() > 1 => {
                self.together.store(false, Ordering::Relaxed);
                Ok(Swapped::OneAtATime)
            }
            _ => Err(self.http.error(&answer)),
        }
    }

    async fn create_namespace(&self, namespace: &str) -> Result<()> {
        if self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).contains(namespace) {
            return Ok(());
        }
        let body = json!({ "namespace": [namespace], "properties": {} });
        let answer = self.http.post("namespaces", &body).await?;
        if !answer.status.is_success() && answer.status != StatusCode::CONFLICT {
            return Err(self.http.error(&answer));
        }
        self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_string());
        Ok(())
    }

    async fn put_views(&self, namespace: &str, views: &BTreeMap<TableName, Option<String>>) -> Result<()> {
        let (mut updates, mut removals) = (BTreeMap::new(), Vec::new());
        for (view, sql) in views.iter().filter(|(view, _)| view.namespace == namespace) {
            let key = format!("{VIEW_PREFIX}{}", view.name);
            match sql {
                Some(sql) => {
                    updates.insert(key, sql);
                }
                None => removals.push(key),
            }
        }
        if updates.is_empty() && removals.is_empty() {
            return Ok(());
        }
        let body = json!({ "updates": updates, "removals": removals });
        let answer = self.http.post(&format!("namespaces/{namespace}/properties"), &body).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.http.error(&answer)) }
    }
}

fn path_of(table: &TableName) -> String {
    format!("namespaces/{}/tables/{}", table.namespace, table.name)
}

fn change(swap: &Swap) -> Value {
    let identifier = json!({ "namespace": [swap.table.namespace], "name": swap.table.name });
    json!({ "identifier": identifier, "requirements": swap.requirements, "updates": swap.updates })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use arrow::datatypes::{DataType, Field, Schema};

    use crate::catalog::Client;
    use crate::commit::{Outcome, attempt};
    use crate::testing::{append, query, rows, served, spec, stamp, write};
    use crate::{AsOf, Catalog, Config, Error, KeySet, Lake, Partition, Rest, TableName, TableSpec, Transform};

    #[tokio::test]
    async fn a_lake_behind_a_server_is_the_same_lake() {
        let (_folder, embedded, config) = served(None).await;
        let lake = Lake::open(&config).await.unwrap();
        append(&lake, "1", &spec("a"), rows(0..10)).await;
        let partition = Some(Partition { column: "id".to_string(), transform: Transform::Bucket(4) });
        append(&lake, "2", &TableSpec { partition, sort: vec!["name".into()], ..spec("b") }, rows(0..10)).await;
        let mut transaction = lake.begin(stamp("3")).await.unwrap();
        let files = write(&mut transaction, &spec("a"), &[rows([3, 100])]).await;
        transaction.upsert(&spec("a").name, "id", KeySet::Int64([3, 4].into()), files).await.unwrap();
        let files = write(&mut transaction, &spec("b"), &[rows(0..5)]).await;
        transaction.replace(&spec("b").name, files);
        let files = write(&mut transaction, &spec("c"), &[rows(0..1)]).await;
        transaction.append(&spec("c").name, files);
        transaction.create_view(&TableName::new("v", "a"), "select id from t.a where id < 3").await.unwrap();
        let committed = transaction.commit().await.unwrap();
        assert_eq!(committed.row_counts[&spec("a").name], 10);
        for lake in [&lake, &embedded] {
            assert_eq!(query(lake, "select count(*), sum(id) from t.a").await, "10 141");
            assert_eq!(query(lake, "select count(*), sum(id) from t.b").await, "5 10");
            assert_eq!(query(lake, "select count(*) from v.a").await, "3");
            assert_eq!(lake.tables().await.unwrap(), ["a", "b", "c"].map(|name| spec(name).name));
            assert_eq!(lake.history(&spec("a").name).await.unwrap().len(), 2);
            let then = lake.session(&AsOf::Run("1".to_string())).await.unwrap();
            assert_eq!(crate::testing::show(&then, "select count(*) from t.a").await, "10");
        }
        let mut transaction = lake.begin(stamp("4")).await.unwrap();
        transaction.drop_view(&TableName::new("v", "a"));
        transaction.commit().await.unwrap();
        assert!(embedded.views().await.unwrap().is_empty());
        assert!(lake.begin(stamp("3")).await.unwrap().already_committed().is_some());
    }

    #[tokio::test]
    async fn columns_that_come_before_and_after_the_table_keep_their_ids() {
        let (_folder, embedded, config) = served(None).await;
        let lake = Lake::open(&config).await.unwrap();
        let wider = |name: &str, column: &str| {
            let more = Field::new(column, DataType::new_list(DataType::Int64, true), true);
            let fields = spec(name).schema.fields().iter().cloned().chain([Arc::new(more)]).collect::<Vec<_>>();
            TableSpec { schema: Arc::new(Schema::new(fields)), ..spec(name) }
        };
        // A second writer's column comes to a table that is not there yet.
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        let mut files = write(&mut transaction, &wider("a", "x"), &[rows(0..2)]).await;
        files.extend(write(&mut transaction, &wider("a", "y"), &[rows(2..4)]).await);
        transaction.append(&spec("a").name, files);
        transaction.commit().await.unwrap();
        append(&lake, "2", &wider("a", "z"), rows(4..6)).await;
        for lake in [&lake, &embedded] {
            assert_eq!(
                query(lake, "select count(*), sum(id), count(x), count(y), count(z) from t.a").await,
                "6 15 0 0 0"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn eight_who_append_at_once_all_land() {
        let (_folder, embedded, config) = served(None).await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8_i64 {
            let config = config.clone();
            writers.spawn(async move {
                let lake = Lake::open(&config).await.unwrap();
                for round in 0..3_i64 {
                    let from = writer * 1000 + round * 100;
                    append(&lake, &format!("{writer} {round}"), &spec("a"), rows(from..from + 100)).await;
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(query(&embedded, "select count(*), count(distinct id) from t.a").await, "2400 2400");
        assert_eq!(embedded.history(&spec("a").name).await.unwrap().len(), 24);
    }

    #[tokio::test]
    async fn a_late_transaction_moves_all_its_tables_or_none() {
        let (_folder, embedded, config) = served(None).await;
        let lake = Lake::open(&config).await.unwrap();
        append(&lake, "0", &spec("b"), rows(0..1)).await;
        let mut late = lake.begin(stamp("late")).await.unwrap();
        for name in ["a", "b"] {
            let files = write(&mut late, &spec(name), &[rows(100..110)]).await;
            late.append(&spec(name).name, files);
        }
        append(&embedded, "1", &spec("b"), rows(1..2)).await;
        assert_eq!(late.commit().await.unwrap().retries, 1);
        assert_eq!(query(&embedded, "select count(*) from t.a").await, "10");
        assert_eq!(query(&embedded, "select count(*) from t.b").await, "12");
        // The same stamp again, from somebody who began before.
        let mut first = lake.begin(stamp("twice")).await.unwrap();
        let mut second = lake.begin(stamp("twice")).await.unwrap();
        for transaction in [&mut first, &mut second] {
            let files = write(transaction, &spec("a"), &[rows(200..210)]).await;
            transaction.append(&spec("a").name, files);
        }
        assert!(!first.commit().await.unwrap().already);
        assert!(second.commit().await.unwrap().already);
        assert_eq!(query(&lake, "select count(*) from t.a").await, "20");
    }

    #[tokio::test]
    async fn where_tables_move_one_by_one_a_part_of_a_commit_is_taken_back() {
        let (_folder, embedded, config) = served(None).await;
        let lake = Lake::open(&config).await.unwrap();
        let Client::Rest(catalog) = &lake.inner.catalog else { panic!("{config:?}") };
        catalog.together.store(false, Ordering::Relaxed);
        append(&lake, "0", &spec("a"), rows(0..1)).await;
        let both = async |run: &str| {
            let mut transaction = lake.begin(stamp(run)).await.unwrap();
            for name in ["a", "b", "c"] {
                let files = write(&mut transaction, &spec(name), &[rows(100..110)]).await;
                transaction.append(&spec(name).name, files);
            }
            transaction
        };
        let transaction = both("1").await;
        transaction.commit().await.unwrap();
        assert!(lake.begin(stamp("1")).await.unwrap().already_committed().is_some());
        let complete = lake.history(&spec("b").name).await.unwrap();
        assert_eq!(complete[0].summary["pipeline-tables-in-turn"], "3");

        // The last table is in the way: what was moved before it goes back.
        let transaction = both("2").await;
        let Client::Sqlite(sqlite) = &embedded.inner.catalog else { panic!("{config:?}") };
        assert!(sqlite.drop_table(&spec("c").name).await.unwrap());
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(&error, Error::Conflict { table, .. } if *table == spec("c").name), "{error}");
        assert_eq!(embedded.inner.catalog.pointer(&spec("c").name).await.unwrap(), None);
        assert_eq!(query(&embedded, "select count(*) from t.a").await, "11");
        assert_eq!(query(&embedded, "select count(*) from t.b").await, "10");

        // A process that is killed after the first table: the next one with its stamp begins where it began.
        let mut killed = both("3").await;
        killed.tables_in_turn = Some(3);
        let first = [spec("a").name];
        assert!(matches!(attempt(&mut killed, &first).await.unwrap(), Outcome::Made { .. }));
        killed.litter.keep_all();
        drop(killed);
        assert_eq!(query(&embedded, "select count(*) from t.a").await, "21");
        let transaction = both("3").await;
        assert_eq!(transaction.already_committed(), None);
        assert_eq!(query(&embedded, "select count(*) from t.a").await, "11");
        transaction.commit().await.unwrap();
        assert_eq!(query(&embedded, "select count(*) from t.a").await, "21");
        assert_eq!(query(&embedded, "select count(*) from t.c").await, "10");
        assert!(lake.begin(stamp("3")).await.unwrap().already_committed().is_some());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_or_wants_a_token_says_so() {
        let (_folder, _embedded, config) = served(Some("secret")).await;
        assert!(Lake::open(&config).await.is_ok());
        let Catalog::Rest(rest) = &config.catalog else { panic!("{config:?}") };
        assert!(!format!("{config:?}").contains("secret"));
        let unknown =
            Config { catalog: Catalog::Rest(Rest { token: Some("secre".into()), ..rest.clone() }), ..config.clone() };
        let error = Lake::open(&unknown).await.err().unwrap().to_string();
        assert!(error.contains("answered 401 to `config`") && error.contains("HEALTHLAKE_CATALOG_TOKEN"), "{error}");
        let other = Rest { uri: rest.uri.replace("127.0.0.1", "127.0.0.1:1").replace(":1:", ":1/"), ..Rest::default() };
        let nowhere = Config { catalog: Catalog::Rest(other), ..config.clone() };
        let error = Lake::open(&nowhere).await.err().unwrap();
        assert!(
            matches!(error, Error::CatalogServer { .. }) && error.to_string().contains("cannot be reached"),
            "{error}"
        );
    }
}
