//! The folder that is written: files of resources and rows, and the manifest.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use arrow::array::RecordBatch;

use super::add;
use super::chunk::Chunk;
use crate::Error;
use crate::account::Account;
use crate::engine::Unanswered;
use crate::manifest::Manifest;
use crate::output::{NdjsonFile, ParquetFile};
use crate::sink::fhir::{TYPES, is_wanted};
use crate::world::World;

/// The files being written.
pub struct Folder {
    path: PathBuf,
    suffix: String,
    /// By type; none for one that is not wanted.
    fhir: Vec<Option<NdjsonFile>>,
    omop: BTreeMap<&'static str, ParquetFile>,
    enforced: BTreeMap<String, u64>,
    unanswered: BTreeMap<Unanswered, u64>,
    deceased: u64,
    account: Account,
    deleted: Option<NdjsonFile>,
}

impl Folder {
    /// Makes the folder and its empty files.
    pub fn create(world: &World) -> Result<Folder, Error> {
        let path = world.options.output.clone();
        for part in ["fhir", "omop"] {
            let part = path.join(part);
            fs::create_dir_all(&part).map_err(Error::io(&part))?;
        }
        let suffix = world.options.shard.suffix();
        let fhir = TYPES
            .iter()
            .map(|name| {
                let file = path.join("fhir").join(format!("{name}{suffix}.ndjson"));
                is_wanted(name, &world.options).then(|| NdjsonFile::create(file)).transpose()
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
            let file = path.join("omop").join(format!("{}{suffix}.parquet", table.name));
            omop.insert(table.name, ParquetFile::create(file, table)?);
        }
        let (enforced, unanswered) = (BTreeMap::new(), BTreeMap::new());
        Ok(Folder {
            path,
            suffix,
            fhir,
            omop,
            enforced,
            unanswered,
            deceased: 0,
            account: Account::default(),
            deleted: None,
        })
    }

    /// Writes a piece of the population.
    pub fn add(&mut self, chunk: Chunk) -> Result<(), Error> {
        for (index, file) in self.fhir.iter_mut().enumerate() {
            let Some(file) = file else { continue };
            file.write(&chunk.lines.bytes[index], chunk.lines.counts[index])?;
        }
        if chunk.lines.deleted_count > 0 {
            if self.deleted.is_none() {
                self.deleted = Some(NdjsonFile::create(self.path.join(&self.deleted_name()))?);
            }
            if let Some(file) = &mut self.deleted {
                file.write(&chunk.lines.deleted, chunk.lines.deleted_count)?;
            }
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
        self.account.merge(chunk.account);
        Ok(())
    }

    /// Where it stands what the source deleted, as in a bulk export: a file of Bundles.
    fn deleted_name(&self) -> String {
        format!("fhir/deleted{}.ndjson", self.suffix)
    }

    /// Closes the files and writes the manifest.
    pub fn finish(self, world: &World, patients: u64) -> Result<Manifest, Error> {
        let deleted_name = self.deleted_name();
        let mut manifest = Manifest {
            generator: concat!("synthetic-healthlake generator ", env!("CARGO_PKG_VERSION")).into(),
            options: world.options.clone(),
            patients,
            deceased: self.deceased,
            resources: BTreeMap::new(),
            rows: BTreeMap::new(),
            files: BTreeMap::new(),
            account: self.account,
            enforced: self.enforced,
            unanswered: self.unanswered.iter().map(|(asked, count)| (asked.describe(&world.library), *count)).collect(),
            modules: world.library.hashes.iter().map(|(path, hash)| (path.clone(), format!("{hash:016x}"))).collect(),
        };
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
        let name = format!("manifest{}.json", self.suffix);
        let path = self.path.join(name);
        let text = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
        fs::write(&path, text + "\n").map_err(Error::io(&path))?;
        Ok(manifest)
    }
}
