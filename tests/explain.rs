use serde_json::Value;

use crate::healthlake::Healthlake;

const LINES: &str = r#"{"resourceType":"Patient","id":"p","gender":"male","birthDate":"1980-05-06"}
{"resourceType":"Condition","id":"c","code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"},{"system":"http://snomed.info/sct","code":"44054006","display":"Diabetes"}]},"subject":{"reference":"Patient/p"},"onsetDateTime":"2024-02-01"}
{"resourceType":"Condition","id":"lost","code":{"coding":[{"system":"http://snomed.info/sct","code":"44054006"}]},"subject":{"reference":"Patient/nobody"},"onsetDateTime":"2024-02-01"}
{"resourceType":"CarePlan","id":"x","status":"active"}
"#;

fn lake(arguments: &[&str]) -> Healthlake {
    let lake = Healthlake::new();
    lake.file("in.ndjson", LINES);
    let ended = lake.call("run", &[&["etl", "in.ndjson"], arguments].concat());
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    lake
}

#[test]
fn a_row_is_traced_to_its_resource_and_concept_path() {
    let lake = lake(&["--keep-raw"]);
    let id = lake.value("select condition_occurrence_id from omop.condition_occurrence");
    let story = &lake.json("explain", &["explain", "condition_occurrence", &id])["resources"][0];
    assert_eq!(story["resource"], "Condition/c");
    assert_eq!((&story["file"], &story["line"]), (&Value::from("in.ndjson"), &Value::from(2)));
    assert_eq!(story["rows"][0]["rule"], "condition_occurrence::from_condition");
    let codings = story["codes"][0]["codings"].as_array().unwrap();
    assert_eq!(codings.iter().map(|coding| coding["is_chosen"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(codings[1]["targets"][0]["concept_name"], "Type 2 diabetes mellitus");
    assert_eq!(codings[1]["targets"][0]["omop_table"], "condition_occurrence");
    assert_eq!(story["rows"][0]["concepts"]["condition_concept_id"], "Type 2 diabetes mellitus");

    let text = lake.call("explain", &["explain", "omop.condition_occurrence", &id]).stdout;
    for part in [
        "in.ndjson, line 2",
        "* http://snomed.info/sct|44054006 \"Diabetes\": SNOMED",
        "rule condition_occurrence::from_condition",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

#[test]
fn a_resource_is_followed_to_its_rows_or_to_the_reason_why_there_are_none() {
    let lake = lake(&[]);
    let story = |name: &str| lake.json("explain", &["explain", name])["resources"][0].clone();
    let condition = story("Condition/c");
    assert_eq!(condition["content_from"], "fhir.condition");
    assert_eq!(condition["rows"][0]["table"], "condition_occurrence");
    let tables: Vec<Value> =
        story("Patient/p")["rows"].as_array().unwrap().iter().map(|row| row["table"].clone()).collect();
    assert_eq!(tables, ["observation_period", "person"]);
    let lost = &story("Condition/lost")["refusals"][0];
    assert_eq!(
        (&lost["rejected"], &lost["reason"], &lost["line"]),
        (&true.into(), &"unresolved_reference".into(), &"3".into())
    );
    assert_eq!(story("CarePlan/x")["refusals"][0]["reason"], "no_omop_target");

    for (arguments, expected) in [
        (vec!["explain", "Condition/none"], "the lake knows no `Condition/none`"),
        (vec!["explain", "person", "5"], "`omop.person` has no row 5"),
        (vec!["explain", "persons", "5"], "there is no OMOP table `persons`"),
        (vec!["explain", "Condition"], "neither a resource nor a table"),
    ] {
        let ended = lake.call("explain", &arguments);
        assert_eq!(ended.code, 2);
        assert!(ended.stderr.contains(expected) && ended.stderr.contains("hint:"), "{}", ended.stderr);
    }
}
