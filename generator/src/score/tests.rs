//! A handful of people whose figures can be counted by hand.

use std::io::Write;

use super::*;

fn patient(id: &str, birth: &str, gender: &str, race: &str, ethnicity: &str) -> String {
    let extension = |name: &str, code: &str| {
        format!(
            r#"{{"url":"http://hl7.org/fhir/us/core/StructureDefinition/{name}","extension":[{{"url":"ombCategory","valueCoding":{{"code":"{code}"}}}},{{"url":"text","valueString":"x"}}]}}"#
        )
    };
    let extensions = [extension("us-core-race", race), extension("us-core-ethnicity", ethnicity)].join(",");
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","birthDate":"{birth}","gender":"{gender}","extension":[{extensions}]}}"#
    )
}

fn observation(id: &str, date: &str, code: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","subject":{{"reference":"Patient/{id}"}},"effectiveDateTime":"{date}T09:00:00-05:00","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},{value}}}"#
    )
}

fn number(value: f64) -> String {
    format!(r#""valueQuantity":{{"value":{value}}}"#)
}

fn pressure(id: &str, date: &str, systolic: u32, diastolic: u32) -> String {
    let part = |code: &str, value: u32| {
        format!(r#"{{"code":{{"coding":[{{"code":"{code}"}}]}},"valueQuantity":{{"value":{value}}}}}"#)
    };
    let parts = [part("8480-6", systolic), part("8462-4", diastolic)].join(",");
    observation(id, date, "85354-9", &format!(r#""component":[{parts}]"#))
}

fn coded(resource_type: &str, id: &str, rest: &str) -> String {
    format!(r#"{{"resourceType":"{resource_type}","subject":{{"reference":"Patient/{id}"}},{rest}}}"#)
}

fn condition(id: &str, code: &str, status: &str) -> String {
    coded(
        "Condition",
        id,
        &format!(r#""code":{{"coding":[{{"code":"{code}"}}]}},"clinicalStatus":{{"coding":[{{"code":"{status}"}}]}}"#),
    )
}

/// Four people: two adults with a high pressure, one of them treated; a third without; a child.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[String]| {
        let mut file = fs::File::create(folder.path().join(name)).unwrap();
        lines.iter().for_each(|line| writeln!(file, "{line}").unwrap());
    };
    let dead =
        patient("d", "1950-01-01", "male", "2106-3", "2186-5").replacen('{', r#"{"deceasedDateTime":"2020","#, 1);
    write(
        "Patient.ndjson",
        &[
            patient("a", "1970-06-01", "female", "2106-3", "2186-5"),
            patient("b", "1975-06-01", "male", "2054-5", "2186-5"),
            patient("c", "1990-06-01", "male", "2106-3", "2135-2"),
            patient("k", "2015-06-01", "female", "2106-3", "2186-5"),
            dead,
        ],
    );
    let answer = |code: &str| format!(r#""valueCodeableConcept":{{"coding":[{{"code":"{code}"}}]}}"#);
    write(
        "Observation.1-of-2.ndjson",
        &[
            pressure("a", "2024-03-01", 118, 76),
            pressure("b", "2024-03-02", 141, 82),
            pressure("c", "2024-03-03", 120, 70),
            observation("a", "2024-03-01", "39156-5", &number(31.0)),
            observation("b", "2024-03-02", "39156-5", &number(24.0)),
            observation("d", "2019-03-02", "39156-5", &number(50.0)),
            observation("a", "2024-03-01", "72166-2", &answer("8517006")),
        ],
    );
    // Later ones count, in whatever order they come.
    write(
        "Observation.2-of-2.ndjson",
        &[
            observation("b", "2020-01-01", "39156-5", &number(44.0)),
            observation("c", "2024-12-31", "39156-5", &number(41.0)),
            observation("a", "2022-05-01", "2339-0", &number(90.0)),
            observation("a", "2023-05-01", "2345-7", &number(99.0)),
            observation("c", "2024-12-31", "72166-2", &answer("449868002")),
        ],
    );
    write(
        "Condition.ndjson",
        &[
            condition("a", "59621000", "active"),
            condition("b", "59621000", "resolved"),
            condition("c", "44054006", "active"),
        ],
    );
    let order =
        |status: &str| format!(r#""status":"{status}","medicationCodeableConcept":{{"coding":[{{"code":"314076"}}]}}"#);
    write(
        "MedicationRequest.ndjson",
        &[coded("MedicationRequest", "a", &order("active")), coded("MedicationRequest", "b", &order("completed"))],
    );
    folder
}

fn metric<'s>(score: &'s Score, name: &str) -> &'s Metric {
    score.metrics.iter().find(|metric| metric.metric == name).unwrap()
}

#[test]
fn the_living_are_counted_by_their_latest_values() {
    let folder = folder();
    let score = score(folder.path()).unwrap();
    assert_eq!((score.living, score.reference_date.to_string().as_str()), (4, "2024-12-31"));
    let observed = |name: &str| metric(&score, name).observed;
    assert_eq!(observed("Hypertension, adults"), Some(200.0 / 3.0));
    assert_eq!(observed("Hypertension recorded, adults"), Some(100.0 / 3.0));
    assert_eq!(observed("Hypertensives under treatment"), Some(50.0));
    assert_eq!(observed("Hypertensives below 130/80"), Some(50.0));
    assert_eq!(observed("Recorded hypertensives below 140/90"), Some(100.0));
    assert_eq!(observed("Obesity, adults"), Some(200.0 / 3.0));
    assert_eq!(observed("Severe obesity, men"), Some(50.0));
    assert_eq!(observed("Overweight, adults"), Some(0.0));
    assert_eq!(observed("Smoking now, adults"), Some(50.0));
    assert_eq!(observed("Diabetes recorded, Hispanic"), Some(100.0));
    assert_eq!(observed("Diabetes recorded, non-Hispanic white"), Some(0.0));
    // Of two, one from 18 to 44 years has it and one from 45 to 64 has not: age-adjusted.
    let (young, old) = (108_150.0, 60_991.0);
    assert_eq!(observed("Diabetes recorded or measured, adults"), Some(young / (young + old) * 100.0));
    assert_eq!(observed("Total cholesterol of 240 and over, adults"), None);
    assert_eq!(observed("Systolic pressure, mean of adults"), Some(379.0 / 3.0));
    // Two codes for one thing: the later value.
    assert_eq!(observed("Glucose, median of women 45 to 65"), Some(99.0));
    assert_eq!(metric(&score, "Asthma recorded, women").people, 1);
    assert_eq!(metric(&score, "Metformin, all ages").people, 4);
}

#[test]
fn a_deviation_is_counted_in_hundredths_of_the_target() {
    let folder = folder();
    let score = score(folder.path()).unwrap();
    let smoking = metric(&score, "Smoking now, adults");
    assert!((smoking.z.unwrap() - 37.5 / 0.25).abs() < 1e-9, "{smoking:?}");
    assert_eq!(metric(&score, "Total cholesterol of 240 and over, adults").z, None);
    assert_eq!(score.summary.reached(&GOAL), [false; 3]);
    let near = Summary { median_z: Some(0.9), share_within_2: Some(0.8), mean_delta_r: Some(0.06), ..score.summary };
    assert_eq!(near.reached(&GOAL), [true, true, false]);
}

#[test]
fn quantiles_and_correlations_are_those_of_the_textbook() {
    let ordered = [1.0, 2.0, 3.0, 10.0];
    assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&ordered, share)), [Some(1.0), Some(2.5), Some(10.0)]);
    assert_eq!(quantile(&[], 0.5), None);
    let line = [(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)];
    assert!((correlation(&line).unwrap() - 1.0).abs() < 1e-12);
    let cross = [(-1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, -1.0)];
    assert_eq!(correlation(&cross), Some(0.0));
    assert_eq!([correlation(&line[..2]), correlation(&[(1.0, 1.0); 4])], [None, None]);
}

#[test]
fn a_score_is_written_as_a_page_and_as_data() {
    let (folder, output) = (folder(), tempfile::tempdir().unwrap());
    let written = score(folder.path()).unwrap().write(&output.path().join("score")).unwrap();
    let page = fs::read_to_string(written.html).unwrap();
    assert!(page.ends_with("</html>\n") && page.matches("<svg").count() == 2, "{page}");
    assert!(page.contains("Obesity, adults: 66.7 instead of 40.3 % (z 32.7, 3 people)"), "{page}");
    assert!(page.contains("nobody measured"));
    let data: serde_json::Value = serde_json::from_slice(&fs::read(written.json).unwrap()).unwrap();
    assert_eq!(data["metrics"][0]["kind"], "measured");
    assert_eq!(data["correlations"].as_array().unwrap().len(), 18);
}

#[test]
fn what_is_no_population_is_an_error() {
    let empty = tempfile::tempdir().unwrap();
    assert!(score(empty.path()).unwrap_err().to_string().ends_with("expected NDJSON files named by resource type"));
    let folder = folder();
    fs::write(folder.path().join("Patient.2.ndjson"), "{}\n").unwrap();
    let message = score(folder.path()).unwrap_err().to_string();
    assert!(message.contains("Patient.2.ndjson`: line 1 is no Patient: missing field `id`"), "{message}");
}
