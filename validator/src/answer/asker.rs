//! The session in which checks are asked.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use model::quality::{Check, CheckResult, Status};

use crate::contents::Contents;
use crate::error::{Result, reading};
use crate::row::{Row, collect};

/// A crosswalk of up to so many rows is read once and kept in memory: dozens of checks look into it.
const KEPT_ROWS: u64 = 2_000_000;
/// Where every row came from.
const CROSSWALK: &str = "quality.crosswalk";
const KEPT_CROSSWALK: &str = "crosswalk_in_memory";

/// A session in which checks are asked.
#[derive(Clone)]
pub struct Asker {
    pub session: SessionContext,
    /// The name under which the crosswalk is kept in memory.
    pub crosswalk: Option<&'static str>,
}

impl Asker {
    /// Keeps the crosswalk, if it is small enough.
    pub async fn of(session: &SessionContext, contents: &Contents) -> Result<Asker> {
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

    /// Asks a query.
    pub async fn ask(&self, sql: &str) -> Result<Vec<Row>, DataFusionError> {
        match self.crosswalk {
            Some(kept) => collect(&self.session, &sql.replace(CROSSWALK, kept)).await,
            None => collect(&self.session, sql).await,
        }
    }
}

/// The single row of counts of a query.
pub async fn sums(session: &Asker, sql: &str) -> Result<Vec<u64>, DataFusionError> {
    let rows = session.ask(sql).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    Ok((0..row.len()).map(|column| u64::try_from(row.int(column)).unwrap_or(0)).collect())
}

/// True when the engine had no memory for a check.
pub fn is_out_of_memory(result: &CheckResult) -> bool {
    result.status == Status::Errored
        && result.message.as_ref().is_some_and(|message| message.contains("Resources exhausted"))
}

/// A check that could not be answered, with the engine's reason on one line.
pub(crate) fn errored(check: Check, reason: String) -> CheckResult {
    let lines: Vec<&str> =
        reason.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "caused by").collect();
    let message = Some(lines.join(": ").chars().take(400).collect());
    CheckResult { check, status: Status::Errored, row_count: 0, violation_count: 0, message }
}
