//! Files to a lake and back, over small inputs of our own.

mod public_sample;

mod across_runs;
mod derived;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::NaiveDate;
use lake::{AsOf, Config, Lake, TableName};

use crate::{Error, MedicationRequestPolicy, Options, Outcome, run};

fn options(run_id: &str, sources: &[&Path]) -> Options {
    Options {
        sources: sources.iter().map(|path| path.display().to_string()).collect(),
        source_id: "test".into(),
        run_id: run_id.into(),
        started_at: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap(),
        keep_raw: true,
        medication_request_policy: MedicationRequestPolicy::OrdersAsExposure,
        keep_address: false,
        notes: false,
        complete: false,
        views: None,
        rows: None,
        table_choice: crate::TableChoice::default(),
        no_omop: false,
        threads: 2,
    }
}

async fn load(lake: &Lake, run_id: &str, sources: &[&Path]) -> Outcome {
    let outcome = run(lake, &options(run_id, sources), &|_| ()).await.unwrap();
    assert!(outcome.accounting.balances());
    outcome
}

async fn lake_in(folder: &Path) -> Lake {
    Lake::open(&Config::folder(folder)).await.unwrap()
}

async fn query(lake: &Lake, sql: &str) -> Vec<String> {
    let session = lake.session(&AsOf::Latest).await.unwrap();
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cell =
                |column: &arrow::array::ArrayRef| arrow::util::display::array_value_to_string(column, row).unwrap();
            rows.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join("|"));
        }
    }
    rows
}

/// The same rows, whatever their order, in all tables that must not depend on the run.
async fn content(lake: &Lake) -> BTreeMap<String, Vec<String>> {
    let mut content = BTreeMap::new();
    for table in lake.tables().await.unwrap() {
        let own = ["pipeline_run_id", "persisted_at", "ingested_at", "file", "line"];
        if table.namespace == "quality" && table.name != "crosswalk" || table.name == "cdm_source" {
            continue;
        }
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let frame = session.table(format!("{}.{}", table.namespace, table.name)).await.unwrap();
        let columns = frame.schema().fields().iter().map(|field| field.name().clone());
        let columns: Vec<_> =
            columns.filter(|name| !own.contains(&name.as_str())).map(|name| format!("\"{name}\"")).collect();
        let mut rows =
            query(lake, &format!("select {} from {}.{}", columns.join(", "), table.namespace, table.name)).await;
        rows.sort();
        content.insert(table.to_string(), rows);
    }
    content
}

fn assert_same(now: &BTreeMap<String, Vec<String>>, before: &BTreeMap<String, Vec<String>>) {
    for (table, rows) in now {
        let old = before.get(table).map(Vec::as_slice).unwrap_or_default();
        let new: Vec<_> = rows.iter().filter(|row| !old.contains(row)).collect();
        let gone: Vec<_> = old.iter().filter(|row| !rows.contains(row)).collect();
        assert!(rows == old, "{table}: new {new:#?}, gone {gone:#?}, {} rows, {} before", rows.len(), old.len());
    }
    assert!(now.keys().eq(before.keys()));
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","meta":{"versionId":"1","lastUpdated":"2024-01-01T00:00:00Z"},"gender":"male","birthDate":"1980-05-06","identifier":[{"system":"urn:mrn","value":"77"}],"address":[{"state":"MA","postalCode":"02139","country":"US"}]}"#;
const ENCOUNTER: &str = r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p"},"period":{"start":"2024-03-01T10:00:00Z","end":"2024-03-01T11:00:00Z"}}"#;
const CONDITION: &str = r#"{"resourceType":"Condition","id":"c","code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006"}]},"subject":{"reference":"Patient?identifier=urn:mrn|77"},"encounter":{"reference":"Encounter/e"},"onsetDateTime":"2024-02-01"}"#;
const PLAN: &str = r#"{"resourceType":"CarePlan","id":"x","status":"active"}"#;

#[tokio::test]
async fn any_order_of_files_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    fs::create_dir_all(&a).unwrap();
    fs::create_dir_all(&b).unwrap();
    fs::write(a.join("1.ndjson"), format!("\u{feff}{CONDITION}\r\n\n{PLAN}\r\n")).unwrap();
    fs::write(a.join("2.ndjson"), format!("{ENCOUNTER}\n{PATIENT}")).unwrap();
    let entries = [PATIENT, PLAN, ENCOUNTER, CONDITION].map(|json| format!("{{\"resource\":{json}}}")).join(",\n  ");
    fs::write(b.join("bundle.json"), format!("{{\"resourceType\":\"Bundle\",\n\"entry\":[{entries}]}}")).unwrap();
    let (first, second) = (lake_in(&folder.path().join("l1")).await, lake_in(&folder.path().join("l2")).await);
    let outcome = load(&first, "r1", &[&a]).await;
    let total = outcome.accounting.total();
    assert_eq!((total.read, total.mapped, total.excluded, total.rejected), (4, 3, 1, 0), "{outcome:?}");
    assert_eq!(outcome.exclusions, BTreeMap::from([("CarePlan no_omop_target".to_owned(), 1)]));
    load(&second, "r2", &[&b]).await;
    assert_eq!(content(&first).await, content(&second).await);
    assert_eq!(
        query(
            &first,
            "select p.year_of_birth, v.visit_start_date, c.condition_start_date, c.condition_source_value, o.observation_period_start_date, o.observation_period_end_date, c.visit_occurrence_id = v.visit_occurrence_id
             from omop.person p join omop.visit_occurrence v on v.person_id = p.person_id join omop.condition_occurrence c on c.person_id = p.person_id join omop.observation_period o on o.person_id = p.person_id"
        )
        .await,
        ["1980|2024-03-01|2024-02-01|44054006|2024-02-01|2024-03-01|true"]
    );
    assert_eq!(
        query(&first, "select id, patient_id, encounter_id, onset_datetime from fhir.condition").await,
        ["c|p|e|2024-02-01T00:00:00"]
    );
    assert_eq!(query(&first, "select count(*) from omop.cdm_source").await, ["1"]);
}

#[tokio::test]
async fn runs_repeat_change_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    fs::write(&file, [PATIENT, ENCOUNTER, CONDITION, PLAN].join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let before = content(&lake).await;
    let again = load(&lake, "r1", &[&file]).await;
    assert!(again.already_committed);
    assert_eq!(again.accounting.total().mapped, 3);
    let repeated = load(&lake, "r2", &[&file]).await;
    // The plan makes no row in OMOP, but one in its flat table.
    assert_eq!((repeated.already_committed, repeated.unchanged, repeated.accounting.total().mapped), (false, 4, 3));
    assert_same(&content(&lake).await, &before);

    // An event alone finds its patient and visit in the lake, also by an identifier.
    let later = CONDITION.replace("2024-02-01", "2023-02-01");
    fs::write(&file, &later).unwrap();
    let changed = load(&lake, "r3", &[&file]).await;
    assert_eq!((changed.unchanged, changed.accounting.total().mapped), (0, 1), "{changed:?}");
    let rows = "select condition_start_date, visit_occurrence_id is not null from omop.condition_occurrence";
    assert_eq!(query(&lake, rows).await, ["2023-02-01|true"]);
    assert_eq!(query(&lake, "select id, onset_datetime from fhir.condition").await, ["c|2023-02-01T00:00:00"]);
    let period = "select observation_period_start_date, observation_period_end_date from omop.observation_period";
    assert_eq!(query(&lake, period).await, ["2023-02-01|2024-03-01"]);
    let crosswalk = "select count(*), count(distinct omop_id) from quality.crosswalk";
    assert_eq!(query(&lake, crosswalk).await, ["4|4"]);

    let refuted =
        later.replace("\"code\":{", "\"verificationStatus\":{\"coding\":[{\"code\":\"entered-in-error\"}]},\"code\":{");
    fs::write(&file, &refuted).unwrap();
    let outcome = load(&lake, "r4", &[&file]).await;
    assert_eq!(outcome.accounting.total().excluded, 1, "{outcome:?}");
    assert_eq!(query(&lake, "select count(*) from omop.condition_occurrence").await, ["0"]);
    assert_eq!(query(&lake, "select verification_status from fhir.condition").await, ["entered-in-error"]);
    assert_eq!(query(&lake, period).await, ["2024-03-01|2024-03-01"]);

    // A visit in front of another changes that one too.
    let earlier = ENCOUNTER.replace("\"e\"", "\"before\"").replace("2024-03", "2024-01");
    fs::write(&file, &earlier).unwrap();
    load(&lake, "r4b", &[&file]).await;
    let order = "select v.visit_start_date, w.visit_start_date, v.pipeline_run_id from omop.visit_occurrence v \
                 left join omop.visit_occurrence w on w.visit_occurrence_id = v.preceding_visit_occurrence_id \
                 order by v.visit_start_date";
    assert_eq!(query(&lake, order).await, ["2024-01-01||r4b", "2024-03-01|2024-01-01|r4b"]);
    fs::write(&file, earlier.replace("finished", "cancelled")).unwrap();
    load(&lake, "r4c", &[&file]).await;
    assert_eq!(query(&lake, order).await, ["2024-03-01||r4c"]);

    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Encounter/e"}}]}"#;
    fs::write(&file, deletion).unwrap();
    load(&lake, "r5", &[&file]).await;
    assert_eq!(query(&lake, "select count(*) from omop.visit_occurrence").await, ["0"]);
    assert_eq!(query(&lake, "select count(*) from fhir.encounter where id = 'e'").await, ["0"]);
    assert_eq!(
        query(&lake, "select op from raw.resource_version where resource_id = 'e' order by op").await,
        ["delete", "put"]
    );
    assert_eq!(query(&lake, "select omop_table from quality.crosswalk").await, ["person"]);
}

/// Each type with rows has a flat table, which remembers what was mapped: a second run adds nothing, a change replaces.
#[tokio::test]
async fn every_type_is_repeated_and_changed_without_a_second_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let aspirin = r#""subject":{"reference":"Patient/p"},"medicationReference":{"reference":"Medication/m"}"#;
    let others = [
        r#"{"resourceType":"Medication","id":"m","code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"243670"}]}}"#.to_owned(),
        format!(r#"{{"resourceType":"MedicationStatement","id":"s","status":"active","effectiveDateTime":"2024-02-01",{aspirin}}}"#),
        format!(r#"{{"resourceType":"MedicationAdministration","id":"a","status":"completed","effectiveDateTime":"2024-02-01",{aspirin}}}"#),
        format!(r#"{{"resourceType":"MedicationDispense","id":"d","status":"completed","whenHandedOver":"2024-02-01",{aspirin}}}"#),
        r#"{"resourceType":"DiagnosticReport","id":"r","status":"final","subject":{"reference":"Patient/p"},"effectiveDateTime":"2024-02-01","conclusion":"well"}"#.to_owned(),
        r#"{"resourceType":"Specimen","id":"b","subject":{"reference":"Patient/p"},"receivedTime":"2024-02-01"}"#.to_owned(),
        r#"{"resourceType":"DeviceUseStatement","id":"u","status":"active","subject":{"reference":"Patient/p"},"timingDateTime":"2024-02-01","device":{"reference":"Device/v"}}"#.to_owned(),
        r#"{"resourceType":"Device","id":"v","lotNumber":"L"}"#.to_owned(),
        r#"{"resourceType":"FamilyMemberHistory","id":"f","status":"completed","patient":{"reference":"Patient/p"},"date":"2024-02-01","condition":[{}]}"#.to_owned(),
        r#"{"resourceType":"QuestionnaireResponse","id":"q","status":"completed","subject":{"reference":"Patient/p"},"authored":"2024-02-01","item":[{"linkId":"1","answer":[{"valueBoolean":true}]}]}"#.to_owned(),
        r#"{"resourceType":"Coverage","id":"k","status":"active","beneficiary":{"reference":"Patient/p"},"period":{"start":"2024-02-01"}}"#.to_owned(),
        r#"{"resourceType":"Claim","id":"x","status":"active","patient":{"reference":"Patient/p"},"insurance":[{"coverage":{"reference":"Coverage/k"}}],"item":[{"encounter":[{"reference":"Encounter/e"}]}],"total":{"value":1,"currency":"USD"}}"#.to_owned(),
        r#"{"resourceType":"ExplanationOfBenefit","id":"x","status":"active","patient":{"reference":"Patient/p"},"item":[{"encounter":[{"reference":"Encounter/e"}]}],"payment":{"amount":{"value":1}}}"#.to_owned(),
        r#"{"resourceType":"PractitionerRole","id":"r"}"#.to_owned(),
        r#"{"resourceType":"DocumentReference","id":"d","status":"current"}"#.to_owned(),
        r#"{"resourceType":"Composition","id":"c","status":"final"}"#.to_owned(),
    ];
    fs::write(&file, format!("{PATIENT}\n{ENCOUNTER}\n{}", others.join("\n"))).unwrap();
    let outcome = load(&lake, "r1", &[&file]).await;
    let total = outcome.accounting.total();
    assert_eq!((total.mapped, total.excluded, total.rejected), (14, 4, 0), "{outcome:?}");
    let before = content(&lake).await;
    let repeated = load(&lake, "r2", &[&file]).await;
    assert_eq!(repeated.unchanged, total.mapped + total.excluded);
    assert_same(&content(&lake).await, &before);

    // Events of the same day, alone, find their patient, coverage and visit in the lake.
    let later: Vec<String> = others.iter().map(|json| json.replace("2024-02-01", "2024-03-01")).collect();
    fs::write(&file, later.join("\n")).unwrap();
    let changed = load(&lake, "r3", &[&file]).await;
    assert_eq!(changed.accounting.total().rejected, 0, "{changed:?}");
    let now = content(&lake).await;
    for table in ["drug_exposure", "note", "specimen", "device_exposure", "observation", "payer_plan_period", "cost"] {
        let table = format!("omop.{table}");
        assert_eq!(now[&table].len(), before[&table].len(), "{table}");
    }
    assert_eq!(query(&lake, "select count(*) from omop.cost where payer_plan_period_id is not null").await, ["1"]);
    assert_eq!(
        query(&lake, "select count(*) from omop.drug_exposure where drug_exposure_start_date = date '2024-03-01'")
            .await,
        ["3"]
    );
}

#[tokio::test]
async fn a_patient_who_goes_takes_his_rows_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let other = |json: &str| json.replace("\"p\"", "\"q\"").replace("/p\"", "/q\"").replace("\"77\"", "\"78\"");
    let others = [other(PATIENT).replace("02139", "99501"), other(ENCOUNTER).replace("\"e\"", "\"f\"")].join("\n");
    fs::write(&file, &others).unwrap();
    load(&lake, "r1", &[&file]).await;
    let alone = content(&lake).await;
    fs::write(&file, [PATIENT, ENCOUNTER, CONDITION].join("\n")).unwrap();
    load(&lake, "r2", &[&file]).await;
    assert_eq!(query(&lake, "select count(*) from omop.visit_occurrence").await, ["2"]);

    let deletion =
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}"#;
    fs::write(&file, deletion).unwrap();
    load(&lake, "r3", &[&file]).await;
    let mut after = content(&lake).await;
    assert_eq!(after["raw.resource_version"].len(), 6, "what came stays as it came");
    after.insert("raw.resource_version".into(), alone["raw.resource_version"].clone());
    assert_same(&after, &alone);

    // He comes back, and so do his events.
    fs::write(&file, [PATIENT, ENCOUNTER, CONDITION].join("\n")).unwrap();
    load(&lake, "r4", &[&file]).await;
    assert_eq!(query(&lake, "select count(*) from omop.condition_occurrence").await, ["1"]);
}

/// So few rows go that files stay and have deletes; derived rows are those of the last state all the same.
#[tokio::test]
async fn days_of_few_changes_end_where_one_load_of_all_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let mut resources: Vec<String> = (100..140)
        .flat_map(|number| {
            [PATIENT, ENCOUNTER, CONDITION].map(|json| {
                let json = json.replace("\"p\"", &format!("\"p{number}\"")).replace("/p\"", &format!("/p{number}\""));
                let json = json.replace("\"e\"", &format!("\"e{number}\"")).replace("/e\"", &format!("/e{number}\""));
                let json = json.replace("\"c\"", &format!("\"c{number}\""));
                json.replace("\"77\"", &format!("\"{number}\"")).replace("|77\"", &format!("|{number}\""))
            })
        })
        .collect();
    fs::write(&file, resources.join("\n")).unwrap();
    load(&lake, "day 0", &[&file]).await;
    for (day, number, year) in [(1, 3, "2024-0"), (2, 4, "2024-0"), (3, 3, "2021-0")] {
        let today: Vec<usize> = [1, 2, 10].iter().map(|offset| number * 3 + offset).collect();
        for index in &today {
            resources[*index] = resources[*index].replace(year, &format!("202{day}-0"));
        }
        let changed: Vec<&str> = today.iter().map(|index| resources[*index].as_str()).collect();
        fs::write(&file, changed.join("\n")).unwrap();
        load(&lake, &format!("day {day}"), &[&file]).await;
    }
    let history = lake.history(&TableName::new("omop", "condition_occurrence")).await.unwrap();
    assert_eq!(history.last().unwrap().summary["total-position-deletes"], "2");

    let fresh = lake_in(&folder.path().join("fresh")).await;
    fs::write(&file, resources.join("\n")).unwrap();
    load(&fresh, "all", &[&file]).await;
    let (mut now, all) = (content(&lake).await, content(&fresh).await);
    now.insert("raw.resource_version".into(), all["raw.resource_version"].clone());
    assert_same(&now, &all);
}

#[tokio::test]
async fn a_backfill_needs_no_files_and_changes_nothing_that_the_rules_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let empty = crate::backfill(&lake, &options("r0", &[]), &|_| ()).await.unwrap_err();
    assert!(empty.to_string().contains("--keep-raw"), "{empty}");
    let second = ENCOUNTER.replace("\"e\"", "\"gone\"");
    fs::write(&file, [PATIENT, ENCOUNTER, &second, CONDITION, PLAN].join("\n")).unwrap();
    load(&lake, "r1", &[&file]).await;
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Encounter/gone"}}]}"#;
    fs::write(&file, format!("{deletion}\n{}", CONDITION.replace("2024-02-01", "2024-02-02"))).unwrap();
    load(&lake, "r2", &[&file]).await;
    let before = content(&lake).await;
    fs::remove_file(&file).unwrap();
    let filled = crate::backfill(&lake, &options("r3", &[]), &|_| ()).await.unwrap();
    let total = filled.outcome.accounting.total();
    assert_eq!((total.read, total.mapped, total.excluded, filled.not_kept), (4, 3, 1, 0), "{filled:?}");
    assert_same(&content(&lake).await, &before);
    assert_eq!(query(&lake, "select distinct pipeline_run_id from omop.condition_occurrence").await, ["r3"]);

    let mut other = options("r4", &[]);
    other.table_choice = crate::TableChoice::parse(&["Condition=observation"]).unwrap();
    crate::backfill(&lake, &other, &|_| ()).await.unwrap();
    assert_eq!(query(&lake, "select count(*) from omop.condition_occurrence").await, ["0"]);
    assert_eq!(query(&lake, "select observation_date from omop.observation").await, ["2024-02-02"]);
}

#[tokio::test]
async fn without_omop_only_the_other_namespaces_are_filled() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    fs::write(&file, [PATIENT, ENCOUNTER, CONDITION, PLAN].join("\n")).unwrap();
    let off = Options { no_omop: true, ..options("r1", &[&file]) };
    let outcome = run(&lake, &off, &|_| ()).await.unwrap();
    assert_eq!(outcome.exclusions.get("Condition omop_off"), Some(&1), "{outcome:?}");
    assert_eq!(outcome.exclusions.get("CarePlan no_omop_target"), Some(&1), "{outcome:?}");
    let rows = |table: &'static str| query_count(&lake, table);
    assert_eq!((rows("omop.person").await, rows("omop.cdm_source").await), (0, 0));
    assert_eq!((rows("fhir.condition").await, rows("raw.resource_version").await), (1, 4));
    crate::backfill(&lake, &options("r2", &[]), &|_| ()).await.unwrap();
    assert_eq!((rows("omop.person").await, rows("omop.condition_occurrence").await), (1, 1));
    assert_eq!(query(&lake, "select file is not null and line > 0 from raw.resource_version").await, ["true"; 4]);
}

async fn query_count(lake: &Lake, table: &str) -> usize {
    query(lake, &format!("select * from {table}")).await.len()
}

#[tokio::test]
async fn of_several_versions_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let newer = PATIENT.replace("2024-01-01T", "2024-05-01T").replace("1980", "1981");
    fs::write(&file, [&newer, PATIENT, &newer].join("\n")).unwrap();
    let lake = lake_in(&folder.path().join("lake")).await;
    let outcome = load(&lake, "r1", &[&file]).await;
    let expected = [("Patient duplicate", 1), ("Patient superseded_version", 1)];
    assert_eq!(outcome.exclusions, expected.map(|(key, count)| (key.to_owned(), count)).into());
    assert_eq!(query(&lake, "select year_of_birth from omop.person").await, ["1981"]);
}

/// Each file of `testdata/bad` says in its name what must be said about it.
#[tokio::test]
async fn bad_records_are_rejected_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let bad = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/bad"));
    let lake = lake_in(&folder.path().join("lake")).await;
    let truncated = folder.path().join("Patient-2-damaged_gzip.ndjson.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut packed, format!("{}\n{PATIENT}", PATIENT.replace("\"p\"", "\"whole\"")).as_bytes())
        .unwrap();
    let packed = packed.finish().unwrap();
    fs::write(&truncated, &packed[..packed.len() - 60]).unwrap();
    let outcome = load(&lake, "r1", &[bad, &truncated]).await;
    let mut expected = vec!["Patient-2-damaged_gzip.ndjson.gz".to_owned()];
    expected.extend(fs::read_dir(bad).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    expected.retain(|name| !name.starts_with("none"));
    expected.sort();
    let rejected =
        query(&lake, "select file, resource_type, line, reason, coalesce(field, ''), detail from quality.rejected")
            .await;
    let mut found: Vec<String> = Vec::new();
    for row in &rejected {
        let cells: Vec<_> = row.split('|').collect();
        let file = Path::new(cells[0]).file_name().unwrap().to_str().unwrap();
        // `<what stands there>-<line>-<reason>.<extension>`, the first part free.
        let told = format!("{}-{}.", cells[2], cells[3]);
        assert!(file.contains(&told), "{row}");
        assert!(!cells[5].contains("secret"), "{row}");
        found.push(file.to_owned());
    }
    found.sort();
    assert_eq!(found, expected);
    let good = fs::read_dir(bad).unwrap().count() as u64;
    assert!(outcome.accounting.total().mapped >= good - 2, "{outcome:?}");
}

#[tokio::test]
async fn what_cannot_be_run_is_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(&folder.path().join("lake")).await;
    let error = run(&lake, &options("r", &[Path::new("/no/such")]), &|_| ()).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchSource { .. }));
    assert!(lake.tables().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_huge_line_is_rejected_and_its_neighbours_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Patient.ndjson");
    let huge = format!(r#"{{"resourceType":"Patient","id":"huge","x":"{}"}}"#, "y".repeat(100 << 20));
    fs::write(&file, format!("{PATIENT}\n{huge}\n{ENCOUNTER}\n")).unwrap();
    let lake = lake_in(&folder.path().join("lake")).await;
    let outcome = load(&lake, "r", &[&file]).await;
    assert_eq!((outcome.accounting.total().mapped, outcome.accounting.total().rejected), (2, 1), "{outcome:?}");
    let told = query(&lake, "select line, reason, detail from quality.rejected").await;
    assert_eq!(told, ["2|record_too_large|expected a record of at most 64 MiB"]);
}
