//! The folder that is written: files of resources and rows, and the manifest; and one such folder per day that follows.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use arrow::array::RecordBatch;

use super::add;
use super::chunk::{Chunk, Load};
use crate::account::Account;
use crate::engine::Unanswered;
use crate::manifest::Manifest;
use crate::output::{NdjsonFile, ParquetFile};
use crate::sink::fhir::{TYPES, is_wanted};
use crate::world::World;
use crate::{Error, Options};

/// The folder being written.
pub struct Folder {
    loads: Vec<Files>,
    enforced: BTreeMap<String, u64>,
    unanswered: BTreeMap<Unanswered, u64>,
    deceased: u64,
}

/// The files of one load.
struct Files {
    path: PathBuf,
    suffix: String,
    /// By type; none for one that is not wanted.
    fhir: Vec<Option<NdjsonFile>>,
    deleted: Option<NdjsonFile>,
    omop: BTreeMap<&'static str, ParquetFile>,
    account: Account,
}

impl Folder {
    /// Makes the folders and their empty files.
    pub fn create(world: &World) -> Result<Folder, Error> {
        let output = &world.options.output;
        let suffix = world.options.shard.suffix();
        let mut loads = vec![Files::create(output.clone(), &suffix, &world.options)?];
        for day in 1..=world.options.updates {
            loads.push(Files::create(output.join("updates").join(format!("day-{day}")), &suffix, &world.options)?);
        }
        let (enforced, unanswered) = (BTreeMap::new(), BTreeMap::new());
        Ok(Folder { loads, enforced, unanswered, deceased: 0 })
    }

    /// Writes a piece of the population.
    pub fn add(&mut self, chunk: Chunk) -> Result<(), Error> {
        for (files, load) in self.loads.iter_mut().zip(chunk.loads) {
            files.add(load)?;
        }
        add(&mut self.enforced, chunk.enforced);
        add(&mut self.unanswered, chunk.unanswered);
        self.deceased += chunk.deceased;
        Ok(())
    }

    /// Closes the files and writes the manifests; returns that of the first load.
    pub fn finish(self, world: &World, patients: u64) -> Result<Manifest, Error> {
        let blank = Manifest {
            generator: concat!("synthetic-healthlake generator ", env!("CARGO_PKG_VERSION")).into(),
            options: world.options.clone(),
            patients,
            deceased: self.deceased,
            resources: BTreeMap::new(),
            rows: BTreeMap::new(),
            files: BTreeMap::new(),
            account: Account::default(),
            enforced: self.enforced,
            unanswered: self.unanswered.iter().map(|(asked, count)| (asked.describe(&world.library), *count)).collect(),
            modules: world.library.hashes.iter().map(|(path, hash)| (path.clone(), format!("{hash:016x}"))).collect(),
        };
        let mut manifests = Vec::new();
        for files in self.loads {
            manifests.push(files.finish(blank.clone())?);
        }
        Ok(manifests.swap_remove(0))
    }
}

impl Files {
    fn create(path: PathBuf, suffix: &str, options: &Options) -> Result<Files, Error> {
        for part in ["fhir", "omop"] {
            let part = path.join(part);
            fs::create_dir_all(&part).map_err(Error::io(&part))?;
        }
        let fhir = TYPES
            .iter()
            .map(|name| {
                let file = path.join("fhir").join(format!("{name}{suffix}.ndjson"));
                is_wanted(name, options).then(|| NdjsonFile::create(file)).transpose()
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
        let claims = ["payer_plan_period", "cost"].into_iter().filter(|_| options.claims);
        let tables = tables.into_iter().chain(claims).chain(options.notes.then_some("note"));
        for table in tables.filter_map(model::omop::table) {
            let file = path.join("omop").join(format!("{}{suffix}.parquet", table.name));
            omop.insert(table.name, ParquetFile::create(file, table)?);
        }
        let files = Files { path, suffix: suffix.into(), fhir, deleted: None, omop, account: Account::default() };
        let stale = files.path.join(files.deleted_name());
        if stale.exists() {
            fs::remove_file(&stale).map_err(Error::io(&stale))?;
        }
        Ok(files)
    }

    fn add(&mut self, load: Load) -> Result<(), Error> {
        let lines = load.lines;
        for (index, file) in self.fhir.iter_mut().enumerate() {
            let Some(file) = file else { continue };
            file.write(&lines.bytes[index], lines.counts[index])?;
        }
        if lines.deleted_count > 0 {
            if self.deleted.is_none() {
                self.deleted = Some(NdjsonFile::create(self.path.join(self.deleted_name()))?);
            }
            if let Some(file) = &mut self.deleted {
                file.write(&lines.deleted, lines.deleted_count)?;
            }
        }
        for (table, columns) in load.tables {
            let batch =
                RecordBatch::try_new(table.schema(), columns).expect("builders and schema come from one specification");
            if let Some(file) = self.omop.get_mut(table.name) {
                file.write(&batch)?;
            }
        }
        self.account.merge(load.account);
        Ok(())
    }

    /// The file of Bundles that tell what the source deleted, as in a bulk export.
    fn deleted_name(&self) -> String {
        format!("fhir/deleted{}.ndjson", self.suffix)
    }

    fn finish(self, mut manifest: Manifest) -> Result<Manifest, Error> {
        let deleted_name = self.deleted_name();
        manifest.account = self.account;
        if let Some(file) = self.deleted {
            manifest.files.insert(deleted_name, file.finish()?);
        }
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
        let path = self.path.join(format!("manifest{}.json", self.suffix));
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
        fs::write(&path, text + "\n").map_err(Error::io(&path))?;
        Ok(manifest)
    }
}
