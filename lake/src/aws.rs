//! Services of AWS that take JSON over one path, the action in a header: Glue, Athena, Step Functions. Requests are signed
//! with the credentials that the object store finds; the SDK is a fifth of the build time for a dozen of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::store::Bucket;
use crate::{Result, S3};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const DEFAULT_REGION: &str = "us-east-1";
/// What a service says when it may do the same a moment later.
const BUSY: [&str; 4] =
    ["OperationTimeoutException", "ResourceNotReadyException", "TooManyRequestsException", "ServiceUnavailable"];

/// A service of AWS, as its requests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsService {
    /// Queries on tables in S3.
    Athena,
    /// The Data Catalog.
    Glue,
    /// State machines.
    StepFunctions,
}

impl AwsService {
    /// The first part of its host, by which requests are signed, too.
    fn host(self) -> &'static str {
        match self {
            AwsService::Athena => "athena",
            AwsService::Glue => "glue",
            AwsService::StepFunctions => "states",
        }
    }

    /// What stands before an action in the header.
    fn target(self) -> &'static str {
        match self {
            AwsService::Athena => "AmazonAthena",
            AwsService::Glue => "AWSGlue",
            AwsService::StepFunctions => "AWSStepFunctions",
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            AwsService::StepFunctions => "application/x-amz-json-1.0",
            _ => "application/x-amz-json-1.1",
        }
    }

    /// The key by which an answer says that there is more.
    fn token(self) -> &'static str {
        match self {
            AwsService::StepFunctions => "nextToken",
            _ => "NextToken",
        }
    }
}

/// Requests to one service of AWS in one region.
pub struct Aws {
    service: AwsService,
    client: Client,
    endpoint: String,
    region: String,
    /// Knows who asks; its threads bring the credentials.
    bucket: Arc<Bucket>,
}

/// What a service did not do.
#[derive(Debug, thiserror::Error)]
#[error("`{endpoint}` {reason}")]
pub struct AwsFault {
    /// Who was asked.
    pub endpoint: String,
    /// The name of the exception, such as `EntityNotFoundException`; `nothing` when no answer came, empty when it was
    /// not asked.
    pub kind: String,
    /// What it said, as the rest of a sentence about it.
    pub reason: String,
    /// Whether it may have done it all the same, or may do it when it is asked again.
    pub uncertain: bool,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Aws {
    /// Prepares requests to a service: of AWS in the region that is given, or set, or us-east-1, or of the server
    /// at `endpoint`.
    ///
    /// # Errors
    /// Settings of the environment that do not make credentials.
    pub fn open(service: AwsService, endpoint: Option<&str>, region: Option<&str>, s3: &S3) -> Result<Aws> {
        // The object store looks for credentials only for a bucket; this one is never asked for anything.
        let bucket = Arc::new(Bucket::open("credentials", s3)?);
        let s3 = S3 { region: region.map(str::to_owned).or_else(|| s3.region.clone()), ..s3.clone() };
        Aws::by(service, endpoint, &s3, &bucket)
    }

    /// Prepares requests that are signed with a bucket's credentials.
    pub(crate) fn by(service: AwsService, endpoint: Option<&str>, s3: &S3, bucket: &Arc<Bucket>) -> Result<Aws> {
        let variable = |name: &str| s3.environment.get(name).cloned();
        let region = s3.region.clone().or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| DEFAULT_REGION.to_string());
        let of_aws = || format!("https://{}.{region}.amazonaws.com", service.host());
        let endpoint = format!("{}/", endpoint.map_or_else(of_aws, str::to_owned).trim_end_matches('/'));
        let client = Client::builder().timeout(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        let client = client.map_err(|error| unasked(&endpoint, error))?;
        Ok(Aws { service, client, endpoint, region, bucket: bucket.clone() })
    }

    /// Reads all pages of a list.
    ///
    /// # Errors
    /// What the service did not do.
    pub async fn list(&self, action: &str, mut asked: Value, list: &str) -> Result<Vec<Value>, AwsFault> {
        let mut all = Vec::new();
        loop {
            let mut page = self.repeat(action, &asked).await?;
            if let Value::Array(found) = page[list].take() {
                all.extend(found);
            }
            match page[self.service.token()].take() {
                Value::String(next) if !next.is_empty() => asked[self.service.token()] = Value::String(next),
                _ => return Ok(all),
            }
        }
    }

    /// Asks what may be asked twice: again, after growing pauses, when no clear answer comes.
    ///
    /// # Errors
    /// What the service did not do.
    pub async fn repeat(&self, action: &str, asked: &Value) -> Result<Value, AwsFault> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.once(action, asked).await {
                Err(fault) if fault.uncertain => {
                    tracing::debug!(
                        action,
                        kind = fault.kind,
                        reason = fault.reason,
                        "a service of AWS is asked again"
                    );
                }
                answer => return answer,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.once(action, asked).await
    }

    /// Asks once: when no clear answer comes, it is for the caller to look what became of it.
    ///
    /// # Errors
    /// What the service did not do.
    pub async fn once(&self, action: &str, asked: &Value) -> Result<Value, AwsFault> {
        let body = asked.to_string().into_bytes();
        let credential = self.bucket.objects().credentials().get_credential().await;
        let credential = credential.map_err(|error| unasked(&self.endpoint, error))?;
        let mut request = HttpRequest::new(HttpRequestBody::from(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.parse::<hyper::Uri>().map_err(|error| unasked(&self.endpoint, error))?;
        let target = HeaderValue::from_str(&format!("{}.{action}", self.service.target()));
        request.headers_mut().insert("x-amz-target", target.map_err(|error| unasked(&self.endpoint, error))?);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.service.content_type()));
        AwsAuthorizer::new(&credential, self.service.host(), &self.region).authorize(&mut request, None);
        let headers = request.headers().clone();
        let sent = self.client.post(&self.endpoint).headers(headers).body(body).send().await;
        let answer = sent.map_err(|error| self.unheard(action, &error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unheard(action, &error))?;
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(said);
        }
        let kind = said["__type"].as_str().unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or(kind).to_string();
        let message = said["Message"].as_str().or_else(|| said["message"].as_str()).unwrap_or_default();
        let what = if kind.is_empty() { status.to_string() } else { kind.clone() };
        let reason = format!("answered {what} to `{action}`: {message}");
        let busy = kind.contains("Throttl") || BUSY.contains(&&*kind);
        Err(AwsFault { endpoint: self.endpoint.clone(), kind, reason, uncertain: status.is_server_error() || busy })
    }

    fn unheard(&self, action: &str, error: &reqwest::Error) -> AwsFault {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let reason = format!("did not answer `{action}`: {error}{cause}");
        AwsFault { endpoint: self.endpoint.clone(), kind: "nothing".to_string(), reason, uncertain: true }
    }
}

/// Nobody can be asked.
fn unasked(endpoint: &str, error: impl fmt::Display) -> AwsFault {
    let (endpoint, reason) = (endpoint.to_string(), format!("is not asked: {error}"));
    AwsFault { endpoint, kind: String::new(), reason, uncertain: false }
}
