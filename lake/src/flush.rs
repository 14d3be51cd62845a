//! Brings files to the disk before something names them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

const FLUSHED_AT_ONCE: usize = 16;

/// Flushes files to the disk, and then the folders that name them. Many at once: the disk's journal takes them together.
pub(crate) async fn flush(written: Vec<PathBuf>) -> Result<()> {
    let flushing = tokio::task::spawn_blocking(move || {
        let folders: BTreeSet<&Path> = written.iter().filter_map(|path| path.parent()).collect();
        flush_all(&written.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        flush_all(&folders.into_iter().collect::<Vec<_>>())
    });
    flushing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

fn flush_all(paths: &[&Path]) -> Result<()> {
    let flush = |path: &&Path| {
        let file = File::open(path).map_err(Error::file(*path, "flushed"))?;
        file.sync_all().map_err(Error::file(*path, "flushed"))
    };
    let share = paths.len().div_ceil(FLUSHED_AT_ONCE).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            paths.chunks(share).map(|share| scope.spawn(move || share.iter().try_for_each(flush))).collect();
        let joined = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().try_for_each(joined)
    })
}
