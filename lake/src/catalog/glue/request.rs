//! Signed requests to Glue: JSON over one path, the action in a header.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::store::Bucket;
use crate::{Error, Glue, Result, S3};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const DEFAULT_REGION: &str = "us-east-1";

pub(super) struct Requests {
    client: Client,
    endpoint: String,
    region: String,
    /// Knows who asks.
    bucket: Arc<Bucket>,
}

/// What Glue did not do.
#[derive(Debug)]
pub(super) struct Fault {
    /// The name of the exception.
    pub kind: String,
    message: String,
    /// Whether it may do it all the same, or when it is asked again.
    uncertain: bool,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Requests {
    pub fn new(glue: &Glue, s3: &S3, bucket: &Arc<Bucket>) -> Result<Requests> {
        let variable = |name: &str| s3.environment.get(name).cloned();
        let region = s3.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| DEFAULT_REGION.to_string());
        let endpoint = glue.endpoint.clone().unwrap_or_else(|| format!("https://glue.{region}.amazonaws.com"));
        let endpoint = format!("{}/", endpoint.trim_end_matches('/'));
        let client = Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|error| failed(&endpoint, error.to_string(), false))?;
        Ok(Requests { client, endpoint, region, bucket: bucket.clone() })
    }

    /// Reads all pages of a list; none when what holds it does not exist.
    pub async fn list(&self, action: &str, mut asked: Value, list: &str) -> Result<Option<Vec<Value>>> {
        let mut all = Vec::new();
        loop {
            let mut page = match self.repeat(action, &asked).await? {
                Ok(page) => page,
                Err(fault) if fault.kind == super::NOT_FOUND => return Ok(None),
                Err(fault) => return Err(self.error(action, &fault)),
            };
            if let Value::Array(found) = page[list].take() {
                all.extend(found);
            }
            match page["NextToken"].take() {
                Value::String(next) if !next.is_empty() => asked["NextToken"] = Value::String(next),
                _ => return Ok(Some(all)),
            }
        }
    }

    /// Asks what may be asked twice.
    pub async fn repeat(&self, action: &str, asked: &Value) -> Result<Result<Value, Fault>> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.ask(action, asked).await? {
                Err(fault) if fault.uncertain => {
                    tracing::debug!(action, kind = fault.kind, reason = fault.message, "Glue is asked again");
                }
                answer => return Ok(answer),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
        self.ask(action, asked).await
    }

    /// Asks for a change once: when no clear answer comes, it is for the caller to look what became of it.
    pub async fn once(&self, action: &str, asked: &Value) -> Result<Result<Value, Fault>> {
        match self.ask(action, asked).await? {
            Err(fault) if fault.uncertain => Err(self.error(action, &fault)),
            answer => Ok(answer),
        }
    }

    pub fn error(&self, action: &str, fault: &Fault) -> Error {
        failed(&self.endpoint, format!("answered {} to `{action}`: {}", fault.kind, fault.message), fault.uncertain)
    }

    async fn ask(&self, action: &str, asked: &Value) -> Result<Result<Value, Fault>> {
        let body = asked.to_string().into_bytes();
        let credential = self.bucket.objects().credentials().get_credential().await;
        let credential = credential.map_err(|error| failed(&self.endpoint, format!("is not asked: {error}"), false))?;
        let mut request = HttpRequest::new(HttpRequestBody::from(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            self.endpoint.parse::<hyper::Uri>().map_err(|_| failed(&self.endpoint, "is no url".to_string(), false))?;
        let target = HeaderValue::from_str(&format!("AWSGlue.{action}"));
        let target = target.map_err(|error| failed(&self.endpoint, error.to_string(), false))?;
        request.headers_mut().insert("x-amz-target", target);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        AwsAuthorizer::new(&credential, "glue", &self.region).authorize(&mut request, None);
        let headers = request.headers().clone();
        let sent = self.client.post(&self.endpoint).headers(headers).body(body).send().await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(unheard(&error))),
        };
        let status = answer.status();
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => return Ok(Err(unheard(&error))),
        };
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(Ok(said));
        }
        let kind = said["__type"].as_str().unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or(kind).to_string();
        let message = said["Message"].as_str().or_else(|| said["message"].as_str()).unwrap_or_default().to_string();
        let busy =
            kind.contains("Throttl") || ["OperationTimeoutException", "ResourceNotReadyException"].contains(&&*kind);
        Ok(Err(Fault { uncertain: status.is_server_error() || busy, kind, message }))
    }
}

fn unheard(error: &reqwest::Error) -> Fault {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    Fault { kind: "nothing".to_string(), message: format!("{error}: {cause}"), uncertain: true }
}

fn failed(endpoint: &str, reason: String, uncertain: bool) -> Error {
    Error::CatalogServer { uri: endpoint.to_string(), reason, uncertain }
}
