//! A bucket as the iceberg crate sees storage: metadata, manifests and manifest lists go through here.

use std::ops::Range;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;

/// Makes the storage of one bucket. The trait wants it to be sent elsewhere as text; there, it is not connected.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct BucketStorageFactory {
    #[serde(skip)]
    storage: BucketStorage,
}

impl BucketStorageFactory {
    pub fn of(bucket: &Arc<Bucket>) -> BucketStorageFactory {
        BucketStorageFactory { storage: BucketStorage { bucket: Arc::downgrade(bucket) } }
    }
}

#[typetag::serde]
impl StorageFactory for BucketStorageFactory {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.storage.clone()))
    }
}

/// The storage of one bucket, as long as the lake is open.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct BucketStorage {
    #[serde(skip)]
    bucket: Weak<Bucket>,
}

impl BucketStorage {
    fn locate(&self, url: &str) -> Result<(Arc<Bucket>, ObjectPath)> {
        let closed = || Error::new(ErrorKind::Unexpected, "the lake is closed");
        let bucket = self.bucket.upgrade().ok_or_else(closed)?;
        let path = bucket
            .path(url)
            .map_err(|error| Error::new(ErrorKind::DataInvalid, "not of this lake").with_source(error))?;
        Ok((bucket, path))
    }
}

/// The url and the cause are what a reader needs.
fn failed(doing: &'static str, url: &str) -> impl FnOnce(object_store::Error) -> Error {
    let message = format!("`{url}` cannot be {doing}");
    move |error| Error::new(ErrorKind::Unexpected, message).with_source(error)
}

#[async_trait]
#[typetag::serde]
impl Storage for BucketStorage {
    async fn exists(&self, url: &str) -> Result<bool> {
        let (bucket, path) = self.locate(url)?;
        match bucket.objects().head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("read", url)(error)),
        }
    }

    async fn metadata(&self, url: &str) -> Result<FileMetadata> {
        let (bucket, path) = self.locate(url)?;
        let object = bucket.objects().head(&path).await.map_err(failed("read", url))?;
        Ok(FileMetadata { size: object.size })
    }

    async fn read(&self, url: &str) -> Result<Bytes> {
        let (bucket, path) = self.locate(url)?;
        let object = bucket.objects().get(&path).await.map_err(failed("read", url))?;
        object.bytes().await.map_err(failed("read", url))
    }

    async fn reader(&self, url: &str) -> Result<Box<dyn FileRead>> {
        let (bucket, path) = self.locate(url)?;
        Ok(Box::new(Reader { bucket, path, url: url.to_string() }))
    }

    async fn write(&self, url: &str, bytes: Bytes) -> Result<()> {
        let (bucket, path) = self.locate(url)?;
        bucket.objects().put(&path, PutPayload::from(bytes)).await.map_err(failed("written", url))?;
        Ok(())
    }

    async fn writer(&self, url: &str) -> Result<Box<dyn FileWrite>> {
        Ok(Box::new(Writer { storage: self.clone(), url: url.to_string(), held: Some(Vec::new()) }))
    }

    async fn delete(&self, url: &str) -> Result<()> {
        let (bucket, path) = self.locate(url)?;
        match bucket.objects().delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("removed", url)(error)),
        }
    }

    async fn delete_prefix(&self, url: &str) -> Result<()> {
        Err(Error::new(ErrorKind::FeatureUnsupported, format!("`{url}`: a lake does not remove what it cannot name")))
    }

    async fn delete_stream(&self, mut urls: BoxStream<'static, String>) -> Result<()> {
        while let Some(url) = urls.next().await {
            self.delete(&url).await?;
        }
        Ok(())
    }

    fn new_input(&self, url: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), url.to_string()))
    }

    fn new_output(&self, url: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), url.to_string()))
    }
}

struct Reader {
    bucket: Arc<Bucket>,
    path: ObjectPath,
    url: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.bucket.objects().get_range(&self.path, range).await.map_err(failed("read", &self.url))
    }
}

/// Metadata is small: it is held until it is complete and written by one request, so that no part of it is ever seen.
struct Writer {
    storage: BucketStorage,
    url: String,
    /// None once it is closed.
    held: Option<Vec<u8>>,
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.held {
            Some(held) => {
                held.extend_from_slice(&bytes);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::DataInvalid, format!("`{}` is closed", self.url))),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match self.held.take() {
            Some(held) => self.storage.write(&self.url, held.into()).await,
            None => Err(Error::new(ErrorKind::DataInvalid, format!("`{}` is closed", self.url))),
        }
    }
}
