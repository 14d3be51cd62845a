//! Trino's protocol of clients: a statement is posted, and each answer names the url of the next until there is none.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Answer, STOPPED, interruption};
use crate::error::{Error, Result};

/// A server answers after a second at most, with or without rows.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const SOURCE: &str = "healthlake";

/// A server, and who asks it.
pub struct Trino {
    uri: String,
    catalog: String,
    user: String,
    password: Option<String>,
    client: Client,
}

/// One answer. Values stay as they were sent: a number that is read and written again may not be the same.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    id: String,
    next_uri: Option<String>,
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    data: Vec<Vec<Box<RawValue>>>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fault {
    error_name: String,
    message: String,
}

impl std::fmt::Debug for Trino {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trino").field("uri", &self.uri).field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

impl Trino {
    /// Prepares requests to the server at a url, whose catalog of that name is the lake.
    ///
    /// # Errors
    /// A password that would be sent without TLS.
    pub fn new(uri: &str, catalog: &str, user: &str, password: Option<String>) -> Result<Trino> {
        let uri = uri.trim_end_matches('/').to_owned();
        if password.is_some() && !uri.starts_with("https://") {
            return Err(failed("", &format!("`{uri}` is not asked: a password is sent by https only")));
        }
        let client = Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|error| failed("", &error.to_string()))?;
        Ok(Trino { uri, catalog: catalog.to_owned(), user: user.to_owned(), password, client })
    }

    pub(super) async fn run(&self, sql: &str) -> Result<Answer> {
        let post = self.client.post(format!("{}/v1/statement", self.uri)).body(sql.to_owned());
        let post = post.header("X-Trino-Catalog", &self.catalog).header("X-Trino-Source", SOURCE);
        // Without it, moments come in milliseconds.
        let post = post.header("X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME");
        let mut page = self.page("", post).await?;
        let mut answer = Answer { query_id: page.id, ..Answer::default() };
        loop {
            if let Some(Fault { error_name, message }) = page.error {
                return Err(failed(&answer.query_id, &format!("{error_name}: {message}")));
            }
            if answer.columns.is_empty() {
                answer.columns = page.columns.into_iter().map(|column| (column.name, column.kind)).collect();
            }
            for row in page.data {
                let cells = row.iter().map(|value| cell(value)).collect::<Result<_, _>>();
                answer.rows.push(cells.map_err(|error| failed(&answer.query_id, &error.to_string()))?);
            }
            let Some(next) = page.next_uri else { return Ok(answer) };
            let waited = interruption::unless(self.page(&answer.query_id, self.client.get(&next))).await;
            let Some(told) = waited else {
                self.answer(&answer.query_id, self.client.delete(next)).await?;
                return Err(failed(&answer.query_id, STOPPED));
            };
            page = told?;
        }
    }

    async fn page(&self, id: &str, request: RequestBuilder) -> Result<Page> {
        let text = self.answer(id, request).await?;
        serde_json::from_str(&text)
            .map_err(|error| failed(id, &format!("`{}` did not answer a page: {error}", self.uri)))
    }

    /// One answer. A server that is busy says so by its status, and wants to be asked the same again; so it may be when
    /// a page that has an url of its own did not arrive.
    async fn answer(&self, id: &str, request: RequestBuilder) -> Result<String> {
        let mut request = request.header("X-Trino-User", &self.user);
        if let Some(password) = &self.password {
            request = request.basic_auth(&self.user, Some(password));
        }
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let again = request.try_clone().ok_or_else(|| failed(id, "the request cannot be made again"))?;
            let is_last = attempt == ATTEMPTS;
            match again.send().await {
                Ok(answer) if answer.status().is_success() => match answer.text().await {
                    Ok(text) => return Ok(text),
                    Err(error) if is_last || id.is_empty() => return Err(unheard(id, &error)),
                    Err(_) => {}
                },
                Ok(answer) if is_last || !is_busy(answer.status()) => {
                    let status = answer.status();
                    let said = answer.text().await.unwrap_or_default();
                    return Err(failed(id, &format!("`{}` answered {status}: {}", self.uri, said.trim())));
                }
                // Whether a statement that got no answer is under way is not known.
                Err(error) if is_last || (id.is_empty() && !error.is_connect()) => return Err(unheard(id, &error)),
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(failed(id, "it was not asked"))
    }
}

fn is_busy(status: StatusCode) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .contains(&status)
}

/// A value as text; lists and the like stay JSON.
fn cell(value: &RawValue) -> Result<Option<String>, serde_json::Error> {
    match value.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => serde_json::from_str(text).map(Some),
        other => Ok(Some(other.to_owned())),
    }
}

fn unheard(id: &str, error: &reqwest::Error) -> Error {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    failed(id, &format!("{error}{cause}"))
}

pub(super) fn failed(id: &str, reason: &str) -> Error {
    Error::Engine { engine: "Trino", query_id: id.to_owned(), reason: reason.to_owned() }
}
