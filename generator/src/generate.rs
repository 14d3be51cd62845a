//! Makes the population: worker threads turn chunks of patients into bytes and rows, one writer puts the chunks in
//! order. Memory is bounded by the chunks under way, and the output does not depend on the threads.

mod chunk;
mod folder;
mod hand_over;
mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::manifest::Manifest;
use crate::module::{Source, built_in, from_folder, read_overrides};
use crate::sink::omop::Concepts;
use crate::world::World;
use crate::{Error, Options};

use chunk::{Chunk, Resources};
use folder::Folder;

pub use hand_over::{Piece, Wanted, hand_over};
pub use part::{Made, Part, make};

/// Patients that are made in one piece.
const CHUNK: u64 = 32;

/// Makes patients and writes `fhir/`, `omop/` and `manifest.json` below the output folder. `progress` is told how many
/// patients are done.
///
/// # Errors
/// When an option or a module is wrong, or a file cannot be written.
pub fn generate(options: &Options, progress: &(dyn Fn(u64) + Sync)) -> Result<Manifest, Error> {
    options.check()?;
    let world = World::new(options, &source(options)?)?;
    let concepts = Concepts::new(&world.library.codes);
    let mut output = Folder::create(&world)?;
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
                    let made = Chunk::make(world, concepts, range.clone(), Resources::Lines);
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
            output.add(Chunk::facilities(&world, &concepts, Resources::Lines))?;
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

/// Adds counts to counts.
fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, counts: impl IntoIterator<Item = (K, u64)>) {
    for (key, count) in counts {
        *sums.entry(key).or_default() += count;
    }
}
