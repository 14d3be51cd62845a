//! What one run told of a resource, and another run refers to, or tells in another version.

use std::fs;

use super::{CONDITION, ENCOUNTER, PATIENT, assert_same, content, lake_in, load, query};

const TOLD: [&str; 5] = [
    PATIENT,
    r#"{"resourceType":"Medication","id":"m","code":{"text":"a tablet","coding":[{"system":"http://hospital.example/drugs","code":"7"},{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"243670","display":"aspirin","userSelected":true}]}}"#,
    r#"{"resourceType":"Device","id":"v","udiCarrier":[{"issuer":"x"},{"deviceIdentifier":"D-1"}],"lotNumber":"L","type":{"coding":[{"system":"http://hospital.example/devices","code":"9"}]}}"#,
    r#"{"resourceType":"Practitioner","id":"d"}"#,
    r#"{"resourceType":"PractitionerRole","id":"r","practitioner":{"reference":"Practitioner/d"}}"#,
];

const USED: [&str; 3] = [
    r#"{"resourceType":"MedicationRequest","id":"o","status":"active","intent":"order","subject":{"reference":"Patient/p"},"authoredOn":"2024-01-02","medicationReference":{"reference":"Medication/m"}}"#,
    r#"{"resourceType":"DeviceUseStatement","id":"u","status":"active","subject":{"reference":"Patient/p"},"timingDateTime":"2024-02-01","device":{"reference":"Device/v"}}"#,
    r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"},"period":{"start":"2024-03-01T10:00:00Z","end":"2024-03-01T11:00:00Z"},"participant":[{"individual":{"reference":"PractitionerRole/r"}}]}"#,
];

#[tokio::test]
async fn what_an_earlier_run_told_is_known_as_if_it_were_told_now() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let (one, two) = (lake_in(&folder.path().join("one")).await, lake_in(&folder.path().join("two")).await);
    fs::write(&file, [&TOLD[..], &USED[..]].concat().join("\n")).unwrap();
    load(&one, "r1", &[&file]).await;
    fs::write(&file, TOLD.join("\n")).unwrap();
    load(&two, "r1", &[&file]).await;
    fs::write(&file, USED.join("\n")).unwrap();
    let outcome = load(&two, "r2", &[&file]).await;
    assert!(!outcome.losses.keys().any(|loss| loss.contains("unresolved")), "{:?}", outcome.losses);
    assert_same(&content(&two).await, &content(&one).await);
    let drug = "select drug_source_value, drug_concept_id from omop.drug_exposure";
    assert_eq!(query(&two, drug).await, ["243670|19059056"]);
    let device = "select device_source_value, unique_device_id, production_id from omop.device_exposure";
    assert_eq!(query(&two, device).await, ["9|D-1|L"]);
    let provider = "select count(*) from omop.visit_occurrence v join omop.provider p on p.provider_id = v.provider_id";
    assert_eq!(query(&two, provider).await, ["1"]);
}

#[tokio::test]
async fn what_the_input_takes_away_is_not_known_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    fs::write(&file, TOLD.join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Medication/m"}}]}"#;
    fs::write(&file, [deletion, USED[0]].join("\n")).unwrap();
    let outcome = load(&lake, "r2", &[&file]).await;
    assert_eq!(outcome.losses["MedicationRequest.medication[x] unresolved_reference"], 1, "{:?}", outcome.losses);
    assert_eq!(query(&lake, "select drug_concept_id from omop.drug_exposure").await, ["0"]);
}

/// A version of a resource, and the day of which it is.
fn version(json: &str, day: u32) -> String {
    json.replacen("\"id\"", &format!("\"meta\":{{\"lastUpdated\":\"2024-06-0{day}T00:00:00Z\"}},\"id\""), 1)
}

#[tokio::test]
async fn an_older_version_that_comes_later_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    fs::write(&file, [PATIENT, ENCOUNTER, &version(CONDITION, 5)].join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let before = content(&lake).await;
    let older = version(&CONDITION.replace("2024-02-01", "2023-01-01"), 4);
    let deletion = r#"{"resourceType":"Bundle","type":"history","entry":[{"request":{"method":"DELETE","url":"Condition/c"},"response":{"status":"204","lastModified":"2024-06-03T00:00:00Z"}}]}"#;
    for (run, text) in [("r2", older.as_str()), ("r3", deletion)] {
        fs::write(&file, text).unwrap();
        let outcome = load(&lake, run, &[&file]).await;
        assert_eq!(outcome.exclusions["Condition superseded_version"], 1, "{outcome:?}");
        assert_same(&content(&lake).await, &before);
    }
    fs::write(&file, version(&CONDITION.replace("2024-02-01", "2023-01-01"), 6)).unwrap();
    load(&lake, "r4", &[&file]).await;
    let start = "select condition_start_date from omop.condition_occurrence";
    assert_eq!(query(&lake, start).await, ["2023-01-01"]);
}

#[tokio::test]
async fn a_version_that_does_not_count_is_no_visit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let race = |code: &str| {
        format!(
            r#"{{"url":"ombCategory","valueCoding":{{"system":"urn:oid:2.16.840.1.113883.6.238","code":"{code}"}}}}"#
        )
    };
    let races = format!(
        r#""extension":[{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{},{}]}}],"id""#,
        race("2106-3"),
        race("2028-9")
    );
    let other = ENCOUNTER.replace("\"e\"", "\"f\"").replace("2024-03-", "2024-04-");
    let newer = version(ENCOUNTER, 2);
    let older = version(&ENCOUNTER.replace("2024-03-", "2024-07-"), 1);
    let patient = PATIENT.replacen("\"id\"", &races, 1);
    fs::write(&file, [patient, newer, older, other].join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let days = "select distinct observation_date from omop.observation";
    assert_eq!(query(&lake, days).await, ["2024-04-01"]);
    let order = "select v.visit_start_date, w.visit_start_date from omop.visit_occurrence v \
                 left join omop.visit_occurrence w on w.visit_occurrence_id = v.preceding_visit_occurrence_id";
    assert_eq!(query(&lake, &format!("{order} order by 1")).await, ["2024-03-01|", "2024-04-01|2024-03-01"]);
}

/// Only what is said of persons: hashes of resources tell by which run they were mapped.
async fn rows(lake: &lake::Lake) -> std::collections::BTreeMap<String, Vec<String>> {
    content(lake).await.into_iter().filter(|(table, _)| table.starts_with("omop.")).collect()
}

#[tokio::test]
async fn who_was_merged_into_another_leaves_him_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let (one, two) = (lake_in(&folder.path().join("one")).await, lake_in(&folder.path().join("two")).await);
    let heir = PATIENT.replace("\"p\"", "\"q\"").replace("77", "88");
    let link = r#""active":false,"link":[{"type":"replaced-by","other":{"reference":"Patient/q"}}],"id""#;
    let merged = PATIENT.replacen("\"id\"", link, 1).replace("2024-01-01T", "2024-06-01T");
    let own = ENCOUNTER.replace("\"e\"", "\"f\"").replace("2024-03-", "2024-04-").replace("Patient/p", "Patient/q");
    let late = CONDITION.replace("\"c\"", "\"d\"").replace("2024-02-01", "2024-05-01");
    fs::write(&file, [&heir, &merged, ENCOUNTER, CONDITION, &own, &late].join("\n")).unwrap();
    let outcome = load(&one, "r1", &[&file]).await;
    assert_eq!(outcome.accounting.total().rejected, 0, "{:?}", outcome.rejections);
    assert_eq!(query(&one, "select count(*) from omop.person").await, ["1"]);
    let person = "select count(distinct c.person_id), count(*) from omop.condition_occurrence c \
                  join omop.person p on p.person_id = c.person_id and p.person_source_value = 'q'";
    assert_eq!(query(&one, person).await, ["1|2"]);
    let order = "select count(preceding_visit_occurrence_id) from omop.visit_occurrence";
    assert_eq!(query(&one, order).await, ["1"]);

    fs::write(&file, [PATIENT, &heir, ENCOUNTER, CONDITION, &own].join("\n")).unwrap();
    load(&two, "r1", &[&file]).await;
    assert_eq!(query(&two, "select count(*) from omop.person").await, ["2"]);
    fs::write(&file, &merged).unwrap();
    let outcome = load(&two, "r2", &[&file]).await;
    assert_eq!(outcome.exclusions["Patient replaced_record"], 1);
    assert_eq!(query(&two, person).await, ["1|1"]);
    // Somebody who does not know goes on using the old name.
    fs::write(&file, &late).unwrap();
    let outcome = load(&two, "r3", &[&file]).await;
    assert_eq!(outcome.accounting.total().mapped, 1, "{:?}", outcome.rejections);
    assert_same(&rows(&two).await, &rows(&one).await);
}

#[tokio::test]
async fn an_identifier_of_nobody_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let link = r#""active":false,"link":[{"type":"replaced-by","other":{"reference":"Patient/elsewhere"}}],"id""#;
    fs::write(&file, PATIENT.replacen("\"id\"", link, 1)).unwrap();
    load(&lake, "r1", &[&file]).await;
    fs::write(&file, CONDITION).unwrap();
    let outcome = load(&lake, "r2", &[&file]).await;
    assert_eq!(outcome.rejections["Condition unresolved_reference"], 1, "{outcome:?}");
}

#[tokio::test]
async fn what_was_seen_at_a_visit_stays_when_the_visit_goes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    fs::write(&file, [PATIENT, ENCOUNTER, CONDITION].join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let condition = "select count(*), count(visit_occurrence_id) from omop.condition_occurrence";
    assert_eq!(query(&lake, condition).await, ["1|1"]);
    fs::write(&file, ENCOUNTER.replace("11:00", "12:00")).unwrap();
    load(&lake, "r2", &[&file]).await;
    assert_eq!(query(&lake, condition).await, ["1|1"]);
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Encounter/e"}}]}"#;
    fs::write(&file, deletion).unwrap();
    let outcome = load(&lake, "r3", &[&file]).await;
    assert_eq!(query(&lake, condition).await, ["1|0"]);
    assert_eq!(outcome.rows["omop.condition_occurrence"], 1);
    assert_eq!(query(&lake, "select count(*) from omop.visit_occurrence").await, ["0"]);
}
