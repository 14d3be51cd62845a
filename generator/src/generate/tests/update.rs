//! Follow-up days: what they bring, and where they end.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::run;
use crate::Rates;
use crate::manifest::Manifest;

/// A population with insurance and notes.
fn whole(patients: u64) -> (tempfile::TempDir, Manifest) {
    run(patients, |options| (options.claims, options.notes) = (true, true))
}

fn days(patients: u64, rates: &str) -> (tempfile::TempDir, Manifest) {
    run(patients, |options| {
        (options.claims, options.notes) = (true, true);
        options.updates = 3;
        options.dirt = Some(Rates::read("test", rates).unwrap());
    })
}

fn manifest(folder: &Path, day: u32) -> Value {
    let path = folder.join(format!("updates/day-{day}/manifest.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The hashes of the files of expected rows.
fn rows(files: &Value) -> Vec<(String, String)> {
    let files = files.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("omop/"));
    files.map(|(name, file)| (name.clone(), file["xxh3"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn days_that_bring_nothing_are_empty() {
    let (folder, base) = days(20, "[day]\nchanged = 0");
    assert_eq!(base.files, whole(20).1.files);
    let base = serde_json::to_value(&base.files).unwrap();
    for day in 1..=3 {
        let manifest = manifest(folder.path(), day);
        assert!(manifest["resources"].as_object().unwrap().values().all(|count| *count == 0), "{manifest}");
        assert_eq!(rows(&manifest["files"]), rows(&base));
        assert_eq!(manifest["account"]["by_type"], serde_json::json!({}));
    }
}

/// What comes, changes, comes late or is merged is there in the end as if it had been there from the beginning.
#[test]
fn the_last_day_ends_where_the_history_does() {
    let rates = "[day]\nnew_visit = 0.05\nchanged = 0.05\nlate_version = 0.05\nmerged_patient = 0.2\n";
    let (folder, base) = days(20, rates);
    let whole = serde_json::to_value(&whole(20).1.files).unwrap();
    assert_eq!(rows(&manifest(folder.path(), 3)["files"]), rows(&whole));
    let before = serde_json::to_value(&base.files).unwrap();
    assert_ne!(rows(&manifest(folder.path(), 2)["files"]), rows(&whole));
    assert_ne!(rows(&before), rows(&whole));
    assert!(base.rows["person"] > 20);
    let excluded = |day| manifest(folder.path(), day)["account"]["exclusions"].clone();
    assert!((1..=3).any(|day| excluded(day)["Patient replaced_record"].is_u64()));
    for name in ["Observation", "Claim", "ExplanationOfBenefit", "DocumentReference"] {
        assert!((1..=3).all(|day| excluded(day)[format!("{name} superseded_version")].is_u64()), "{name}");
    }
}

#[test]
fn what_was_an_error_or_is_deleted_goes() {
    let (folder, base) = days(20, "[day]\nentered_in_error = 0.05\ndeleted = 0.05\n");
    let visits = |manifest: &Value| manifest["rows"]["visit_occurrence"].as_u64().unwrap();
    let first = manifest(folder.path(), 1);
    let account = &first["account"];
    let [mistaken, deleted] = ["Encounter status_entered_in_error", "Encounter deleted"]
        .map(|reason| account["exclusions"][reason].as_u64().unwrap());
    let notes = |manifest: &Value| manifest["rows"]["note"].as_u64().unwrap();
    assert_eq!(notes(&first), base.rows["note"] - mistaken - deleted);
    assert!(first["rows"]["cost"].as_u64().unwrap() < base.rows["cost"]);
    assert_eq!(visits(&first), base.rows["visit_occurrence"] - mistaken - deleted);
    assert!(visits(&manifest(folder.path(), 3)) < visits(&first));
    let bundles = fs::read_to_string(folder.path().join("updates/day-1/fhir/deleted.ndjson")).unwrap();
    assert_eq!(bundles.matches("\"Encounter/").count() as u64, deleted);
}
