use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::healthlake::{Healthlake, assert_equal_tables, other_modules};

const ALL: [&str; 6] = ["fhir", "omop", "vocabulary", "staging", "marts", "metrics"];

fn assert_proven(summary: &Value) {
    let accounting = &summary["accounting"];
    let count = |key: &str| accounting[key].as_u64().unwrap();
    assert!(count("read") > 0);
    assert_eq!(count("read"), count("mapped") + count("excluded") + count("rejected"));
    for (kind, counts) in accounting["by_type"].as_object().unwrap() {
        let count = |key: &str| counts[key].as_u64().unwrap();
        assert_eq!(count("read"), count("mapped") + count("excluded") + count("rejected"), "{kind}");
    }
    assert_eq!(summary["checks"]["failed_names"], serde_json::json!([]));
    assert!(summary["checks"]["passed"].as_u64().unwrap() > 100);
    assert!(summary["oracle"]["rows"].as_u64().unwrap() > 0);
    assert_eq!(summary["oracle"]["mismatches"], 0);
}

/// The expected rows agree for disease modules that others wrote as they do for ours.
#[test]
fn patients_of_other_modules_are_proven() {
    let Some(folder) = other_modules("patients_of_other_modules_are_proven") else { return };
    let folder = folder.to_str().unwrap();
    let lake = Healthlake::new();
    let linted = lake.call("run", &["generate", "lint", folder]);
    assert_eq!(linted.code, 0, "{}", linted.stdout);
    assert!(linted.stdout.ends_with("256 of 256 modules load\n"), "{}", linted.stdout);
    assert_proven(&lake.json("others", &["run", "--patients", "10", "--modules", folder]));
}

/// Insurance, claims and notes are there on request, and agree as everything else does.
#[test]
fn claims_and_notes_are_proven() {
    let lake = Healthlake::new();
    let summary = lake.json("whole", &["run", "--patients", "15", "--claims", "--notes"]);
    assert_proven(&summary);
    for table in ["omop.note", "omop.payer_plan_period", "omop.cost", "fhir.claim", "fhir.document_reference"] {
        assert!(summary["tables"][table].as_u64().unwrap() > 0, "{table}");
    }
}

#[test]
fn a_run_is_proven_and_a_second_run_changes_nothing() {
    let lake = Healthlake::new();
    let first = lake.json("first", &["run", "--patients", "60"]);
    assert_proven(&first);
    assert_eq!(first["pipeline_run_id"], "first");
    assert_eq!(first["already_committed"], false);
    assert_eq!(first["tables"]["omop.person"], 60);
    let report = fs::read_to_string(lake.folder().join(first["report"].as_str().unwrap())).unwrap();
    assert!(report.contains("</html>"));
    let before = lake.tables(&ALL);
    assert!(before["metrics.chronic_condition_prevalence"].len() > 1);

    let same = lake.json("first", &["run", "--patients", "60"]);
    assert_eq!(same["already_committed"], true);
    assert_eq!(same["accounting"], first["accounting"]);
    assert_eq!(same["tables"], first["tables"]);
    assert_equal_tables(&before, &lake.tables(&ALL));

    let other = lake.json("second", &["run", "--patients", "60"]);
    assert_eq!(other["already_committed"], false);
    assert_proven(&other);
    assert_equal_tables(&before, &lake.tables(&ALL));

    let persons = |sql: &str| {
        let ended = lake.call("query", &["query", sql, "--as-of", "first", "--format", "csv"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stdout
    };
    assert_eq!(persons("select count(*) as n from omop.person"), "n\n60\n");
}

#[test]
fn a_population_replaces_the_one_before_it() {
    let lake = Healthlake::new();
    assert_proven(&lake.json("large", &["run", "--patients", "30"]));
    let small = lake.json("small", &["run", "--patients", "10", "--seed", "7"]);
    assert_proven(&small);
    assert_eq!(small["tables"]["omop.person"], 10);

    let fresh = Healthlake::new();
    assert_proven(&fresh.json("small", &["run", "--patients", "10", "--seed", "7"]));
    let content = |lake: &Healthlake| {
        let mut tables = lake.tables(&["fhir", "omop"]);
        // Places are shared between people and stay.
        tables.remove("omop.location");
        tables
    };
    assert_equal_tables(&content(&fresh), &content(&lake));

    let ended =
        lake.call("query", &["query", "select count(*) as n from omop.person", "--as-of", "large", "--format", "csv"]);
    assert_eq!(ended.stdout, "n\n30\n", "{}", ended.stderr);
}

#[test]
fn the_same_seed_gives_the_same_bytes_in_any_number_of_shards() {
    let one = Healthlake::new();
    one.json("one", &["run", "--patients", "40", "--seed", "5"]);
    let whole = files(&one.lake().join("synthetic/fhir"));
    let again = Healthlake::new();
    again.json("again", &["generate", "--patients", "40", "--seed", "5"]);
    assert!(whole == files(&again.lake().join("synthetic/fhir")), "the same seed gave other bytes");

    let four = Healthlake::new();
    for shard in ["1/4", "2/4", "3/4", "4/4"] {
        four.json("shards", &["generate", "--patients", "40", "--seed", "5", "--shard", shard]);
    }
    let mut joined: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, bytes) in files(&four.lake().join("synthetic/fhir")) {
        let kind = name.split('.').next().unwrap();
        joined.entry(format!("{kind}.ndjson")).or_default().extend(bytes);
    }
    assert!(whole == joined, "four shards are not the whole");
    four.json("shards", &["etl", "lake/synthetic/fhir", "--source-id", "synthetic"]);
    assert_equal_tables(&one.tables(&["fhir", "omop"]), &four.tables(&["fhir", "omop"]));
    let verdict = four.json("shards", &["validate", "--oracle", "lake/synthetic/omop"]);
    assert_eq!(verdict["oracle"]["mismatches"], 0);
}

/// The page says how far a population is from published figures; of few people it is far.
#[test]
fn a_population_is_scored() {
    let lake = Healthlake::new();
    lake.json("score", &["generate", "--patients", "40"]);
    let score = lake.json("score", &["generate", "score"]);
    assert!(score["living"].as_u64().unwrap() > 30, "{}", score["living"]);
    assert!(score["summary"]["metrics"].as_u64().unwrap() > 70, "{}", score["summary"]);
    assert!(score["summary"]["median_z"].as_f64().unwrap() < 30.0, "{}", score["summary"]);
    let page = fs::read_to_string(lake.lake().join("synthetic/score/index.html")).unwrap();
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));
    let nothing = lake.call("score", &["generate", "score", "nowhere"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn models_can_be_built_tested_and_shown_alone() {
    let lake = Healthlake::new();
    lake.json("etl", &["run", "--patients", "20"]);
    let outcome = lake.json("again", &["sql", "run", "+metrics.utilisation"]);
    let models = outcome["models"].as_array().unwrap();
    assert!(models.len() > 1 && models.iter().all(|model| model["status"] != "failed"), "{outcome}");
    let tests = lake.json("again", &["sql", "test", "metrics.utilisation"]);
    assert!(!tests.as_array().unwrap().is_empty());
    let shown = lake.call("again", &["sql", "show", "metrics.utilisation"]);
    assert_eq!(shown.code, 0);
    assert!(shown.stdout.contains("select"), "{}", shown.stdout);
}
