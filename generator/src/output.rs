//! The files of a generation: each is hashed as it is written.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use model::omop::Table;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use xxhash_rust::xxh3::Xxh3Default;

use crate::Error;
use crate::manifest::File;

/// One file of NDJSON.
pub struct NdjsonFile {
    path: PathBuf,
    file: std::io::BufWriter<fs::File>,
    hash: Xxh3Default,
    size_bytes: u64,
    /// Resources written.
    pub count: u64,
}

impl NdjsonFile {
    /// Creates the file.
    pub fn create(path: PathBuf) -> Result<NdjsonFile, Error> {
        let file = fs::File::create(&path).map_err(Error::io(&path))?;
        let file = std::io::BufWriter::with_capacity(1 << 18, file);
        Ok(NdjsonFile { path, file, hash: Xxh3Default::new(), size_bytes: 0, count: 0 })
    }

    /// Appends lines.
    pub fn write(&mut self, bytes: &[u8], count: u64) -> Result<(), Error> {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.count += count;
        self.file.write_all(bytes).map_err(Error::io(&self.path))
    }

    /// Closes the file.
    pub fn finish(mut self) -> Result<File, Error> {
        self.file.flush().map_err(Error::io(&self.path))?;
        Ok(File { size_bytes: self.size_bytes, xxh3: format!("{:016x}", self.hash.digest()) })
    }
}

/// One file of expected rows.
pub struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<Hashing>,
    /// Rows written.
    pub rows: u64,
}

impl ParquetFile {
    /// Creates the file.
    pub fn create(path: PathBuf, table: &Table) -> Result<ParquetFile, Error> {
        let file = fs::File::create(&path).map_err(Error::io(&path))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("synthetic-healthlake".into())
            .set_max_row_group_row_count(Some(128 * 1024))
            .build();
        let hashing = Hashing { file: std::io::BufWriter::new(file), hash: Xxh3Default::new(), size_bytes: 0 };
        let writer = ArrowWriter::try_new(hashing, table.schema(), Some(properties))
            .map_err(|source| Error::Parquet { path: path.clone(), source })?;
        Ok(ParquetFile { path, writer, rows: 0 })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|source| Error::Parquet { path: self.path.clone(), source })
    }

    /// Closes the file.
    pub fn finish(self) -> Result<File, Error> {
        let path = self.path;
        let mut hashing = self.writer.into_inner().map_err(|source| Error::Parquet { path: path.clone(), source })?;
        hashing.file.flush().map_err(Error::io(&path))?;
        Ok(File { size_bytes: hashing.size_bytes, xxh3: format!("{:016x}", hashing.hash.digest()) })
    }
}

/// A file that hashes what goes into it.
struct Hashing {
    file: std::io::BufWriter<fs::File>,
    hash: Xxh3Default,
    size_bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
