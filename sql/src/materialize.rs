//! Builds one model: its rows are streamed into files and become visible in one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::NaiveDateTime;
use datafusion::catalog::view::ViewTable;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident};
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::sql::TableReference;
use futures::TryStreamExt;
use lake::{KeySet, Lake, Snapshot, Stamp, TableName, TableSpec, TableWriter, Transaction, WrittenFiles};

use crate::definition::{DataType, Materialization};
use crate::error::{Error, Result};
use crate::planner::Planner;
use crate::project::{Model, Project, behind};
use crate::row_lineage::{Writing, is_comparable, shaped, stored_schema, with_lineage};
use crate::{fingerprint, incremental, seed};

/// What to run, and as which run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `PIPELINE_RUN_ID`, written into each row and each snapshot summary.
    pub run_id: String,
    /// When the run started, in UTC: the time that the lineage columns get.
    pub started_at: NaiveDateTime,
    /// Selectors; none means all models.
    pub select: Vec<String>,
    /// Selectors of what to leave out.
    pub exclude: Vec<String>,
    /// Builds incremental and unchanged models anew.
    pub full_refresh: bool,
    /// Models that are built at a time.
    pub threads: usize,
}

/// Up to so many input rows a model is sorted by its grain into one file; beyond, each core writes its own.
const SORTED_ROWS: u64 = 4_000_000;

const FINGERPRINT: &str = "sql.fingerprint";
const FILES_FINGERPRINT: &str = "sql.files-fingerprint";
const ROW_COUNT: &str = "sql.row-count";

/// A property that an earlier build set at its commit.
fn property<'a>(snapshot: &'a Snapshot, key: &str) -> Option<&'a String> {
    snapshot.summary.get(&format!("healthlake.{key}"))
}

/// What came of building a model.
pub(crate) struct Built {
    pub(crate) row_count: Option<u64>,
    pub(crate) message: Option<String>,
}

/// Builds a model, or finds that it stands already.
pub(crate) async fn build(lake: &Lake, project: &Project, model: &Model, options: &Options) -> Result<Built> {
    let fingerprint = fingerprint::of_input(lake, project, model).await?;
    let stamp = Stamp {
        run_id: options.run_id.clone(),
        stage: format!("sql.{}", model.name),
        fingerprint: fingerprint.clone(),
    };
    let mut scope = BTreeSet::from([model.name.parse()?]);
    for read in behind(&project.models, model) {
        scope.insert(read.parse()?);
    }
    let mut transaction = lake.begin_on(stamp, scope).await?;
    if model.materialization == Materialization::View {
        return build_view(lake, project, model, transaction).await;
    }
    if let Some(properties) = transaction.already_committed() {
        let row_count = properties.get(ROW_COUNT).and_then(|count| count.parse().ok());
        return Ok(Built { row_count, message: Some("built by this run before".to_owned()) });
    }
    let last = fingerprint::history(lake, &model.name).await?.pop();
    if let Some(last) = last.as_ref().filter(|last| property(last, FINGERPRINT) == Some(&fingerprint))
        && !options.full_refresh
    {
        let run = last.run_id.as_deref().unwrap_or("an earlier run");
        let row_count = property(last, ROW_COUNT).and_then(|count| count.parse().ok());
        return Ok(Built { row_count, message: Some(format!("unchanged since {run}")) });
    }

    let session = transaction.session().await?;
    let target = model.name.parse::<TableName>()?;
    let mut input_rows = 0;
    for read in behind(&project.models, model) {
        input_rows += lake.row_count(&read.parse()?).await?.unwrap_or_default();
    }
    let standing_rows = lake.row_count(&target).await?.unwrap_or_default();
    let is_small = input_rows.max(standing_rows) <= SORTED_ROWS;

    let planner = planner_over(&session, project, model).await?;
    let new = match model.materialization {
        Materialization::Seed => rows_plan(seed::read(model)?, model)?,
        _ => planner.plan(&planner.parse(&model.text)?).await?,
    };
    check_types(&new, model)?;
    let old = if last.is_some() { old_rows(&session, model).await? } else { None };
    let changes = changes(&session, model, last.as_ref(), old.is_some(), options).await?;
    let new = match &changes {
        Some(changes) => incremental::narrow(new, model, &changes.key, &changes.keys, &changes.marks)?,
        None => new,
    };
    let writing = Writing { run_id: &options.run_id, started_at: options.started_at };
    let mut plan = with_lineage(shaped(new, model)?, old, model, &writing)?;
    if is_small {
        let grain = model.definition.grain.iter().map(|column| ident(column).sort(true, true)).collect::<Vec<_>>();
        plan = LogicalPlanBuilder::from(plan).sort(grain)?.build()?;
    }

    let spec = TableSpec {
        name: target.clone(),
        schema: stored_schema(model),
        key: Vec::new(),
        sort: model.definition.grain.clone(),
        partition: None,
    };
    let key = changes.as_ref().map(|changes| changes.key.as_str());
    if key.is_none() {
        transaction.allow_schema_change(&target);
    }
    let (files, written_keys) = write(planner.context(), plan, &spec, key, &mut transaction).await?;
    let written = files.row_count();
    let mut row_count = written;
    match changes {
        Some(changes) => {
            let removed = union(changes.keys, written_keys);
            transaction.upsert(&target, &changes.key, removed, files).await?;
            let staged = transaction.session().await?.table(reference(&model.name)).await?.count().await?;
            row_count = staged as u64;
        }
        None => {
            transaction.replace(&target, files);
        }
    }
    for (table, mark) in incremental::marks(&session, model).await? {
        transaction.set_property(&incremental::property(&table), mark);
    }
    transaction.set_property(FINGERPRINT, fingerprint);
    transaction.set_property(FILES_FINGERPRINT, fingerprint::of_files(model));
    transaction.set_property(ROW_COUNT, row_count.to_string());
    transaction.commit().await?;
    let message = (key_of(model).is_some() && row_count != written).then(|| format!("{written} rows computed anew"));
    Ok(Built { row_count: Some(row_count), message })
}

fn key_of(model: &Model) -> Option<&str> {
    model.definition.unique_key.as_deref()
}

fn reference(name: &str) -> TableReference {
    TableReference::parse_str(name)
}

async fn build_view(lake: &Lake, project: &Project, model: &Model, mut transaction: Transaction) -> Result<Built> {
    let session = transaction.session().await?;
    let planner = planner_over(&session, project, model).await?;
    let plan = planner.plan(&planner.parse(&model.text)?).await?;
    check_types(&plan, model)?;
    let name = model.name.parse::<TableName>()?;
    let sql = model.text.trim().trim_end_matches(';');
    if lake.views().await?.get(&name).is_some_and(|standing| standing == sql) {
        return Ok(Built { row_count: None, message: None });
    }
    transaction.create_view(&name, sql).await?;
    transaction.commit().await?;
    Ok(Built { row_count: None, message: None })
}

/// A session in which the model sees exactly the columns that it was checked against.
async fn planner_over(session: &SessionContext, project: &Project, model: &Model) -> Result<Planner> {
    let planner = Planner::with_state(session.state());
    for read in &model.reads {
        let provider = session
            .table_provider(reference(read))
            .await
            .map_err(|_| Error::Query(format!("table `{read}` is not in the lake")))?;
        let columns =
            project.schema_of_table(read).fields().iter().map(|field| ident(field.name())).collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::scan(reference(read), provider_as_source(provider), None)?;
        let plan = plan.project(columns)?.build().map_err(|error| {
            let (message, _) = crate::error::message_of(&error);
            Error::Query(format!("table `{read}` of the lake is not as the project says: {message}"))
        })?;
        planner.register(read, Arc::new(ViewTable::new(plan, None)))?;
    }
    Ok(planner)
}

fn rows_plan(rows: Vec<RecordBatch>, model: &Model) -> Result<LogicalPlan> {
    let table = Arc::new(MemTable::try_new(model.schema(), vec![rows])?);
    Ok(LogicalPlanBuilder::scan(model.table(), provider_as_source(table), None)?.build()?)
}

/// The lake's columns may differ in type from what the project says of them.
fn check_types(plan: &LogicalPlan, model: &Model) -> Result<()> {
    for (field, column) in plan.schema().fields().iter().zip(&model.definition.columns) {
        if DataType::of(field.data_type()) != Some(column.data_type) {
            let (name, found, said) = (&column.name, field.data_type(), column.data_type);
            return Err(Error::Query(format!("column `{name}` is {found} over this lake, the YAML says {said}")));
        }
    }
    Ok(())
}

/// The table as it stands, when its rows can be compared with new ones.
async fn old_rows(session: &SessionContext, model: &Model) -> Result<Option<LogicalPlan>> {
    let Ok(provider) = session.table_provider(reference(&model.name)).await else { return Ok(None) };
    let plan = LogicalPlanBuilder::scan(reference(&model.name), provider_as_source(provider), None)?.build()?;
    Ok(is_comparable(plan.schema(), model).then_some(plan))
}

struct Changes {
    key: String,
    keys: KeySet,
    marks: BTreeMap<String, String>,
}

/// What changed since the last build; none when everything is to be built.
async fn changes(
    session: &SessionContext,
    model: &Model,
    last: Option<&Snapshot>,
    is_comparable: bool,
    options: &Options,
) -> Result<Option<Changes>> {
    let Some(key) = key_of(model).filter(|_| model.materialization == Materialization::Incremental) else {
        return Ok(None);
    };
    let Some(last) = last.filter(|_| is_comparable && !options.full_refresh) else { return Ok(None) };
    if property(last, FILES_FINGERPRINT) != Some(&fingerprint::of_files(model)) {
        return Ok(None);
    }
    let mut marks = BTreeMap::new();
    for watermark in &model.definition.watermark {
        let Some(mark) = property(last, &incremental::property(&watermark.table)) else { return Ok(None) };
        marks.insert(watermark.table.clone(), mark.clone());
    }
    let keys = incremental::changed_keys(session, model, key, &marks).await?;
    Ok(Some(Changes { key: key.to_owned(), keys, marks }))
}

fn union(mut keys: KeySet, other: KeySet) -> KeySet {
    match (&mut keys, other) {
        (KeySet::Int64(keys), KeySet::Int64(other)) => keys.extend(other),
        (KeySet::Utf8(keys), KeySet::Utf8(other)) => keys.extend(other),
        _ => unreachable!("both are keys of one column"),
    }
    keys
}

/// Streams the plan's rows into files, one task per partition; memory holds a batch per task.
async fn write(
    session: &SessionContext,
    plan: LogicalPlan,
    spec: &TableSpec,
    key: Option<&str>,
    transaction: &mut Transaction,
) -> Result<(WrittenFiles, KeySet)> {
    let physical = session.state().create_physical_plan(&plan).await?;
    let streams = execute_stream_partitioned(physical, session.task_ctx())?;
    let mut tasks = tokio::task::JoinSet::new();
    for stream in streams {
        let writer = transaction.writer(spec).await?;
        tasks.spawn(drain(stream, writer, spec.schema.clone(), key.map(str::to_owned)));
    }
    let mut files = WrittenFiles::default();
    let kind = key.map(|key| spec.schema.field_with_name(key).map(|field| field.data_type().clone())).transpose()?;
    let mut keys = incremental::empty_keys(&kind.unwrap_or(arrow::datatypes::DataType::Int64));
    while let Some(ended) = tasks.join_next().await {
        let (written, of_task) = ended.map_err(|error| Error::Query(format!("a writing task broke: {error}")))??;
        files.extend(written);
        if let Some(of_task) = of_task {
            keys = union(keys, of_task);
        }
    }
    Ok((files, keys))
}

async fn drain(
    mut stream: SendableRecordBatchStream,
    mut writer: TableWriter,
    schema: SchemaRef,
    key: Option<String>,
) -> Result<(WrittenFiles, Option<KeySet>)> {
    let mut keys = match &key {
        Some(key) => Some((schema.index_of(key)?, incremental::empty_keys(schema.field_with_name(key)?.data_type()))),
        None => None,
    };
    while let Some(batch) = stream.try_next().await? {
        if batch.num_rows() == 0 {
            continue;
        }
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()));
        let batch = RecordBatch::try_new(schema.clone(), columns.collect::<std::result::Result<Vec<_>, _>>()?)?;
        if let Some((index, keys)) = &mut keys {
            incremental::add_keys(keys, batch.column(*index))?;
        }
        writer.write(&batch)?;
    }
    Ok((writer.close()?, keys.map(|(_, keys)| keys)))
}
