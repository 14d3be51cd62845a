//! What tests of several files need: a lake in a temporary folder, a small table, rows as text.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    AsOf, Catalog, CatalogServer, Config, Durability, Lake, Rest, Stamp, TableName, TableSpec, Transaction,
    WrittenFiles,
};

pub fn config(folder: &TempDir) -> Config {
    let lake = folder.path().join("a lake");
    Config { durability: Durability::Nothing, target_partitions: Some(2), ..Config::folder(&lake) }
}

pub async fn lake() -> (TempDir, Lake) {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(&config(&folder)).await.unwrap();
    (folder, lake)
}

/// A lake in a temporary folder whose catalog is served, and how its clients open it.
pub async fn served(token: Option<&str>) -> (TempDir, Lake, Config) {
    let (folder, lake) = lake().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = CatalogServer::new(&lake, address, token.map(str::to_string)).unwrap();
    tokio::spawn(server.serve(listener));
    let rest = Rest { uri: format!("http://{address}/"), token: token.map(str::to_string), ..Rest::default() };
    let client = Config { catalog: Catalog::Rest(rest), ..config(&folder) };
    (folder, lake, client)
}

pub fn stamp(run: &str) -> Stamp {
    Stamp { run_id: run.to_string(), stage: "test".to_string(), fingerprint: "1".to_string() }
}

/// Table `t.<name>` with columns id, name, value.
pub fn spec(name: &str) -> TableSpec {
    let fields = vec![
        Field::new("id", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
    ];
    TableSpec {
        name: TableName::new("t", name),
        schema: Arc::new(Schema::new(fields)),
        key: vec!["id".to_string()],
        sort: vec![],
        partition: None,
    }
}

/// Rows of that table: name is `n<id modulo 10>`, value is half the id.
pub fn rows(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    let ids: Vec<i64> = ids.into_iter().collect();
    let names: StringArray = ids.iter().map(|id| Some(format!("n{}", id % 10))).collect();
    let values: Float64Array = ids.iter().map(|id| Some(*id as f64 / 2.0)).collect();
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(Int64Array::from(ids)), Arc::new(names), Arc::new(values)];
    RecordBatch::try_new(spec("any").schema, columns).unwrap()
}

pub async fn write(transaction: &mut Transaction, spec: &TableSpec, rows: &[RecordBatch]) -> WrittenFiles {
    let mut writer = transaction.writer(spec).await.unwrap();
    rows.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap()
}

/// Appends rows in one transaction.
pub async fn append(lake: &Lake, run: &str, spec: &TableSpec, rows: RecordBatch) {
    let mut transaction = lake.begin(stamp(run)).await.unwrap();
    let files = write(&mut transaction, spec, &[rows]).await;
    transaction.append(&spec.name, files);
    transaction.commit().await.unwrap();
}

/// Runs a query on the latest state.
pub async fn query(lake: &Lake, sql: &str) -> String {
    show(&lake.session(&AsOf::Latest).await.unwrap(), sql).await
}

/// Runs a query; one line per row, values divided by a space.
pub async fn show(session: &SessionContext, sql: &str) -> String {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&batches).unwrap().to_string();
    let line =
        |line: &str| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ");
    table.lines().skip(3).filter(|text| text.starts_with('|')).map(line).collect::<Vec<_>>().join("\n")
}

/// Lists the files below a folder whose names end so.
pub fn files_below(folder: &std::path::Path, end: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path(), end));
        } else if entry.file_name().to_string_lossy().ends_with(end) {
            found.push(entry.path());
        }
    }
    found
}
