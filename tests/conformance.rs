use std::fs;

use serde_json::Value;

use crate::healthlake::Healthlake;

fn statement<'c>(card: &'c Value, id: &str) -> &'c Value {
    let statements = card["statements"].as_array().unwrap();
    statements.iter().find(|statement| statement["id"] == id).unwrap_or_else(|| panic!("no {id}"))
}

#[test]
fn the_scorecard_has_every_statement_and_its_versions() {
    let lake = Healthlake::new();
    let before = lake.json("card", &["conformance"]);
    assert_eq!(before["statements"].as_array().unwrap().len(), 56);
    assert_eq!(before["pipeline_run_id"], Value::Null);
    assert!(!lake.lake().exists(), "looking makes no lake");

    lake.json("run", &["run", "--patients", "15"]);
    let card = lake.json("card", &["conformance"]);
    assert_eq!(card["pipeline_run_id"], "run");
    for key in ["guide", "software_version", "cdm_version", "vocabulary_version"] {
        assert!(card[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let failed: Vec<_> =
        card["statements"].as_array().unwrap().iter().filter(|line| line["status"] == "fail").collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(statement(&card, "f2o-132")["status"], "not_applicable");
    let checks = statement(&card, "f2o-022")["checks"].as_array().unwrap();
    assert!(checks[0]["passed"].as_u64().unwrap() > 10, "{checks:?}");

    let folder = lake.lake().join("conformance");
    let written: Value = serde_json::from_slice(&fs::read(folder.join("scorecard.json")).unwrap()).unwrap();
    assert_eq!(written["statements"], card["statements"]);
    assert!(fs::read_to_string(folder.join("scorecard.html")).unwrap().contains("f2o-132"));
    let text = lake.call("card", &["conformance"]);
    assert_eq!(text.code, 0, "{}", text.stderr);
    assert!(text.stdout.contains("f2o-030") && text.stdout.contains("checks of run run"), "{}", text.stdout);
}

/// An Observation forced among drugs has a concept of the wrong domain: the check fails, and with it the statement.
#[test]
fn a_failing_check_turns_its_statements_to_fail() {
    let lake = Healthlake::new();
    lake.json("run", &["run", "--patients", "10", "--omop-table", "Observation=drug_exposure"]);
    let ended = lake.call("card", &["conformance", "--format", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let card: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(statement(&card, "f2o-037")["status"], "fail");
    assert!(statement(&card, "f2o-037")["note"].as_str().unwrap().contains("fkDomain/omop.drug_exposure"), "{card}");
    assert_eq!(statement(&card, "f2o-022")["status"], "pass");
}

#[test]
fn the_manifest_says_what_is_read_and_what_is_filled() {
    let lake = Healthlake::new();
    lake.json("run", &["run", "--patients", "5"]);
    let manifest = lake.json("card", &["conformance", "--manifest"]);
    assert_eq!(manifest["fhir_versions"], serde_json::json!(["4.0.1"]));
    let condition = &manifest["resource_types"]["Condition"][0];
    assert_eq!(
        (condition["omop_table"].as_str(), condition["completeness"].as_str()),
        (Some("condition_occurrence"), Some("full"))
    );
    assert_eq!(manifest["tables"]["person"], "full");
    assert_eq!(manifest["tables"]["cost"], "partial");
    assert_eq!(manifest["tables"]["condition_era"], "full");
    assert_eq!(manifest["tables"]["drug_era"], "full");
    assert_eq!(manifest["tables"]["fact_relationship"], "partial");
    assert_eq!(manifest["tables"]["dose_era"], "none");
    for key in ["profiles", "use_cases", "departures", "identifier_systems"] {
        assert!(!manifest[key].as_array().unwrap().is_empty(), "{key}");
    }
    assert!(manifest["policies"]["mapping"].as_str().unwrap().contains("medication_request_policy=orders-as-exposure"));
    let written: Value =
        serde_json::from_slice(&fs::read(lake.lake().join("conformance/manifest.json")).unwrap()).unwrap();
    assert_eq!(written, manifest);
}

#[test]
fn each_run_is_recorded_with_its_versions_and_policies() {
    let lake = Healthlake::new();
    lake.json("first", &["run", "--patients", "5"]);
    lake.json("second", &["run", "--patients", "5", "--medication-request-policy", "ig-strict"]);
    let of = |run: &str, column: &str| {
        lake.value(&format!("select {column} from quality.run where pipeline_run_id = '{run}'"))
    };
    for column in ["software_version", "cdm_version", "vocabulary_version", "guide_version", "started_at", "ended_at"] {
        assert!(!of("first", column).is_empty(), "{column}");
    }
    assert!(of("first", "policy").contains("medication_request_policy=orders-as-exposure"));
    assert!(of("second", "policy").contains("medication_request_policy=ig-strict"));
    let count =
        |table: &str| lake.value(&format!("select count(*) from quality.{table} where pipeline_run_id = 'first'"));
    assert!(count("concept_check").parse::<u64>().unwrap() > 200);
    assert_eq!(lake.value("select count(*) from quality.concept_check where status <> 'passed'"), "0");
}

#[test]
fn the_crosswalk_lies_outside_of_the_cdm() {
    let lake = Healthlake::new();
    lake.json("run", &["run", "--patients", "5"]);
    assert_ne!(lake.value("select count(*) from quality.crosswalk"), "0");
    let sql = "select count(*) from information_schema.tables where table_schema = 'omop' and table_name = 'crosswalk'";
    assert_eq!(lake.value(sql), "0");
}

#[test]
fn without_omop_the_lake_is_sound() {
    let lake = Healthlake::new();
    let summary = lake.json("run", &["run", "--patients", "10", "--no-omop", "--keep-raw"]);
    assert_eq!(summary["tables"]["omop.person"], 0);
    assert_eq!(summary["tables"]["fhir.patient"], 10);
    assert_eq!(summary["checks"]["failed_names"], serde_json::json!([]));
    let filled = lake.json("fill", &["etl", "backfill"]);
    assert_eq!(filled["synthetic"]["accounting"]["by_type"]["Patient"]["mapped"], 10);
    let verdict = lake.json("fill", &["validate", "--oracle", "lake/synthetic/omop"]);
    assert_eq!(verdict["oracle"]["mismatches"], 0, "a backfill gives the rows that the files would have given");
    let ended = Healthlake::new();
    ended.file("in.ndjson", r#"{"resourceType":"Patient","id":"1","birthDate":"1980-01-01"}"#);
    ended.json("run", &["etl", "in.ndjson"]);
    let refused = ended.call("fill", &["etl", "backfill"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("hint: `healthlake etl --keep-raw PATH`"), "{}", refused.stderr);
}
