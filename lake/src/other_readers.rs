//! Programs that are not ours read what we write.

use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

use crate::testing::{append, lake, query, rows, spec, stamp, write};
use crate::{KeySet, Lake, Partition, TableName, TableSpec, Transform, WrittenFiles};

/// One column of each type, with nulls, a NaN, long texts, and keys whose sum needs more than 64 bits.
fn of_all_types(partition: Transform) -> (TableSpec, RecordBatch) {
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX - 1, 3]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("key", keys),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("small", Arc::new(Int32Array::from(vec![Some(-5), None, Some(7)]))),
        ("value", Arc::new(Float64Array::from(vec![Some(1.5), Some(-2.5), None]))),
        ("odd", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.0), None]))),
        (
            "price",
            Arc::new(Decimal128Array::from(vec![Some(12345), None, Some(-5)]).with_precision_and_scale(12, 2).unwrap()),
        ),
        ("text", Arc::new(StringArray::from(vec![Some("ä".repeat(100)), None, Some(String::new())]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-1), Some(400), None]))),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(1_700_000_000_000_000), None]))),
    ];
    let field = |(name, column): &(&str, ArrayRef)| Field::new(*name, column.data_type().clone(), *name != "key");
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let column = if matches!(partition, Transform::Bucket(_)) { "key" } else { "at" };
    let name = TableName::new("kinds", format!("{partition:?}").to_lowercase().replace(['(', ')'], ""));
    let partition = Some(Partition { column: column.to_string(), transform: partition });
    let spec = TableSpec { name, schema, key: vec!["key".into()], sort: vec!["small".into()], partition };
    let batch = RecordBatch::try_new(spec.schema.clone(), columns.into_iter().map(|(_, c)| c).collect()).unwrap();
    (spec, batch)
}

async fn lake_of_all_kinds() -> (tempfile::TempDir, Lake) {
    let (folder, lake) = lake().await;
    for partition in [Transform::Identity, Transform::Year, Transform::Month, Transform::Day, Transform::Bucket(4)] {
        let (spec, batch) = of_all_types(partition);
        append(&lake, &format!("{partition:?}"), &spec, batch).await;
    }
    append(&lake, "1", &spec("grown"), rows(0..1000)).await;
    let mut wider = spec("grown");
    let more = Field::new("more", DataType::Timestamp(TimeUnit::Microsecond, None), true);
    let fields: Vec<_> = wider.schema.fields().iter().cloned().chain([more.into()]).collect();
    wider.schema = Arc::new(Schema::new(fields));
    append(&lake, "2", &wider, rows(1000..1010)).await;

    append(&lake, "1", &spec("changed"), rows(0..1000)).await;
    append(&lake, "2", &spec("changed"), rows(1000..2000)).await;
    let mut transaction = lake.begin(stamp("3")).await.unwrap();
    let files = write(&mut transaction, &spec("changed"), &[rows([3, 4000])]).await;
    let keys = KeySet::Int64([3, 4, 1500].into());
    transaction.upsert(&spec("changed").name, "id", keys, files).await.unwrap();
    let files = write(&mut transaction, &spec("replaced"), &[rows(0..10)]).await;
    transaction.replace(&spec("replaced").name, files);
    drop(transaction.writer(&spec("empty")).await.unwrap());
    transaction.create_view(&TableName::new("views", "v"), "select 1").await.unwrap();
    transaction.commit().await.unwrap();
    // Partitions with deletes, also that of rows without the value.
    let [ids, names, values] = rows(0..1000).columns().to_vec().try_into().unwrap();
    let names: StringArray = names.as_string::<i32>().iter().map(|name| name.filter(|name| *name != "n0")).collect();
    let batch = RecordBatch::try_new(spec("any").schema, vec![ids, Arc::new(names), values]).unwrap();
    for (name, column, transform) in [("by_name", "name", Transform::Identity), ("by_id", "id", Transform::Bucket(4))] {
        let partition = Some(Partition { column: column.to_string(), transform });
        append(&lake, name, &TableSpec { partition, ..spec(name) }, batch.clone()).await;
        for run in [0, 1] {
            let mut transaction = lake.begin(stamp(&format!("{name}{run}"))).await.unwrap();
            let gone = KeySet::Int64((run * 500..run * 500 + 300).step_by(7).collect());
            transaction.upsert(&spec(name).name, "id", gone, WrittenFiles::default()).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let last = lake.history(&spec(name).name).await.unwrap().pop().unwrap();
        assert!(last.summary["total-delete-files"].parse::<u32>().unwrap() >= 4, "{last:?}");
    }
    let mut transaction = lake.begin(stamp("4")).await.unwrap();
    drop(transaction.writer(&spec("replaced")).await.unwrap());
    transaction.replace(&spec("replaced").name, WrittenFiles::default());
    transaction.commit().await.unwrap();
    (folder, lake)
}

#[tokio::test]
async fn pyiceberg_and_duckdb_read_what_we_read() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let installed = Command::new(format!("{root}/scripts/install-readers")).env("HEALTHLAKE_INSTALL", "no").output();
    let installed = installed.unwrap();
    if !installed.status.success() && std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none() {
        let why = String::from_utf8_lossy(&installed.stderr);
        eprintln!("SKIPPED pyiceberg_and_duckdb_read_what_we_read: {why}run scripts/install-readers");
        return;
    }
    let (folder, lake) = lake_of_all_kinds().await;
    let output =
        Command::new(format!("{root}/scripts/read-with-pyiceberg")).arg(folder.path().join("a lake")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tables = lake.tables().await.unwrap();
    assert_eq!(tables.len(), 11);
    for reader in ["pyiceberg", "duckdb"] {
        assert_eq!(found[reader].as_object().unwrap().len(), tables.len(), "{reader}");
        for table in &tables {
            let theirs = &found[reader][table.to_string()];
            let rows = query(&lake, &format!("select count(*) from {table}")).await;
            assert_eq!(theirs["rows"].to_string(), rows, "{reader}: {table}");
            for (column, sum) in theirs["sums"].as_object().unwrap() {
                if column == "odd" {
                    continue;
                }
                let (low, high) = (&theirs["minima"][column], &theirs["maxima"][column]);
                let ours = match sum {
                    Value::String(_) => format!(
                        "cast(sum(cast({column} as decimal(38, 0))) as text), cast(min({column}) as text), cast(max({column}) as text)"
                    ),
                    _ => format!("sum({column}), min({column}), max({column})"),
                };
                let ours = query(&lake, &format!("select {ours} from {table}")).await;
                let plain = |v: &Value| if v.is_null() { String::new() } else { v.to_string().replace('"', "") };
                let theirs = [sum, low, high].map(plain).join(" ");
                assert_eq!(theirs.trim(), ours, "{reader}: {table}.{column}");
            }
        }
    }
}
