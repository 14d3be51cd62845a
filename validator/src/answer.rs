//! Answers questions with as few scans as possible: row checks of one table are columns of one aggregate query, and
//! concept checks look at each distinct concept once.

mod asker;
mod concept;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use model::quality::{Check, CheckResult};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::contents::Contents;
use crate::error::{Result, reading};
use crate::question::{ConceptCheck, DigestCheck, Question, RowCheck, lines};
use asker::{Asker, is_out_of_memory, sums};
use concept::answer_concepts;

pub(crate) use asker::errored;

/// Checks that share one scan, at most. The engine takes longer than in proportion over many columns: 225 of one table
/// cost twice as much in one query as in four.
const BATCH_CHECKS: usize = 32;
/// A table of more rows is large: a query over it is asked alone.
const LARGE_ROWS: u64 = 1_000_000;

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

    let threads = u32::try_from(threads).unwrap_or(u32::MAX).max(1);
    let permits = Arc::new(Semaphore::new(threads as usize));
    // A query over a large table is spread over all threads by itself; two at a time would only need twice the memory.
    let turn = |table: &str| if contents.rows(table) > LARGE_ROWS { threads } else { 1 };
    let mut tasks: JoinSet<Vec<(usize, CheckResult)>> = JoinSet::new();
    // The largest first, so that none is left for the end when the other threads are done.
    let mut batches: Vec<_> = batches
        .into_iter()
        .flat_map(|(from, batch)| batch.cut().into_iter().map(move |part| (from.clone(), part)))
        .collect();
    batches.sort_by_key(|(_, batch)| Reverse(batch.table().map_or(0, |table| contents.rows(table))));
    for (from, batch) in batches {
        let (session, permits) = (session.clone(), permits.clone());
        let turn = batch.table().map_or(1, turn);
        tasks.spawn(async move {
            let _permit = permits.acquire_many(turn).await;
            answer_batch(&session, &from, batch).await
        });
    }
    for (index, check) in alone {
        let (session, permits) = (session.clone(), permits.clone());
        let turn = turn(&check.table);
        tasks.spawn(async move {
            let _permit = permits.acquire_many(turn).await;
            vec![(index, answer_alone(&session, check).await)]
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
    let mut results: Vec<CheckResult> = results.into_iter().flatten().collect();
    for result in results.iter_mut().filter(|result| is_out_of_memory(result)) {
        // It found no memory beside others.
        *result = answer_alone(session, result.check.clone()).await;
    }
    Ok(results)
}

/// What shares one scan.
#[derive(Default)]
struct Batch {
    rows: Vec<(usize, RowCheck)>,
    digests: Vec<(usize, DigestCheck)>,
}

impl Batch {
    /// Parts of bounded size, those of like joins together.
    fn cut(mut self) -> Vec<Batch> {
        self.rows.sort_by(|(_, one), (_, other)| one.joins.cmp(&other.joins));
        let mut rows = self.rows.into_iter().peekable();
        let mut parts = vec![Batch { rows: rows.by_ref().take(BATCH_CHECKS).collect(), digests: self.digests }];
        while rows.peek().is_some() {
            parts.push(Batch { rows: rows.by_ref().take(BATCH_CHECKS).collect(), digests: Vec::new() });
        }
        parts
    }

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
async fn answer_batch(session: &Asker, from: &str, batch: Batch) -> Vec<(usize, CheckResult)> {
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
    let sums = sums(session, &sql).await.ok();
    tracing::debug!(from, columns = columns.0.len(), elapsed_ms = clock.elapsed().as_millis() as u64, "batch answered");
    let mut results = Vec::with_capacity(batch.rows.len() + batch.digests.len());
    for ((index, row), (all, violating)) in batch.rows.into_iter().zip(places) {
        let result = match &sums {
            Some(sums) => CheckResult::judged(row.check, sums[all], sums[violating]),
            // One check may be at fault: each for itself then.
            None => answer_alone(session, row.check).await,
        };
        results.push((index, result));
    }
    for ((index, digest), (all, known)) in batch.digests.into_iter().zip(digests) {
        let result = match &sums {
            Some(sums) if known.iter().all(|(place, value)| sums[*place] == *value) => {
                CheckResult::judged(digest.check, sums[all], 0)
            }
            _ => answer_alone(session, digest.check).await,
        };
        results.push((index, result));
    }
    results
}

async fn answer_alone(session: &Asker, check: Check) -> CheckResult {
    let clock = Instant::now();
    let sums = sums(session, &check.sql).await;
    tracing::debug!(check.id, elapsed_ms = clock.elapsed().as_millis() as u64, "check answered");
    match sums {
        Ok(sums) if sums.len() == 2 => CheckResult::judged(check, sums[0], sums[1]),
        Ok(sums) => errored(check, format!("expected 2 columns, found {}", sums.len())),
        Err(error) => errored(check, error.to_string()),
    }
}
