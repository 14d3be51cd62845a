//! What a generation wrote: seed, options, counts, hashes. It holds no time and no path of the machine.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Options;
use crate::account::Account;

/// The content of `manifest.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// Name and version of the program.
    pub generator: String,
    /// What was asked for.
    pub options: Options,
    /// Patients of this shard.
    pub patients: u64,
    /// Of them dead at the end date.
    pub deceased: u64,
    /// FHIR resources by type.
    pub resources: BTreeMap<String, u64>,
    /// Expected OMOP rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Files written, by path below the output folder.
    pub files: BTreeMap<String, File>,
    /// What the mapping must say that it read, took, left out and refused.
    pub account: Account,
    /// How often each domain constraint was enforced.
    pub enforced: BTreeMap<String, u64>,
    /// How often a state of a module asked for what has no answer, and was told no.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unanswered: BTreeMap<String, u64>,
    /// Modules run, with the hash of their files.
    pub modules: BTreeMap<String, String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct File {
    /// Its size.
    pub size_bytes: u64,
    /// Its xxh3 hash in hexadecimal digits.
    pub xxh3: String,
}
