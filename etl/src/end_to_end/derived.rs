//! Rows that come from other rows: eras, over runs that add, change and take away.

use std::fs;

use super::{PATIENT, lake_in, load, query};

fn order(id: &str, code: &str, days: u32, day: &str) -> String {
    format!(
        r#"{{"resourceType":"MedicationRequest","id":"{id}","status":"active","intent":"order","subject":{{"reference":"Patient/p"}},"authoredOn":"{day}","medicationCodeableConcept":{{"coding":[{{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"{code}"}}]}},"dispenseRequest":{{"expectedSupplyDuration":{{"value":{days},"code":"d","system":"http://unitsofmeasure.org"}}}}}}"#
    )
}

const DRUG_ERAS: &str = "select drug_concept_id, drug_era_start_date, drug_era_end_date, drug_exposure_count, gap_days, \
    pipeline_run_id from omop.drug_era order by drug_concept_id, drug_era_start_date";

#[tokio::test]
async fn exposures_to_one_ingredient_are_an_era_and_only_touched_persons_have_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    // Acetaminophen by itself, and with oxycodone; a drug that nobody knows; another person.
    let other = PATIENT.replace("\"p\"", "\"q\"");
    let of_other = order("o", "243670", 30, "2024-01-01").replace("Patient/p", "Patient/q");
    let orders = [
        order("a", "313782", 10, "2024-01-01"),
        order("b", "1049221", 5, "2024-01-31"),
        order("c", "0", 5, "2024-01-31"),
    ];
    let lines = orders.iter().map(String::as_str).chain([PATIENT, &other, &of_other]).collect::<Vec<_>>();
    fs::write(&file, lines.join("\n")).unwrap();
    let outcome = load(&lake, "r1", &[&file]).await;
    assert_eq!(outcome.rows["omop.drug_era"], 3);
    assert_eq!(outcome.losses["omop.drug_exposure.drug_concept_id no_ingredient"], 1);
    let aspirin = "1112807|2024-01-01|2024-01-31|1|0|r1";
    assert_eq!(
        query(&lake, DRUG_ERAS).await,
        [aspirin, "1124957|2024-01-31|2024-02-05|1|0|r1", "1125315|2024-01-01|2024-02-05|2|20|r1"]
    );

    fs::write(&file, order("b", "1049221", 5, "2024-03-31")).unwrap();
    load(&lake, "r2", &[&file]).await;
    let apart = [
        aspirin,
        "1124957|2024-03-31|2024-04-05|1|0|r2",
        "1125315|2024-01-01|2024-01-11|1|0|r2",
        "1125315|2024-03-31|2024-04-05|1|0|r2",
    ];
    assert_eq!(query(&lake, DRUG_ERAS).await, apart);
    let unchanged = load(&lake, "r3", &[&file]).await;
    assert_eq!(unchanged.losses.get("omop.drug_exposure.drug_concept_id no_ingredient"), None);
    assert_eq!(query(&lake, DRUG_ERAS).await, apart);
    let gone =
        r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p"}}]}"#;
    fs::write(&file, gone).unwrap();
    load(&lake, "r4", &[&file]).await;
    assert_eq!(query(&lake, DRUG_ERAS).await, [aspirin]);
}
