//! One run: survey, look-up of what the lake holds, second pass, derived rows, account, commit.

mod loading;
mod options;

use std::collections::BTreeMap;

use lake::{Lake, Stamp};
use model::quality::Accounting;
use serde::{Deserialize, Serialize};

use crate::conversion::Mapping;
use crate::error::Result;
use crate::extract::source::Sources;
use crate::lap::Lap;
use crate::pass::Progress;
use crate::view;
use loading::Loading;
use options::fingerprint;
pub use options::{Again, Options};

/// The snapshot property that holds the outcome of a run.
const OUTCOME: &str = "etl-outcome";

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Read, mapped, excluded and rejected by resource type.
    pub accounting: Accounting,
    /// Excluded resources by `Type reason`.
    pub exclusions: BTreeMap<String, u64>,
    /// Rejected records by `Type reason`.
    pub rejections: BTreeMap<String, u64>,
    /// What of mapped resources no column could take, by `Element reason`.
    pub losses: BTreeMap<String, u64>,
    /// Rows written by `namespace.table`.
    pub rows: BTreeMap<String, u64>,
    /// Resources that are as an earlier run left them.
    pub unchanged: u64,
    /// Files in folders that hold no resources.
    pub skipped: Vec<String>,
    /// Bytes of the input, as stored.
    pub bytes: u64,
    /// The release of the vocabulary.
    pub vocabulary_version: String,
    /// Concepts of the mapping rules that are not in the loaded vocabulary as they should be.
    #[serde(default)]
    pub concept_warnings: Vec<String>,
    /// True when the same run had been committed before; nothing was done.
    pub already_committed: bool,
}

/// Loads FHIR R4 resources into the lake, in one commit.
///
/// # Errors
/// The input cannot be read, or the lake refuses; nothing is visible then. Bad records are no error: they are counted
/// in the outcome and stand in `quality.rejected`.
pub async fn run(lake: &Lake, options: &Options, progress: &(dyn Fn(Progress) + Sync)) -> Result<Outcome> {
    let sources = match &options.rows {
        Some((folder, mapping)) => Sources::rows(folder, &Mapping::open(mapping)?)?,
        None => Sources::find(&options.sources)?,
    };
    load(lake, options, &sources, Again::default(), progress).await
}

/// Loads the files of a run.
pub(crate) async fn load(
    lake: &Lake,
    options: &Options,
    sources: &Sources,
    again: Again,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Outcome> {
    let mut lap = Lap::start();
    let views = view::load(options.views.as_deref())?;
    let fingerprint = fingerprint(sources, options, &views)?;
    let stamp = Stamp { run_id: options.run_id.clone(), stage: "etl".into(), fingerprint };
    let mut transaction = lake.begin(stamp).await?;
    if let Some(outcome) = transaction.already_committed().and_then(|properties| properties.get(OUTCOME)) {
        let outcome: Outcome = serde_json::from_str(outcome).unwrap_or_default();
        return Ok(Outcome { already_committed: true, ..outcome });
    }
    lap.end("begin");
    let loading = Loading::prepare(lake, options, sources, views, again, progress, &mut lap).await?;
    let outcome = loading.load(&mut transaction, &mut lap).await?;
    let json = serde_json::to_string(&outcome).unwrap_or_default();
    transaction.set_property(OUTCOME, json);
    let committed = transaction.commit().await?;
    lap.end("commit");
    Ok(Outcome { already_committed: committed.already, ..outcome })
}
