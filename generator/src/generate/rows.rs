//! The rows of a population without its resources, handed over where they are made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::ArrayRef;
use model::omop::Table;

use super::chunk::{Chunk, Wanted};
use super::source;
use crate::sink::omop::Concepts;
use crate::world::World;
use crate::{Error, Options};

/// Patients whose rows are handed over together: columns of some thousand values.
const CHUNK: u64 = 128;

/// Makes patients and hands over the OMOP rows that they mean, table by table: each thread to a taker of its own, of
/// which there are as many as threads. Which taker gets which patients is left to chance, and rows are in no order.
/// `progress` is told how many patients are done. Returns the takers.
///
/// # Errors
/// When an option or a module is wrong, or a taker fails.
pub fn rows<T, E>(options: &Options, takers: Vec<T>, progress: &(dyn Fn(u64) + Sync)) -> Result<Vec<T>, E>
where
    T: FnMut(&'static Table, Vec<ArrayRef>) -> Result<(), E> + Send,
    E: From<Error> + Send,
{
    options.check()?;
    let world = World::new(options, &source(options)?)?;
    let concepts = Concepts::new(&world.library.codes);
    let patients = options.shard.range(options.patients);
    let (next, done) = (AtomicU64::new(patients.start), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let give = |taker: &mut T, chunk: Chunk| -> Result<(), E> {
        chunk.loads.into_iter().take(1).flat_map(|load| load.tables).try_for_each(|(table, rows)| taker(table, rows))
    };
    let work = |mut taker: T| -> Result<T, E> {
        while !is_over.load(Ordering::Relaxed) {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= patients.end {
                break;
            }
            let end = (start + CHUNK).min(patients.end);
            let given = Chunk::make(&world, &concepts, start..end, Wanted::Rows).map_err(E::from);
            if let Err(error) = given.and_then(|chunk| give(&mut taker, chunk)) {
                is_over.store(true, Ordering::Relaxed);
                return Err(error);
            }
            progress(done.fetch_add(end - start, Ordering::Relaxed) + end - start);
        }
        Ok(taker)
    };
    std::thread::scope(|scope| {
        let mut takers = takers;
        if options.shard.index == 1
            && let Some(first) = takers.first_mut()
        {
            give(first, Chunk::facilities(&world, &concepts))?;
        }
        let threads: Vec<_> = takers.into_iter().map(|taker| scope.spawn(|| work(taker))).collect();
        let takers =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        takers.collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_rows_are_those_that_are_written_beside_the_resources() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { patients: 300, seed: 4, output: folder.path().into(), ..Options::default() };
        let written = crate::generate(&options, &|_| ()).unwrap().rows;
        for count in [1, 3] {
            let mut counts = vec![BTreeMap::<String, u64>::new(); count];
            let takers: Vec<_> = counts
                .iter_mut()
                .map(|counts| {
                    |table: &'static Table, rows: Vec<ArrayRef>| {
                        *counts.entry(table.name.to_owned()).or_default() += rows[0].len() as u64;
                        Ok::<_, Error>(())
                    }
                })
                .collect();
            let done = AtomicU64::new(0);
            rows(&options, takers, &|patients| {
                done.fetch_max(patients, Ordering::Relaxed);
            })
            .unwrap();
            let mut sums = BTreeMap::new();
            super::super::add(&mut sums, counts.into_iter().flatten());
            let some: BTreeMap<_, _> = written.clone().into_iter().filter(|(_, rows)| *rows > 0).collect();
            assert_eq!((sums, done.into_inner()), (some, 300));
        }
    }

    #[test]
    fn a_taker_that_fails_ends_it() {
        let full = || Error::Option { option: "disk", message: "full".into() };
        let takers = vec![|_: &'static Table, _: Vec<ArrayRef>| Err(full()); 2];
        let failed = rows(&Options { patients: 300, ..Options::default() }, takers, &|_| ());
        assert!(failed.is_err_and(|error| error.to_string().contains("full")));
    }
}
