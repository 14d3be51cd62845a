//! Where the files lie: a folder, or a bucket of an S3-compatible object store.
//!
//! Rows are written and rewritten on plain threads, so this side of the store is synchronous. Requests run on threads
//! of the store's own: whoever waits for one, on whatever thread, never waits for itself.

mod bucket;
mod input;
mod storage;
mod upload;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnv;
use iceberg::io::{FileIO, FileIOBuilder, LocalFsStorageFactory};
use object_store::path::Path as ObjectPath;

use crate::location::path_of;
use crate::{Error, Result, S3};
pub(crate) use bucket::Bucket;
pub(crate) use input::Input;
use storage::BucketStorageFactory;
use upload::Upload;

/// The files of one lake. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Folder,
    Bucket(Arc<Bucket>),
}

impl Store {
    /// Prepares what a checked warehouse url names; a folder is created.
    pub fn of_warehouse(warehouse: &str, s3: &S3) -> Result<Store> {
        match warehouse.strip_prefix("s3://") {
            Some(rest) => {
                let name = rest.split('/').next().unwrap_or(rest);
                Ok(Store::Bucket(Arc::new(Bucket::open(name, s3)?)))
            }
            None => {
                let folder = path_of(warehouse);
                std::fs::create_dir_all(&folder).map_err(Error::file(&folder, "created"))?;
                Ok(Store::Folder)
            }
        }
    }

    /// The same files for the iceberg crate.
    pub fn files(&self) -> FileIO {
        match self {
            Store::Folder => FileIOBuilder::new(Arc::new(LocalFsStorageFactory)).build(),
            Store::Bucket(bucket) => FileIOBuilder::new(Arc::new(BucketStorageFactory::of(bucket))).build(),
        }
    }

    /// Begins a new file.
    pub fn create(&self, url: &str) -> io::Result<Output> {
        match self {
            Store::Folder => {
                let path = path_of(url);
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                Ok(Output::File(File::create_new(path)?))
            }
            Store::Bucket(bucket) => Ok(Output::Upload(Box::new(Upload::new(bucket, bucket.path(url)?)))),
        }
    }

    /// Opens a file of a known size to be read from any place.
    pub fn open(&self, url: &str, size_bytes: u64) -> io::Result<Input> {
        match self {
            Store::Folder => Ok(Input::File(File::open(path_of(url))?)),
            Store::Bucket(bucket) => Input::object(bucket, bucket.path(url)?, size_bytes),
        }
    }

    /// Removes files; one that cannot be removed is waste, and said aloud.
    pub fn remove<'a>(&self, urls: impl IntoIterator<Item = &'a str>) {
        match self {
            Store::Folder => {
                for url in urls {
                    removed(url, std::fs::remove_file(path_of(url)));
                }
            }
            Store::Bucket(bucket) => {
                for (url, outcome) in bucket.remove(urls.into_iter().map(str::to_string).collect()) {
                    removed(&url, outcome);
                }
            }
        }
    }

    /// Names the paths of those files that a loss of power could take away.
    pub fn paths_to_flush<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
        match self {
            Store::Folder => urls.into_iter().map(path_of).collect(),
            // What a bucket has acknowledged is safe.
            Store::Bucket(_) => Vec::new(),
        }
    }

    /// Lets queries read the files.
    pub fn register(&self, runtime: &RuntimeEnv) {
        if let Store::Bucket(bucket) = self {
            runtime.register_object_store(self.url().as_ref(), bucket.objects());
        }
    }

    /// The store as queries name it.
    pub fn url(&self) -> ObjectStoreUrl {
        match self {
            Store::Folder => ObjectStoreUrl::local_filesystem(),
            Store::Bucket(bucket) => bucket.url().clone(),
        }
    }

    /// A file as queries name it.
    pub fn path(&self, url: &str) -> io::Result<ObjectPath> {
        match self {
            Store::Folder => ObjectPath::from_absolute_path(path_of(url)).map_err(invalid),
            Store::Bucket(bucket) => bucket.path(url),
        }
    }
}

fn removed(url: &str, outcome: io::Result<()>) {
    if let Err(error) = outcome
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = url, %error, "an unused file could not be removed");
    }
}

fn invalid(error: object_store::path::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// A file that is being written.
pub(crate) enum Output {
    File(File),
    Upload(Box<Upload>),
}

impl Output {
    /// Finishes the file and returns its size in bytes. A file of a bucket exists from here on.
    pub fn finish(&mut self) -> io::Result<u64> {
        match self {
            Output::File(file) => Ok(file.metadata()?.len()),
            Output::Upload(upload) => upload.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::File(file) => file.write(bytes),
            Output::Upload(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File(file) => file.flush(),
            Output::Upload(_) => Ok(()),
        }
    }
}

/// How a file is named in messages: by its path if it has one, else by its url.
pub(crate) fn shown(url: &str) -> PathBuf {
    if url.starts_with("s3:") { Path::new(url).to_path_buf() } else { path_of(url) }
}
