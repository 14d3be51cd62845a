//! What a run is asked to do, and the hashes of everything asked that decides rows.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime};
use model::document::mix;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

use crate::error::{Error, Result};
use crate::extract::source::Sources;
use crate::map::MedicationRequestPolicy;
use crate::policy::Policy;
use crate::table_choice::TableChoice;
use crate::view::{self, View};
use crate::vocabulary::Vocabulary;

/// Counts up when the mapping changes, so that resources of earlier versions of the program are mapped anew.
const MAPPING_VERSION: u64 = 3;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Files, folders, patterns, or `-` for standard input.
    pub sources: Vec<String>,
    /// Name of the source, part of every key.
    pub source_id: String,
    /// The run.
    pub run_id: String,
    /// When the run started, in UTC.
    pub started_at: NaiveDateTime,
    /// Keeps every version as it came, in `raw.resource_version`.
    pub keep_raw: bool,
    /// Which MedicationRequests count as exposures.
    pub medication_request_policy: MedicationRequestPolicy,
    /// Keeps street and city in `omop.location`.
    pub keep_address: bool,
    /// Takes the text of whole documents into `omop.note`.
    pub notes: bool,
    /// The input is all that the source has: what an earlier run took from it and is not there now is taken away.
    pub complete: bool,
    /// A folder of ViewDefinitions that are tables in `fhir` beside the built-in ones, or in their place.
    pub views: Option<PathBuf>,
    /// A folder of comma-separated files and the mapping that makes resources of their rows, in place of `sources`.
    pub rows: Option<(String, String)>,
    /// Tables that events of a resource type are forced into.
    pub table_choice: TableChoice,
    /// Writes `fhir`, `raw` and `quality` only.
    pub no_omop: bool,
    /// Threads that read, and threads that write.
    pub threads: usize,
}

/// What a run over resources that the lake kept does in another way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Again {
    /// Writes also what is as an earlier run left it.
    pub remap: bool,
    /// The day up to which the source is known, where it is not that of the run.
    pub extraction_date: Option<NaiveDate>,
}

/// A hash of the input's bytes and of all options that decide rows.
pub fn fingerprint(sources: &Sources, options: &Options, views: &[Arc<View>]) -> Result<String> {
    let mut hash = Xxh3Default::new();
    let mut buffer = vec![0; 1 << 20];
    for source in &sources.files {
        let failed = |error| Error::Read { path: source.path.clone(), source: error };
        let mut file = File::open(&source.path).map_err(failed)?;
        hash.update(source.name.rsplit('/').next().unwrap_or_default().as_bytes());
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                length => hash.update(&buffer[..length]),
            }
        }
    }
    hash.update(options.source_id.as_bytes());
    hash.update(&rules(options, "", views).to_le_bytes());
    hash.update(&[u8::from(options.keep_raw), u8::from(options.complete)]);
    hash.update(&sources.mapping_hash.to_le_bytes());
    Ok(format!("{:016x}", hash.digest()))
}

/// A hash of everything beside a resource's content and its references that decides its rows.
pub fn rules(options: &Options, vocabulary: &str, views: &[Arc<View>]) -> u64 {
    let Options { medication_request_policy, keep_address, notes, table_choice, no_omop, .. } = options;
    let mut text = format!("{MAPPING_VERSION} {medication_request_policy:?} {keep_address} {notes} {vocabulary}");
    if *table_choice != TableChoice::default() || *no_omop {
        text += &format!(" {table_choice:?} {no_omop}");
    }
    let ours = xxh3_64(text.as_bytes());
    view::definitions_hash(views).map_or(ours, |theirs| mix(ours, theirs))
}

/// The part of it that the mapping of each resource asks for.
pub fn policy<'p>(options: &'p Options, vocabulary: &'p Vocabulary, again: Again) -> Policy<'p> {
    Policy {
        source_id: &options.source_id,
        vocabulary,
        medication_request_policy: options.medication_request_policy,
        keep_address: options.keep_address,
        notes: options.notes,
        table_choice: &options.table_choice,
        no_omop: options.no_omop,
        extraction_date: again.extraction_date.unwrap_or(options.started_at.date()),
    }
}
