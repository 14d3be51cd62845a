use std::collections::BTreeMap;

use crate::healthlake::{Healthlake, assert_equal_tables};

const PATIENTS: [&str; 4] = ["--patients", "40", "--seed", "5"];

/// The tables without their last column: of OMOP, whether rows were resources once; of flat tables, the hash of what
/// decided a mapping.
fn rows(place: &Healthlake) -> BTreeMap<String, Vec<String>> {
    let mut tables = place.tables(&["omop", "fhir"]);
    for lines in tables.values_mut() {
        for line in lines.iter_mut() {
            let end = line.rfind('|').unwrap_or_else(|| panic!("{line}"));
            line.truncate(end);
        }
        lines.sort();
    }
    tables
}

fn generate(place: &Healthlake, run_id: &str, more: &[&str]) -> i32 {
    place.call(run_id, &[&["generate", "--into-lake"], PATIENTS.as_slice(), more].concat()).code
}

#[test]
fn a_population_that_goes_into_the_lake_at_once_is_the_one_that_is_read_from_files() {
    let (read, whole, cut) = (Healthlake::new(), Healthlake::new(), Healthlake::new());
    read.json("first", &[&["run"], PATIENTS.as_slice()].concat());
    assert_eq!(generate(&whole, "first", &[]), 0);
    for shard in ["3/3", "1/3", "2/3"] {
        assert_eq!(generate(&cut, "first", &["--shard", shard]), 0);
    }
    let expected = rows(&read);
    assert!(expected["omop.measurement"].len() > 1000 && expected["fhir.observation"].len() > 1000);
    assert_equal_tables(&expected, &rows(&whole));
    assert_equal_tables(&expected, &rows(&cut));
}

#[test]
fn what_went_into_the_lake_is_modelled_and_proven_and_comes_once() {
    let place = Healthlake::new();
    assert_eq!(generate(&place, "first", &[]), 0);
    let report = place.call("early", &["validate", "--run", "first"]);
    assert!(
        report.code == 0 && report.stderr.contains("no model stands in the lake"),
        "{}{}",
        report.stdout,
        report.stderr
    );
    let built = place.call("first", &["sql", "run"]);
    assert_eq!(built.code, 0, "{}", built.stdout);
    assert_eq!(place.value("select count(*) from marts.patient_demographics"), "40");
    let report = place.call("second", &["validate", "--run", "first"]);
    assert!(report.code == 0 && report.stdout.contains(" 0 failed"), "{}{}", report.stdout, report.stderr);

    assert_eq!(generate(&place, "first", &[]), 0);
    assert_eq!(place.value("select count(*) from omop.person"), "40");
    let again = place.call("third", &[&["generate", "--into-lake"], PATIENTS.as_slice()].concat());
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("the lake has 40 persons of source `synthetic` already"), "{}", again.stderr);

    place.call("files", &[&["generate", "--output", "files"], PATIENTS.as_slice()].concat());
    let read = place.call("fourth", &["etl", "files/fhir", "--source-id", "synthetic"]);
    assert_eq!(read.code, 2);
    assert!(
        read.stderr.contains("40 persons of source `synthetic` in the lake were made, not read"),
        "{}",
        read.stderr
    );
    assert_eq!(place.call("fifth", &["etl", "files/fhir", "--source-id", "other"]).code, 0);
}

#[test]
fn flat_tables_may_be_left_out_and_must_be_where_resources_are_spoilt() {
    let (plain, spoilt) = (Healthlake::new(), Healthlake::new());
    assert_eq!(generate(&plain, "first", &["--no-fhir"]), 0);
    assert_eq!(plain.value("select count(*) from omop.person"), "40");
    assert_eq!(plain.value("select count(*) from fhir.patient"), "0");
    let dirty = [&["generate", "--into-lake", "--dirt", "light"], PATIENTS.as_slice()].concat();
    let refused = spoilt.call("first", &dirty);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("hint: `--no-fhir` leaves them out"), "{}", refused.stderr);
    assert_eq!(generate(&spoilt, "first", &["--dirt", "light", "--no-fhir"]), 0);
}
