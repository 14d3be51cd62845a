//! A small sound lake in memory, and ways to spoil it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::{NaiveDate, NaiveDateTime};
use datafusion::catalog::CatalogProvider;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::memory::MemoryCatalogProvider;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use model::omop::{Builders, ConditionOccurrence, DrugExposure, Lineage, Measurement, ObservationPeriod, Person};
use model::omop::{Row, VisitOccurrence};
use model::quality::CheckResult;

use crate::contents::Contents;

pub(crate) const RUN: &str = "run-1";

pub(crate) fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn moment(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

/// The OMOP rows of the sound lake: a woman and a man, each with a visit; a diagnosis, a drug and a blood pressure.
pub(crate) fn sound_rows() -> Vec<Row<'static>> {
    let concept = |vocabulary_id, code| model::constraint::concept_ids(vocabulary_id, code)[0];
    let hypertension = concept("SNOMED", "59621000");
    let systolic = concept("LOINC", "8480-6");
    let drug = model::vocabulary::starter_concepts()
        .find(|concept| concept.domain_id == "Drug" && concept.is_standard() && concept.vocabulary_id == "RxNorm")
        .unwrap();
    let of_class = |domain: &str| {
        let found = model::vocabulary::starter_concepts().find(|c| c.domain_id == domain && c.is_standard());
        found.unwrap().concept_id
    };
    let type_concept = of_class("Type Concept");
    let mut rows: Vec<Row<'static>> = Vec::new();
    for (person_id, gender, birth) in [(1, "female", "1960-05-04"), (2, "male", "1980-11-30")] {
        use chrono::Datelike;
        let birth = day(birth);
        rows.push(
            Person {
                person_id,
                gender_concept_id: model::vocabulary::value("gender", gender).unwrap(),
                year_of_birth: birth.year(),
                month_of_birth: Some(birth.month() as i32),
                day_of_birth: Some(birth.day() as i32),
                person_source_value: Some(format!("p{person_id}").into()),
                gender_source_value: Some(gender.into()),
                ..Person::default()
            }
            .into(),
        );
        rows.push(
            ObservationPeriod {
                observation_period_id: person_id + 10,
                person_id,
                observation_period_start_date: day("2020-01-01"),
                observation_period_end_date: day("2025-12-31"),
                period_type_concept_id: type_concept,
            }
            .into(),
        );
        rows.push(
            VisitOccurrence {
                visit_occurrence_id: person_id + 20,
                person_id,
                visit_concept_id: of_class("Visit"),
                visit_start_date: day("2021-03-01"),
                visit_start_datetime: Some(moment("2021-03-01T14:00:00")),
                visit_end_date: day("2021-03-01"),
                visit_end_datetime: Some(moment("2021-03-01T15:00:00")),
                visit_type_concept_id: type_concept,
                visit_source_value: Some("AMB".into()),
                ..VisitOccurrence::default()
            }
            .into(),
        );
    }
    rows.push(
        ConditionOccurrence {
            condition_occurrence_id: 31,
            person_id: 1,
            condition_concept_id: hypertension,
            condition_start_date: day("2021-03-01"),
            condition_start_datetime: Some(moment("2021-03-01T14:10:00")),
            condition_end_date: Some(day("2022-03-01")),
            condition_type_concept_id: type_concept,
            visit_occurrence_id: Some(21),
            condition_source_value: Some("59621000".into()),
            condition_source_concept_id: Some(hypertension),
            ..ConditionOccurrence::default()
        }
        .into(),
    );
    rows.push(
        DrugExposure {
            drug_exposure_id: 41,
            person_id: 1,
            drug_concept_id: drug.concept_id,
            drug_exposure_start_date: day("2021-03-01"),
            drug_exposure_end_date: day("2021-03-30"),
            verbatim_end_date: Some(day("2021-03-30")),
            drug_type_concept_id: type_concept,
            days_supply: Some(30),
            refills: Some(1),
            visit_occurrence_id: Some(21),
            drug_source_value: Some(drug.concept_code.into()),
            ..DrugExposure::default()
        }
        .into(),
    );
    for (measurement_id, person_id, value) in [(51, 1, 151.0), (52, 2, 118.5)] {
        rows.push(
            Measurement {
                measurement_id,
                person_id,
                measurement_concept_id: systolic,
                measurement_date: day("2021-03-01"),
                measurement_datetime: Some(moment("2021-03-01T14:20:00")),
                measurement_type_concept_id: type_concept,
                value_as_number: Some(value),
                unit_concept_id: model::vocabulary::value("unit", "mm[Hg]"),
                visit_occurrence_id: Some(person_id + 20),
                measurement_source_value: Some("8480-6".into()),
                unit_source_value: Some("mm[Hg]".into()),
                ..Measurement::default()
            }
            .into(),
        );
    }
    rows
}

fn batches(rows: &[Row<'static>], lineage: Option<&Lineage>) -> BTreeMap<&'static str, RecordBatch> {
    let mut builders = Builders::default();
    rows.iter().for_each(|row| builders.append(row));
    let finished = builders.finish().into_iter().map(|(table, columns)| {
        let batch = match lineage {
            Some(lineage) => lineage.batch(table, columns),
            None => RecordBatch::try_new(table.schema(), columns).unwrap(),
        };
        (table.name, batch)
    });
    finished.collect()
}

/// Writes rows as the generator does: one Parquet file per table.
pub(crate) fn write_expected(rows: &[Row<'static>], folder: &std::path::Path) {
    for (table, batch) in batches(rows, None) {
        let file = std::fs::File::create(folder.join(format!("{table}.parquet"))).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

/// A session with all tables of a sound lake.
pub(crate) async fn sound_lake() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(2)
        .with_information_schema(true)
        .with_default_catalog_and_schema("lake", "public")
        .with_create_default_catalog_and_schema(false);
    let session = SessionContext::new_with_config(config);
    let catalog = MemoryCatalogProvider::new();
    for namespace in ["public", "omop", "fhir", "quality", "vocabulary"] {
        catalog.register_schema(namespace, Arc::new(MemorySchemaProvider::new())).unwrap();
    }
    let put = |namespace: &str, name: &str, batch: RecordBatch| {
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        catalog.schema(namespace).unwrap().register_table(name.into(), Arc::new(table)).unwrap();
    };
    let lineage = Lineage {
        pipeline_run_id: RUN.into(),
        persisted_at: NaiveDateTime::default(),
        source_id: "test".into(),
        synced_from_fhir: true,
    };
    let mut filled = batches(&sound_rows(), Some(&lineage));
    for table in model::omop::tables().iter().filter(|table| table.schema == "cdm") {
        let batch = filled.remove(table.name).unwrap_or_else(|| RecordBatch::new_empty(table.lake_schema()));
        put("omop", table.name, batch);
    }
    put("vocabulary", "concept", concepts());
    session.register_catalog("lake", Arc::new(catalog));
    for sql in [
        "create table fhir.patient as select * from (values
         ('p1', 'test', date '1960-05-04', 'Anna', 'Petersen', '555-123-4567', 'anna@petersen.example', '12 Elm Street'),
         ('p2', 'test', date '1980-11-30', 'John', 'Okafor', '555-765-4321', 'john@okafor.example', '9 Oak Avenue'))
         as t (id, source_id, birth_date, given, family, phone, email, address_line)",
        "create table fhir.patient_identifier as select * from (values ('p1', 'test', 'MRN-700001'), ('p2', 'test', '48812'))
         as t (patient_id, source_id, value)",
        "create table fhir.encounter as select id, 'test' as source_id, patient_id, 'AMB' as class_code,
         timestamp '2021-03-01 14:00:00' as period_start, timestamp '2021-03-01 15:00:00' as period_end
         from (values ('e1', 'p1'), ('e2', 'p2')) as t (id, patient_id)",
        "create table fhir.condition as select 'c1' as id, 'test' as source_id, 'p1' as patient_id, 'e1' as encounter_id,
         '59621000' as code, timestamp '2021-03-01 14:10:00' as onset_datetime,
         timestamp '2022-03-01 00:00:00' as abatement_datetime, cast(null as timestamp) as recorded_datetime",
        "create table fhir.observation as select id, 'test' as source_id, patient_id, encounter_id, code,
         timestamp '2021-03-01 14:20:00' as effective_datetime, cast(null as timestamp) as issued_datetime,
         value_quantity, 'mmHg' as value_unit, 'mm[Hg]' as value_unit_code from (values
         ('o1', 'p1', 'e1', '8480-6', 151.0), ('o2', 'p2', 'e2', '85354-9', cast(null as double)))
         as t (id, patient_id, encounter_id, code, value_quantity)",
        "create table fhir.observation_component as select 'o2' as observation_id, 'test' as source_id,
         cast(0 as int) as component_index, 118.5 as value_quantity, 'mmHg' as value_unit, 'mm[Hg]' as value_unit_code,
         'o2' as id",
        "create table quality.crosswalk as select table_name as omop_table, cast(omop_id as bigint) as omop_id,
         'test' as source_id, resource_type, resource_id, part, 'run-1' as pipeline_run_id from (values
         ('person', 1, 'Patient', 'p1', ''), ('person', 2, 'Patient', 'p2', ''),
         ('visit_occurrence', 21, 'Encounter', 'e1', ''), ('visit_occurrence', 22, 'Encounter', 'e2', ''),
         ('observation_period', 11, 'Patient', 'p1', ''), ('observation_period', 12, 'Patient', 'p2', ''),
         ('condition_occurrence', 31, 'Condition', 'c1', ''), ('drug_exposure', 41, 'MedicationRequest', 'm1', ''),
         ('measurement', 51, 'Observation', 'o1', ''), ('measurement', 52, 'Observation', 'o2', 'component[0]'))
         as t (table_name, omop_id, resource_type, resource_id, part)",
        "create table quality.accounting as select 'run-1' as pipeline_run_id, 'test' as source_id, * from (values
         ('Patient', 2, 2, 0, 0), ('Encounter', 2, 2, 0, 0), ('Condition', 1, 1, 0, 0), ('Observation', 3, 2, 1, 0),
         ('MedicationRequest', 1, 1, 0, 0), ('(unreadable)', 1, 0, 0, 1))
         as t (resource_type, read_count, mapped_count, excluded_count, rejected_count)",
        "create table quality.rejected as select 'run-1' as pipeline_run_id, 'test' as source_id, '' as resource_type,
         cast(null as varchar) as resource_id, 'invalid_json' as reason",
        "create table quality.exclusion as select 'run-1' as pipeline_run_id, 'test' as source_id,
         'Observation' as resource_type, 'o3' as resource_id, 'status_cancelled' as reason",
        "create table quality.concept_check as select 'run-1' as pipeline_run_id, named_by, 'passed' as status
         from (values ('gender.female'), ('starter')) as t (named_by)",
        "create table quality.loss as select 'run-1' as pipeline_run_id, 'test' as source_id, 'Condition.code' as element,
         'truncated' as reason, cast(1 as bigint) as record_count",
        "create table vocabulary.domain as select 'Drug' as domain_id, 'Drug' as domain_name",
        "create table quality.mapping_coverage as select 'run-1' as pipeline_run_id, 'Condition.code' as element,
         'http://snomed.info/sct' as code_system, '59621000' as code, cast(320128 as int) as concept_id,
         cast(1 as bigint) as record_count",
    ] {
        run(&session, sql).await;
    }
    session
}

/// Runs a statement.
pub(crate) async fn run(session: &SessionContext, sql: &str) {
    session.sql(sql).await.unwrap().collect().await.unwrap();
}

/// Replaces a table by a query over it.
pub(crate) async fn spoil(session: &SessionContext, table: &str, query: &str) {
    let spoiled = session.sql(query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    let schema = spoiled.schema().inner().clone();
    let batches = spoiled.collect().await.unwrap();
    let provider = MemTable::try_new(schema, vec![batches]).unwrap();
    session.deregister_table(table).unwrap();
    session.register_table(table, Arc::new(provider)).unwrap();
}

/// Row counts as the lake's catalog gives them.
pub(crate) async fn row_counts(session: &SessionContext) -> BTreeMap<String, u64> {
    let catalog = session.catalog("lake").unwrap();
    let mut counts = BTreeMap::new();
    for namespace in ["omop", "fhir", "quality", "vocabulary"] {
        for table in catalog.schema(namespace).unwrap().table_names() {
            let name = format!("{namespace}.{table}");
            let rows = session.table(name.as_str()).await.unwrap().count().await.unwrap();
            counts.insert(name, rows as u64);
        }
    }
    counts
}

/// What the session holds.
pub(crate) async fn contents(session: &SessionContext) -> Contents {
    Contents::of(session, &row_counts(session).await).await.unwrap()
}

/// The result with that id.
pub(crate) fn find<'a>(results: &'a [CheckResult], id: &str) -> &'a CheckResult {
    results.iter().find(|result| result.check.id == id).unwrap_or_else(|| panic!("no check `{id}`"))
}

fn concepts() -> RecordBatch {
    let concepts: Vec<_> = model::vocabulary::starter_concepts().collect();
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let schema = Schema::new(vec![
        Field::new("concept_id", DataType::Int32, false),
        text("concept_name"),
        text("domain_id"),
        text("vocabulary_id"),
        text("concept_class_id"),
        text("standard_concept"),
        text("concept_code"),
        Field::new("valid_start_date", DataType::Date32, true),
        text("invalid_reason"),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(concepts.iter().map(|c| c.concept_id))),
        Arc::new(StringArray::from_iter_values(concepts.iter().map(|c| c.concept_name))),
        Arc::new(StringArray::from_iter_values(concepts.iter().map(|c| c.domain_id))),
        Arc::new(StringArray::from_iter_values(concepts.iter().map(|c| c.vocabulary_id))),
        Arc::new(StringArray::from_iter_values(concepts.iter().map(|c| c.concept_class_id))),
        Arc::new(StringArray::from_iter(concepts.iter().map(|c| c.standard_concept))),
        Arc::new(StringArray::from_iter_values(concepts.iter().map(|c| c.concept_code))),
        Arc::new(Date32Array::from_iter_values(concepts.iter().map(|c| c.valid_start_date.to_epoch_days()))),
        Arc::new(StringArray::from_iter(concepts.iter().map(|c| c.invalid_reason))),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}
