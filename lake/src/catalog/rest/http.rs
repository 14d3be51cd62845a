//! Requests to the server of a catalog: who asks, how often, and what an answer means.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Rest, Result};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What may be asked twice is asked so often.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Http {
    client: Client,
    uri: String,
    /// `uri/v1/` and what the server wants to see next.
    base: String,
    credential: Option<String>,
    token: Mutex<Option<String>>,
}

/// What the server said.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The server's word for this state of a table.
    pub tag: Option<String>,
    request: String,
    body: Vec<u8>,
}

impl Answer {
    fn error(&self) -> Option<Value> {
        serde_json::from_slice::<Value>(&self.body).ok()?.get("error").cloned()
    }

    /// Says whether a refusal is about a table, not about the path.
    pub fn is_about_tables(&self) -> bool {
        self.status == StatusCode::CONFLICT
            || self.error().and_then(|error| Some(error.get("type")?.as_str()?.starts_with("NoSuch"))) == Some(true)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Http {
    pub fn new(rest: &Rest) -> Result<Http> {
        let uri = rest.uri.trim_end_matches('/').to_string();
        let client = Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|error| unreachable(&uri, &error, false))?;
        let (credential, token) = (rest.credential.clone(), Mutex::new(rest.token.clone()));
        Ok(Http { client, base: format!("{uri}/v1/"), uri, credential, token })
    }

    pub fn set_prefix(&mut self, prefix: &str) {
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            self.base = format!("{}/v1/{prefix}/", self.uri);
        }
    }

    /// Reads what is there; none when nothing is.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<Option<T>> {
        let answer = self.repeat(path, &|| self.request(Method::GET, path).query(query)).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(None) } else { self.read(answer).map(Some) }
    }

    /// Reads a state, unless it is the one that is known by this tag.
    pub async fn get_if_changed(&self, path: &str, tag: Option<&str>) -> Result<Answer> {
        let request = || {
            let request = self.request(Method::GET, path);
            match tag {
                Some(tag) => request.header(IF_NONE_MATCH, tag),
                None => request,
            }
        };
        self.repeat(path, &request).await
    }

    /// Posts what may arrive twice.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.repeat(path, &|| self.request(Method::POST, path).json(body)).await
    }

    /// Posts a change once: when no clear answer comes, it is for the caller to look what became of it.
    pub async fn commit(&self, path: &str, body: &Value) -> Result<Answer> {
        let answer = self.send(path, &|| self.request(Method::POST, path).json(body)).await?;
        let unclear = answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED;
        if unclear || answer.status == StatusCode::TOO_MANY_REQUESTS { Err(self.error(&answer)) } else { Ok(answer) }
    }

    /// Reads the body of an answer, which must be a success.
    pub fn read<T: DeserializeOwned>(&self, answer: Answer) -> Result<T> {
        if !answer.status.is_success() {
            return Err(self.error(&answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            self.refused(&format!("gave an answer to `{}` that is not expected: {error}", answer.request))
        })
    }

    /// The error that an answer is.
    pub fn error(&self, answer: &Answer) -> Error {
        let said = answer.error().and_then(|error| Some(error.get("message")?.as_str()?.to_string()));
        let said = said.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).chars().take(200).collect());
        let reason = format!("answered {} to `{}`: {said}", answer.status.as_u16(), answer.request);
        let hint = match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "\nhint: HEALTHLAKE_CATALOG_TOKEN or HEALTHLAKE_CATALOG_CREDENTIAL says who asks"
            }
            _ => "",
        };
        let uncertain = answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS;
        Error::CatalogServer { uri: self.uri.clone(), reason: reason + hint, uncertain }
    }

    /// An error that asking again does not mend.
    pub fn refused(&self, reason: &str) -> Error {
        Error::CatalogServer { uri: self.uri.clone(), reason: reason.to_string(), uncertain: false }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Asks until there is an answer that is about the question.
    async fn repeat(&self, path: &str, request: &(dyn Fn() -> RequestBuilder + Sync)) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.send(path, request).await {
                Ok(answer) if answer.status == StatusCode::NOT_IMPLEMENTED => return Ok(answer),
                Ok(answer) if !answer.status.is_server_error() && answer.status != StatusCode::TOO_MANY_REQUESTS => {
                    return Ok(answer);
                }
                Ok(answer) => tracing::debug!(status = answer.status.as_u16(), path, "the catalog is asked again"),
                Err(error) if error.is_uncertain() => tracing::debug!(%error, path, "the catalog is asked again"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        self.send(path, request).await
    }

    /// Asks once, or twice when the token has run out.
    async fn send(&self, path: &str, request: &(dyn Fn() -> RequestBuilder + Sync)) -> Result<Answer> {
        let answer = self.ask(path, self.identified(request()).await?).await?;
        if answer.status != StatusCode::UNAUTHORIZED || self.credential.is_none() {
            return Ok(answer);
        }
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.ask(path, self.identified(request()).await?).await
    }

    async fn ask(&self, path: &str, request: RequestBuilder) -> Result<Answer> {
        let unreachable = |error: reqwest::Error| unreachable(&self.uri, &error, true);
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_string);
        let body = answer.bytes().await.map_err(unreachable)?.to_vec();
        Ok(Answer { status, tag, request: path.to_string(), body })
    }

    /// Says who asks, if the server wants to know.
    async fn identified(&self, request: RequestBuilder) -> Result<RequestBuilder> {
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let token = match (known, &self.credential) {
            (Some(token), _) => token,
            (None, None) => return Ok(request),
            (None, Some(credential)) => {
                let token = self.exchange(credential).await?;
                *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
                token
            }
        };
        Ok(request.bearer_auth(token))
    }

    /// Gets a token for an id and a secret, as OAuth 2 has it.
    async fn exchange(&self, credential: &str) -> Result<String> {
        let (id, secret) = credential.split_once(':').unwrap_or(("", credential));
        let grant =
            [("grant_type", "client_credentials"), ("scope", "catalog"), ("client_id", id), ("client_secret", secret)];
        let path = "oauth/tokens";
        let request = self.client.post(format!("{}/v1/{path}", self.uri)).form(&grant);
        let granted: Value = self.read(self.ask(path, request).await?)?;
        let token = granted.get("access_token").and_then(Value::as_str);
        token.map(str::to_string).ok_or_else(|| self.refused("granted no token"))
    }
}

/// An error of the way to the server, with its causes.
fn unreachable(uri: &str, error: &reqwest::Error, uncertain: bool) -> Error {
    let mut reason = format!("cannot be reached: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        reason += &format!(": {inner}");
        cause = inner.source();
    }
    Error::CatalogServer { uri: uri.to_string(), reason, uncertain }
}
