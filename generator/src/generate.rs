//! Makes the population: worker threads turn chunks of patients into bytes and rows, one writer puts the chunks in
//! order. Memory is bounded by the chunks under way, and the output does not depend on the threads.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, RecordBatch};
use model::omop::Table;

use crate::engine::{Unanswered, simulate};
use crate::manifest::Manifest;
use crate::module::{Source, built_in, from_folder, read_overrides};
use crate::moment::{Moment, birthday_months, midnight};
use crate::output::{NdjsonFile, ParquetFile};
use crate::sink::fhir::{FhirSink, Lines, TYPES, is_wanted};
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
    let world = World::new(options, &source(options)?)?;
    let concepts = Concepts::new(&world.library.codes);
    let mut output = Output::create(&world)?;
    let patients = options.shard.range(options.patients);
    let chunks: Vec<_> =
        patients.clone().step_by(CHUNK as usize).map(|start| start..(start + CHUNK).min(patients.end)).collect();
    let done = AtomicU64::new(0);
    let next = AtomicU64::new(0);
    let threads = options.threads.clamp(1, 256).min(chunks.len().max(1));
    std::thread::scope(|scope| -> Result<(), Error> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        // One permit per chunk under way or waiting for an earlier one: memory stays bounded.
        let (permit, permits) = crossbeam_channel::bounded(threads * 4);
        while permit.try_send(()).is_ok() {}
        for _ in 0..threads {
            let (sender, permits) = (sender.clone(), permits.clone());
            let (world, concepts, chunks, next, done) = (&world, &concepts, &chunks, &next, &done);
            scope.spawn(move || {
                while permits.recv().is_ok() {
                    let index = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(range) = chunks.get(index) else { return };
                    let made = Chunk::make(world, concepts, range.clone());
                    let count = range.end - range.start;
                    progress(done.fetch_add(count, Ordering::Relaxed) + count);
                    if sender.send((index, made)).is_err() {
                        return;
                    }
                }
            });
        }
        drop((sender, permits));
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
                // Fails only when every permit is there already.
                let _ = permit.try_send(());
            }
        }
        Ok(())
    })?;
    output.finish(&world, patients.end - patients.start)
}

/// The modules of a run: ours, those of the caller's folder, and the numbers that an override file replaces.
pub(crate) fn source(options: &Options) -> Result<Source, Error> {
    let mut source = built_in();
    if let Some(folder) = &options.modules {
        from_folder(folder, &mut source)?;
    }
    if let Some(path) = &options.module_overrides {
        let text = fs::read_to_string(path).map_err(Error::io(path))?;
        source.overrides = read_overrides(&text)?;
    }
    Ok(source)
}

/// What a piece of the population comes to.
struct Chunk {
    lines: Lines,
    tables: Vec<(&'static Table, Vec<ArrayRef>)>,
    enforced: BTreeMap<String, u64>,
    unanswered: BTreeMap<Unanswered, u64>,
    deceased: u64,
}

impl Chunk {
    fn make(world: &World, concepts: &Concepts, patients: std::ops::Range<u64>) -> Result<Chunk, Error> {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        let mut enforced = BTreeMap::new();
        let mut unanswered = BTreeMap::new();
        let mut deceased = 0;
        let from = history_start(&world.options);
        for index in patients {
            let life = simulate(world, index)?;
            let selection = life.record.select(from);
            fhir.write(&life.record, &selection);
            omop.write(&life.record, &selection);
            deceased += u64::from(life.record.patient.death.is_some());
            add(&mut enforced, life.enforced);
            add(&mut unanswered, life.unanswered);
        }
        let (lines, tables) = (fhir.lines, omop.builders.finish());
        Ok(Chunk { lines, tables, enforced, unanswered, deceased })
    }

    fn facilities(world: &World, concepts: &Concepts) -> Chunk {
        let mut fhir = FhirSink::new(world);
        let mut omop = OmopSink::new(world, concepts);
        fhir.write_facilities();
        omop.write_facilities();
        let (lines, tables) = (fhir.lines, omop.builders.finish());
        Chunk { lines, tables, enforced: BTreeMap::new(), unanswered: BTreeMap::new(), deceased: 0 }
    }
}

/// Adds counts to counts.
fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, counts: impl IntoIterator<Item = (K, u64)>) {
    for (key, count) in counts {
        *sums.entry(key).or_default() += count;
    }
}

/// The first moment that is written.
fn history_start(options: &Options) -> Moment {
    match options.years_of_history {
        0 => Moment::MIN,
        years => {
            birthday_months(options.end_date, -12 * (years.min(1000) as i32)).max(midnight(chrono::NaiveDate::MIN))
        }
    }
}

/// The files being written.
struct Output {
    folder: PathBuf,
    suffix: String,
    /// By type; none for one that is not wanted.
    fhir: Vec<Option<NdjsonFile>>,
    omop: BTreeMap<&'static str, ParquetFile>,
    enforced: BTreeMap<String, u64>,
    unanswered: BTreeMap<Unanswered, u64>,
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
            .map(|name| {
                let path = folder.join("fhir").join(format!("{name}{suffix}.ndjson"));
                is_wanted(name, &world.options).then(|| NdjsonFile::create(path)).transpose()
            })
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
            "device_exposure",
            "measurement",
            "observation",
            "observation_period",
            "condition_era",
            "drug_era",
        ];
        let mut omop = BTreeMap::new();
        let claims = ["payer_plan_period", "cost"].into_iter().filter(|_| world.options.claims);
        let tables = tables.into_iter().chain(claims).chain(world.options.notes.then_some("note"));
        for table in tables.filter_map(model::omop::table) {
            let path = folder.join("omop").join(format!("{}{suffix}.parquet", table.name));
            omop.insert(table.name, ParquetFile::create(path, table)?);
        }
        let (enforced, unanswered) = (BTreeMap::new(), BTreeMap::new());
        Ok(Output { folder, suffix, fhir, omop, enforced, unanswered, deceased: 0 })
    }

    fn add(&mut self, chunk: Chunk) -> Result<(), Error> {
        for (index, file) in self.fhir.iter_mut().enumerate() {
            let Some(file) = file else { continue };
            file.write(&chunk.lines.bytes[index], chunk.lines.counts[index])?;
        }
        for (table, columns) in chunk.tables {
            let batch =
                RecordBatch::try_new(table.schema(), columns).expect("builders and schema come from one specification");
            if let Some(file) = self.omop.get_mut(table.name) {
                file.write(&batch)?;
            }
        }
        add(&mut self.enforced, chunk.enforced);
        add(&mut self.unanswered, chunk.unanswered);
        self.deceased += chunk.deceased;
        Ok(())
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
            unanswered: self.unanswered.iter().map(|(asked, count)| (asked.describe(&world.library), *count)).collect(),
            modules: world.library.hashes.iter().map(|(path, hash)| (path.clone(), format!("{hash:016x}"))).collect(),
        };
        for (name, file) in TYPES.iter().zip(self.fhir) {
            let Some(file) = file else { continue };
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::path::Path;

    use arrow::array::{AsArray, Int64Array};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use serde_json::Value;

    use super::*;
    use crate::Shard;

    fn run(patients: u64, change: impl FnOnce(&mut Options)) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options { patients, seed: 11, output: folder.path().into(), ..Options::default() };
        change(&mut options);
        let manifest = generate(&options, &|_| {}).unwrap();
        (folder, manifest)
    }

    fn resources(folder: &Path) -> Vec<Value> {
        let mut resources = Vec::new();
        for name in TYPES {
            let Ok(text) = fs::read_to_string(folder.join("fhir").join(format!("{name}.ndjson"))) else { continue };
            for line in text.lines() {
                let value: Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["resourceType"], name);
                resources.push(value);
            }
        }
        resources
    }

    fn batches(path: &Path) -> Vec<RecordBatch> {
        let file = fs::File::open(path).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
    }

    fn table(folder: &Path, name: &str) -> Vec<RecordBatch> {
        batches(&folder.join("omop").join(format!("{name}.parquet")))
    }

    fn keys(folder: &Path, table_name: &str, column: &str) -> Vec<i64> {
        table(folder, table_name)
            .iter()
            .flat_map(|batch| {
                let column = batch.column_by_name(column).unwrap();
                let column: &Int64Array = column.as_primitive();
                column.iter().flatten().collect::<Vec<_>>()
            })
            .collect()
    }

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    match field.as_str() {
                        Some(text) if name == "reference" => found.push(text),
                        _ => references(field, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_resource_parses_and_every_reference_resolves() {
        let (folder, manifest) = run(150, |options| (options.claims, options.notes) = (true, true));
        let resources = resources(folder.path());
        let ids: HashSet<String> = resources
            .iter()
            .map(|value| format!("{}/{}", value["resourceType"].as_str().unwrap(), value["id"].as_str().unwrap()))
            .collect();
        assert_eq!(ids.len(), resources.len());
        assert_eq!(manifest.resources.values().sum::<u64>(), resources.len() as u64);
        for resource in &resources {
            let mut found = Vec::new();
            references(resource, &mut found);
            for reference in found {
                assert!(ids.contains(reference), "{reference}");
            }
        }
        for name in TYPES {
            assert!(manifest.resources[name] > 0, "{name}");
        }
    }

    #[test]
    fn threads_do_not_change_a_byte() {
        let (_one, first) = run(70, |options| options.threads = 1);
        let (_two, second) = run(70, |options| options.threads = 4);
        assert_eq!(first.files, second.files);
        let (_three, other) = run(70, |options| options.seed = 12);
        assert_ne!(first.files, other.files);
    }

    #[test]
    fn shards_together_are_the_whole() {
        let (whole, manifest) = run(50, |_| {});
        let shards: Vec<_> =
            (1..=4).map(|index| run(50, |options| options.shard = Shard { index, count: 4 })).collect();
        for name in TYPES.into_iter().filter(|name| manifest.resources.contains_key(*name)) {
            let mut bytes = Vec::new();
            for (index, (folder, _)) in shards.iter().enumerate() {
                let file = format!("{name}.{}-of-4.ndjson", index + 1);
                bytes.extend(fs::read(folder.path().join("fhir").join(file)).unwrap());
            }
            assert!(bytes == fs::read(whole.path().join("fhir").join(format!("{name}.ndjson"))).unwrap(), "{name}");
        }
        for name in manifest.rows.keys() {
            let rows = |batches: Vec<RecordBatch>| -> Vec<String> {
                let batches = batches.iter().filter(|batch| batch.num_rows() > 0);
                let text = batches.flat_map(|batch| {
                    (0..batch.num_rows()).map(|row| format!("{:?}", batch.slice(row, 1))).collect::<Vec<_>>()
                });
                text.collect()
            };
            let expected = rows(table(whole.path(), name));
            let mut found = Vec::new();
            for (index, (folder, _)) in shards.iter().enumerate() {
                let path = folder.path().join("omop").join(format!("{name}.{}-of-4.parquet", index + 1));
                found.extend(rows(batches(&path)));
            }
            assert!(expected == found, "{name}: {} and {}", expected.len(), found.len());
        }
    }

    #[test]
    fn rows_agree_with_resources() {
        let (folder, manifest) = run(60, |_| {});
        let resources = resources(folder.path());
        let of = |name: &str| resources.iter().filter(|value| value["resourceType"] == name).count() as u64;
        let rows = |name: &str| manifest.rows[name];
        assert_eq!(rows("person"), of("Patient"));
        assert_eq!(rows("visit_occurrence"), of("Encounter"));
        assert_eq!(rows("provider"), of("Practitioner"));
        assert_eq!(rows("care_site"), of("Organization") + of("Location"));
        let dead = resources.iter().filter(|value| value["deceasedDateTime"].is_string()).count() as u64;
        assert_eq!((rows("death"), manifest.deceased), (dead, dead));
        let drugs = of("MedicationRequest") + of("Immunization") + of("MedicationAdministration");
        assert!(rows("drug_exposure") <= drugs);
        assert_eq!(rows("device_exposure"), of("DeviceUseStatement"));
        // Each fact is at least one row; a panel is one per component, an allergy also one per reaction.
        let mut facts = 0;
        for value in &resources {
            let length = |field: &str| value[field].as_array().map_or(0, Vec::len) as u64;
            facts += match value["resourceType"].as_str().unwrap() {
                "Condition" | "Procedure" | "MedicationRequest" | "MedicationAdministration" | "Immunization" => 1,
                "Observation" => length("component").max(1),
                "AllergyIntolerance" => 1 + length("reaction"),
                _ => 0,
            };
        }
        let events = ["condition_occurrence", "procedure_occurrence", "drug_exposure", "measurement", "observation"];
        let written: u64 = events.iter().map(|name| rows(name)).sum();
        assert!(written >= facts && written < facts + facts / 10, "{written} rows of {facts} facts");
    }

    #[test]
    fn keys_are_unique_and_foreign_keys_lead_somewhere() {
        let (folder, _) = run(60, |_| {});
        let folder = folder.path();
        let persons: HashSet<i64> = keys(folder, "person", "person_id").into_iter().collect();
        let visits: HashSet<i64> = keys(folder, "visit_occurrence", "visit_occurrence_id").into_iter().collect();
        let providers: HashSet<i64> = keys(folder, "provider", "provider_id").into_iter().collect();
        let sites: HashSet<i64> = keys(folder, "care_site", "care_site_id").into_iter().collect();
        let locations: HashSet<i64> = keys(folder, "location", "location_id").into_iter().collect();
        assert_eq!(visits.len(), keys(folder, "visit_occurrence", "visit_occurrence_id").len());
        assert_eq!(locations.len(), keys(folder, "location", "location_id").len());
        for (name, key) in [
            ("condition_occurrence", "condition_occurrence_id"),
            ("drug_exposure", "drug_exposure_id"),
            ("procedure_occurrence", "procedure_occurrence_id"),
            ("device_exposure", "device_exposure_id"),
            ("measurement", "measurement_id"),
            ("observation", "observation_id"),
        ] {
            let all = keys(folder, name, key);
            assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len(), "{name}");
            assert!(keys(folder, name, "person_id").iter().all(|key| persons.contains(key)), "{name}");
            assert!(keys(folder, name, "visit_occurrence_id").iter().all(|key| visits.contains(key)), "{name}");
            assert!(keys(folder, name, "provider_id").iter().all(|key| providers.contains(key)), "{name}");
        }
        assert!(keys(folder, "visit_occurrence", "care_site_id").iter().all(|key| sites.contains(key)));
        assert!(keys(folder, "person", "location_id").iter().all(|key| locations.contains(key)));
        assert!(keys(folder, "care_site", "location_id").iter().all(|key| locations.contains(key)));
    }

    #[test]
    fn dates_are_in_order() {
        let (folder, _) = run(120, |options| options.years_of_history = 0);
        let resources = resources(folder.path());
        let mut of: HashMap<String, (String, String)> = HashMap::new();
        for value in resources.iter().filter(|value| value["resourceType"] == "Patient") {
            let death = value["deceasedDateTime"].as_str().unwrap_or("2026-01-01").to_owned();
            let birth = value["birthDate"].as_str().unwrap().to_owned();
            of.insert(format!("Patient/{}", value["id"].as_str().unwrap()), (birth, death));
        }
        let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap();
        let mut checked = 0;
        for value in &resources {
            let reference = value["subject"]["reference"].as_str().or(value["patient"]["reference"].as_str());
            let Some((birth, death)) = reference.map(|reference| &of[reference]) else { continue };
            let mut moments: BTreeMap<&str, &str> = BTreeMap::new();
            for field in [
                "onsetDateTime",
                "recordedDate",
                "abatementDateTime",
                "effectiveDateTime",
                "authoredOn",
                "performedDateTime",
                "occurrenceDateTime",
                "recordedOn",
                "started",
            ] {
                if let Some(text) = value[field].as_str() {
                    moments.insert(field, text);
                }
            }
            for (field, end) in [
                ("period", "start"),
                ("period", "end"),
                ("performedPeriod", "start"),
                ("timingPeriod", "start"),
                ("timingPeriod", "end"),
            ] {
                if let Some(text) = value[field][end].as_str() {
                    moments.insert(end, text);
                }
            }
            for (field, text) in &moments {
                assert!(&text[..10] >= birth.as_str() && text[..10] <= death[..10], "{field} {text} {birth} {death}");
                if death.len() > 10 {
                    assert!(instant(text) <= instant(death), "{field} {text} after {death}");
                }
                checked += 1;
            }
            for (earlier, later) in
                [("start", "end"), ("onsetDateTime", "recordedDate"), ("recordedDate", "abatementDateTime")]
            {
                if let (Some(earlier), Some(later)) = (moments.get(earlier), moments.get(later)) {
                    assert!(instant(earlier) <= instant(later), "{value}");
                }
            }
        }
        assert!(checked > 10_000, "{checked}");
    }

    #[test]
    fn history_is_cut_at_the_window() {
        let (_whole, all) = run(30, |options| options.years_of_history = 0);
        let (_window, ten) = run(30, |_| {});
        let (_short, one) = run(30, |options| options.years_of_history = 1);
        for name in ["Encounter", "Observation", "Immunization"] {
            assert!(all.resources[name] > ten.resources[name] && ten.resources[name] > one.resources[name], "{name}");
        }
        assert_eq!(all.resources["AllergyIntolerance"], one.resources["AllergyIntolerance"]);
        assert_eq!(all.resources["Patient"], one.resources["Patient"]);
    }

    #[test]
    fn a_folder_of_modules_adds_and_replaces() {
        let modules = tempfile::tempdir().unwrap();
        let states = r#"{"name":"w","states":{"Initial":{"type":"Initial","direct_transition":"End"},"End":{"type":"Terminal"}}}"#;
        fs::write(modules.path().join("wellness.json"), states).unwrap();
        let (_folder, manifest) = run(5, |options| options.modules = Some(modules.path().into()));
        let (_other, plain) = run(5, |_| {});
        assert_ne!(manifest.modules["wellness"], plain.modules["wellness"]);
        assert_eq!(manifest.modules.len(), plain.modules.len());
        assert!(manifest.resources["Observation"] < plain.resources["Observation"]);
    }
}
