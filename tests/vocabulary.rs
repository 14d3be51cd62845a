use serde_json::{Value, json};

use crate::healthlake::Healthlake;

const CONCEPT: &str = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_class_id\tstandard_concept\tconcept_code\tvalid_start_date\tvalid_end_date\tinvalid_reason\n";
const RELATIONSHIP: &str =
    "concept_id_1\tconcept_id_2\trelationship_id\tvalid_start_date\tvalid_end_date\tinvalid_reason\n";
const LOCAL: &str = "source_code,source_concept_id,source_vocabulary_id,source_code_description,target_concept_id,target_vocabulary_id,valid_start_date,valid_end_date,invalid_reason\nK1,0,LAB,Sugar,201826,SNOMED,1970-01-01,2099-12-31,\n";
const DATES: &str = "19700101\t20991231\t";

/// Two releases: in the newer one a code has moved to another domain, one is mapped at last, and one no more.
fn write_releases(lake: &Healthlake) {
    for (release, domain, target) in
        [("old", "Condition", ["501", "201826"]), ("new", "Observation", ["502", "201826"])]
    {
        let [from, to] = target;
        let concept = format!(
            "{CONCEPT}201826\tType 2 diabetes mellitus\tCondition\tSNOMED\tDisorder\tS\t44054006\t{DATES}\n\
             500\tFinding\t{domain}\tSNOMED\tDisorder\tS\t500500\t{DATES}\n\
             501\tOne\tCondition\tICD10CM\tBilling\t\tE11.1\t{DATES}\n502\tTwo\tCondition\tICD10CM\tBilling\t\tE11.2\t{DATES}\n\
             2000000009\tMine\tObservation\tMINE\tx\tS\t9\t{DATES}\n"
        );
        let relationship = format!("{RELATIONSHIP}{from}\t{to}\tMaps to\t{DATES}\n");
        let vocabulary = format!(
            "vocabulary_id\tvocabulary_name\tvocabulary_reference\tvocabulary_version\tvocabulary_concept_id\nNone\tOMOP\t\t{release}\t0\n"
        );
        lake.file(&format!("{release}/CONCEPT.csv"), concept);
        lake.file(&format!("{release}/CONCEPT_RELATIONSHIP.csv"), relationship);
        lake.file(&format!("{release}/VOCABULARY.csv"), vocabulary);
    }
}

fn write_resources(lake: &Healthlake) {
    let mut lines = r#"{"resourceType":"Patient","id":"p","gender":"female","birthDate":"1980-02-03"}"#.to_owned();
    for (id, system, code) in [
        ("1", "http://hl7.org/fhir/sid/icd-10-cm", "E11.1"),
        ("2", "http://hl7.org/fhir/sid/icd-10-cm", "E112"),
        ("3", "http://snomed.info/sct", "500500"),
        ("4", "http://snomed.info/sct", "44054006"),
        ("5", "http://hospital.example/lab", "K1"),
        ("6", "http://hospital.example/other", "K1"),
    ] {
        lines += &format!(
            "\n{{\"resourceType\":\"Condition\",\"id\":\"{id}\",\"subject\":{{\"reference\":\"Patient/p\"}},\"onsetDateTime\":\"2020-01-01\",\"recordedDate\":\"2020-01-01\",\
             \"clinicalStatus\":{{\"coding\":[{{\"system\":\"http://terminology.hl7.org/CodeSystem/condition-clinical\",\"code\":\"active\"}}]}},\
             \"code\":{{\"coding\":[{{\"system\":\"{system}\",\"code\":\"{code}\"}}]}}}}"
        );
    }
    lake.file("in.ndjson", lines);
}

#[test]
fn an_import_is_used_described_and_compared() {
    let lake = Healthlake::new();
    write_releases(&lake);
    write_resources(&lake);
    lake.file("local.csv", LOCAL);
    let system = "LAB=http://hospital.example/lab";
    let import = ["vocabulary", "import", "old", "--source-to-concept-map", "local.csv", "--code-system", system];
    let imported = lake.json("vocabulary", &import);
    assert_eq!((&imported["version"], &imported["local_concepts"]), (&json!("old"), &json!(1)));
    assert!(!imported["lacking"].as_array().unwrap().is_empty());

    assert_eq!(lake.call("etl", &["etl", "in.ndjson"]).code, 0);
    let concepts = "select string_agg(concept, ' ' order by concept) from (select condition_source_value || '=' || \
                    cast(condition_concept_id as varchar) as concept from omop.condition_occurrence)";
    assert_eq!(lake.value(concepts), "44054006=201826 500500=500 E11.1=201826 E112=0 K1=0 K1=201826");
    let local = "select min(condition_source_concept_id) from omop.condition_occurrence \
                 where condition_source_value = 'K1' and condition_concept_id > 0";
    assert!(lake.value(local).parse::<i64>().unwrap() >= 2_000_000_000);

    let info = lake.json("info", &["vocabulary", "info"]);
    assert_eq!(info["version"], "old");
    assert_eq!(info["by_vocabulary"]["LAB"], 1);
    assert!(info["index_bytes"].as_u64().unwrap() > 0);

    for sides in [&["new"][..], &["old", "new"]] {
        let changes = lake.json("diff", &[&["vocabulary", "diff"], sides].concat());
        let found: Vec<(&Value, &Value, &Value)> = changes["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|change| (&change["code"], &change["kind"], &change["rows"]))
            .collect();
        let one = json!(1);
        let expected = [
            (json!("E11.1"), json!("becomes_unmapped")),
            (json!("E11.2"), json!("newly_mapped")),
            (json!("500500"), json!("table")),
        ];
        assert_eq!(found, expected.iter().map(|(code, kind)| (code, kind, &one)).collect::<Vec<_>>());
        let table = &changes["tables"]["condition_occurrence"];
        assert_eq!(table["changed"], json!({"becomes_unmapped": 1, "newly_mapped": 1, "table": 1}), "{table}");
    }
    let text = lake.call("diff", &["vocabulary", "diff", "new"]).stdout;
    assert!(text.starts_with("from old to new\n") && text.contains("201826 Condition  unmapped"), "{text}");

    let report = lake.json("etl", &["validate"]);
    let results = report["results"].as_array().unwrap().iter();
    let keys =
        results.filter(|result| result["check"]["name"] == "isForeignKey" && result["status"] != "not_applicable");
    let failed: Vec<_> = keys.clone().filter(|result| result["status"] != "passed").collect();
    assert!(keys.count() > 10 && failed.is_empty(), "{failed:#?}");
}

#[test]
fn a_damaged_index_is_made_anew_and_a_bad_line_is_a_finding() {
    let lake = Healthlake::new();
    write_releases(&lake);
    let path = lake.folder().join("old/CONCEPT.csv");
    let concept = std::fs::read_to_string(&path).unwrap() + "not a concept\n";
    std::fs::write(&path, concept).unwrap();
    let ended = lake.call("vocabulary", &["vocabulary", "import", "old"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let line =
        "1 lines cannot be read and were left out:\n  file `CONCEPT.csv`, line 7: expected 10 columns, found 1\n";
    assert!(ended.stdout.ends_with(line), "{}", ended.stdout);
    let ended = lake.call("strict", &["vocabulary", "import", "old", "--max-bad-lines", "0"]);
    assert_eq!(ended.code, 2, "{}", ended.stdout);

    write_resources(&lake);
    let cache = lake.lake().join("cache");
    let index = || {
        let mut files = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|kind| kind == "index")).unwrap()
    };
    std::fs::write(index(), "nonsense").unwrap();
    assert_eq!(lake.call("etl", &["etl", "in.ndjson"]).code, 0);
    let mapped = "select count(*) from omop.condition_occurrence where condition_concept_id = 201826";
    assert_eq!(lake.value(mapped), "2");
    assert!(std::fs::metadata(index()).unwrap().len() > 1_000);
}

#[test]
fn mistakes_are_named() {
    for (arguments, expected) in [
        (&["vocabulary", "import", "nowhere"][..], "no such file or folder `nowhere`"),
        (&["vocabulary", "import", "old", "--code-system", "LAB"], "expected VOCABULARY=URI"),
        (&["vocabulary", "import", "old", "--code-system", "LAB=x:y"], "expected `--source-to-concept-map`, too"),
        (&["vocabulary", "diff", "old"], "there is no lake in `lake`"),
    ] {
        let lake = Healthlake::new();
        write_releases(&lake);
        let ended = lake.call("run", arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}
