use crate::healthlake::{Healthlake, shared};

const PATIENTS: &str = concat!(
    r#"{"resourceType":"Patient","id":"a","gender":"female","birthDate":"1980-02","name":[{"family":"F","given":["A","B"]},{"given":["C"]}]}"#,
    "\n",
    r#"{"resourceType":"Patient","id":"b","gender":"male","birthDate":"1990-01-01"}"#
);

const NAMES: &str = r#"{"resourceType":"ViewDefinition","name":"patient_name","resource":"Patient","select":[
    {"column":[{"name":"patient_id","path":"getResourceKey()","type":"id"},
        {"name":"born","path":"birthDate","type":"date","tag":[{"name":"ansi/type","value":"VARCHAR(10)"}]},
        {"name":"is_female","path":"gender = %female"}]},
    {"forEachOrNull":"name","column":[{"name":"name_index","path":"%rowIndex"},{"name":"family","path":"family"},
        {"name":"given","path":"given","type":"string","collection":true}]}],
    "constant":[{"name":"female","valueCode":"female"}]}"#;

/// A lake with the two patients and the views of a folder.
fn lake_with(views: &[(&str, &str)]) -> Healthlake {
    let lake = Healthlake::new();
    lake.file("in.ndjson", PATIENTS);
    for (name, json) in views {
        lake.file(&format!("views/{name}"), json);
    }
    lake
}

fn rows(lake: &Healthlake, sql: &str) -> Vec<String> {
    let ended = lake.call("query", &["query", sql, "--format", "csv"]);
    assert_eq!(ended.code, 0, "{sql}: {}", ended.stderr);
    ended.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_view_of_ones_own_is_a_table_with_lists_and_types() {
    let lake = lake_with(&[("name.json", NAMES)]);
    let ended = lake.call("r1", &["etl", "in.ndjson", "--views", "views"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let sql = "select patient_id, born, is_female, name_index, family, array_to_string(given, '+') as given, \
        source_id from fhir.patient_name order by 1, 4";
    let expected = ["a,1980-02,true,0,F,A+B,fhir", "a,1980-02,true,1,,C,fhir", "b,1990-01-01,false,0,,,fhir"];
    assert_eq!(rows(&lake, sql), expected);
    assert_eq!(lake.value("select count(*) from fhir.patient"), "2");
    assert_eq!(lake.value("select sum(cardinality(given)) from fhir.patient_name"), "3");

    // The same again changes nothing; a changed patient replaces its rows.
    lake.json("r2", &["etl", "in.ndjson", "--views", "views"]);
    assert_eq!(rows(&lake, sql), expected);
    lake.file("in.ndjson", PATIENTS.replace(r#""family":"F""#, r#""family":"G""#));
    lake.json("r3", &["etl", "in.ndjson", "--views", "views"]);
    assert_eq!(rows(&lake, sql)[0], "a,1980-02,true,0,G,A+B,fhir");
    assert_eq!(rows(&lake, sql).len(), 3);
}

#[test]
fn a_view_that_comes_later_is_filled_and_one_of_a_known_name_takes_its_place() {
    let lake = lake_with(&[]);
    lake.json("r1", &["etl", "in.ndjson"]);
    let own = r#"{"name":"patient","resource":"Patient","select":[{"column":[{"name":"id","path":"id"},
        {"name":"families","path":"name.family.join('/')"}]}]}"#;
    lake.file("views/patient.json", own);
    lake.file("views/name.json", NAMES);
    lake.file("healthlake.toml", "[etl]\nviews = \"views\"\n");
    lake.json("r2", &["run", "--fhir", "in.ndjson", "--config", "healthlake.toml"]);
    assert_eq!(rows(&lake, "select id, families from fhir.patient order by 1"), ["a,F", "b,"]);
    assert_eq!(lake.value("select count(*) from fhir.patient_name"), "3");
    assert_eq!(lake.value("select count(*) from omop.person"), "2");
}

#[test]
fn values_that_a_view_cannot_take_are_counted() {
    let view = r#"{"name":"v","resource":"Patient","select":[{"column":[{"name":"family","path":"name.given"},
        {"name":"number","path":"gender","type":"integer"}]}],"where":[{"path":"name.family.exists()"}]}"#;
    let lake = lake_with(&[("v.json", view)]);
    let outcome = lake.json("r1", &["etl", "in.ndjson", "--views", "views"]);
    assert_eq!(outcome["losses"]["fhir.v.family more_than_one_value"], 1, "{outcome}");
    assert_eq!(outcome["losses"]["fhir.v.number wrong_type"], 1, "{outcome}");
    assert_eq!(rows(&lake, "select family, number from fhir.v"), ["A,"]);
}

#[test]
fn a_wrong_view_stops_the_run_with_its_file_and_place() {
    let view = |select: &str| format!(r#"{{"name":"v","resource":"Patient","select":[{select}]}}"#);
    for (json, told) in [
        (view(r#"{"column":[{"name":"a","path":"name.given]"}]}"#), "view `v`: column `a`: path unexpected `]` at 10"),
        (view(r#"{"column":[{"name":"a","path":"id"},{"name":"a","path":"id"}]}"#), "column `a` is named twice"),
        (view(r#"{"column":[{"name":"source_id","path":"id"}]}"#), "column `source_id` has the name of one that every"),
        (view(r#"{"foreach":"name","column":[]}"#), "unknown field `foreach`"),
        ("{".into(), "expected a member name in quotes at byte 1"),
        (view("").replace(r#""name":"v","#, ""), "expected a `name`"),
    ] {
        let lake = lake_with(&[("wrong.json", &json)]);
        let ended = lake.call("r1", &["etl", "in.ndjson", "--views", "views"]);
        assert_eq!(ended.code, 2, "{json}: {}", ended.stderr);
        assert!(ended.stderr.contains("views/wrong.json`: "), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "`{told}` is not in: {}", ended.stderr);
    }
    let lake = lake_with(&[("one.json", NAMES), ("two.json", NAMES)]);
    let ended = lake.call("r1", &["etl", "in.ndjson", "--views", "views"]);
    assert!(
        ended.stderr.contains("two.json`: view `patient_name` is defined twice in this folder"),
        "{}",
        ended.stderr
    );
    let ended = lake.call("r1", &["etl", "in.ndjson", "--views", "none"]);
    assert_eq!((ended.code, ended.stderr.contains("cannot read `none`")), (2, true), "{}", ended.stderr);
}

#[test]
fn the_official_suite_passes_and_the_report_says_so() {
    let Some(suites) = shared("the_official_suite_passes", "sql-on-fhir/tests") else { return };
    let lake = Healthlake::new();
    let arguments = ["conformance", "sql-on-fhir", suites.to_str().unwrap(), "--report", "report.json"];
    let ended = lake.call("suite", &arguments);
    assert_eq!((ended.code, ended.stdout.lines().last()), (0, Some("134 passed, 0 failed")), "{}", ended.stdout);
    let report = std::fs::read_to_string(lake.folder().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let files = report.as_object().unwrap();
    assert_eq!(files.len(), 22);
    for file in files.values() {
        let results = file["tests"].as_array().unwrap().iter().map(|test| (&test["name"], &test["result"]["passed"]));
        assert!(results.into_iter().all(|(name, passed)| name.is_string() && passed == true), "{file}");
    }
}

#[test]
fn a_failed_case_is_named_and_the_exit_code_is_1() {
    let lake = Healthlake::new();
    let suite = r#"{"title":"s","resources":[{"resourceType":"Patient","id":"1"}],"tests":[
        {"title":"right","view":{"resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]},"expect":[{"id":"1"}]},
        {"title":"wrong","view":{"resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]}]},"expect":[{"id":"2"}]}]}"#;
    lake.file("suites/s.json", suite);
    lake.file("suites/other.json", r#"{"something":"else"}"#);
    let ended = lake.call("suite", &["conformance", "sql-on-fhir", "suites"]);
    let expected =
        "failed: s.json: wrong\n  no row like {\"id\":\"2\"}\nreport: sql-on-fhir-report.json\n1 passed, 1 failed\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (1, expected), "{}", ended.stderr);
    let ended = lake.call("suite", &["conformance", "sql-on-fhir", "none"]);
    assert_eq!((ended.code, ended.stderr.contains("cannot read `none`")), (2, true), "{}", ended.stderr);
}
