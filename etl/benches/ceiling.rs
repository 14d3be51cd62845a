//! What no etl can beat on one core: parsing the bytes of the input with the fastest parser, and writing the Arrow
//! batches of its output to zstd Parquet. Prints one JSON object; `scripts/bench` sets etl's CPU seconds beside it.
//!
//! `cargo bench -p etl --bench ceiling -- <folder of NDJSON> <folder of Parquet>`
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::bufread::MultiGzDecoder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folders: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [input, output] = folders.as_slice() else {
        return Err("expected a folder of NDJSON and a folder of Parquet".into());
    };
    let (bytes, parse) = parse(Path::new(input))?;
    let (rows, write) = write(Path::new(output))?;
    println!(
        "{{\"bytes\": {bytes}, \"rows\": {rows}, \"parse_cpu_seconds\": {:.3}, \"write_cpu_seconds\": {:.3}}}",
        parse.as_secs_f64(),
        write.as_secs_f64()
    );
    Ok(())
}

/// Parses every line into a document; reading and decompressing are not counted.
fn parse(folder: &Path) -> Result<(usize, Duration)> {
    let (mut bytes, mut spent) = (0, Duration::ZERO);
    for path in files(folder, &["ndjson", "gz"])? {
        let file = BufReader::new(File::open(&path)?);
        let reader: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = BufReader::with_capacity(8 << 20, reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let started = Instant::now();
            let document: sonic_rs::Value = sonic_rs::from_slice(&line)?;
            black_box(document);
            spent += started.elapsed();
            bytes += line.len();
            line.clear();
        }
    }
    Ok((bytes, spent))
}

/// Writes every batch of every file again, into memory; reading is not counted.
fn write(folder: &Path) -> Result<(usize, Duration)> {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    for path in files(folder, &["parquet"])? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(64 << 10);
        let mut writer = ArrowWriter::try_new(Vec::new(), reader.schema().clone(), Some(properties.clone()))?;
        for batch in reader.build()? {
            let batch = batch?;
            rows += batch.num_rows();
            let started = Instant::now();
            writer.write(&batch)?;
            spent += started.elapsed();
        }
        let started = Instant::now();
        black_box(writer.into_inner()?);
        spent += started.elapsed();
    }
    Ok((rows, spent))
}

fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extensions)?);
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
