//! Runs models over the graph: as many at a time as asked for, each after the ones it reads; what finds no memory beside
//! others is built alone, what reads a failed model is skipped, and the rest goes on.

use std::collections::BTreeMap;
use std::time::Instant;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lake::Lake;
use serde::Serialize;

use crate::definition::Materialization;
use crate::error::{Error, Result};
use crate::materialize::{self, Built, Options};
use crate::project::{Model, Project};
use crate::selection::Selection;

/// How a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelStatus {
    /// It stands, built now or found unchanged.
    Built,
    /// A model that it reads failed.
    Skipped,
    /// It could not be built; what stood before still stands.
    Failed,
}

/// What came of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelOutcome {
    /// `namespace.table`.
    pub name: String,
    /// How it stands in the lake.
    pub materialization: Materialization,
    /// How it ended.
    pub status: ModelStatus,
    /// Rows after the build; none for views.
    pub row_count: Option<u64>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed or was skipped, or what is to be said of the build.
    pub message: Option<String>,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Each model that was meant, each after the ones it reads.
    pub models: Vec<ModelOutcome>,
    /// How long it took.
    pub seconds: f64,
}

impl Outcome {
    /// How many models ended so.
    pub fn count(&self, status: ModelStatus) -> usize {
        self.models.iter().filter(|model| model.status == status).count()
    }
}

/// Builds the models that are meant; a model that fails is part of the outcome, not an error.
pub async fn run(
    lake: &Lake,
    project: &Project,
    options: &Options,
    progress: &(dyn Fn(&ModelOutcome) + Sync),
) -> Result<Outcome> {
    let build = async |model: &Model| materialize::build(lake, project, model, options).await;
    run_by(project, options, progress, &build).await
}

/// Lets `build` build each model: several at a time, and once more alone what found no memory beside others.
pub(crate) async fn run_by(
    project: &Project,
    options: &Options,
    progress: &(dyn Fn(&ModelOutcome) + Sync),
    build: &impl AsyncFn(&Model) -> Result<Built>,
) -> Result<Outcome> {
    let started = Instant::now();
    let selection = Selection { select: options.select.clone(), exclude: options.exclude.clone() };
    let meant = project.select(&selection)?;
    let mut waiting = meant.clone();
    let mut outcomes: BTreeMap<&str, ModelOutcome> = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    let mut crowded_out = Vec::new();
    loop {
        let mut position = 0;
        while position < waiting.len() {
            let name = waiting[position];
            let model = &project.models[name];
            let parents =
                project.parents(model).into_iter().filter(|parent| meant.contains(parent)).collect::<Vec<_>>();
            let broken = parents
                .iter()
                .find(|parent| outcomes.get(**parent).is_some_and(|outcome| outcome.status != ModelStatus::Built));
            if let Some(broken) = broken {
                let why = match outcomes[*broken].status {
                    ModelStatus::Failed => "failed",
                    _ => "was skipped",
                };
                let skipped = skipped(model, format!("`{broken}` {why}"));
                progress(&skipped);
                outcomes.insert(name, skipped);
                waiting.remove(position);
            } else if running.len() < options.threads.max(1)
                && parents.iter().all(|parent| outcomes.contains_key(parent))
            {
                running.push(async move { (model, outcome(model, build).await) });
                waiting.remove(position);
            } else {
                position += 1;
            }
        }
        let (model, outcome) = match running.next().await {
            Some((model, Err(OutOfMemory(_)))) => {
                crowded_out.push(model);
                continue;
            }
            Some((model, Ok(outcome))) => (model, outcome),
            None => match crowded_out.pop() {
                Some(model) => (model, outcome(model, build).await.unwrap_or_else(|OutOfMemory(outcome)| outcome)),
                None => break,
            },
        };
        progress(&outcome);
        outcomes.insert(&model.name, outcome);
    }
    let models = meant.iter().filter_map(|name| outcomes.remove(name)).collect();
    Ok(Outcome { models, seconds: started.elapsed().as_secs_f64() })
}

fn skipped(model: &Model, message: String) -> ModelOutcome {
    ModelOutcome {
        name: model.name.clone(),
        materialization: model.materialization,
        status: ModelStatus::Skipped,
        row_count: None,
        seconds: 0.0,
        message: Some(message),
    }
}

/// What came of a model that found no memory.
struct OutOfMemory(ModelOutcome);

async fn outcome(model: &Model, build: &impl AsyncFn(&Model) -> Result<Built>) -> Result<ModelOutcome, OutOfMemory> {
    let started = Instant::now();
    let built = build(model).await;
    let is_out_of_memory = matches!(built, Err(Error::OutOfMemory(_)));
    let (status, row_count, message) = match built {
        Ok(built) => (ModelStatus::Built, built.row_count, built.message),
        Err(error) => (ModelStatus::Failed, None, Some(format!("{}: {error}", model.file))),
    };
    let outcome = ModelOutcome {
        name: model.name.clone(),
        materialization: model.materialization,
        status,
        row_count,
        seconds: started.elapsed().as_secs_f64(),
        message,
    };
    if is_out_of_memory { Err(OutOfMemory(outcome)) } else { Ok(outcome) }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
    use arrow::util::pretty::pretty_format_batches;
    use lake::{AsOf, Config, Durability, Stamp, TableName, TableSpec};

    use super::*;
    use crate::testing::files;

    struct Place {
        lake: Lake,
        _folder: tempfile::TempDir,
    }

    async fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { durability: Durability::Nothing, ..Config::folder(folder.path()) };
        Place { lake: Lake::open(&config).await.unwrap(), _folder: folder }
    }

    fn source_schema() -> SchemaRef {
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        let fields = [("id", DataType::Int64), ("word", DataType::Utf8), ("at", time)];
        Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    /// Puts rows (id, word, at) in the place of all rows with these ids.
    async fn put(lake: &Lake, rows: &[(i64, &str, i64)]) {
        let ids = rows.iter().map(|row| row.0).collect::<Int64Array>();
        let words = rows.iter().map(|row| Some(row.1)).collect::<StringArray>();
        let times = rows.iter().map(|row| Some(row.2)).collect::<TimestampMicrosecondArray>();
        let columns: Vec<ArrayRef> = vec![Arc::new(ids.clone()), Arc::new(words), Arc::new(times)];
        let batch = RecordBatch::try_new(source_schema(), columns).unwrap();
        let name: TableName = "omop.t".parse().unwrap();
        let spec =
            TableSpec { name: name.clone(), schema: source_schema(), key: vec![], sort: vec![], partition: None };
        let stamp = Stamp { run_id: format!("{rows:?}"), stage: "put".into(), fingerprint: String::new() };
        let mut transaction = lake.begin(stamp).await.unwrap();
        let mut writer = transaction.writer(&spec).await.unwrap();
        writer.write(&batch).unwrap();
        let keys = lake::KeySet::Int64(ids.iter().flatten().collect());
        transaction.upsert(&name, "id", keys, writer.close().unwrap()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    fn options(run: u32) -> Options {
        let started_at = NaiveDateTime::default() + chrono::Duration::days(i64::from(run));
        let (select, exclude) = (Vec::new(), Vec::new());
        Options { run_id: format!("run {run}"), started_at, select, exclude, full_refresh: false, threads: 4 }
    }

    async fn go(lake: &Lake, project: &Project, options: &Options) -> String {
        let outcome = run(lake, project, options, &|_| {}).await.unwrap();
        let told = |model: &ModelOutcome| {
            let status = serde_json::to_value(model.status).unwrap();
            let rows = model.row_count.map_or(String::new(), |rows| format!(" {rows}"));
            let message = model.message.as_ref().map_or(String::new(), |message| format!(" ({message})"));
            format!("{} {}{rows}{message}", model.name, status.as_str().unwrap())
        };
        outcome.models.iter().map(told).collect::<Vec<_>>().join("\n")
    }

    async fn rows(lake: &Lake, sql: &str) -> String {
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let cells =
            |line: &str| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" ");
        text.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect::<Vec<_>>().join("\n")
    }

    fn project(models: &[(&str, &str, &str)]) -> Project {
        Project::from_files(files(models)).unwrap_or_else(|error| panic!("{error}"))
    }

    const ID_WORD: &str =
        "columns: [{name: id, description: d, data_type: bigint}, {name: word, description: d, data_type: varchar}]";

    #[tokio::test(flavor = "multi_thread")]
    async fn what_reads_a_failed_model_is_skipped_and_the_rest_goes_on() {
        let place = place().await;
        put(&place.lake, &[(1, "a", 1), (2, "b", 1)]).await;
        let id = "columns: [{name: id, description: d, data_type: bigint}]";
        let project = project(&[
            ("staging/s", "select id, word from omop.t", ID_WORD),
            ("staging/lost", "select id from omop.u", id),
            ("marts/bad", "select cast(word as bigint) as id from staging.s", id),
            ("marts/good", "select id, word from staging.s where id > 1", ID_WORD),
            ("metrics/after_bad", "select id from marts.bad", id),
        ]);
        let told = go(&place.lake, &project, &options(1)).await;
        assert!(told.contains("staging.s built\n"), "{told}");
        assert!(told.contains("staging.lost failed (staging/lost.sql: table `omop.u` is not in the lake)"), "{told}");
        assert!(told.contains("marts.bad failed (marts/bad.sql: "), "{told}");
        assert!(told.contains("marts.good built 1"), "{told}");
        assert!(told.contains("metrics.after_bad skipped (`marts.bad` failed)"), "{told}");
        assert_eq!(rows(&place.lake, "select id, word from marts.good").await, "2 b");
        assert_eq!(rows(&place.lake, "select count(*) from staging.s").await, "2");
        let only = Options { select: vec!["good".into()], ..options(2) };
        assert_eq!(go(&place.lake, &project, &only).await, "marts.good built 1 (unchanged since run 1)");
    }

    #[tokio::test]
    async fn a_model_that_finds_no_memory_beside_others_is_built_alone() {
        let id = "columns: [{name: id, description: d, data_type: bigint}]";
        let project = project(&[
            ("staging/a", "select id from omop.t", id),
            ("staging/b", "select id from omop.t", id),
            ("staging/huge", "select id from omop.t", id),
            ("marts/m", "select id from staging.a", id),
        ]);
        let running = std::cell::Cell::new(0);
        let build = async |model: &Model| {
            running.set(running.get() + 1);
            tokio::task::yield_now().await;
            let is_crowded = running.get() > 1 || model.name == "staging.huge";
            running.set(running.get() - 1);
            match is_crowded {
                true => Err(Error::OutOfMemory("no memory".into())),
                false => Ok(Built { row_count: None, message: None }),
            }
        };
        let outcome = run_by(&project, &options(1), &|_| {}, &build).await.unwrap();
        let ended: Vec<_> = outcome.models.iter().map(|model| (model.name.as_str(), model.status)).collect();
        let built = |name| ended.contains(&(name, ModelStatus::Built));
        assert!(built("staging.a") && built("staging.b") && built("marts.m"), "{ended:?}");
        assert!(ended.contains(&("staging.huge", ModelStatus::Failed)) && ended.len() == 4, "{ended:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_row_keeps_since_when_it_is_known_and_since_when_it_is_as_it_is() {
        let place = place().await;
        let project = project(&[
            ("staging/s", "select id, word from omop.t", ID_WORD),
            ("marts/m", "select id, word from staging.s", ID_WORD),
        ]);
        let lineage = "select id, pipeline_run_id, lineage_model, cast(lineage_first_seen_ts as date), \
                       cast(lineage_last_updated_ts as date) from marts.m order by id";
        put(&place.lake, &[(1, "a", 1), (2, "b", 1)]).await;
        assert_eq!(go(&place.lake, &project, &options(1)).await, "staging.s built\nmarts.m built 2");
        let first = rows(&place.lake, lineage).await;
        assert_eq!(first, "1 run 1 marts.m 1970-01-02 1970-01-02\n2 run 1 marts.m 1970-01-02 1970-01-02");

        // The same run again, and another run over the same input, change nothing.
        let before = place.lake.history(&"marts.m".parse().unwrap()).await.unwrap();
        assert_eq!(
            go(&place.lake, &project, &options(1)).await,
            "staging.s built\nmarts.m built 2 (built by this run before)"
        );
        assert_eq!(
            go(&place.lake, &project, &options(2)).await,
            "staging.s built\nmarts.m built 2 (unchanged since run 1)"
        );
        assert_eq!(place.lake.history(&"marts.m".parse().unwrap()).await.unwrap(), before);
        assert_eq!(rows(&place.lake, lineage).await, first);

        put(&place.lake, &[(2, "changed", 2), (3, "new", 2)]).await;
        assert_eq!(go(&place.lake, &project, &options(3)).await, "staging.s built\nmarts.m built 3");
        assert_eq!(
            rows(&place.lake, lineage).await,
            "1 run 3 marts.m 1970-01-02 1970-01-02\n2 run 3 marts.m 1970-01-02 1970-01-04\n3 run 3 marts.m 1970-01-04 1970-01-04"
        );
        // A run that was done before the input changed is done still.
        assert_eq!(
            go(&place.lake, &project, &options(3)).await,
            "staging.s built\nmarts.m built 3 (built by this run before)"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_grain_that_is_not_unique_does_not_multiply_rows() {
        let place = place().await;
        let project = project(&[
            ("staging/s", "select id, word from omop.t", ID_WORD),
            ("marts/m", "select cast(1 as bigint) as id, word from staging.s", ID_WORD),
        ]);
        put(&place.lake, &[(1, "a", 1), (2, "b", 1)]).await;
        go(&place.lake, &project, &options(1)).await;
        put(&place.lake, &[(3, "c", 1)]).await;
        assert!(go(&place.lake, &project, &options(2)).await.ends_with("marts.m built 3"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_model_with_other_columns_takes_the_place_of_the_old_one() {
        let place = place().await;
        put(&place.lake, &[(1, "a", 1)]).await;
        let view = ("staging/s", "select id, word from omop.t", ID_WORD);
        go(&place.lake, &project(&[view, ("marts/m", "select id, word from staging.s", ID_WORD)]), &options(1)).await;
        let other =
            "columns: [{name: id, description: d, data_type: bigint}, {name: word, description: d, data_type: bigint}]";
        let changed = project(&[view, ("marts/m", "select id, id as word from staging.s", other)]);
        assert_eq!(go(&place.lake, &changed, &options(2)).await, "staging.s built\nmarts.m built 1");
        assert_eq!(rows(&place.lake, "select word + 1 from marts.m").await, "2");
    }

    /// An aggregate by key, through a view, built batch by batch and at once.
    #[tokio::test(flavor = "multi_thread")]
    async fn incremental_over_batches_equals_a_full_build() {
        let view = "columns: [{name: id, description: d, data_type: bigint}, {name: word, description: d, data_type: varchar}, \
                    {name: at, description: d, data_type: timestamp}]";
        let counted = "grain: [word]\ncolumns: [{name: word, description: d, data_type: varchar}, \
                       {name: n, description: d, data_type: bigint}, {name: largest, description: d, data_type: bigint}]\n\
                       materialization: incremental\nunique_key: word\nwatermark: [{table: omop.t, column: at}]";
        let by_row =
            format!("{view}\nmaterialization: incremental\nunique_key: id\nwatermark: [{{table: omop.t, column: at}}]");
        let sql = "select s.word, count(*) as n, max(o.id) as largest from staging.s as s \
                   inner join staging.s as o on s.word = o.word group by s.word";
        let project = project(&[
            ("staging/s", "select id, word, at from omop.t", view),
            ("marts/counted", sql, counted),
            ("marts/copied", "select id, word, at from staging.s", &by_row),
        ]);
        let batches: [&[(i64, &str, i64)]; 4] = [
            &[(1, "a", 10), (2, "b", 10), (3, "c", 11)],
            &[(4, "a", 20), (5, "d", 20)],
            &[(6, "d", 30), (2, "b", 31)],
            &[(3, "c", 40), (7, "a", 40)],
        ];
        let stepwise = place().await;
        let whole = place().await;
        for (step, batch) in (1..).zip(batches) {
            put(&stepwise.lake, batch).await;
            put(&whole.lake, batch).await;
            let told = go(&stepwise.lake, &project, &options(step)).await;
            assert!(!told.contains("failed"), "{told}");
            if step > 1 {
                assert!(told.contains("marts.counted built") && told.contains("rows computed anew"), "{told}");
            }
            for table in [
                "select word, n, largest from marts.counted order by word",
                "select id, word, at from marts.copied order by id",
            ] {
                let full = Options { full_refresh: true, ..options(100 + step) };
                go(&whole.lake, &project, &full).await;
                assert_eq!(rows(&stepwise.lake, table).await, rows(&whole.lake, table).await, "step {step}");
            }
        }
        let seen = "select word, cast(lineage_first_seen_ts as date), cast(lineage_last_updated_ts as date), pipeline_run_id \
                    from marts.counted order by word";
        assert_eq!(
            rows(&stepwise.lake, seen).await,
            "a 1970-01-02 1970-01-05 run 4\nb 1970-01-02 1970-01-02 run 3\nc 1970-01-02 1970-01-02 run 4\nd 1970-01-03 1970-01-04 run 3"
        );
    }
}
