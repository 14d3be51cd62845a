//! Makes the population: worker threads turn chunks of patients into bytes and rows, one writer puts the chunks in
//! order. Memory is bounded by the chunks under way, and the output does not depend on the threads.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;
use model::omop::Table;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use xxhash_rust::xxh3::Xxh3Default;

use crate::engine::simulate;
use crate::manifest::{File, Manifest};
use crate::module::{built_in, from_folder};
use crate::moment::{Moment, birthday_months, midnight};
use crate::sink::fhir::{FhirSink, Lines, TYPES};
use crate::sink::omop::{Concepts, OmopSink};
use crate::world::World;
use crate::{Error, Options};

/// Patients that are made in one piece.
const CHUNK: u64 = 32;

/// Makes patients and writes `fhir/`, `omop/` and `manifest.json` below the output folder. `progress` is told how many
/// patients are done.
///
/// # Errors
/// When an option or a module is wrong, or a file cannot be written.
pub fn generate(options: &Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Manifest, Error> {
    options.shard.check()?;
    let mut modules = built_in();
    if let Some(folder) = &options.modules {
        from_folder(folder, &mut modules)?;
    }
    let world = World::new(options, &modules)?;
    let concepts = Concepts::new(&world.library.codes);
    let mut output = Output::create(&world)?;
    let patients = options.shard.range(options.patients);
    let chunks: Vec<_> = patients
        .clone()
        .step_by(CHUNK as usize)
        .map(|start| start..(start + CHUNK).min(patients.end))
        .collect();
    let done = AtomicU64::new(0);
    let next = AtomicU64::new(0);
    let threads = options.threads.clamp(1, 256).min(chunks.len().max(1));
    std::thread::scope(|scope| -> Result<(), Error> {
        // A few chunks may wait for an earlier one; no more, so that memory stays bounded.
        let (sender, receiver) = crossbeam_channel::bounded(threads * 2);
        for _ in 0..threads {
            let (sender, world, concepts, chunks, next, done) = (sender.clone(), &world, &concepts, &chunks, &next, &done);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(range) = chunks.get(index) else { return };
                    let made = Chunk::make(world, concepts, range.clone());
                    progress(done.fetch_add(range.end - range.start, Ordering::Relaxed) + range.end - range.start);
                    if sender.send((index, made)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        if options.shard.index == 1 {
            output.add(Chunk::facilities(&world, &concepts))?;
        }
        let mut waiting = BTreeMap::new();
        let mut wanted = 0;
        for (index, made) in receiver {
            waiting.insert(index, made?);
            while let Some(chunk) = waiting.remove(&wanted) {
                output.add(chunk)?;
                wanted += 1;
            }
        }
        Ok(())
    })?;
    output.finish(&world, patients.end - patients.start)
}

/// What a piece of the population comes to.
struct Chunk {
    lines: Lines,
    tables: Vec<(&'static Table, Vec<ArrayRef>)>,
    enforced: BTreeMap<String, u64>,
    deceased: u64,
}

impl Chunk {
    fn make(world: &World, concepts: &Concepts, patients: std::ops::Range<u64>) -> Result<Chunk, Error> {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        let mut enforced = BTreeMap::new();
        let mut deceased = 0;
        let from = history_start(&world.options);
        for index in patients {
            let life = simulate(world, index)?;
            let selection = life.record.select(from);
            fhir.write(&life.record, &selection);
            omop.write(&life.record, &selection);
            deceased += u64::from(life.record.patient.death.is_some());
            for (name, count) in life.enforced {
                *enforced.entry(name).or_default() += count;
            }
        }
        Ok(Chunk { lines: fhir.lines, tables: omop.builders.finish(), enforced, deceased })
    }

    fn facilities(world: &World, concepts: &Concepts) -> Chunk {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        fhir.write_facilities();
        omop.write_facilities();
        Chunk { lines: fhir.lines, tables: omop.builders.finish(), enforced: BTreeMap::new(), deceased: 0 }
    }
}

/// The first moment that is written.
fn history_start(options: &Options) -> Moment {
    match options.years_of_history {
        0 => Moment::MIN,
        years => birthday_months(options.end_date, -12 * (years.min(1000) as i32)).max(midnight(chrono::NaiveDate::MIN)),
    }
}

/// The files being written.
struct Output {
    folder: PathBuf,
    suffix: String,
    fhir: Vec<NdjsonFile>,
    omop: BTreeMap<&'static str, ParquetFile>,
    /// Keys of `location` written so far.
    locations: HashSet<i64>,
    enforced: BTreeMap<String, u64>,
    deceased: u64,
}

impl Output {
    fn create(world: &World) -> Result<Output, Error> {
        let folder = world.options.output.clone();
        for part in ["fhir", "omop"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(Error::io(&path))?;
        }
        let suffix = world.options.shard.suffix();
        let fhir = TYPES
            .iter()
            .map(|name| NdjsonFile::create(folder.join("fhir").join(format!("{name}{suffix}.ndjson"))))
            .collect::<Result<_, _>>()?;
        let tables = [
            "person",
            "death",
            "location",
            "provider",
            "care_site",
            "visit_occurrence",
            "condition_occurrence",
            "drug_exposure",
            "procedure_occurrence",
            "measurement",
            "observation",
            "observation_period",
        ];
        let mut omop = BTreeMap::new();
        for table in tables.into_iter().filter_map(model::omop::table) {
            let path = folder.join("omop").join(format!("{}{suffix}.parquet", table.name));
            omop.insert(table.name, ParquetFile::create(path, table)?);
        }
        Ok(Output {
            folder,
            suffix,
            fhir,
            omop,
            locations: HashSet::new(),
            enforced: BTreeMap::new(),
            deceased: 0,
        })
    }

    fn add(&mut self, chunk: Chunk) -> Result<(), Error> {
        for (index, file) in self.fhir.iter_mut().enumerate() {
            file.write(&chunk.lines.bytes[index], chunk.lines.counts[index])?;
        }
        for (table, columns) in chunk.tables {
            let batch = RecordBatch::try_new(table.schema(), columns)
                .expect("builders and schema come from one specification");
            let batch = if table.name == "location" { self.new_locations(&batch) } else { batch };
            if let Some(file) = self.omop.get_mut(table.name) {
                file.write(&batch)?;
            }
        }
        for (name, count) in chunk.enforced {
            *self.enforced.entry(name).or_default() += count;
        }
        self.deceased += chunk.deceased;
        Ok(())
    }

    /// People of several chunks share locations: each is written once.
    fn new_locations(&mut self, batch: &RecordBatch) -> RecordBatch {
        let keys = batch.column(0).as_primitive::<Int64Type>();
        let new: BooleanArray = keys.values().iter().map(|key| Some(self.locations.insert(*key))).collect();
        arrow::compute::filter_record_batch(batch, &new).expect("the filter has a value per row")
    }

    fn finish(self, world: &World, patients: u64) -> Result<Manifest, Error> {
        let mut manifest = Manifest {
            generator: concat!("synthetic-healthlake generator ", env!("CARGO_PKG_VERSION")).into(),
            options: world.options.clone(),
            patients,
            deceased: self.deceased,
            resources: BTreeMap::new(),
            rows: BTreeMap::new(),
            files: BTreeMap::new(),
            enforced: self.enforced,
            modules: world
                .library
                .hashes
                .iter()
                .map(|(path, hash)| (path.clone(), format!("{hash:016x}")))
                .collect(),
        };
        for (name, file) in TYPES.iter().zip(self.fhir) {
            manifest.resources.insert((*name).into(), file.count);
            let path = format!("fhir/{name}{}.ndjson", self.suffix);
            manifest.files.insert(path, file.finish()?);
        }
        for (name, file) in self.omop {
            manifest.rows.insert(name.into(), file.rows);
            let path = format!("omop/{name}{}.parquet", self.suffix);
            manifest.files.insert(path, file.finish()?);
        }
        let name = format!("manifest{}.json", self.suffix);
        let path = self.folder.join(name);
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
        fs::write(&path, text + "\n").map_err(Error::io(&path))?;
        Ok(manifest)
    }
}

/// One file of NDJSON.
struct NdjsonFile {
    path: PathBuf,
    file: std::io::BufWriter<fs::File>,
    hash: Xxh3Default,
    size_bytes: u64,
    count: u64,
}

impl NdjsonFile {
    fn create(path: PathBuf) -> Result<NdjsonFile, Error> {
        let file = fs::File::create(&path).map_err(Error::io(&path))?;
        let file = std::io::BufWriter::with_capacity(1 << 18, file);
        Ok(NdjsonFile { path, file, hash: Xxh3Default::new(), size_bytes: 0, count: 0 })
    }

    fn write(&mut self, bytes: &[u8], count: u64) -> Result<(), Error> {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.count += count;
        self.file.write_all(bytes).map_err(Error::io(&self.path))
    }

    fn finish(mut self) -> Result<File, Error> {
        self.file.flush().map_err(Error::io(&self.path))?;
        Ok(File { size_bytes: self.size_bytes, xxh3: format!("{:016x}", self.hash.digest()) })
    }
}

/// One file of expected rows.
struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<Hashing>,
    rows: u64,
}

impl ParquetFile {
    fn create(path: PathBuf, table: &Table) -> Result<ParquetFile, Error> {
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

    fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|source| Error::Parquet { path: self.path.clone(), source })
    }

    fn finish(self) -> Result<File, Error> {
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
