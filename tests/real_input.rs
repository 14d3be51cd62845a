use serde_json::Value;

use crate::healthlake::{Healthlake, shared};

/// Runs the whole pipeline on a folder of the reference data: every resource is accounted for, and the only required
/// checks that fail name what is wrong with the input.
fn run(test: &str, folder: &str, resources: u64, wrong: &[&str]) -> Option<(Healthlake, Value)> {
    let folder = shared(test, folder)?;
    let lake = Healthlake::new();
    let vocabulary = shared(test, "omop/vocabulary")?;
    lake.json("vocabulary", &["vocabulary", "import", vocabulary.to_str().unwrap()]);
    let summary = lake.json("run", &["run", "--fhir", folder.to_str().unwrap()]);
    let accounting = &summary["accounting"];
    let count = |key: &str| accounting[key].as_u64().unwrap();
    assert_eq!(count("read"), resources, "{accounting}");
    assert_eq!(count("read"), count("mapped") + count("excluded") + count("rejected"), "{accounting}");
    for name in summary["checks"]["failed_names"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        assert!(wrong.iter().any(|wrong| name.starts_with(wrong)), "{name} failed");
    }
    assert_eq!(summary["oracle"], Value::Null);
    Some((lake, summary))
}

#[test]
fn synthea_sample_of_45_123_resources() {
    let Some((lake, summary)) = run("synthea_sample", "fhir/synthea-smart-r4/ndjson", 45_123, &[]) else { return };
    assert_eq!(summary["accounting"]["rejected"], 0);
    assert_eq!(summary["tables"]["omop.person"], 150);
    let unmapped = "select count(*) from omop.condition_occurrence where condition_concept_id = 0";
    assert_eq!(lake.value(unmapped), "1");
}

#[test]
fn bulk_export_of_ten_patients() {
    run("bulk_export", "fhir/smart-bulk-10-patients", 7_160, &[]);
}

#[test]
fn us_core_examples() {
    // 230 resources, 5 of them Bundles, which are opened.
    // One patient of the examples has events before the day of birth, and one has a name for an id.
    run(
        "us_core_examples",
        "fhir/us-core-examples/ndjson",
        241,
        &["plausibleAfterBirth/", "noPersonalData/omop.person."],
    );
}

#[test]
fn hl7_r4_examples() {
    // 678 resources, 36 of them Bundles, which are opened, and so are the Bundles in them.
    run("hl7_r4_examples", "fhir/hl7-r4-examples/ndjson", 4_032, &[]);
}
