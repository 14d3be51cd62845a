//! Rows that come from other rows: pairs of facts and eras, over runs that add, change and take away.

use std::fs;

use super::{PATIENT, lake_in, load, query};

fn observation(id: &str, code: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","subject":{{"reference":"Patient/p"}},"effectiveDateTime":"2024-01-02","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}}{rest}}}"#
    )
}

/// Domain and concept of both sides, by source code.
const PAIRS: &str = "select a.measurement_source_value, b.measurement_source_value, f.domain_concept_id_1, \
    f.domain_concept_id_2, f.relationship_concept_id, f.pipeline_run_id from omop.fact_relationship f \
    join omop.measurement a on a.measurement_id = f.fact_id_1 join omop.measurement b on b.measurement_id = f.fact_id_2 \
    order by f.relationship_concept_id, b.measurement_source_value";

#[tokio::test]
async fn facts_are_linked_whichever_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let value = r#","valueQuantity":{"value":1}"#;
    let panel = observation(
        "bmi",
        "39156-5",
        r#","valueQuantity":{"value":25},"hasMember":[{"reference":"Observation/height"}],"derivedFrom":[{"reference":"urn:uuid:weight"}]"#,
    );
    fs::write(&file, format!("{PATIENT}\n{panel}")).unwrap();
    let first = load(&lake, "r1", &[&file]).await;
    assert_eq!(first.losses["Observation.hasMember unresolved_reference"], 1, "{:?}", first.losses);
    assert_eq!(first.losses["Observation.derivedFrom unresolved_reference"], 1);
    assert_eq!(query(&lake, "select count(*) from omop.fact_relationship").await, ["0"]);

    fs::write(&file, [observation("height", "8302-2", value), observation("weight", "29463-7", value)].join("\n"))
        .unwrap();
    let second = load(&lake, "r2", &[&file]).await;
    assert_eq!(second.rows["omop.fact_relationship"], 4);
    assert!(!second.losses.keys().any(|loss| loss.contains("unresolved")), "{:?}", second.losses);
    let all = [
        "29463-7|39156-5|21|21|581436|r2",
        "39156-5|8302-2|21|21|581436|r2",
        "39156-5|29463-7|21|21|581437|r2",
        "8302-2|39156-5|21|21|581437|r2",
    ];
    assert_eq!(query(&lake, PAIRS).await, all);

    // What is as it was is left alone; a side that goes takes its pairs along, and no others.
    load(&lake, "r3", &[&file]).await;
    assert_eq!(query(&lake, PAIRS).await, all);
    fs::write(&file, observation("height", "8302-2", value).replace("final", "entered-in-error")).unwrap();
    load(&lake, "r4", &[&file]).await;
    let left = query(&lake, PAIRS).await;
    assert_eq!(
        left.iter().map(|pair| &pair[..22]).collect::<Vec<_>>(),
        ["29463-7|39156-5|21|21|", "39156-5|29463-7|21|21|"]
    );
    fs::write(&file, panel.replace("derivedFrom", "focus")).unwrap();
    load(&lake, "r5", &[&file]).await;
    assert_eq!(query(&lake, "select count(*) from omop.fact_relationship").await, ["0"]);
    assert_eq!(
        query(&lake, "select relation, related_observation_id from fhir.observation_relation").await,
        ["hasMember|height"]
    );
}

#[tokio::test]
async fn facts_of_one_input_are_linked_by_their_components_and_across_domains() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.ndjson");
    let lake = lake_in(&folder.path().join("lake")).await;
    let component = r#","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":120}},{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":80}}]"#;
    let survey =
        observation("s", "L-1", r#","hasMember":[{"reference":"Observation/bp"},{"reference":"Observation/s"}]"#);
    fs::write(&file, [observation("bp", "85354-9", component), survey, PATIENT.to_owned()].join("\n")).unwrap();
    let outcome = load(&lake, "r1", &[&file]).await;
    assert_eq!(outcome.losses["Observation.hasMember unresolved_reference"], 1, "nothing is a member of itself");
    let pairs = "select domain_concept_id_1, domain_concept_id_2, relationship_concept_id, count(distinct fact_id_1), \
                 count(distinct fact_id_2) from omop.fact_relationship group by 1, 2, 3 order by 1";
    assert_eq!(query(&lake, pairs).await, ["21|27|0|2|1", "27|21|0|1|2"]);
}

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
