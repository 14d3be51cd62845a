use std::fs;

use serde_json::Value;

use crate::healthlake::Healthlake;

fn manifest(lake: &Healthlake, folder: &str) -> Value {
    let text = fs::read_to_string(lake.folder().join(folder).join("manifest.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The result of the check that compares the account with the generator's.
fn account_results(lake: &Healthlake, run: &str) -> String {
    lake.value(&format!(
        "select string_agg(status, ' ') from quality.check_result \
         where pipeline_run_id = '{run}' and check_name = 'oracleAccount'"
    ))
}

/// Nothing is wrong but the records that had to be refused.
#[test]
fn light_dirt_is_proven_but_for_what_is_refused() {
    let lake = Healthlake::new();
    let ended = lake.call("light", &["run", "--patients", "30", "--dirt", "light", "--format", "json"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let summary: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["checks"]["failed_names"], serde_json::json!([]));
    assert_eq!(summary["oracle"]["mismatches"], 0);
    let account = &manifest(&lake, "lake/synthetic")["account"];
    assert_eq!(summary["accounting"]["by_type"], account["by_type"]);
    assert!(summary["accounting"]["rejected"].as_u64().unwrap() > 0);
    assert_eq!(account_results(&lake, "light"), "passed passed passed");
}

#[test]
fn heavy_dirt_makes_the_rows_that_are_owed_for_it() {
    let lake = Healthlake::new();
    let population = ["--patients", "30", "--dirt", "heavy", "--seed", "3", "--claims", "--notes"];
    let summary = lake.json("heavy", &[&["run"][..], &population].concat());
    assert_eq!(summary["oracle"]["mismatches"], 0, "{}", summary["checks"]["failed_names"]);
    assert_eq!(summary["accounting"]["by_type"], manifest(&lake, "lake/synthetic")["account"]["by_type"]);
    assert_eq!(account_results(&lake, "heavy"), "passed passed passed");
    let codes = "select count(*) from omop.condition_occurrence where condition_source_value like 'L-%'";
    assert!(lake.value(codes).parse::<u64>().unwrap() > 0);
    // A Claim that does not count leaves the charge to its answer.
    let charges = "select count(*) from omop.cost where total_charge is not null and amount_allowed is not null";
    assert!(lake.value(charges).parse::<u64>().unwrap() > 0);
}

/// A line more than the generator wrote, and one less, are told.
#[test]
fn a_record_that_came_or_went_on_the_way_is_found() {
    let lake = Healthlake::new();
    lake.json("one", &["generate", "--patients", "5", "--dirt", "light"]);
    let conditions = lake.lake().join("synthetic/fhir/Condition.ndjson");
    let text = fs::read_to_string(&conditions).unwrap();
    fs::write(&conditions, text.split_once('\n').unwrap().1).unwrap();
    lake.json("one", &["etl", "lake/synthetic/fhir", "--source-id", "synthetic"]);
    let report = lake.json("one", &["validate", "--manifests", "lake/synthetic"]);
    let failed = report["results"].as_array().unwrap().iter().filter(|result| result["status"] == "failed");
    let told: Vec<&str> = failed.filter_map(|result| result["message"].as_str()).collect();
    assert!(told.iter().any(|message| message.starts_with("Condition: expected ")), "{told:?}");
}

#[test]
fn wrong_rates_are_one_message() {
    let lake = Healthlake::new();
    lake.file("mine.toml", "refuted = 0.1\nduplicat = 0.1\n");
    let ended = lake.call("run", &["generate", "--patients", "5", "--dirt", "mine.toml"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("`mine.toml`: there is no kind of dirt `duplicat`, expected one of"),
        "{}",
        ended.stderr
    );
    let ended = lake.call("run", &["run", "--dirt", "filthy"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("`filthy` is neither a file nor one of the presets"), "{}", ended.stderr);
}

const DAYS: &str = "late_update = 0.05\nduplicate = 0.05\nmulti_race = 0.5\ninvalid = 0.1\n[day]\nnew_visit = 0.03\n\
                    changed = 0.03\nlate_version = 0.03\nentered_in_error = 0.02\ndeleted = 0.02\nmerged_patient = 0.2\n";

/// Day by day the lake holds what the generator expects of that day; all in one load ends where the last day does.
#[test]
fn days_that_follow_end_where_the_generator_says() {
    let lake = Healthlake::new();
    lake.file("days.toml", DAYS);
    lake.json(
        "made",
        &["generate", "--patients", "20", "--dirt", "days.toml", "--updates", "3", "--claims", "--notes"],
    );
    let mut folders = vec!["lake/synthetic".to_owned()];
    folders.extend((1..=3).map(|day| format!("lake/synthetic/updates/day-{day}")));
    for (day, folder) in folders.iter().enumerate() {
        let run = format!("day-{day}");
        lake.json(&run, &["etl", &format!("{folder}/fhir"), "--source-id", "synthetic", "--notes"]);
        let rows = format!("{folder}/omop");
        let report = lake.json(&run, &["validate", "--oracle", &rows, "--manifests", folder]);
        let differing = report["oracle"]["tables"].as_array().unwrap().iter().map(|table| &table["differences"]);
        let differing: Vec<_> = differing.flat_map(|found| found.as_array().unwrap()).take(5).collect();
        assert_eq!(report["oracle"]["mismatches"], 0, "{run}: {differing:#?}");
        assert_eq!(account_results(&lake, &run), "passed passed passed", "{run}");
        assert!(manifest(&lake, folder)["account"]["by_type"]["Encounter"]["read"].as_u64().unwrap() > 0);
    }

    let whole = Healthlake::new();
    let inputs: Vec<String> =
        folders.iter().map(|folder| lake.folder().join(folder).join("fhir").display().to_string()).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    whole.json("all", &[&["etl"], &inputs[..], &["--source-id", "synthetic", "--notes"]].concat());
    let last = lake.folder().join(&folders[3]).join("omop").display().to_string();
    let report = whole.json("all", &["validate", "--oracle", &last]);
    assert_eq!(report["oracle"]["mismatches"], 0);
}
