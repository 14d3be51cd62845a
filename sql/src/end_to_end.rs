//! The embedded models over whole lakes: an empty one, and a public OMOP sample where it is at hand.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use chrono::NaiveDateTime;
use datafusion::prelude::{ParquetReadOptions, SessionContext, cast, ident, lit};
use lake::{AsOf, Config, Durability, Lake, Stamp, TableName, TableSpec};

use crate::testing::embedded;
use crate::{ModelStatus, Options, Project, run};

/// A lake that holds the sources of a project, with the rows of the sample's files where there are any.
async fn lake_of(folder: &Path, project: &Project, sample: Option<&Path>) -> Lake {
    let config = Config { durability: Durability::Nothing, ..Config::folder(folder) };
    let lake = Lake::open(&config).await.unwrap();
    let stamp = Stamp { run_id: "source".into(), stage: "source".into(), fingerprint: String::new() };
    let mut transaction = lake.begin(stamp).await.unwrap();
    for (name, source) in &project.sources {
        let name: TableName = name.parse().unwrap();
        let schema = source.schema.clone();
        let spec = TableSpec { name: name.clone(), schema, key: vec![], sort: vec![], partition: None };
        let mut writer = transaction.writer(&spec).await.unwrap();
        let file = sample.map(|sample| sample.join(format!("{}.parquet", name.name)));
        if let Some(file) = file.filter(|file| file.exists() && name.namespace != "fhir") {
            for batch in rows(&file, &spec).await {
                writer.write(&batch).unwrap();
            }
        }
        transaction.replace(&name, writer.close().unwrap());
    }
    transaction.commit().await.unwrap();
    lake
}

/// The rows of a file in the columns of a table; what an older CDM lacks is null, lineage says `sample`.
async fn rows(file: &Path, spec: &TableSpec) -> Vec<RecordBatch> {
    let context = SessionContext::new();
    let frame = context.read_parquet(file.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let names = frame.schema().fields().iter().map(|field| (field.name().to_lowercase(), field.name().clone()));
    let names = names.collect::<BTreeMap<_, _>>();
    let columns = spec.schema.fields().iter().map(|field| {
        let value = match (names.get(field.name()), field.data_type()) {
            (Some(name), _) => ident(name),
            (None, DataType::Boolean) => lit(false),
            (None, DataType::Timestamp(..)) => lit("2020-01-01T00:00:00"),
            (None, DataType::Utf8) => lit("sample"),
            (None, _) => lit(datafusion::common::ScalarValue::Null),
        };
        cast(value, field.data_type().clone()).alias(field.name())
    });
    frame.select(columns.collect::<Vec<_>>()).unwrap().collect().await.unwrap()
}

fn options(run_id: &str) -> Options {
    Options {
        run_id: run_id.into(),
        started_at: NaiveDateTime::default(),
        select: Vec::new(),
        exclude: Vec::new(),
        full_refresh: false,
        threads: 2,
    }
}

/// The first row of a query, as numbers.
async fn numbers(lake: &Lake, sql: &str) -> Vec<i64> {
    let session = lake.session(&AsOf::Latest).await.unwrap();
    let frame = session.sql(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batches = frame.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap_or_else(|| panic!("{sql}: no rows"));
    let number = |column: &arrow::array::ArrayRef| {
        column.as_any().downcast_ref::<Int64Array>().unwrap_or_else(|| panic!("{sql}: {}", column.data_type())).value(0)
    };
    batch.columns().iter().map(number).collect()
}

async fn build(lake: &Lake, project: &Project, run_id: &str) -> BTreeMap<String, u64> {
    let outcome = run(lake, project, &options(run_id), &|_| {}).await.unwrap();
    let bad = outcome.models.iter().filter(|model| model.status != ModelStatus::Built).collect::<Vec<_>>();
    assert!(bad.is_empty(), "{bad:#?}");
    outcome.models.into_iter().filter_map(|model| Some((model.name, model.row_count?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_models_build_over_empty_tables() {
    let folder = tempfile::tempdir().unwrap();
    let project = embedded();
    let lake = lake_of(folder.path(), &project, None).await;
    let counts = build(&lake, &project, "a").await;
    assert_eq!(counts["marts.patient_timeline"], 0);
    assert_eq!(counts["staging.seed_age_band"], 8);
    for check in project.checks() {
        assert_eq!(numbers(&lake, &check.sql).await.len(), 2, "{}", check.id);
    }
}

/// 2,694 persons of OHDSI's Eunomia: every row is accounted for, and episodes agree with eras that OHDSI's own script made.
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_models_account_for_a_public_sample() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/omop/samples/gibleed-omop53");
    let sample = Path::new(path);
    if !sample.exists() {
        assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{path} is missing");
        eprintln!("SKIPPED the_embedded_models_account_for_a_public_sample: {path} is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let project = embedded();
    let lake = lake_of(folder.path(), &project, Some(sample)).await;
    let counts = build(&lake, &project, "a").await;
    assert_eq!(counts["marts.patient_demographics"], 2_694);
    let events = "select (select count(*) from omop.visit_occurrence) + (select count(*) from omop.condition_occurrence) \
                  + (select count(*) from omop.drug_exposure) + (select count(*) from omop.procedure_occurrence) \
                  + (select count(*) from omop.device_exposure) + (select count(*) from omop.measurement) \
                  + (select count(*) from omop.observation) + (select count(*) from omop.death)";
    assert_eq!(counts["marts.patient_timeline"] as i64, numbers(&lake, events).await[0]);
    let recorded =
        "select sum(occurrence_count), sum(case when is_ongoing then 1 else 0 end) from marts.condition_episodes";
    assert_eq!(numbers(&lake, recorded).await[0], 65_332);

    // The sample has keys that occur twice and observation periods of persons that it lacks: the checks find them all.
    let mut failed = Vec::new();
    for check in project.checks() {
        let found = numbers(&lake, &check.sql).await;
        let result = model::quality::CheckResult::judged(check, found[0] as u64, found[1] as u64);
        if result.fails_run() {
            failed.push(format!("{}: {}", result.check.id, result.violation_count));
        }
    }
    failed.sort();
    let expected = [
        "relationships/marts.patient_year.person_id: 54058",
        "relationships/staging.stg_omop__observation_period.person_id: 2649",
        "unique/staging.stg_omop__drug_exposure.drug_exposure_id: 4384",
        "unique/staging.stg_omop__measurement.measurement_id: 2183",
        "unique/staging.stg_omop__observation.observation_id: 6",
    ];
    assert_eq!(failed, expected);

    // Another run over the same input changes nothing.
    let before = lake.history(&"marts.patient_timeline".parse().unwrap()).await.unwrap();
    assert_eq!(build(&lake, &project, "b").await, counts);
    assert_eq!(lake.history(&"marts.patient_timeline".parse().unwrap()).await.unwrap(), before);

    let session = lake.session(&AsOf::Latest).await.unwrap();
    let eras = sample.join("condition_era.parquet");
    session.register_parquet("era", eras.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap();
    let names = session.table("era").await.unwrap();
    let upper = names.schema().fields().iter().any(|field| field.name() == "PERSON_ID");
    let column = |name: &str| if upper { format!("\"{}\"", name.to_uppercase()) } else { name.to_owned() };
    let sql = format!(
        "select count(*) from (select {person} as person_id, {concept} as concept_id, count(*) as n from era group by 1, 2) as e \
         full join (select person_id, condition_concept_id as concept_id, count(*) as n, max(case when is_ongoing then 1 else 0 end) \
         as open from marts.condition_episodes group by 1, 2) as m on e.person_id = m.person_id and e.concept_id = m.concept_id \
         where m.open = 0 and (e.n is null or e.n <> m.n)",
        person = column("person_id"),
        concept = column("condition_concept_id"),
    );
    let batches = session.sql(&sql).await.unwrap().collect().await.unwrap();
    let column = batches[0].column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!(column.value(0), 0, "conditions whose episodes are not as many as their eras");
}
