use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::healthlake::Healthlake;

/// pyiceberg on the same catalog, and DuckDB on the same tables, find the same counts and sums.
#[test]
fn pyiceberg_and_duckdb_read_the_same() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/read-with-pyiceberg");
    let lake = Healthlake::new();
    let summary = lake.json("run", &["run", "--patients", "20"]);
    let output = Command::new(&script).arg(lake.lake()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    for reader in ["pyiceberg", "duckdb"] {
        let tables = found[reader].as_object().unwrap_or_else(|| panic!("{reader} read nothing: {stderr}"));
        let counts = summary["tables"].as_object().unwrap();
        assert_eq!(tables.len(), counts.len(), "{reader}");
        for (table, rows) in counts {
            assert_eq!(&tables[table]["rows"], rows, "{reader}: {table}");
        }
    }
    for column in ["person_id", "year_of_birth"] {
        let sum = lake.value(&format!("select sum(cast({column} as decimal(38, 0))) from omop.person"));
        for reader in ["pyiceberg", "duckdb"] {
            assert_eq!(
                found[reader]["omop.person"]["sums"][column].to_string().trim_matches('"'),
                sum,
                "{reader}: {column}"
            );
        }
    }
}

/// The same through the catalog that is served, for those who have the token.
#[test]
fn pyiceberg_and_duckdb_read_through_the_served_catalog() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/read-with-pyiceberg");
    let lake = Healthlake::new();
    lake.file("in.ndjson", r#"{"resourceType":"Patient","id":"1","birthDate":"1980-01-01"}"#);
    lake.json("etl", &["etl", "in.ndjson"]);
    let mut server = lake
        .command("serve", &["catalog", "serve", "--listen", "127.0.0.1:0", "--format", "json"])
        .env("HEALTHLAKE_CATALOG_TOKEN", "a secret")
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let uri = said["uri"].as_str().unwrap();
    let read = |token: &str| {
        let mut command = Command::new(&script);
        command.args(["--rest", uri, "fhir.patient"]).env("HEALTHLAKE_CATALOG_TOKEN", token);
        command.output().unwrap()
    };
    let (known, unknown) = (read("a secret"), read("another"));
    server.kill().unwrap();
    server.wait().unwrap();
    let stderr = String::from_utf8_lossy(&known.stderr);
    assert!(known.status.success(), "{stderr}");
    let found: Value = serde_json::from_slice(&known.stdout).unwrap();
    for reader in ["pyiceberg", "duckdb"] {
        assert_eq!(found[reader]["fhir.patient"]["rows"], 1, "{reader}: {stderr}");
    }
    assert!(!unknown.status.success());
}
