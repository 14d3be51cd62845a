//! Dirt: what each kind does to resources and rows, and that nothing else changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arrow::array::Array;
use serde_json::Value;

use super::run;
use crate::dirt::Kind;
use crate::manifest::Manifest;
use crate::sink::fhir::TYPES;
use crate::{Rates, Shard};

fn spoiled(patients: u64, rates: &str) -> (tempfile::TempDir, Manifest) {
    run(patients, |options| options.dirt = Some(Rates::read("test", rates).unwrap()))
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("fhir").join(format!("{name}.ndjson"))).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The codes at a path, with how often they stand there; null where there is none.
fn counted(folder: &Path, name: &str, path: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in lines(folder, name) {
        let value: Value = serde_json::from_str(&line).unwrap();
        let found = value.pointer(path).map_or("null".into(), |found| found.as_str().unwrap().to_owned());
        *counts.entry(found).or_default() += 1;
    }
    counts
}

#[test]
fn a_clean_file_of_rates_changes_no_byte() {
    let (_none, none) = run(40, |_| {});
    let (_clean, clean) = run(40, |options| options.dirt = Some(Rates::open("clean").unwrap()));
    assert_eq!(none.files, clean.files);
    assert_eq!(none.account, clean.account);
}

#[test]
fn dirt_depends_on_the_seed_alone() {
    let heavy = |shard, threads| {
        run(40, |options| {
            options.dirt = Some(Rates::open("heavy").unwrap());
            (options.claims, options.notes) = (true, true);
            (options.shard, options.threads) = (shard, threads);
        })
    };
    let (folder, whole) = heavy(Shard::WHOLE, 1);
    assert_eq!(heavy(Shard::WHOLE, 4).1.files, whole.files);
    let (one, two) = (heavy(Shard { index: 1, count: 2 }, 1), heavy(Shard { index: 2, count: 2 }, 1));
    for name in TYPES.into_iter().chain(["deleted"]) {
        let part = |folder: &Path, index| lines(folder, &format!("{name}.{index}-of-2"));
        let parts = [part(one.0.path(), 1), part(two.0.path(), 2)].concat();
        assert!(lines(folder.path(), name) == parts, "{name}");
    }
    let mut account = one.1.account;
    account.merge(two.1.account);
    assert_eq!(account, whole.account);
    assert!(Kind::ALL.iter().all(|kind| whole.account.dirt.contains_key(kind.name())), "{:?}", whole.account.dirt);
}

#[test]
fn every_resource_that_is_written_is_accounted_for() {
    let (folder, manifest) = run(40, |options| {
        options.dirt = Some(Rates::open("heavy").unwrap());
        (options.claims, options.notes) = (true, true);
    });
    let counts = manifest.account.accounting.by_type;
    assert!(counts.values().all(|counts| counts.balances()));
    let deletions = lines(folder.path(), "deleted");
    let entries: usize = deletions.iter().map(|line| line.matches("DELETE").count()).sum();
    let written: usize = TYPES.into_iter().map(|name| lines(folder.path(), name).len()).sum();
    let read: u64 = counts.values().map(|counts| counts.read).sum();
    assert_eq!(read as usize, written + deletions.len() + entries);
    assert_eq!(counts["Bundle"].read as usize, deletions.len());
}

#[test]
fn a_rate_is_the_share_that_is_spoiled_and_changes_nothing_else() {
    let (folder, few) = spoiled(40, "local_code = 0.2");
    let total = lines(folder.path(), "Observation").len() as f64;
    let share = few.account.dirt["local_code"]["Observation"] as f64 / total;
    assert!((share - 0.2).abs() < 0.02, "{share}");
    let (_more, more) = spoiled(40, "local_code = 0.2\nduplicate = 0.3");
    assert_eq!(few.account.dirt["local_code"], more.account.dirt["local_code"]);
    assert!(more.account.dirt["duplicate"]["Observation"] > 0);
}

#[test]
fn codes_are_local_or_missing() {
    let (folder, _) = spoiled(10, "local_code = 1");
    let systems = counted(folder.path(), "Condition", "/code/coding/0/system");
    assert_eq!(systems.keys().collect::<Vec<_>>(), ["urn:synthetic-healthlake:local-code"]);
    let concepts = |folder: &Path| -> Vec<i64> {
        let found = super::numbers(folder, "condition_occurrence", "condition_concept_id");
        assert!(found.len() > 20);
        found
    };
    assert!(concepts(folder.path()).iter().all(|concept| *concept == 0));
    let (folder, _) = spoiled(10, "missing_code = 1");
    assert_eq!(counted(folder.path(), "Condition", "/code/coding/0/code").keys().collect::<Vec<_>>(), ["null"]);
    assert!(concepts(folder.path()).iter().all(|concept| *concept == 0));
}

#[test]
fn what_is_denied_or_wrong_is_no_event() {
    let (folder, manifest) = spoiled(10, "refuted = 1");
    let codes = counted(folder.path(), "Condition", "/verificationStatus/coding/0/code");
    assert_eq!(codes.keys().collect::<Vec<_>>(), ["refuted"]);
    assert_eq!(manifest.rows["condition_occurrence"], 0);
    let (_folder, manifest) = spoiled(10, "entered_in_error = 1");
    for table in ["visit_occurrence", "condition_occurrence", "measurement", "drug_exposure", "observation_period"] {
        assert_eq!(manifest.rows[table], 0, "{table}");
    }
    let excluded = manifest.account.exclusions["Condition status_entered_in_error"];
    assert_eq!(excluded, manifest.resources["Condition"]);
}

#[test]
fn what_is_there_twice_is_one_row() {
    let (_clean, clean) = run(10, |_| {});
    for (rates, times, reason) in [
        ("duplicate = 1", 2, "duplicate"),
        ("late_update = 1", 2, "superseded_version"),
        ("merged_patient = 1", 1, "replaced_record"),
    ] {
        let (_folder, spoiled) = spoiled(10, rates);
        assert_eq!(spoiled.rows, clean.rows, "{rates}");
        assert_eq!(spoiled.resources["Condition"], times * clean.resources["Condition"], "{rates}");
        assert!(spoiled.account.exclusions.keys().any(|key| key.ends_with(reason)), "{rates}");
    }
    let (folder, manifest) = spoiled(10, "merged_patient = 1");
    assert_eq!(manifest.resources["Patient"], 20);
    let kinds = counted(folder.path(), "Patient", "/link/0/type");
    assert_eq!(kinds, BTreeMap::from([("replaced-by".into(), 10), ("replaces".into(), 10)]));
}

#[test]
fn what_is_deleted_or_invalid_has_no_row() {
    let (folder, manifest) = spoiled(10, "deleted = 1");
    assert_eq!((manifest.rows["visit_occurrence"], manifest.rows["measurement"]), (0, 0));
    assert_eq!(lines(folder.path(), "deleted").len(), 10);
    let (folder, manifest) = spoiled(30, "invalid = 1");
    assert_eq!((manifest.rows["visit_occurrence"], manifest.rows["measurement"]), (0, 0));
    let broken = lines(folder.path(), "Observation");
    let broken = broken.iter().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert!(broken > 0);
    let reasons: Vec<_> = manifest.account.rejections.keys().filter(|key| key.starts_with("Encounter ")).collect();
    let expected = [
        "Encounter end_before_start",
        "Encounter missing_element",
        "Encounter unknown_code",
        "Encounter unknown_modifier_extension",
        "Encounter unresolved_reference",
        "Encounter wrong_type",
    ];
    assert_eq!(reasons, expected);
}

/// The charge stands once, wherever a claim or an answer of it is left; the insurance only where that is taken.
#[test]
fn amounts_are_told_by_what_is_left() {
    let (folder, manifest) = run(10, |options| {
        options.claims = true;
        options.dirt = Some(Rates::read("test", "entered_in_error = 0.3").unwrap());
    });
    let sound = |name: &str, reference: &str| -> BTreeMap<String, String> {
        let values = lines(folder.path(), name).into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let values = values.filter(|value| value["status"] != "entered-in-error");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        values.map(|value| (text(&value["id"]), text(value.pointer(reference).unwrap_or(&Value::Null)))).collect()
    };
    let visits = sound("Encounter", "/id");
    let plans = sound("Coverage", "/id");
    let of_visit = |name: &str| -> BTreeMap<String, String> {
        let plan = sound(name, "/insurance/0/coverage/reference");
        let visit = sound(name, "/item/0/encounter/0/reference").into_iter();
        let visit = visit.map(|(id, visit)| (visit.strip_prefix("Encounter/").unwrap().to_owned(), plan[&id].clone()));
        visit.filter(|(visit, _)| visits.contains_key(visit)).collect()
    };
    let (claims, answers) = (of_visit("Claim"), of_visit("ExplanationOfBenefit"));
    let charged = claims.keys().chain(answers.keys()).collect::<std::collections::BTreeSet<_>>().len();
    assert!(charged > claims.len() && charged > answers.len());
    let is_known = |plan: &&String| plans.contains_key(plan.strip_prefix("Coverage/").unwrap());
    let known = claims.values().chain(answers.values()).filter(is_known).count();
    let costs = super::table(folder.path(), "cost");
    let told = |column: &str| costs.iter().map(|batch| batch.num_rows() - batch[column].null_count()).sum::<usize>();
    assert_eq!(told("cost_id"), claims.len() + answers.len());
    assert_eq!((told("total_charge"), told("amount_allowed")), (charged, answers.len()));
    assert_eq!(told("payer_plan_period_id"), known);
    assert!(known < told("cost_id"));
    assert!(manifest.account.exclusions["Claim no_visit"] > 0);
}

#[test]
fn moments_are_told_in_part_or_elsewhere() {
    let (folder, manifest) = spoiled(10, "partial_date = 1");
    let dates = counted(folder.path(), "Condition", "/onsetDateTime");
    let lengths: std::collections::BTreeSet<usize> = dates.keys().map(String::len).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [4, 7, 10]);
    let batches = super::table(folder.path(), "condition_occurrence");
    let moments = |batch: &arrow::array::RecordBatch| batch["condition_start_datetime"].null_count();
    assert!(batches.iter().all(|batch| moments(batch) == batch.num_rows()));
    assert_eq!(manifest.account.dirt["partial_date"]["Patient"], 10);
    let (folder, _) = spoiled(10, "time_zone = 1");
    let dates = counted(folder.path(), "Condition", "/onsetDateTime");
    let offsets: std::collections::BTreeSet<&str> = dates.keys().map(|date| &date[19..]).collect();
    assert!(["", "+00:00", "+05:30", "-11:00"].iter().all(|offset| offsets.contains(offset)), "{offsets:?}");
}

#[test]
fn units_races_and_names_differ() {
    let (folder, _) = spoiled(10, "wrong_unit = 1");
    let units = counted(folder.path(), "Observation", "/valueQuantity/code");
    assert!(
        units.contains_key("arb. units") && units.contains_key("mmol/L") && !units.contains_key("mg/dL"),
        "{units:?}"
    );
    let (_folder, manifest) = spoiled(10, "multi_race = 1");
    let (_clean, clean) = run(10, |_| {});
    assert!(manifest.rows["observation"] >= clean.rows["observation"] + 18);
    let (folder, manifest) = spoiled(30, "name_variant = 1");
    let families = counted(folder.path(), "Patient", "/name/0/family");
    assert!(families.contains_key("null") && families.keys().any(|name| *name == name.to_uppercase()));
    assert_eq!(manifest.rows, run(30, |_| {}).1.rows);
}
