//! Every kind of check passes on a sound lake and fails on a spoiled one.

use std::collections::BTreeSet;

use model::quality::{CheckResult, Status};

use super::*;
use crate::answer::answer;
use crate::testing::{RUN, contents, find, moment, run, sound_lake, spoil};

async fn ask(session: &datafusion::prelude::SessionContext, names: &[&str]) -> Vec<CheckResult> {
    let contents = contents(session).await;
    let traces = traces(session, &contents).await.unwrap();
    let started_at = moment("2026-01-02T00:00:00");
    let scope = Scope { contents: &contents, accounting_run: Some(RUN), traces: &traces, started_at };
    let mut questions = questions(&scope);
    if !names.is_empty() {
        questions.retain(|question| names.contains(&question.check().name.as_str()));
    }
    answer(session, &contents, questions, 2, &|_| {}).await.unwrap()
}

#[tokio::test]
async fn a_sound_lake_passes_every_check() {
    let results = ask(&sound_lake().await, &[]).await;
    let bad: Vec<_> = results
        .iter()
        .filter(|result| result.fails_run() || result.status == Status::Errored)
        .map(|result| format!("{}: {:?} {:?}", result.check.id, result.status, result.message))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let ids: BTreeSet<_> = results.iter().map(|result| &result.check.id).collect();
    assert_eq!(ids.len(), results.len(), "every id is unique");
    assert!(results.len() > 1000, "{}", results.len());
}

/// The sum of a shared query is the sum of the check's own.
#[tokio::test]
async fn every_check_can_be_run_by_hand() {
    let session = sound_lake().await;
    for result in ask(&session, &[]).await {
        let rows = crate::row::rows(&session, "a check", &result.check.sql).await;
        let rows = rows.unwrap_or_else(|error| panic!("{}: {error:?}\n{}", result.check.id, result.check.sql));
        let counts = (rows[0].int(0) as u64, rows[0].int(1) as u64);
        if !result.check.name.starts_with("cdm") {
            assert_eq!(counts, (result.row_count, result.violation_count), "{}", result.check.id);
        }
    }
}

/// Each line: a check, the table to spoil, and the expressions that spoil it.
#[tokio::test]
async fn every_kind_of_check_can_fail() {
    let long = "repeat('x', 51) as condition_source_value";
    for (id, table, replaced) in [
        (
            "isRequired/omop.measurement.measurement_concept_id",
            "omop.measurement",
            "cast(null as int) as measurement_concept_id",
        ),
        ("isPrimaryKey/omop.measurement.measurement_id", "omop.measurement", "cast(51 as bigint) as measurement_id"),
        ("isForeignKey/omop.measurement.person_id", "omop.measurement", "cast(99 as bigint) as person_id"),
        (
            "isForeignKey/omop.measurement.visit_occurrence_id",
            "omop.measurement",
            "cast(99 as bigint) as visit_occurrence_id",
        ),
        ("isForeignKey/omop.measurement.provider_id", "omop.measurement", "cast(99 as bigint) as provider_id"),
        (
            "isForeignKey/omop.measurement.measurement_concept_id",
            "omop.measurement",
            "cast(1999999999 as int) as measurement_concept_id",
        ),
        (
            "fkDomain/omop.condition_occurrence.condition_concept_id",
            "omop.condition_occurrence",
            "cast(3004249 as int) as condition_concept_id",
        ),
        (
            "isStandardValidConcept/omop.measurement.unit_concept_id",
            "omop.measurement",
            "(select min(concept_id) from vocabulary.concept where concept_id > 0 and standard_concept is null) as unit_concept_id",
        ),
        (
            "typeConceptIsKnown/omop.measurement.measurement_type_concept_id",
            "omop.measurement",
            "cast(0 as int) as measurement_type_concept_id",
        ),
        ("cdmDatatype/omop.condition_occurrence.condition_source_value", "omop.condition_occurrence", long),
        ("cdmDatatype/omop.person.year_of_birth", "omop.person", "cast(year_of_birth as varchar) as year_of_birth"),
        (
            "standardConceptRecordCompleteness/omop.condition_occurrence.condition_concept_id",
            "omop.condition_occurrence",
            "cast(0 as int) as condition_concept_id",
        ),
        (
            "sourceConceptRecordCompleteness/omop.condition_occurrence.condition_source_concept_id",
            "omop.condition_occurrence",
            "cast(null as int) as condition_source_concept_id",
        ),
        (
            "measureObservationPeriodOverlap/omop.observation_period",
            "omop.observation_period",
            "cast(1 as bigint) as person_id",
        ),
        (
            "plausibleAfterBirth/omop.measurement.measurement_date",
            "omop.measurement",
            "date '1950-01-01' as measurement_date",
        ),
        (
            "plausibleStartBeforeEnd/omop.visit_occurrence.visit_start_date",
            "omop.visit_occurrence",
            "date '2021-02-01' as visit_end_date",
        ),
        (
            "plausibleTemporalAfter/omop.drug_exposure.verbatim_end_date",
            "omop.drug_exposure",
            "date '2021-02-01' as verbatim_end_date",
        ),
        (
            "plausibleDatePair/omop.measurement.measurement_datetime",
            "omop.measurement",
            "date '2021-03-05' as measurement_date",
        ),
        (
            "plausibleValueLow/omop.condition_occurrence.condition_start_date",
            "omop.condition_occurrence",
            "date '1949-12-31' as condition_start_date",
        ),
        (
            "plausibleValueHigh/omop.condition_occurrence.condition_start_date",
            "omop.condition_occurrence",
            "date '2026-01-05' as condition_start_date",
        ),
        ("plausibleValueHigh/omop.drug_exposure.days_supply", "omop.drug_exposure", "cast(400 as int) as days_supply"),
        (
            "withinVisitDates/omop.measurement.measurement_date",
            "omop.measurement",
            "date '2021-04-01' as measurement_date",
        ),
        (
            "plausibleValueHigh/omop.measurement.value_as_number 3004249 mm[Hg]",
            "omop.measurement",
            "cast(400.0 as double) as value_as_number",
        ),
        (
            "plausibleUnitConceptIds/omop.measurement.unit_concept_id 3004249",
            "omop.measurement",
            "cast(0 as int) as unit_concept_id",
        ),
        ("accountingBalances/quality.accounting", "quality.accounting", "mapped_count + 1 as mapped_count"),
        ("accountingRejected/quality.rejected", "quality.rejected", "'Patient' as resource_type"),
        ("accountingExcluded/quality.exclusion", "quality.exclusion", "'Patient' as resource_type"),
        ("ownConceptExists/quality.concept_check", "quality.concept_check", "'missing' as status"),
        ("ownConceptStandard/quality.concept_check", "quality.concept_check", "'retired' as status"),
        ("ownConceptDomain/quality.concept_check", "quality.concept_check", "'other_domain' as status"),
        ("ownConceptName/quality.concept_check", "quality.concept_check", "'other_name' as status"),
        ("lossAccounted/quality.loss", "quality.loss", "cast(0 as bigint) as record_count"),
        ("crosswalkComplete/omop.measurement", "quality.crosswalk", "omop_id + 1 as omop_id"),
        ("crosswalkTarget/omop.measurement", "omop.measurement", "measurement_id + 1 as measurement_id"),
        ("resourceAccounted/fhir.condition", "fhir.condition", "'c9' as id"),
        ("resourceKept/fhir.condition", "fhir.condition", "'c9' as id"),
        (
            "crossModelPerson/omop.condition_occurrence.person_id from fhir.condition",
            "omop.condition_occurrence",
            "cast(2 as bigint) as person_id",
        ),
        (
            "crossModelVisit/omop.condition_occurrence.visit_occurrence_id from fhir.condition",
            "omop.condition_occurrence",
            "cast(22 as bigint) as visit_occurrence_id",
        ),
        (
            "crossModelDate/omop.condition_occurrence.condition_start_date from fhir.condition",
            "omop.condition_occurrence",
            "date '2021-03-03' as condition_start_date",
        ),
        (
            "crossModelDate/omop.condition_occurrence.condition_start_datetime from fhir.condition",
            "omop.condition_occurrence",
            "timestamp '2021-03-01 14:11:00' as condition_start_datetime",
        ),
        (
            "crossModelDate/omop.visit_occurrence.visit_end_datetime from fhir.encounter",
            "omop.visit_occurrence",
            "timestamp '2021-03-01 14:11:00' as visit_end_datetime",
        ),
        ("crossModelDate/omop.person.year_of_birth", "omop.person", "cast(1961 as int) as year_of_birth"),
        (
            "crossModelCode/omop.condition_occurrence.condition_source_value from fhir.condition",
            "omop.condition_occurrence",
            "'38341003' as condition_source_value",
        ),
        (
            "crossModelValue/omop.measurement.value_as_number from fhir.observation",
            "omop.measurement",
            "value_as_number + 0.000001 as value_as_number",
        ),
        (
            "crossModelValue/omop.measurement.value_as_number from fhir.observation_component",
            "omop.measurement",
            "value_as_number + 0.000001 as value_as_number",
        ),
        (
            "crossModelUnit/omop.measurement.unit_source_value from fhir.observation",
            "omop.measurement",
            "'kPa' as unit_source_value",
        ),
    ] {
        let session = sound_lake().await;
        let name = id.split('/').next().unwrap();
        let before = ask(&session, &[name]).await;
        let sound = find(&before, id);
        let nothing_there = sound.status == Status::NotApplicable && sound.row_count == 0;
        assert!(sound.status == Status::Passed || nothing_there, "{id} passes on a sound lake");
        spoil(&session, table, &format!("select * replace ({replaced}) from {table}")).await;
        let after = ask(&session, &[name]).await;
        let result = find(&after, id);
        assert_eq!(result.status, Status::Failed, "{id}: {:?}", result.message);
        assert!(result.violation_count > 0 || result.message.is_some());
    }
}

#[tokio::test]
async fn checks_that_need_more_than_a_changed_cell_can_fail() {
    for (id, table, query) in [
        (
            "measurePersonCompleteness/omop.observation_period",
            "omop.observation_period",
            "select * from omop.observation_period where person_id = 1",
        ),
        (
            "plausibleDuringLife/omop.measurement.measurement_date",
            "omop.death",
            "select t.* replace (p.person_id as person_id, date '2020-12-01' as death_date) from omop.person as p left join omop.death as t on true",
        ),
        ("cdmField/omop.person.day_of_birth", "omop.person", "select * exclude (day_of_birth) from omop.person"),
        (
            "isPrimaryKey/vocabulary.concept.concept_id",
            "vocabulary.concept",
            "select * from vocabulary.concept union all select * from vocabulary.concept",
        ),
    ] {
        let session = sound_lake().await;
        spoil(&session, table, query).await;
        let results = ask(&session, &[id.split('/').next().unwrap()]).await;
        assert_eq!(find(&results, id).status, Status::Failed, "{id}");
    }
    let session = sound_lake().await;
    session.deregister_table("omop.specimen").unwrap();
    assert_eq!(find(&ask(&session, &["cdmTable"]).await, "cdmTable/omop.specimen").status, Status::Failed);
}

/// Sex, age, need and exclusion: the sound lake's diagnosis is swapped for a constrained one.
#[tokio::test]
async fn constraints_of_a_concept_can_fail() {
    let concepts = |vocabulary_id: &str, code: &str| model::constraint::concept_ids(vocabulary_id, code);
    let sex = model::constraint::sexes()
        .find(|sex| sex.gender == "M" && concepts(sex.vocabulary_id, sex.code).len() == 1)
        .or_else(|| model::constraint::sexes().next())
        .unwrap();
    let wrong_person = if sex.gender == "M" { 1 } else { 2 };
    let session = sound_lake().await;
    let contents = contents(&session).await;
    let scope =
        Scope { contents: &contents, accounting_run: None, traces: &[], started_at: moment("2026-01-02T00:00:00") };
    let concept_id = concepts(sex.vocabulary_id, sex.code)[0];
    let suffix = format!(" {concept_id}");
    let check = questions(&scope)
        .into_iter()
        .map(|question| question.check().clone())
        .find(|check| check.name == "plausibleGender" && check.id.ends_with(&suffix))
        .unwrap();
    let column = check.column.clone().unwrap();
    // Any table with rows will do: the rows are cast into the constrained table.
    let source = "omop.measurement";
    if check.table == source {
        let query = format!(
            "select * replace (cast({concept_id} as int) as {column}, cast({wrong_person} as bigint) as person_id) from {source}"
        );
        spoil(&session, source, &query).await;
    } else {
        let table = "omop.condition_occurrence";
        assert_eq!(check.table, table, "extend this test for {}", check.table);
        let query = format!(
            "select * replace (cast({concept_id} as int) as {column}, cast({wrong_person} as bigint) as person_id) from {table}"
        );
        spoil(&session, table, &query).await;
    }
    assert_eq!(find(&ask(&session, &["plausibleGender"]).await, &check.id).status, Status::Failed);

    for (name, spoiled) in [
        (
            "plausibleAge",
            model::constraint::age_ranges()
                .filter(|age| age.youngest.is_some() || age.oldest.is_some_and(|oldest| oldest < 40))
                .map(|age| (age.vocabulary_id, age.code))
                .collect::<Vec<_>>(),
        ),
        (
            "plausibleCooccurrence",
            model::constraint::requirements().map(|need| (need.vocabulary_id, need.code)).collect(),
        ),
    ] {
        let session = sound_lake().await;
        let drug = spoiled
            .iter()
            .flat_map(|(vocabulary_id, code)| concepts(vocabulary_id, code))
            .find(|id| model::vocabulary::concept(*id).is_some_and(|concept| concept.domain_id == "Drug"))
            .unwrap();
        // A child born on the day has none of the diagnoses and is too young; grown-ups are too old otherwise.
        let query = format!(
            "select * replace (cast({drug} as int) as drug_concept_id, cast(2 as bigint) as person_id) from omop.drug_exposure"
        );
        spoil(&session, "omop.drug_exposure", &query).await;
        let results = ask(&session, &[name]).await;
        let looked: Vec<_> = results.iter().filter(|result| result.row_count > 0).collect();
        assert!(looked.iter().any(|result| result.check.table == "omop.drug_exposure"), "{name} looks at the drug");
        if name == "plausibleCooccurrence" {
            assert!(looked.iter().any(|result| result.status == Status::Failed), "{name} fails");
        } else {
            for birth in [2021, 1930] {
                let query = format!("select * replace (cast({birth} as int) as year_of_birth) from omop.person");
                spoil(&session, "omop.person", &query).await;
                if ask(&session, &[name]).await.iter().any(|result| result.status == Status::Failed) {
                    return;
                }
            }
            panic!("{name} never fails");
        }
    }
}

/// Found with the allergy of the HL7 examples: recorded in 2014, its reactions of 2004 and 2012.
#[tokio::test]
async fn a_reaction_has_a_date_of_its_own() {
    let id = "crossModelDate/omop.observation.observation_date from fhir.allergy_intolerance";
    for (part, status) in [("reaction[0]", Status::NotApplicable), ("", Status::Failed)] {
        let session = sound_lake().await;
        run(
            &session,
            "create table fhir.allergy_intolerance as select 'a1' as id, 'test' as source_id, 'p1' as patient_id,
             'e1' as encounter_id, timestamp '2014-10-09 03:58:00' as recorded_datetime,
             cast(null as timestamp) as onset_datetime",
        )
        .await;
        let row = "select o.* replace (cast(61 as bigint) as observation_id, cast(1 as bigint) as person_id,
             date '2012-06-12' as observation_date) from (values (1)) as v left join omop.observation as o on true";
        spoil(&session, "omop.observation", row).await;
        let entry = format!(
            "select * from quality.crosswalk union all select 'observation', cast(61 as bigint), 'test',
             'AllergyIntolerance', 'a1', '{part}', 'run-1'"
        );
        spoil(&session, "quality.crosswalk", &entry).await;
        assert_eq!(find(&ask(&session, &["crossModelDate"]).await, id).status, status, "part `{part}`");
    }
}

#[tokio::test]
async fn one_bad_check_does_not_take_the_others_of_its_table_along() {
    let session = sound_lake().await;
    let contents = contents(&session).await;
    let check = |id: &str| {
        let mut check = crate::question::check(model::quality::Category::Conformance, "x", "omop.person", None, "");
        check.id = id.into();
        check
    };
    let questions = vec![
        crate::question::row_check(check("bad"), Vec::new(), "true", "t.no_such_column is null"),
        crate::question::row_check(check("good"), Vec::new(), "true", "t.person_id = 1"),
    ];
    let results = answer(&session, &contents, questions, 2, &|_| {}).await.unwrap();
    assert_eq!(find(&results, "bad").status, Status::Errored);
    assert!(find(&results, "bad").message.as_deref().unwrap().contains("no_such_column"));
    assert_eq!(find(&results, "good").violation_count, 1);
}

/// Which column gets which structural check, against OHDSI's own table.
#[tokio::test]
async fn structural_checks_cover_those_of_the_dashboard() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/dqd/OMOP_CDMv5.4_Field_Level.csv");
    let Ok(mut reader) = csv::Reader::from_path(path) else {
        assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} is missing");
        eprintln!("SKIPPED structural_checks_cover_those_of_the_dashboard: {path} is missing");
        return;
    };
    let contents = contents(&sound_lake().await).await;
    let scope =
        Scope { contents: &contents, accounting_run: None, traces: &[], started_at: moment("2026-01-02T00:00:00") };
    let ours: BTreeSet<String> = questions(&scope)
        .iter()
        .map(|question| question.check())
        .filter(|check| ["isRequired", "isPrimaryKey", "isForeignKey", "cdmDatatype"].contains(&check.name.as_str()))
        .map(|check| check.id.replace("omop.", ""))
        .collect();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header.trim_start_matches('\u{feff}') == name).unwrap();
    let tables: BTreeSet<_> = clinical_tables().map(|table| table.name).collect();
    let (mut theirs, mut integers) = (BTreeSet::new(), 0);
    for record in reader.records() {
        let record = record.unwrap();
        let cell = |name: &str| record[column(name)].to_lowercase().replace('"', "");
        let (table, field) = (cell("cdmTableName"), cell("cdmFieldName"));
        if !tables.contains(table.as_str()) {
            continue;
        }
        for name in ["isRequired", "isPrimaryKey", "isForeignKey"] {
            if cell(name) == "yes" {
                theirs.insert(format!("{name}/{table}.{field}"));
            }
        }
        if cell("cdmDatatype") == "integer" {
            integers += 1;
            assert!(ours.contains(&format!("cdmDatatype/{table}.{field}")), "{table}.{field}");
        }
    }
    assert!(integers > 150, "{integers}");
    let structural: BTreeSet<String> =
        ours.into_iter().filter(|id| !id.starts_with("cdmDatatype") && !id.contains("vocabulary.")).collect();
    let missing: Vec<_> = theirs.difference(&structural).collect();
    let surplus: Vec<_> = structural.difference(&theirs).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing {missing:#?}, surplus {surplus:#?}");
}
