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
fn lint_tells_what_modules_need() {
    let folder = Healthlake::new();
    let guard = |attribute: &str, to: &str| {
        format!(
            r#"{{"name": "m", "states": {{"Initial": {{"type": "Guard", "allow": {{"condition_type": "Attribute",
            "attribute": "{attribute}", "operator": "is nil"}}, "direct_transition": "{to}"}}, "End": {{"type": "Terminal"}}}}}}"#
        )
    };
    folder.file("modules/good.json", guard("smoker", "End"));
    folder.file("modules/vague.json", guard("nobody_knows", "End"));
    let ended = folder.call("run", &["generate", "lint", "modules"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("nobody_knows") && ended.stdout.contains("2 of 2 modules load"), "{}", ended.stdout);
    folder.file("modules/bad.json", guard("smoker", "Edn"));
    let ended = folder.call("run", &["generate", "lint", "modules"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let expected = "error: module `bad`: state `Initial`: field `direct_transition`: there is no state `Edn`";
    assert!(ended.stdout.contains(expected) && ended.stdout.contains("2 of 3 modules load"), "{}", ended.stdout);
    let ended = folder.call("run", &["generate", "lint", "modules", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["modules"][1]["attributes"][0], serde_json::json!({"name": "smoker", "supplier": "host"}));
    assert_error(&["generate", "lint", "nowhere"], "nowhere");
    assert_error(&["generate", "--modules", "nowhere"], "nowhere");
}

#[test]
fn numbers_of_modules_can_be_overridden() {
    let folder = Healthlake::new();
    folder.file("sure.properties", "asthma.json::$['states']['Initial']['nothing'] = 1\n");
    let ended = folder.call("run", &["generate", "--patients", "1", "--module-overrides", "sure.properties"]);
    assert_eq!(ended.code, 2);
    let expected = "field `$['states']['Initial']['nothing']`: there is no number in this place";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
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
