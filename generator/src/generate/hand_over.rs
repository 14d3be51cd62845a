//! A population without files: its rows, and its resources where they are wanted, handed over where they are made.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::ArrayRef;
use model::document::Element;
use model::omop::Table;

use super::chunk::{Chunk, Resources};
use super::source;
use crate::sink::omop::Concepts;
use crate::world::World;
use crate::{Error, Options};

/// Patients whose rows are handed over together: columns of some thousand values.
const CHUNK: u64 = 128;

/// What is made of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Resources, and the rows that are expected of them.
    All,
    /// The rows alone.
    Rows,
}

/// Something of some patients.
#[derive(Debug)]
pub enum Piece<'p> {
    /// Rows of an OMOP table, as columns.
    Rows(&'static Table, Vec<ArrayRef>),
    /// A resource and its type.
    Resource(&'static str, Element<'p>),
}

/// Makes patients and hands over the OMOP rows that they mean, table by table, and their resources if these are wanted,
/// one by one: each thread to a taker of its own, of which there are as many as threads. Which taker gets which patients is
/// left to chance, and rows are in no order. `progress` is told how many patients are done. Returns the takers.
///
/// # Errors
/// When an option or a module is wrong, or a taker fails.
pub fn hand_over<T, E>(
    options: &Options,
    wanted: Wanted,
    takers: Vec<T>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<T>, E>
where
    T: FnMut(Piece<'_>) -> Result<(), E> + Send,
    E: From<Error> + Send,
{
    options.check()?;
    let world = World::new(options, &source(options)?)?;
    let concepts = Concepts::new(&world.library.codes);
    let patients = options.shard.range(options.patients);
    let (next, done) = (AtomicU64::new(patients.start), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let work = |mut taker: T| -> Result<T, E> {
        while !is_over.load(Ordering::Relaxed) {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            if start >= patients.end {
                break;
            }
            let end = (start + CHUNK).min(patients.end);
            if let Err(error) = give(wanted, &mut taker, &world, &concepts, Some(start..end)) {
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
            give(wanted, first, &world, &concepts, None)?;
        }
        let threads: Vec<_> = takers.into_iter().map(|taker| scope.spawn(|| work(taker))).collect();
        let takers =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        takers.collect()
    })
}

/// Makes some patients, or what all patients share, and hands it over.
fn give<E: From<Error>>(
    wanted: Wanted,
    taker: &mut impl FnMut(Piece<'_>) -> Result<(), E>,
    world: &World,
    concepts: &Concepts,
    patients: Option<Range<u64>>,
) -> Result<(), E> {
    let mut failure = None;
    let mut take = |resource_type: &'static str, element: Element<'_>| {
        if failure.is_none() {
            failure = taker(Piece::Resource(resource_type, element)).err();
        }
    };
    let resources = if wanted == Wanted::All { Resources::Taken(&mut take) } else { Resources::None };
    let chunk = match patients {
        Some(patients) => Chunk::make(world, concepts, patients, resources)?,
        None => Chunk::facilities(world, concepts, resources),
    };
    failure.map_or(Ok(()), Err)?;
    let tables = chunk.loads.into_iter().take(1).flat_map(|load| load.tables);
    tables.map(|(table, rows)| Piece::Rows(table, rows)).try_for_each(taker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_handed_over_is_what_would_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { patients: 300, seed: 4, output: folder.path().into(), ..Options::default() };
        let written = crate::generate(&options, &|_| ()).unwrap();
        for (count, wanted) in [(1, Wanted::Rows), (3, Wanted::Rows), (2, Wanted::All)] {
            let mut counts = vec![BTreeMap::<String, u64>::new(); count];
            let takers: Vec<_> = counts
                .iter_mut()
                .map(|counts| {
                    |piece: Piece<'_>| {
                        let (name, count) = match piece {
                            Piece::Rows(table, rows) => (table.name, rows[0].len()),
                            Piece::Resource(name, resource) => {
                                assert_eq!(resource.get("resourceType").and_then(|name| name.as_str()), Some(name));
                                (name, 1)
                            }
                        };
                        *counts.entry(name.to_owned()).or_default() += count as u64;
                        Ok::<_, Error>(())
                    }
                })
                .collect();
            let done = AtomicU64::new(0);
            hand_over(&options, wanted, takers, &|patients| {
                done.fetch_max(patients, Ordering::Relaxed);
            })
            .unwrap();
            let mut sums = BTreeMap::new();
            super::super::add(&mut sums, counts.into_iter().flatten());
            let resources = written.resources.iter().filter(|_| wanted == Wanted::All);
            let some = written.rows.iter().chain(resources).filter(|(_, count)| **count > 0);
            let some: BTreeMap<_, _> = some.map(|(name, count)| (name.clone(), *count)).collect();
            assert_eq!((sums, done.into_inner()), (some, 300));
        }
    }

    #[test]
    fn a_taker_that_fails_ends_it() {
        let full = || Error::Option { option: "disk", message: "full".into() };
        let takers = vec![|_: Piece<'_>| Err(full()); 2];
        let failed = hand_over(&Options { patients: 300, ..Options::default() }, Wanted::Rows, takers, &|_| ());
        assert!(failed.is_err_and(|error| error.to_string().contains("full")));
    }
}
