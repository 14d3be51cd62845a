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
