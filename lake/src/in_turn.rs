//! Commits for catalogs that cannot move several tables at once: one table after the other.
//!
//! Views come first, then the tables in the order of their names. Every snapshot says of how many tables its commit
//! consists; a stamp counts as committed when so many bear it. What an interrupted commit has left is taken back before
//! its stage runs again, since the stage would take a mixture of two states for the one it starts from.

use std::collections::{BTreeMap, BTreeSet};

use iceberg::spec::{MAIN_BRANCH, SnapshotReference, SnapshotRetention, TableMetadata, TableMetadataRef};
use iceberg::{TableRequirement, TableUpdate};

use crate::catalog::{Swap, Swapped};
use crate::commit::{Outcome, attempt, finish};
use crate::lake::Lake;
use crate::snapshot::{Produced, next_location};
use crate::transaction::{Committed, Transaction};
use crate::{Error, Result, Stamp, TableName};

const ATTEMPTS: usize = 10;

/// Commits the tables of a transaction one after the other. When one cannot follow, those before it are taken back.
pub(crate) async fn commit(mut transaction: Transaction) -> Result<Committed> {
    let changed = transaction.tables.iter().filter(|(_, staged)| !staged.is_still());
    let mut tables: Vec<TableName> = changed.map(|(table, _)| table.clone()).collect();
    if tables.is_empty() {
        tables.extend(transaction.tables.keys().cloned());
    }
    transaction.tables_in_turn = Some(tables.len());
    let mut made = Vec::new();
    let mut retries = 0;
    attempt(&mut transaction, &[]).await?;
    transaction.views.clear();
    for table in &tables {
        match attempt(&mut transaction, std::slice::from_ref(table)).await.and_then(|outcome| alone(table, outcome)) {
            Ok((produced, attempts)) => {
                made.extend(produced);
                retries += attempts;
            }
            Err(error) => {
                // What was visible for a moment may be in somebody's hands.
                transaction.litter.keep_all();
                for (table, produced) in &made {
                    if let Err(error) = take_back(&transaction.lake, table, produced.snapshot_id).await {
                        tracing::warn!(table.name = %table, %error, "a part of a commit that failed stays visible");
                    }
                }
                return Err(error);
            }
        }
    }
    if made.is_empty() && !tables.is_empty() {
        return Ok(Committed { already: true, retries, ..Committed::default() });
    }
    Ok(finish(&transaction, made, retries))
}

/// Reads where some tables are, or all, and whether a stamp was committed to them: then also the properties that were
/// set with it. The parts of a commit with this stamp that was interrupted are taken back first.
pub(crate) async fn pointers_and_stamp(
    lake: &Lake,
    stamp: &Stamp,
    scope: Option<&BTreeSet<TableName>>,
) -> Result<(BTreeMap<TableName, String>, Option<BTreeMap<String, String>>)> {
    let pointers = pointers(lake, scope).await?;
    let tables = lake.inner.metadata_of(&pointers).await?;
    let own = Parts::of(stamp, &tables);
    if own.found.is_empty() {
        if scope.is_none() {
            warn_of_others(&tables);
        }
        return Ok((pointers, None));
    }
    if own.is_whole() {
        return Ok((pointers, own.properties));
    }
    for (table, snapshot_id) in own.found {
        take_back(lake, &table, snapshot_id).await?;
    }
    Ok((self::pointers(lake, scope).await?, None))
}

async fn pointers(lake: &Lake, scope: Option<&BTreeSet<TableName>>) -> Result<BTreeMap<TableName, String>> {
    match scope {
        Some(tables) => lake.inner.catalog.pointers_of(tables).await,
        None => lake.inner.catalog.pointers().await,
    }
}

/// Tells of commits that are there in part. They may be under way, or a table of theirs was dropped since: only who
/// runs the stage again knows that it was interrupted.
fn warn_of_others(tables: &[(&TableName, TableMetadataRef)]) {
    let mut told = BTreeSet::new();
    for stamp in tables.iter().filter_map(|(_, metadata)| Stamp::of_part(metadata.current_snapshot()?)) {
        if told.insert((stamp.run_id.clone(), stamp.stage.clone())) && !Parts::of(&stamp, tables).is_whole() {
            let Stamp { run_id, stage, .. } = stamp;
            tracing::warn!(run.id = run_id, stage, "a part of this run's commit is missing: was it interrupted?");
        }
    }
}

/// What of a commit is there.
struct Parts {
    /// Tables that bear the stamp, with the snapshot that does.
    found: Vec<(TableName, i64)>,
    properties: Option<BTreeMap<String, String>>,
    /// How many tables bear the stamp when all is there.
    whole: usize,
}

impl Parts {
    fn of(stamp: &Stamp, tables: &[(&TableName, TableMetadataRef)]) -> Parts {
        let mut parts = Parts { found: Vec::new(), properties: None, whole: 1 };
        for (table, metadata) in tables {
            let Some(found) = stamp.find(metadata) else { continue };
            parts.found.push((TableName::clone(table), found.snapshot_id));
            parts.properties = Some(found.properties);
            parts.whole = found.tables.unwrap_or(1);
        }
        parts
    }

    fn is_whole(&self) -> bool {
        self.found.len() >= self.whole
    }
}

/// What came of one table: nothing when somebody with the same stamp was faster.
fn alone(table: &TableName, outcome: Outcome) -> Result<(Vec<(TableName, Produced)>, u32)> {
    match outcome {
        Outcome::Made { produced, attempts } => Ok((produced, attempts)),
        Outcome::Already { attempts } => Ok((Vec::new(), attempts)),
        Outcome::OneAtATime => {
            let reason = "the catalog does not move it alone either".to_string();
            Err(Error::Conflict { table: table.clone(), reason })
        }
    }
}

/// Makes a table what it was before a snapshot, which must be its newest. The snapshot stays in the history.
pub(crate) async fn take_back(lake: &Lake, table: &TableName, snapshot_id: i64) -> Result<()> {
    for _ in 0..ATTEMPTS {
        let base = lake.inner.base(table).await?.ok_or_else(|| Error::NoSuchTable(table.clone()))?;
        if base.metadata.current_snapshot_id() != Some(snapshot_id) {
            let reason = "after a commit that was interrupted, which cannot be taken back for that reason";
            return Err(Error::Conflict { table: table.clone(), reason: reason.to_string() });
        }
        let from = base.location;
        let (next, updates) = before(&base.metadata, from.clone()).map_err(Error::metadata(table, "made"))?;
        let location = next_location(from.as_deref(), &next).map_err(Error::metadata(table, "made"))?;
        if !lake.inner.catalog.takes_updates() {
            next.write_to(&lake.inner.files, &location).await.map_err(Error::metadata(table, "written"))?;
        }
        let requirements = vec![TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_string(),
            snapshot_id: Some(snapshot_id),
        }];
        let metadata = next.into();
        let swap = Swap { table: table.clone(), from, to: location.to_string(), metadata, updates, requirements };
        if lake.inner.catalog.swap(&[swap], &Default::default()).await? == Swapped::All {
            tracing::info!(table.name = %table, snapshot.id = snapshot_id, "an interrupted commit was taken back");
            return Ok(());
        }
    }
    Err(Error::Conflict {
        table: table.clone(),
        reason: format!("{ATTEMPTS} attempts to take a commit back were late"),
    })
}

/// The metadata without its newest snapshot, and how it came about.
fn before(
    metadata: &TableMetadata,
    location: Option<String>,
) -> Result<(TableMetadata, Vec<TableUpdate>), iceberg::Error> {
    let parent = metadata.current_snapshot().and_then(|snapshot| snapshot.parent_snapshot_id());
    let builder = TableMetadata::clone(metadata).into_builder(location);
    let builder = match parent {
        Some(parent) => {
            let reference = SnapshotReference::new(parent, SnapshotRetention::branch(None, None, None));
            builder.set_ref(MAIN_BRANCH, reference)?
        }
        None => builder.remove_ref(MAIN_BRANCH),
    };
    let built = builder.build()?;
    Ok((built.metadata, built.changes))
}
