//! Finds entries that share their first word among more entries than memory holds: what grows too large goes to
//! temporary files, divided so that entries that share the word meet in one file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crate::error::{Error, Result};

/// Entries held in memory before they go to files.
const HELD: usize = 1 << 20;
const FILES: usize = 64;

/// Entries of `N` words, of which the first is a hash.
pub struct Spill<const N: usize> {
    held: Vec<[u64; N]>,
    files: Vec<BufWriter<File>>,
}

impl<const N: usize> Default for Spill<N> {
    fn default() -> Self {
        Spill { held: Vec::new(), files: Vec::new() }
    }
}

impl<const N: usize> Spill<N> {
    /// Adds an entry.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub fn push(&mut self, entry: [u64; N]) -> Result<()> {
        self.held.push(entry);
        if self.held.len() < HELD { Ok(()) } else { self.write().map_err(failed) }
    }

    fn write(&mut self) -> io::Result<()> {
        if self.files.is_empty() {
            for _ in 0..FILES {
                self.files.push(BufWriter::with_capacity(1 << 15, tempfile::tempfile()?));
            }
        }
        for entry in self.held.drain(..) {
            for word in entry {
                self.files[file_of(entry[0])].write_all(&word.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Hands over all entries of several collections that share their first word with another, group by group.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn shared(spills: Vec<Spill<N>>, mut take: impl FnMut(&[[u64; N]])) -> Result<()> {
        Self::grouped(spills, |group| {
            if group.len() > 1 {
                take(group)
            }
        })
    }

    /// Hands over all entries of several collections, those that share their first word together.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub fn grouped(spills: Vec<Spill<N>>, mut take: impl FnMut(&[[u64; N]])) -> Result<()> {
        let mut files = Vec::new();
        let mut held: Vec<Vec<[u64; N]>> = vec![Vec::new(); FILES];
        for mut spill in spills {
            if spill.files.is_empty() {
                spill.held.drain(..).for_each(|entry| held[file_of(entry[0])].push(entry));
            } else {
                spill.write().map_err(failed)?;
                files.push(spill.files);
            }
        }
        for (index, mut entries) in held.into_iter().enumerate() {
            for files in &mut files {
                read(&mut files[index], &mut entries).map_err(failed)?;
            }
            entries.sort_unstable();
            entries.chunk_by(|a, b| a[0] == b[0]).for_each(&mut take);
        }
        Ok(())
    }
}

fn file_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

fn failed(source: io::Error) -> Error {
    Error::Spill { folder: std::env::temp_dir(), source }
}

fn read<const N: usize>(writer: &mut BufWriter<File>, entries: &mut Vec<[u64; N]>) -> io::Result<()> {
    writer.flush()?;
    let file = writer.get_mut();
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    for entry in bytes.chunks_exact(N * 8) {
        let word = |at: usize| u64::from_le_bytes(entry[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
        entries.push(std::array::from_fn(word));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_words_are_found_in_memory_and_in_files() {
        let hash = |n: u64| xxhash_rust::xxh3::xxh3_64(&n.to_le_bytes());
        for count in [1000, HELD as u64 + 1000] {
            let (mut a, mut b) = (Spill::<2>::default(), Spill::<2>::default());
            for n in 0..count {
                a.push([hash(n), n]).unwrap();
            }
            for n in [3, 999, count] {
                b.push([hash(n), n + 1]).unwrap();
            }
            let mut found = Vec::new();
            Spill::shared(vec![a, b], |group| found.push(group.iter().map(|entry| entry[1]).collect::<Vec<_>>()))
                .unwrap();
            found.sort();
            assert_eq!(found, [[3, 4], [999, 1000]]);
        }
    }
}
