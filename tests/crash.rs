use std::time::{Duration, Instant};

use crate::healthlake::{Healthlake, assert_equal_tables};

const ALL: [&str; 5] = ["fhir", "omop", "quality", "marts", "metrics"];
const PATIENTS: &str = "40";

#[test]
fn a_killed_run_that_is_started_again_ends_in_the_same_tables() {
    let undisturbed = Healthlake::new();
    let started = Instant::now();
    undisturbed.json("run", &["run", "--patients", PATIENTS]);
    let duration = started.elapsed();
    let expected = undisturbed.tables(&ALL);

    // Ten moments, spread over the whole run; the last call is left alone.
    let killed = Healthlake::new();
    for moment in 1..=10 {
        let mut run = killed.start("run", &["run", "--patients", PATIENTS]);
        wait(duration * moment / 11);
        run.kill().unwrap();
        run.wait().unwrap();
    }
    let summary = killed.json("run", &["run", "--patients", PATIENTS]);
    assert_eq!(summary["checks"]["failed_names"], serde_json::json!([]));
    assert_equal_tables(&expected, &killed.tables(&ALL));
}

#[test]
fn two_processes_that_commit_at_once_both_land() {
    let lake = Healthlake::new();
    for (source, seed) in [("a", "1"), ("b", "2")] {
        lake.json("files", &["generate", "--patients", "15", "--seed", seed, "--output", source]);
    }
    let start = |source: &str| lake.start(source, &["etl", &format!("{source}/fhir"), "--source-id", source]);
    let processes = [start("a"), start("b")];
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(lake.value("select count(*) from omop.person"), "30");
    assert_eq!(lake.value("select count(distinct source_id) from omop.condition_occurrence"), "2");
    assert_eq!(lake.value("select count(*) - count(distinct person_id) from omop.observation_period"), "0");
}

/// Waits for a moment of the run; the moment itself is what is tested, so no event can stand in for it.
fn wait(duration: Duration) {
    std::thread::sleep(duration);
}
