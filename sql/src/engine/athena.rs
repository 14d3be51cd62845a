//! Athena: a statement is started, asked for until it has ended, and its rows are read page by page.

use std::time::Duration;

use lake::{Aws, AwsFault};
use serde_json::{Value, json};

use super::{Answer, STOPPED, interruption};
use crate::error::{Error, Result};

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// As many as Athena sends at once.
const PAGE_ROWS: usize = 1000;

/// Where queries are run, and as what.
#[derive(Debug)]
pub struct Athena {
    /// Requests to the service.
    pub requests: Aws,
    /// The workgroup, which has its limits and, as a rule, says where results go.
    pub workgroup: String,
    /// Folder of the results, `s3://bucket/prefix/`; what the workgroup says when absent.
    pub output: Option<String>,
    /// The catalog that names of two parts are looked up in; `AwsDataCatalog` is Glue's.
    pub catalog: String,
    /// Folder of the lake's tables, `s3://bucket/prefix`: Athena has to be told where a new table goes.
    pub warehouse: String,
}

impl Athena {
    pub(super) async fn run(&self, sql: &str) -> Result<Answer> {
        let mut asked = json!({
            "QueryString": sql,
            // The same words for the same request: a query that is started again starts nothing.
            "ClientRequestToken": uuid::Uuid::new_v4().to_string(),
            "WorkGroup": self.workgroup,
            "QueryExecutionContext": { "Catalog": self.catalog },
        });
        if let Some(output) = &self.output {
            asked["ResultConfiguration"] = json!({ "OutputLocation": output });
        }
        let started = self.requests.repeat("StartQueryExecution", &asked).await.map_err(refused(""))?;
        let id = started["QueryExecutionId"].as_str().unwrap_or_default().to_owned();
        let answer = async {
            let kind = self.wait(&id).await?;
            self.rows(id.clone(), &kind).await
        };
        match interruption::unless(answer).await {
            Some(answer) => answer,
            None => {
                let asked = json!({ "QueryExecutionId": id });
                self.requests.repeat("StopQueryExecution", &asked).await.map_err(refused(&id))?;
                Err(failed(&id, STOPPED))
            }
        }
    }

    /// Waits for the end of a query, and says what kind of statement it was.
    async fn wait(&self, id: &str) -> Result<String> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let asked = json!({ "QueryExecutionId": id });
            let mut told = self.requests.repeat("GetQueryExecution", &asked).await.map_err(refused(id))?;
            let execution = told["QueryExecution"].take();
            let status = &execution["Status"];
            match status["State"].as_str().unwrap_or_default() {
                "SUCCEEDED" => return Ok(execution["StatementType"].as_str().unwrap_or_default().to_owned()),
                state @ ("FAILED" | "CANCELLED") => {
                    let reason = status["StateChangeReason"].as_str();
                    let reason = reason.or_else(|| status["AthenaError"]["ErrorMessage"].as_str());
                    return Err(failed(id, reason.unwrap_or(state)));
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn rows(&self, id: String, kind: &str) -> Result<Answer> {
        let mut answer = Answer { query_id: id, ..Answer::default() };
        let mut asked = json!({ "QueryExecutionId": answer.query_id, "MaxResults": PAGE_ROWS });
        let mut is_first = true;
        loop {
            let page = self.requests.repeat("GetQueryResults", &asked).await;
            let page = page.map_err(refused(&answer.query_id))?;
            let set = &page["ResultSet"];
            if is_first {
                answer.columns = list(&set["ResultSetMetadata"]["ColumnInfo"]).map(column).collect();
            }
            let mut rows = list(&set["Rows"]).map(|row| list(&row["Data"]).map(cell).collect::<Vec<_>>());
            if is_first && kind == "DML" {
                // The first row of a query repeats the names of its columns.
                rows.next();
            }
            answer.rows.extend(rows);
            is_first = false;
            match page["NextToken"].as_str() {
                Some(next) if !next.is_empty() => asked["NextToken"] = json!(next),
                _ => return Ok(answer),
            }
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The name of a column, and its type with the numbers that belong to it.
fn column(info: &Value) -> (String, String) {
    let text = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
    let kind = match text("Type") {
        decimal if decimal == "decimal" => format!("decimal({},{})", info["Precision"], info["Scale"]),
        kind => kind,
    };
    (text("Name"), kind)
}

fn cell(datum: &Value) -> Option<String> {
    datum["VarCharValue"].as_str().map(str::to_owned)
}

pub(super) fn failed(id: &str, reason: &str) -> Error {
    Error::Engine { engine: "Athena", query_id: id.to_owned(), reason: reason.to_owned() }
}

fn refused(id: &str) -> impl FnOnce(AwsFault) -> Error {
    move |fault| failed(id, &fault.to_string())
}
