//! A bucket: how it is reached, and the threads that its requests run on.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use datafusion::datasource::object_store::ObjectStoreUrl;
use futures::{StreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::SpawnedReqwestConnector;
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreExt, RetryConfig};
use tokio::runtime::Runtime;

use super::invalid;
use crate::{Error, Result, S3};

const THREADS: usize = 2;
const REMOVED_AT_ONCE: usize = 16;
/// A request that takes longer is made again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request is made again so often, the last time after about a minute and a half.
const RETRIES: usize = 12;
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const GIVE_UP_AFTER: Duration = Duration::from_secs(150);

/// A bucket of an S3-compatible object store.
pub(crate) struct Bucket {
    url: ObjectStoreUrl,
    /// `s3://name/`
    prefix: String,
    objects: Arc<AmazonS3>,
    /// Always there until it is dropped.
    threads: Option<Runtime>,
}

impl Bucket {
    /// Prepares the requests; none is made yet.
    pub fn open(name: &str, s3: &S3) -> Result<Bucket> {
        let prefix = format!("s3://{name}/");
        let url = ObjectStoreUrl::parse(&prefix)?;
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("object store")
            .enable_all()
            .build()
            .map_err(Error::file(&prefix, "opened"))?;
        let objects = builder(name, s3)
            .with_http_connector(SpawnedReqwestConnector::new(threads.handle().clone()))
            .build()
            .map_err(|error| Error::file(&prefix, "opened")(error.into()))?;
        Ok(Bucket { url, prefix, objects: Arc::new(objects), threads: Some(threads) })
    }

    pub fn url(&self) -> &ObjectStoreUrl {
        &self.url
    }

    pub fn objects(&self) -> Arc<AmazonS3> {
        self.objects.clone()
    }

    /// The key of an object.
    pub fn path(&self, url: &str) -> io::Result<ObjectPath> {
        let key = url.strip_prefix(&self.prefix).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{url}` does not lie in `{}`", self.prefix))
        })?;
        ObjectPath::parse(key).map_err(invalid)
    }

    /// Makes requests on the bucket's own threads and waits for their end.
    pub fn wait<T: Send + 'static>(
        &self,
        requests: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = sync_channel(1);
        self.spawn(async move {
            // Nobody is left to be told when the receiver is gone.
            let _ = sender.send(requests.await);
        });
        receiver.recv().unwrap_or_else(|_| Err(io::Error::other("the thread of a request ended before the request")))
    }

    /// Makes requests on the bucket's own threads.
    pub fn spawn(&self, requests: impl Future<Output = ()> + Send + 'static) {
        if let Some(threads) = &self.threads {
            threads.spawn(requests);
        }
    }

    /// Removes objects, and says what became of each.
    pub fn remove(&self, urls: Vec<String>) -> Vec<(String, io::Result<()>)> {
        let objects = self.objects();
        let located: Vec<_> = urls.into_iter().map(|url| (self.path(&url), url)).collect();
        let removing = stream::iter(located).map(move |(path, url)| {
            let objects = objects.clone();
            async move {
                let outcome = match path {
                    Ok(path) => objects.delete(&path).await.map_err(io::Error::from),
                    Err(error) => Err(error),
                };
                (url, outcome)
            }
        });
        self.wait(async move { Ok(removing.buffer_unordered(REMOVED_AT_ONCE).collect().await) }).unwrap_or_default()
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest of it holds credentials.
        f.debug_struct("Bucket").field("url", &self.prefix).finish_non_exhaustive()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // To wait for threads is not allowed everywhere that a lake may be dropped.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

fn builder(name: &str, s3: &S3) -> AmazonS3Builder {
    let client = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(s3.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")));
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: LONGEST_PAUSE, ..BackoffConfig::default() },
        max_retries: RETRIES,
        retry_timeout: GIVE_UP_AFTER,
    };
    let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry);
    for (variable, value) in environment(&s3.environment) {
        builder = builder.with_config(variable, value);
    }
    builder = builder.with_bucket_name(name).with_virtual_hosted_style_request(!s3.path_style);
    if let Some(endpoint) = &s3.endpoint {
        let endpoint = endpoint.trim_end_matches('/');
        builder = builder.with_endpoint(match endpoint.split_once("://") {
            Some((scheme, host)) if !s3.path_style => format!("{scheme}://{name}.{host}"),
            _ => endpoint.to_string(),
        });
    }
    if let Some(region) = &s3.region {
        builder = builder.with_region(region);
    }
    if let Some(key) = &s3.kms_key {
        // One key for the whole bucket saves a request to the key service per object.
        builder = builder.with_sse_kms_encryption(key).with_bucket_key(true);
    }
    builder
}

/// The variables that the object store knows.
fn environment(variables: &BTreeMap<String, String>) -> impl Iterator<Item = (AmazonS3ConfigKey, &String)> {
    variables.iter().filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_bucket_is_refused() {
        let bucket = Bucket::open("lake", &S3::default()).unwrap();
        assert_eq!(bucket.path("s3://lake/a/b%2Fc.parquet").unwrap().as_ref(), "a/b%2Fc.parquet");
        let error = bucket.path("s3://lake2/a").unwrap_err().to_string();
        assert_eq!(error, "`s3://lake2/a` does not lie in `s3://lake/`");
    }

    #[test]
    fn settings_go_before_the_environment() {
        let variables = [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_PROFILE", "unknown here")];
        let s3 = S3 {
            endpoint: Some("http://127.0.0.1:9000/".to_string()),
            region: Some("eu-central-2".to_string()),
            path_style: false,
            kms_key: Some("key".to_string()),
            environment: variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        };
        let builder = builder("lake", &s3);
        let value = |key: &str| builder.get_config_value(&key.parse().unwrap()).unwrap();
        assert_eq!(value("aws_region"), "eu-central-2");
        assert_eq!(value("aws_access_key_id"), "id");
        assert_eq!(value("aws_endpoint"), "http://lake.127.0.0.1:9000");
        assert_eq!(value("aws_server_side_encryption"), "aws:kms");
        assert_eq!(value("aws_sse_kms_key_id"), "key");
        assert!(!format!("{s3:?}").contains("\"id\""), "{s3:?}");
    }
}
