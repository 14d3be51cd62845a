use serde_json::Value;

use crate::healthlake::{Healthlake, shared};

/// Runs the whole pipeline on a folder of the reference data: every resource is accounted for and no check that
/// must hold on any input fails.
fn run(test: &str, folder: &str, resources: u64) -> Option<(Healthlake, Value)> {
    let folder = shared(test, folder)?;
    let lake = Healthlake::new();
    let vocabulary = shared(test, "omop/vocabulary")?;
    lake.json("vocabulary", &["vocabulary", "import", vocabulary.to_str().unwrap()]);
    let summary = lake.json("run", &["run", "--fhir", folder.to_str().unwrap()]);
    let accounting = &summary["accounting"];
    let count = |key: &str| accounting[key].as_u64().unwrap();
    assert_eq!(count("read"), resources, "{accounting}");
    assert_eq!(count("read"), count("mapped") + count("excluded") + count("rejected"), "{accounting}");
    assert_eq!(summary["checks"]["failed_names"], serde_json::json!([]));
    assert_eq!(summary["oracle"], Value::Null);
    Some((lake, summary))
}

#[test]
fn synthea_sample_of_45_123_resources() {
    let Some((lake, summary)) = run("synthea_sample", "fhir/synthea-smart-r4/ndjson", 45_123) else { return };
    assert_eq!(summary["accounting"]["rejected"], 0);
    assert_eq!(summary["tables"]["omop.person"], 150);
    let unmapped = "select count(*) from omop.condition_occurrence where condition_concept_id = 0";
    assert_eq!(lake.value(unmapped), "0");
}

#[test]
fn bulk_export_of_ten_patients() {
    run("bulk_export", "fhir/smart-bulk-10-patients", 7_160);
}

#[test]
fn us_core_examples() {
    run("us_core_examples", "fhir/us-core-examples/ndjson", 230);
}

#[test]
fn hl7_r4_examples() {
    run("hl7_r4_examples", "fhir/hl7-r4-examples/ndjson", 678);
}
