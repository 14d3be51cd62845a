mod dirt;
mod update;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::Path;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::*;
use crate::Shard;
use crate::sink::fhir::TYPES;

fn run(patients: u64, change: impl FnOnce(&mut Options)) -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options { patients, seed: 11, output: folder.path().into(), ..Options::default() };
    change(&mut options);
    let manifest = generate(&options, &|_| {}).unwrap();
    (folder, manifest)
}

fn resources(folder: &Path) -> Vec<Value> {
    let mut resources = Vec::new();
    for name in TYPES {
        let Ok(text) = fs::read_to_string(folder.join("fhir").join(format!("{name}.ndjson"))) else { continue };
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["resourceType"], name);
            resources.push(value);
        }
    }
    resources
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn table(folder: &Path, name: &str) -> Vec<RecordBatch> {
    batches(&folder.join("omop").join(format!("{name}.parquet")))
}

fn keys(folder: &Path, table_name: &str, column: &str) -> Vec<i64> {
    table(folder, table_name)
        .iter()
        .flat_map(|batch| {
            let column = batch.column_by_name(column).unwrap();
            let column: &Int64Array = column.as_primitive();
            column.iter().flatten().collect::<Vec<_>>()
        })
        .collect()
}

fn numbers(folder: &Path, table_name: &str, column: &str) -> Vec<i64> {
    let batches = table(folder, table_name);
    let columns = batches.iter().map(|batch| batch.column_by_name(column).unwrap());
    columns
        .flat_map(|column| {
            column.as_primitive::<Int32Type>().values().iter().map(|id| i64::from(*id)).collect::<Vec<_>>()
        })
        .collect()
}

fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str() {
                    Some(text) if name == "reference" => found.push(text),
                    _ => references(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_resource_parses_and_every_reference_resolves() {
    let (folder, manifest) = run(150, |options| (options.claims, options.notes) = (true, true));
    let resources = resources(folder.path());
    let ids: HashSet<String> = resources
        .iter()
        .map(|value| format!("{}/{}", value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap()))
        .collect();
    assert_eq!(ids.len(), resources.len());
    assert_eq!(manifest.resources.values().sum::<u64>(), resources.len() as u64);
    for resource in &resources {
        let mut found = Vec::new();
        references(resource, &mut found);
        for reference in found {
            assert!(ids.contains(reference), "{reference}");
        }
    }
    for name in TYPES {
        assert!(manifest.resources[name] > 0, "{name}");
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let (_one, first) = run(70, |options| options.threads = 1);
    let (_two, second) = run(70, |options| options.threads = 4);
    assert_eq!(first.files, second.files);
    let (_three, other) = run(70, |options| options.seed = 12);
    assert_ne!(first.files, other.files);
}

#[test]
fn shards_together_are_the_whole() {
    let (whole, manifest) = run(50, |_| {});
    let shards: Vec<_> = (1..=4).map(|index| run(50, |options| options.shard = Shard { index, count: 4 })).collect();
    for name in TYPES.into_iter().filter(|name| manifest.resources.contains_key(*name)) {
        let mut bytes = Vec::new();
        for (index, (folder, _)) in shards.iter().enumerate() {
            let file = format!("{name}.{}-of-4.ndjson", index + 1);
            bytes.extend(fs::read(folder.path().join("fhir").join(file)).unwrap());
        }
        assert!(bytes == fs::read(whole.path().join("fhir").join(format!("{name}.ndjson"))).unwrap(), "{name}");
    }
    for name in manifest.rows.keys() {
        let rows = |batches: Vec<RecordBatch>| -> Vec<String> {
            let batches = batches.iter().filter(|batch| batch.num_rows() > 0);
            let text = batches.flat_map(|batch| {
                (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1))).collect::<Vec<_>>()
            });
            text.collect()
        };
        let expected = rows(table(whole.path(), name));
        let mut found = Vec::new();
        for (index, (folder, _)) in shards.iter().enumerate() {
            let path = folder.path().join("omop").join(format!("{name}.{}-of-4.parquet", index + 1));
            found.extend(rows(batches(&path)));
        }
        assert!(expected == found, "{name}: {} and {}", expected.len(), found.len());
    }
}

#[test]
fn rows_agree_with_resources() {
    let (folder, manifest) = run(60, |_| {});
    let resources = resources(folder.path());
    let of = |name: &str| resources.iter().filter(|value| value["resourceType"] == name).count() as u64;
    let rows = |name: &str| manifest.rows[name];
    assert_eq!(rows("person"), of("Patient"));
    assert_eq!(rows("visit_occurrence"), of("Encounter"));
    assert_eq!(rows("provider"), of("Practitioner"));
    assert_eq!(rows("care_site"), of("Organization") + of("Location"));
    let dead = resources.iter().filter(|value| value["deceasedDateTime"].is_string()).count() as u64;
    assert_eq!((rows("death"), manifest.deceased), (dead, dead));
    let drugs = of("MedicationRequest") + of("Immunization") + of("MedicationAdministration");
    assert!(rows("drug_exposure") <= drugs);
    assert_eq!(rows("device_exposure"), of("DeviceUseStatement"));
    // Each fact is at least one row; a panel is one per component, an allergy also one per reaction.
    let mut facts = 0;
    for value in &resources {
        let length = |field: &str| value[field].as_array().map_or(0, Vec::len) as u64;
        facts += match value["resourceType"].as_str().unwrap() {
            "Condition" | "Procedure" | "MedicationRequest" | "MedicationAdministration" | "Immunization" => 1,
            "Observation" => length("component").max(1),
            "AllergyIntolerance" => 1 + length("reaction"),
            _ => 0,
        };
    }
    let events = ["condition_occurrence", "procedure_occurrence", "drug_exposure", "measurement", "observation"];
    let written: u64 = events.iter().map(|name| rows(name)).sum();
    assert!(written >= facts && written < facts + facts / 10, "{written} rows of {facts} facts");
}

#[test]
fn keys_are_unique_and_foreign_keys_lead_somewhere() {
    let (folder, _) = run(60, |_| {});
    let folder = folder.path();
    let persons: HashSet<i64> = keys(folder, "person", "person_id").into_iter().collect();
    let visits: HashSet<i64> = keys(folder, "visit_occurrence", "visit_occurrence_id").into_iter().collect();
    let providers: HashSet<i64> = keys(folder, "provider", "provider_id").into_iter().collect();
    let sites: HashSet<i64> = keys(folder, "care_site", "care_site_id").into_iter().collect();
    let locations: HashSet<i64> = keys(folder, "location", "location_id").into_iter().collect();
    assert_eq!(visits.len(), keys(folder, "visit_occurrence", "visit_occurrence_id").len());
    assert_eq!(locations.len(), keys(folder, "location", "location_id").len());
    for (name, key) in [
        ("condition_occurrence", "condition_occurrence_id"),
        ("drug_exposure", "drug_exposure_id"),
        ("procedure_occurrence", "procedure_occurrence_id"),
        ("device_exposure", "device_exposure_id"),
        ("measurement", "measurement_id"),
        ("observation", "observation_id"),
    ] {
        let all = keys(folder, name, key);
        assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len(), "{name}");
        assert!(keys(folder, name, "person_id").iter().all(|key| persons.contains(key)), "{name}");
        assert!(keys(folder, name, "visit_occurrence_id").iter().all(|key| visits.contains(key)), "{name}");
        assert!(keys(folder, name, "provider_id").iter().all(|key| providers.contains(key)), "{name}");
    }
    assert!(keys(folder, "visit_occurrence", "care_site_id").iter().all(|key| sites.contains(key)));
    assert!(keys(folder, "person", "location_id").iter().all(|key| locations.contains(key)));
    assert!(keys(folder, "care_site", "location_id").iter().all(|key| locations.contains(key)));
}

#[test]
fn dates_are_in_order() {
    let (folder, _) = run(120, |options| options.years_of_history = 0);
    let resources = resources(folder.path());
    let mut of: HashMap<String, (String, String)> = HashMap::new();
    for value in resources.iter().filter(|value| value["resourceType"] == "Patient") {
        let death = value["deceasedDateTime"].as_str().unwrap_or("2026-01-01").to_owned();
        let birth = value["birthDate"].as_str().unwrap().to_owned();
        of.insert(format!("Patient/{}", value["id"].as_str().unwrap()), (birth, death));
    }
    let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
    let mut checked = 0;
    for value in &resources {
        let reference = value["subject"]["reference"].as_str().or(value["patient"]["reference"].as_str());
        let Some((birth, death)) = reference.map(|reference| &of[reference]) else { continue };
        let mut moments: BTreeMap<&str, &str> = BTreeMap::new();
        for field in [
            "onsetDateTime",
            "recordedDate",
            "abatementDateTime",
            "effectiveDateTime",
            "authoredOn",
            "performedDateTime",
            "occurrenceDateTime",
            "recordedOn",
            "started",
        ] {
            if let Some(text) = value[field].as_str() {
                moments.insert(field, text);
            }
        }
        for (field, end) in [
            ("period", "start"),
            ("period", "end"),
            ("performedPeriod", "start"),
            ("timingPeriod", "start"),
            ("timingPeriod", "end"),
        ] {
            if let Some(text) = value[field][end].as_str() {
                moments.insert(end, text);
            }
        }
        for (field, text) in &moments {
            assert!(&text[..10] >= birth.as_str() && text[..10] <= death[..10], "{field} {text} {birth} {death}");
            if death.len() > 10 {
                assert!(instant(text) <= instant(death), "{field} {text} after {death}");
            }
            checked += 1;
        }
        for (earlier, later) in
            [("start", "end"), ("onsetDateTime", "recordedDate"), ("recordedDate", "abatementDateTime")]
        {
            if let (Some(earlier), Some(later)) = (moments.get(earlier), moments.get(later)) {
                assert!(instant(earlier) <= instant(later), "{value}");
            }
        }
    }
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn history_is_cut_at_the_window() {
    let (_whole, all) = run(30, |options| options.years_of_history = 0);
    let (_window, ten) = run(30, |_| {});
    let (_short, one) = run(30, |options| options.years_of_history = 1);
    for name in ["Encounter", "Observation", "Immunization"] {
        assert!(all.resources[name] > ten.resources[name] && ten.resources[name] > one.resources[name], "{name}");
    }
    assert_eq!(all.resources["AllergyIntolerance"], one.resources["AllergyIntolerance"]);
    assert_eq!(all.resources["Patient"], one.resources["Patient"]);
}

#[test]
fn a_folder_of_modules_adds_and_replaces() {
    let modules = tempfile::tempdir().unwrap();
    let states =
        r#"{"name":"w","states":{"Initial":{"type":"Initial","direct_transition":"End"},"End":{"type":"Terminal"}}}"#;
    fs::write(modules.path().join("wellness.json"), states).unwrap();
    let (_folder, manifest) = run(5, |options| options.modules = Some(modules.path().into()));
    let (_other, plain) = run(5, |_| {});
    assert_ne!(manifest.modules["wellness"], plain.modules["wellness"]);
    assert_eq!(manifest.modules.len(), plain.modules.len());
    assert!(manifest.resources["Observation"] < plain.resources["Observation"]);
}
