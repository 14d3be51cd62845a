//! What no etl can beat on one core: parsing the bytes of the input with the fastest parser, and writing the Arrow
//! batches of its output to zstd Parquet. Prints one JSON object; `scripts/bench` sets etl's CPU seconds beside it.
//! Beside that, what the widest flat table costs: rows of `fhir.observation` a second, of records that are parsed.
//!
//! `cargo bench -p cli -p etl --bench ceiling -- <folder of NDJSON> <folder of Parquet>`
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::error::Error;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read};
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
    let view = view_rows_per_second(Path::new(input))?;
    println!(
        "{{\"bytes\": {bytes}, \"rows\": {rows}, \"parse_cpu_seconds\": {:.3}, \"write_cpu_seconds\": {:.3}, \
         \"view_rows_per_second\": {view:.0}}}",
        parse.as_secs_f64(),
        write.as_secs_f64()
    );
    Ok(())
}

/// Parses every line into a document; reading and decompressing are not counted.
fn parse(folder: &Path) -> Result<(usize, Duration)> {
    let (mut bytes, mut spent) = (0, Duration::ZERO);
    for path in files(folder, &[".ndjson", ".ndjson.gz"])? {
        let mut reader = BufReader::with_capacity(8 << 20, open(&path)?);
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

/// Rows of the view of observations, in a second; 0 without observations.
fn view_rows_per_second(folder: &Path) -> Result<f64> {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    for path in files(folder, &[".ndjson", ".ndjson.gz"])? {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("Observation")) {
            let text = io::read_to_string(open(&path)?)?;
            let records: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let (more, took) = etl::time_view("observation", &records)?;
            (rows, spent) = (rows + more, spent + took);
        }
    }
    Ok(if rows == 0 { 0.0 } else { rows as f64 / spent.as_secs_f64() })
}

/// Writes every batch of every file again, into memory; reading is not counted.
fn write(folder: &Path) -> Result<(usize, Duration)> {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    for path in files(folder, &[".parquet"])? {
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

fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = BufReader::new(File::open(path)?);
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if is_packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Files whose names end so.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, endings)?);
        } else if endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
