//! A file that is read here and there by Parquet's reader. What is read of an object is brought, block by block, into a
//! nameless temporary file: who looks at one column fetches one column, and memory holds none of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path as ObjectPath;
use parquet::errors::Result as ParquetResult;
use parquet::file::reader::{ChunkReader, Length};

use super::bucket::Bucket;

const BLOCK_BYTES: u64 = 1 << 20;
/// A file up to this size is fetched by one request.
const SMALL_BYTES: u64 = 4 << 20;

/// A file that is open for reading.
pub(crate) enum Input {
    File(File),
    Object(Arc<Object>),
}

impl Input {
    pub fn object(bucket: &Arc<Bucket>, path: ObjectPath, size_bytes: u64) -> io::Result<Input> {
        let block_bytes = if size_bytes <= SMALL_BYTES { size_bytes.max(1) } else { BLOCK_BYTES };
        let count = usize::try_from(size_bytes.div_ceil(block_bytes)).unwrap_or(usize::MAX);
        let held = Mutex::new(Held { file: tempfile::tempfile()?, is_here: vec![false; count] });
        Ok(Input::Object(Arc::new(Object { bucket: bucket.clone(), path, size_bytes, block_bytes, held })))
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match self {
            Input::File(file) => Length::len(file),
            Input::Object(object) => object.size_bytes,
        }
    }
}

impl ChunkReader for Input {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> ParquetResult<Box<dyn Read>> {
        Ok(match self {
            Input::File(file) => Box::new(file.get_read(start)?),
            Input::Object(object) => Box::new(BufReader::new(Reader { object: object.clone(), position: start })),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            Input::File(file) => file.get_bytes(start, length),
            Input::Object(object) => {
                let mut bytes = vec![0; length];
                Reader { object: object.clone(), position: start }.read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}

/// An object of which some blocks are here.
pub(crate) struct Object {
    bucket: Arc<Bucket>,
    path: ObjectPath,
    size_bytes: u64,
    block_bytes: u64,
    held: Mutex<Held>,
}

struct Held {
    /// As long as the object, with holes.
    file: File,
    /// By block.
    is_here: Vec<bool>,
}

impl Object {
    fn read(&self, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        let to = from.saturating_add(wanted).min(self.size_bytes);
        if from >= to {
            return Ok(0);
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.fetch(&mut held, from..to)?;
        held.file.seek(SeekFrom::Start(from))?;
        let count = usize::try_from(to - from).unwrap_or(buffer.len());
        held.file.read_exact(&mut buffer[..count])?;
        Ok(count)
    }

    /// Brings those blocks of a part that are not here, by one request.
    fn fetch(&self, held: &mut Held, part: Range<u64>) -> io::Result<()> {
        let place = |block: u64| usize::try_from(block).unwrap_or(usize::MAX);
        let blocks = place(part.start / self.block_bytes)..place(part.end.div_ceil(self.block_bytes));
        let mut absent = blocks.filter(|block| !held.is_here[*block]);
        let Some(first) = absent.next() else { return Ok(()) };
        let last = absent.next_back().unwrap_or(first);
        let start = first as u64 * self.block_bytes;
        let end = (last as u64 + 1).saturating_mul(self.block_bytes).min(self.size_bytes);
        let (objects, path) = (self.bucket.objects(), self.path.clone());
        let bytes = self.bucket.wait(async move { Ok(objects.get_range(&path, start..end).await?) })?;
        if bytes.len() as u64 != end - start {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        held.file.seek(SeekFrom::Start(start))?;
        held.file.write_all(&bytes)?;
        held.is_here[first..=last].fill(true);
        Ok(())
    }
}

struct Reader {
    object: Arc<Object>,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.object.read(self.position, buffer)?;
        self.position += count as u64;
        Ok(count)
    }
}
