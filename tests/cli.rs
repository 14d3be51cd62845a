use crate::healthlake::Healthlake;

#[track_caller]
fn assert_error(arguments: &[&str], expected: &str) {
    let ended = Healthlake::new().call("run", arguments);
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains(expected), "`{expected}` is not in: {}", ended.stderr);
}

#[test]
fn help_reads_like_this() {
    let help = Healthlake::new().call("run", &["--help"]);
    assert_eq!(help.code, 0);
    insta::assert_snapshot!(help.stdout);
}

#[test]
fn errors_name_what_was_wrong() {
    assert_error(&["query", "select 1"], "there is no lake in `lake`");
    assert_error(&["run", "--fhir", "x", "--patients", "3"], "`--fhir` reads patients");
    assert_error(&["generate", "--shard", "5/4"], "5/4");
    assert_error(&["generate", "--patients", "1", "--state", "ZZ"], "ZZ");
    assert_error(&["run", "--config", "none.toml"], "none.toml");
    assert_error(&["sql", "show", "marts.patient_timelin"], "marts.patient_timeline");
    assert_error(&["run", "--format", "csv"], "`--format csv` is for");
    assert_error(&["run", "--lake", "s3://Bucket/a"], "`s3://Bucket/a` is not a warehouse");
    assert_error(&["catalog", "serve", "--listen", "0.0.0.0:0"], "hint: set HEALTHLAKE_CATALOG_TOKEN");
}

#[test]
fn a_catalog_that_is_a_server_must_be_named() {
    let lake = Healthlake::new();
    let ended = lake.command("run", &["query", "select 1"]).env("HEALTHLAKE_LAKE_CATALOG", "rest").output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.contains("`catalog.uri` names no server"), "{stderr}");
}

#[test]
fn a_run_id_must_be_a_plain_word() {
    let ended = Healthlake::new().call("../x y", &["run", "--patients", "1"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("`PIPELINE_RUN_ID` is `../x y`"), "{}", ended.stderr);
}

#[test]
fn a_wrong_query_says_what_there_is() {
    let lake = Healthlake::new();
    lake.file("in.ndjson", r#"{"resourceType":"Patient","id":"1","birthDate":"1980-01-01"}"#);
    assert_eq!(lake.call("run", &["etl", "in.ndjson"]).code, 0);
    let ended = lake.call("run", &["query", "select gender_id from omop.person"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("gender_id"), "{}", ended.stderr);
    let ended = lake.call("run", &["query", "select 1 as one, 'a' as word", "--format", "json"]);
    assert_eq!(ended.stdout.trim(), r#"[{"one":1,"word":"a"}]"#);
    let ended = lake.call("run", &["query", "select 1", "--as-of", "no-such-run"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("no-such-run"), "{}", ended.stderr);
}
