//! What a model was built from, as one word: its text, and the snapshots of every table behind it.

use lake::{Lake, Snapshot, TableName};
use xxhash_rust::xxh3::Xxh3Default;

use crate::definition::Materialization;
use crate::error::Result;
use crate::project::{Model, Project, behind};

/// Of the model's own files.
pub(crate) fn of_files(model: &Model) -> String {
    let mut hash = Xxh3Default::new();
    add_files(&mut hash, model);
    format!("{:016x}", hash.digest())
}

/// Of the model's files, the views it reads and the snapshots of the tables behind them.
pub(crate) async fn of_input(lake: &Lake, project: &Project, model: &Model) -> Result<String> {
    let mut hash = Xxh3Default::new();
    add_files(&mut hash, model);
    for read in behind(&project.models, model) {
        hash.update(read.as_bytes());
        match project.models.get(read).filter(|model| model.materialization == Materialization::View) {
            Some(view) => add_files(&mut hash, view),
            None => {
                let last = history(lake, read).await?.pop();
                hash.update(&last.map_or(0, |snapshot| snapshot.id).to_le_bytes());
            }
        }
        hash.update(&[0]);
    }
    Ok(format!("{:016x}", hash.digest()))
}

/// The snapshots of a table, oldest first; none when there is no such table.
pub(crate) async fn history(lake: &Lake, table: &str) -> Result<Vec<Snapshot>> {
    match lake.history(&table.parse::<TableName>()?).await {
        Err(lake::Error::NoSuchTable(_)) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

fn add_files(hash: &mut Xxh3Default, model: &Model) {
    for text in [&model.name, &model.text, &model.yaml] {
        hash.update(text.as_bytes());
        hash.update(&[0]);
    }
}
