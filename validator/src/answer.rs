//! Answers questions with as few scans as possible: row checks of one table are columns of one aggregate query, and
//! concept checks look at each distinct concept once. Very large joins are cut into passes, so memory stays bounded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::JoinType;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use model::quality::{Check, CheckResult, Status};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::contents::Contents;
use crate::error::{Error, Result, reading};
use crate::question::{ConceptCheck, DigestCheck, Question, RowCheck, both, has_passes, lines, pass};

/// Rows that one pass of a join may hold in memory.
const PASS_ROWS: u64 = 4_000_000;

/// Answers all questions, in their order. `progress` is told the number of answered checks.
pub(crate) async fn answer(
    session: &SessionContext,
    contents: &Contents,
    questions: Vec<Question>,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<CheckResult>> {
    let mut results: Vec<Option<CheckResult>> = questions.iter().map(|_| None).collect();
    let mut batches: BTreeMap<String, Batch> = BTreeMap::new();
    let mut concepts: BTreeMap<String, Vec<(usize, ConceptCheck)>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (index, question) in questions.into_iter().enumerate() {
        let empty = contents.is_empty(&question.check().table);
        match question {
            Question::Known(check, known) => {
                let mut result = CheckResult::judged(check, known.row_count, known.violation_count);
                result.message = known.message;
                results[index] = Some(result);
            }
            Question::Row(RowCheck { check, only_with_rows: true, .. })
            | Question::Concept(ConceptCheck { check, .. })
                if empty =>
            {
                results[index] = Some(CheckResult::judged(check, 0, 0));
            }
            Question::Row(row) => batches.entry(row.from.clone()).or_default().rows.push((index, row)),
            Question::Digest(digest) => batches.entry(digest.from.clone()).or_default().digests.push((index, digest)),
            Question::Concept(concept) => {
                concepts.entry(concept.check.table.clone()).or_default().push((index, concept))
            }
            Question::Query(check) => alone.push((index, check)),
        }
    }
    let mut answered = results.iter().flatten().count();
    progress(answered);
    let session = &Asker::of(session, contents).await?;

    let permits = Arc::new(Semaphore::new(threads.max(1)));
    let mut tasks: JoinSet<Vec<(usize, CheckResult)>> = JoinSet::new();
    // The largest first, so that none is left for the end when the other threads are done.
    let mut batches: Vec<_> = batches.into_iter().collect();
    batches.sort_by_key(|(_, batch)| Reverse(batch.table().map_or(0, |table| contents.rows(table))));
    for (from, batch) in batches {
        let (session, permits) = (session.clone(), permits.clone());
        let passes = batch.rows.first().map_or(1, |(_, row)| passes(contents, &row.check, &from));
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            answer_batch(&session, &from, batch, passes).await
        });
    }
    for (index, check) in alone {
        let (session, permits) = (session.clone(), permits.clone());
        let passes = passes(contents, &check, &check.sql);
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            vec![(index, answer_alone(&session, check, passes).await)]
        });
    }
    if !concepts.is_empty() {
        let (session, permits) = (session.clone(), permits.clone());
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            answer_concepts(&session, concepts).await
        });
    }
    while let Some(done) = tasks.join_next().await {
        let done = done.map_err(|panic| DataFusionError::External(panic.into())).map_err(reading("a check"))?;
        answered += done.len();
        for (index, result) in done {
            results[index] = Some(result);
        }
        progress(answered);
    }
    Ok(results.into_iter().flatten().collect())
}

/// A crosswalk of up to so many rows is read once and kept in memory: dozens of checks look into it.
const KEPT_ROWS: u64 = 2_000_000;
const CROSSWALK: &str = "quality.crosswalk";
const KEPT_CROSSWALK: &str = "crosswalk_in_memory";

/// A session in which checks are asked.
#[derive(Clone)]
struct Asker {
    session: SessionContext,
    /// The name under which the crosswalk is kept in memory.
    crosswalk: Option<&'static str>,
}

impl Asker {
    async fn of(session: &SessionContext, contents: &Contents) -> Result<Asker> {
        let mut crosswalk = None;
        if (1..=KEPT_ROWS).contains(&contents.rows(CROSSWALK)) {
            let what = "the crosswalk";
            let table = session.table(CROSSWALK).await.map_err(reading(what))?;
            let columns = ["omop_table", "omop_id", "source_id", "resource_type", "resource_id", "part"];
            let rows = table.select_columns(&columns).map_err(reading(what))?;
            let schema = rows.schema().inner().clone();
            let kept = rows.collect_partitioned().await.and_then(|rows| MemTable::try_new(schema, rows));
            session.deregister_table(KEPT_CROSSWALK).map_err(reading(what))?;
            session.register_table(KEPT_CROSSWALK, Arc::new(kept.map_err(reading(what))?)).map_err(reading(what))?;
            crosswalk = Some(KEPT_CROSSWALK);
        }
        Ok(Asker { session: session.clone(), crosswalk })
    }

    async fn ask(&self, sql: &str) -> Result<Vec<Row>, DataFusionError> {
        match self.crosswalk {
            Some(kept) => collect(&self.session, &sql.replace(CROSSWALK, kept)).await,
            None => collect(&self.session, sql).await,
        }
    }
}

fn passes(contents: &Contents, check: &Check, sql: &str) -> u64 {
    let rows = contents.rows(&check.table).max(if sql.contains(CROSSWALK) { contents.largest("omop.") } else { 0 });
    if has_passes(sql) { rows.div_ceil(PASS_ROWS).clamp(1, 64) } else { 1 }
}

/// What shares one scan.
#[derive(Default)]
struct Batch {
    rows: Vec<(usize, RowCheck)>,
    digests: Vec<(usize, DigestCheck)>,
}

impl Batch {
    /// The table that is scanned.
    fn table(&self) -> Option<&str> {
        let row = self.rows.first().map(|(_, row)| &row.check);
        row.or(self.digests.first().map(|(_, digest)| &digest.check)).map(|check| check.table.as_str())
    }
}

/// Distinct aggregates of one query.
#[derive(Default)]
struct Columns(Vec<String>);

impl Columns {
    fn place(&mut self, expression: &str) -> usize {
        self.0.iter().position(|known| known == expression).unwrap_or_else(|| {
            self.0.push(expression.to_owned());
            self.0.len() - 1
        })
    }
}

/// All checks over one `from`: one query, one column per distinct aggregate.
async fn answer_batch(session: &Asker, from: &str, batch: Batch, passes: u64) -> Vec<(usize, CheckResult)> {
    let joins: BTreeSet<String> = batch.rows.iter().flat_map(|(_, row)| row.joins.iter().cloned()).collect();
    let joins: Vec<String> = joins.into_iter().collect();
    let mut columns = Columns::default();
    let places: Vec<(usize, usize)> =
        batch.rows.iter().map(|(_, row)| (columns.place(&row.rows), columns.place(&row.violations))).collect();
    let digests: Vec<(usize, Vec<(usize, u64)>)> = batch
        .digests
        .iter()
        .map(|(_, digest)| {
            let known = digest.known.iter().map(|(expression, value)| (columns.place(expression), *value)).collect();
            (columns.place(&digest.rows), known)
        })
        .collect();
    let selected: Vec<_> =
        columns.0.iter().enumerate().map(|(index, column)| format!("{column} as c{index}")).collect();
    let sql = format!("select {}\nfrom {from}{}", selected.join(",\n    "), lines(&joins));
    let clock = Instant::now();
    let sums = sums(session, &sql, passes).await.ok();
    tracing::debug!(from, columns = columns.0.len(), elapsed_ms = clock.elapsed().as_millis() as u64, "batch answered");
    let mut results = Vec::with_capacity(batch.rows.len() + batch.digests.len());
    for ((index, row), (all, violating)) in batch.rows.into_iter().zip(places) {
        let result = match &sums {
            Some(sums) => CheckResult::judged(row.check, sums[all], sums[violating]),
            // One check may be at fault: each for itself then.
            None => answer_alone(session, row.check, passes).await,
        };
        results.push((index, result));
    }
    for ((index, digest), (all, known)) in batch.digests.into_iter().zip(digests) {
        let result = match &sums {
            Some(sums) if known.iter().all(|(place, value)| sums[*place] == *value) => {
                CheckResult::judged(digest.check, sums[all], 0)
            }
            _ => answer_alone(session, digest.check, 1).await,
        };
        results.push((index, result));
    }
    results
}

async fn answer_alone(session: &Asker, check: Check, passes: u64) -> CheckResult {
    let clock = Instant::now();
    let sums = sums(session, &check.sql, passes).await;
    tracing::debug!(check.id, elapsed_ms = clock.elapsed().as_millis() as u64, "check answered");
    match sums {
        Ok(sums) if sums.len() == 2 => CheckResult::judged(check, sums[0], sums[1]),
        Ok(sums) => errored(check, format!("expected 2 columns, found {}", sums.len())),
        Err(error) => errored(check, error.to_string()),
    }
}

/// A check that could not be answered, with the engine's reason on one line.
pub(crate) fn errored(check: Check, reason: String) -> CheckResult {
    let lines: Vec<&str> =
        reason.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "caused by").collect();
    let message = Some(lines.join(": ").chars().take(400).collect());
    CheckResult { check, status: Status::Errored, row_count: 0, violation_count: 0, message }
}

/// The single row of counts of a query, summed over its passes.
async fn sums(session: &Asker, sql: &str, passes: u64) -> Result<Vec<u64>, DataFusionError> {
    let mut sums: Vec<u64> = Vec::new();
    for index in 0..passes {
        let sql = if passes == 1 { sql.to_owned() } else { pass(sql, index, passes) };
        for row in session.ask(&sql).await? {
            sums.resize(row.len(), 0);
            for (column, sum) in sums.iter_mut().enumerate() {
                *sum += u64::try_from(row.int(column)).unwrap_or(0);
            }
        }
    }
    Ok(sums)
}

/// Concept checks of all tables: each distinct combination of concepts is read once, each concept looked up once.
async fn answer_concepts(
    session: &Asker,
    tables: BTreeMap<String, Vec<(usize, ConceptCheck)>>,
) -> Vec<(usize, CheckResult)> {
    let failed = |checks: Vec<(usize, ConceptCheck)>, reason: String| -> Vec<(usize, CheckResult)> {
        checks.into_iter().map(|(index, concept)| (index, errored(concept.check, reason.clone()))).collect()
    };
    let mut results = Vec::new();
    let mut used = Vec::new();
    for (table, checks) in tables {
        match concept_use(session, &table, &checks).await {
            Ok(counts) => used.push((table, checks, counts)),
            Err(error) => results.extend(failed(checks, error.to_string())),
        }
    }
    let ids: BTreeSet<i32> = used.iter().flat_map(|(_, _, counts)| counts.keys().map(|(_, id)| *id)).collect();
    let known = vocabulary_of(session, ids).await;
    for (table, checks, counts) in used {
        let judged = match &known {
            Ok(known) => judge_concepts(known, &table, &checks, &counts).await,
            Err(error) => Err(DataFusionError::External(error.to_string().into())),
        };
        match judged {
            Ok(counts) => {
                results.extend(checks.into_iter().zip(counts).map(|((index, concept), (rows, violations))| {
                    (index, CheckResult::judged(concept.check, rows, violations))
                }))
            }
            Err(error) => results.extend(failed(checks, error.to_string())),
        }
    }
    results
}

type ConceptUse = BTreeMap<(String, i32), i64>;

/// Rows by column and concept.
async fn concept_use(
    session: &Asker,
    table: &str,
    checks: &[(usize, ConceptCheck)],
) -> Result<ConceptUse, DataFusionError> {
    let columns: Vec<&str> =
        checks.iter().map(|(_, concept)| concept.column.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    let list = columns.join(", ");
    let mut counts = ConceptUse::new();
    for row in session.ask(&format!("select {list}, count(*) as n from {table} group by {list}")).await? {
        for (index, column) in columns.iter().enumerate() {
            if !row.is_null(index) {
                let concept_id = i32::try_from(row.int(index)).unwrap_or(i32::MAX);
                *counts.entry(((*column).to_owned(), concept_id)).or_default() += row.int(columns.len());
            }
        }
    }
    Ok(counts)
}

/// What the vocabulary says about some concepts.
async fn vocabulary_of(session: &Asker, ids: BTreeSet<i32>) -> Result<Vec<RecordBatch>, DataFusionError> {
    let schema = Arc::new(Schema::new(vec![Field::new("used_id", DataType::Int32, false)]));
    let ids = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from_iter_values(ids))])?;
    session
        .session
        .sql("select concept_id, domain_id, concept_class_id, standard_concept, invalid_reason from vocabulary.concept")
        .await?
        .join(session.session.read_batch(ids)?, JoinType::LeftSemi, &["concept_id"], &["used_id"], None)?
        .collect()
        .await
}

async fn judge_concepts(
    known: &[RecordBatch],
    table: &str,
    checks: &[(usize, ConceptCheck)],
    counts: &ConceptUse,
) -> Result<Vec<(u64, u64)>, DataFusionError> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("column_name", DataType::Utf8, false),
        Field::new("concept_id", DataType::Int32, false),
        Field::new("n", DataType::Int64, false),
    ]));
    let uses = RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from_iter_values(counts.keys().map(|(column, _)| column))),
            Arc::new(Int32Array::from_iter_values(counts.keys().map(|(_, id)| *id))),
            Arc::new(Int64Array::from_iter_values(counts.values().copied())),
        ],
    )?;
    let aside = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    aside.register_batch("concept_use", uses)?;
    let columns = [
        ("concept_id", DataType::Int32),
        ("domain_id", DataType::Utf8),
        ("concept_class_id", DataType::Utf8),
        ("standard_concept", DataType::Utf8),
        ("invalid_reason", DataType::Utf8),
    ];
    let empty = Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec());
    let known = match known.first() {
        Some(first) => arrow::compute::concat_batches(&first.schema(), known)?,
        None => RecordBatch::new_empty(Arc::new(empty)),
    };
    aside.register_batch("concept", known)?;
    let sum = |condition: String| format!("coalesce(sum(u.n) filter (where {condition}), 0)");
    let selected: Vec<_> = checks
        .iter()
        .enumerate()
        .map(|(index, (_, concept))| {
            let own = format!("u.column_name = '{}'", concept.column);
            let violating = sum(both(&own, &concept.violates));
            format!("{} as r{index}, {violating} as v{index}", sum(own))
        })
        .collect();
    let sql = format!(
        "select {} from concept_use as u left join concept as c on c.concept_id = u.concept_id",
        selected.join(",\n")
    );
    tracing::debug!(table.name = table, check.count = checks.len(), "concepts judged");
    let aside = Asker { session: aside, crosswalk: None };
    let counts = sums(&aside, &sql, 1).await?;
    Ok(counts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// One row of a small result.
pub(crate) struct Row {
    batch: RecordBatch,
    index: usize,
}

/// Runs a query and names it in the error.
pub(crate) async fn rows(session: &SessionContext, what: &str, sql: &str) -> Result<Vec<Row>> {
    let found: Result<Vec<Row>, DataFusionError> = collect(session, sql).await;
    found.map_err(|source| Error::Query { what: what.to_owned(), source: Box::new(source) })
}

async fn collect(session: &SessionContext, sql: &str) -> Result<Vec<Row>, DataFusionError> {
    let batches = session.sql(sql).await?.collect().await?;
    Ok(batches
        .into_iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |index| Row { batch: batch.clone(), index }))
        .collect())
}

impl Row {
    fn len(&self) -> usize {
        self.batch.num_columns()
    }

    fn is_null(&self, column: usize) -> bool {
        self.batch.column(column).is_null(self.index)
    }

    /// The value as text; `None` when it is null.
    pub fn text(&self, column: usize) -> Option<String> {
        if self.is_null(column) {
            return None;
        }
        let options = FormatOptions::default();
        let formatter = ArrayFormatter::try_new(self.batch.column(column), &options).ok()?;
        Some(formatter.value(self.index).to_string())
    }

    /// The value as a whole number; 0 when it is null or none.
    pub fn int(&self, column: usize) -> i64 {
        let column = self.batch.column(column);
        if column.is_null(self.index) {
            return 0;
        }
        match column.data_type() {
            DataType::Int64 => {
                column.as_any().downcast_ref::<Int64Array>().map_or(0, |values| values.value(self.index))
            }
            DataType::Int32 => {
                column.as_any().downcast_ref::<Int32Array>().map_or(0, |values| i64::from(values.value(self.index)))
            }
            _ => {
                let cast = arrow::compute::cast(&column.slice(self.index, 1), &DataType::Int64).ok();
                let value = cast.as_ref().and_then(|cast| cast.as_any().downcast_ref::<Int64Array>());
                value.filter(|value| value.is_valid(0)).map_or(0, |value| value.value(0))
            }
        }
    }
}
