//! An object that is being written: one request when it is small, parts when it is not.

use std::io::{self, Write};
use std::sync::Arc;

use object_store::path::Path as ObjectPath;
use object_store::{ObjectStoreExt, PutPayload, WriteMultipart};

use super::bucket::Bucket;

/// Parts are of this size; S3 allows ten thousand of them.
const PART_BYTES: usize = 8 << 20;
/// So many parts of one object are under way while the next is filled.
const PARTS_AT_ONCE: usize = 3;

/// An object that is being written. It exists when `finish` has returned; dropped before, nothing is left of it.
pub(crate) struct Upload {
    bucket: Arc<Bucket>,
    path: ObjectPath,
    buffer: Vec<u8>,
    /// None as long as everything fits into the buffer.
    parts: Option<WriteMultipart>,
    size_bytes: u64,
}

impl Upload {
    pub fn new(bucket: &Arc<Bucket>, path: ObjectPath) -> Upload {
        Upload { bucket: bucket.clone(), path, buffer: Vec::new(), parts: None, size_bytes: 0 }
    }

    /// Writes what is left and makes the object visible. Returns its size in bytes.
    pub fn finish(&mut self) -> io::Result<u64> {
        let (objects, path, size_bytes) = (self.bucket.objects(), self.path.clone(), self.size_bytes);
        let rest = PutPayload::from(std::mem::take(&mut self.buffer));
        let parts = self.parts.take();
        self.bucket.wait(async move {
            let Some(mut parts) = parts else {
                objects.put(&path, rest).await?;
                return Ok(size_bytes);
            };
            rest.into_iter().for_each(|bytes| parts.put(bytes));
            if let Err(error) = parts.finish().await {
                // A completion that was repeated after a lost answer finds no upload, but the object.
                match objects.head(&path).await {
                    Ok(object) if object.size == size_bytes => {}
                    _ => return Err(error.into()),
                }
            }
            Ok(size_bytes)
        })
    }

    fn write_part(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES));
        let parts = self.parts.take();
        let (objects, path) = (self.bucket.objects(), self.path.clone());
        self.parts = Some(self.bucket.wait(async move {
            let mut parts = match parts {
                Some(parts) => parts,
                None => WriteMultipart::new_with_chunk_size(objects.put_multipart(&path).await?, PART_BYTES),
            };
            match parts.wait_for_capacity(PARTS_AT_ONCE).await {
                Ok(()) => parts.put(part.into()),
                Err(error) => {
                    abort(parts, &path).await;
                    return Err(error.into());
                }
            }
            Ok(parts)
        })?);
        Ok(())
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART_BYTES {
            self.write_part()?;
        }
        self.size_bytes += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            let path = self.path.clone();
            self.bucket.spawn(async move { abort(parts, &path).await });
        }
    }
}

async fn abort(parts: WriteMultipart, path: &ObjectPath) {
    if let Err(error) = parts.abort().await {
        tracing::warn!(%path, %error, "the parts of an unfinished upload could not be removed");
    }
}
