use std::path::Path;

use crate::healthlake::{Healthlake, shared};

/// Rows of a file as a reader of comma-separated values counts them, without the header.
fn rows(folder: &Path, file: &str) -> u64 {
    // No cell of the sample holds a line end.
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines().filter(|line| !line.trim().is_empty()).count() as u64 - 1
}

#[test]
fn the_export_of_synthea_becomes_omop() {
    let Some(folder) = shared("the_export_of_synthea_becomes_omop", "synthea-csv/dbt-synthea-csv") else { return };
    let Some(vocabulary) = shared("the_export_of_synthea_becomes_omop", "omop/vocabulary") else { return };
    let lake = Healthlake::new();
    lake.json("vocabulary", &["vocabulary", "import", vocabulary.to_str().unwrap()]);
    let outcome = lake.json("run", &["etl", "--csv", folder.to_str().unwrap(), "--mapping", "synthea"]);
    let by_type = outcome["accounting"]["by_type"].as_object().unwrap();
    let expected = [
        ("Patient", "patients.csv"),
        ("Organization", "organizations.csv"),
        ("Practitioner", "providers.csv"),
        ("Encounter", "encounters.csv"),
        ("Condition", "conditions.csv"),
        ("Observation", "observations.csv"),
        ("Procedure", "procedures.csv"),
        ("MedicationRequest", "medications.csv"),
        ("Immunization", "immunizations.csv"),
        ("AllergyIntolerance", "allergies.csv"),
        ("CarePlan", "careplans.csv"),
        ("Device", "devices.csv"),
        ("SupplyDelivery", "supplies.csv"),
        ("ImagingStudy", "imaging_studies.csv"),
    ];
    for (resource_type, file) in expected {
        let counts = &by_type[resource_type];
        assert_eq!(counts["read"], rows(&folder, file), "{resource_type} from {file}: {counts}");
        assert_eq!(counts["rejected"], 0, "{resource_type}: {outcome}");
    }
    assert_eq!(by_type.len(), expected.len(), "{by_type:?}");
    for resource_type in ["Patient", "Encounter", "Condition", "Procedure", "MedicationRequest", "Immunization"] {
        assert_eq!(by_type[resource_type]["mapped"], by_type[resource_type]["read"], "{resource_type}");
    }
    // Eighteen answers are street addresses, which the mapping withholds.
    let observations = &by_type["Observation"];
    assert_eq!((&observations["mapped"], &observations["excluded"]), (&972.into(), &18.into()), "{observations}");
    let skipped: Vec<_> = outcome["skipped"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(skipped.iter().any(|name| name.ends_with("claims.csv")), "{skipped:?}");

    let count = |table: &str| lake.value(&format!("select count(*) from omop.{table}")).parse::<u64>().unwrap();
    assert_eq!((count("person"), count("visit_occurrence"), count("death")), (27, 604, 2));
    assert_eq!(lake.value("select count(*) from omop.person where race_concept_id = 0 or gender_concept_id = 0"), "0");
    lake.json("run", &["sql", "run"]);
    let verdict = lake.json("run", &["validate"]);
    let failed: Vec<String> = serde_json::from_value(
        verdict["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|result| {
                result["check"]["severity"] == "required"
                    && matches!(result["status"].as_str(), Some("failed" | "errored"))
            })
            .map(|result| result["check"]["id"].clone())
            .collect(),
    )
    .unwrap();
    // The reference vocabulary lacks concepts that our rules name.
    let other: Vec<_> = failed
        .iter()
        .filter(|name| !(name.starts_with("isForeignKey/omop.") && name.ends_with("_concept_id")))
        .collect();
    assert!(other.is_empty(), "{other:?}");

    let again = lake.json("again", &["etl", "--csv", folder.to_str().unwrap(), "--mapping", "synthea"]);
    let mapped: u64 = by_type.values().map(|counts| counts["mapped"].as_u64().unwrap()).sum();
    // What is withheld has flat rows, and so have devices that no statement says were used, and types without OMOP rows.
    let flat_only = ["Device", "CarePlan", "ImagingStudy", "SupplyDelivery"];
    let flat_only: u64 = flat_only.iter().filter_map(|name| by_type.get(*name)?["excluded"].as_u64()).sum();
    assert_eq!(again["unchanged"], mapped + 18 + flat_only, "what makes no row is left alone too");
}

const MAPPING: &str = r#"
[[resource]]
file = "people.csv"
type = "Patient"
id = "{number}"
[resource.element]
"gender" = { column = "sex", map = { m = "male", f = "female" } }
"birthDate" = { column = "born", as = "date", format = "%d.%m.%Y" }
"#;

#[test]
fn a_bad_row_is_rejected_with_file_line_and_column() {
    let lake = Healthlake::new();
    lake.file("map.toml", MAPPING);
    lake.file("in/people.csv", "number,sex,born\n1,m,01.02.1980\n2,x,01.02.1980\n3,f,1980\n4,f\n5,f,03.02.1980\n");
    let ended = lake.call("run", &["etl", "--csv", "in", "--mapping", "map.toml"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(lake.value("select count(*) from omop.person"), "2");
    let sql =
        "select line, resource_type, field, reason from quality.rejected where file like '%people.csv' order by line";
    let found = lake.call("query", &["query", sql, "--format", "csv"]).stdout;
    let lines: Vec<_> = found.lines().skip(1).collect();
    assert_eq!(lines, ["3,Patient,sex,unknown_value", "4,Patient,born,invalid_date", "5,Patient,,wrong_column_count"]);
    let verdict = lake.json("run", &["validate"]);
    let checks = verdict["results"].as_array().unwrap();
    let listed = checks.iter().find(|result| result["check"]["name"] == "accountingRejected").unwrap();
    assert_eq!(listed["status"], "passed", "{listed}");
}

#[test]
fn a_mapping_that_does_not_fit_is_one_message() {
    let lake = Healthlake::new();
    lake.file("map.toml", MAPPING.replace("{number}", "{nummer}"));
    lake.file("in/people.csv", "number,sex,born\n");
    for (arguments, expected) in [
        (
            vec!["etl", "--csv", "in", "--mapping", "map.toml"],
            "there is no column `nummer`, expected one of number, sex, born",
        ),
        (vec!["etl", "--csv", "in", "--mapping", "none.toml"], "one that comes with the program: synthea"),
        (vec!["etl", "--csv", "in", "--mapping", "synthea"], "no file in `in` that the mapping takes: allergies.csv"),
        (vec!["etl", "--csv", "in"], "--mapping"),
        (vec!["etl"], "PATH"),
        (
            vec!["etl", "in", "--omop-table", "Observation=person"],
            "names `person`, expected one of condition_occurrence",
        ),
    ] {
        let ended = lake.call("run", &arguments);
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}
