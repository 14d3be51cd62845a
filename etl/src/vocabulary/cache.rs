//! The file of an index, in the lake's folder for what can be made again. Its name says which state of the vocabulary's
//! tables it stands for, so it is never out of date: it is there or it is not.
//!
//! It is read into memory as a whole, in parallel, and checked on the way: docs/adr/0003-vocabulary-index.md says why.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lake::Lake;
use xxhash_rust::xxh3::xxh3_64;

use super::index::Index;
use crate::{Error, Result};

/// So much is read and hashed at once.
const BLOCK_BYTES: usize = 4 << 20;
const HASH_BYTES: u64 = 8;
const PREFIX: &str = "vocabulary-";
const SUFFIX: &str = ".index";
/// A file that is not finished after so long was left by a process that died.
const ABANDONED: Duration = Duration::from_hours(1);

/// Where the index of a state is.
pub fn path(lake: &Lake, state: u64) -> PathBuf {
    lake.cache_folder().join(format!("{PREFIX}{state:016x}{SUFFIX}"))
}

/// Reads an index; `None` when there is no file, or one that is damaged or of another version of the program.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<Index>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let Some(body) = length.checked_sub(HASH_BYTES).and_then(|body| usize::try_from(body).ok()) else {
        return Ok(None);
    };
    let mut bytes = vec![0; body];
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let part_bytes = body.div_ceil(cores).max(1).next_multiple_of(BLOCK_BYTES);
    let hashes: Vec<std::io::Result<Vec<u64>>> = std::thread::scope(|scope| {
        let parts = bytes.chunks_mut(part_bytes).enumerate();
        let readers: Vec<_> = parts
            .map(|(number, part)| scope.spawn(move || read_part(path, (number * part_bytes) as u64, part)))
            .collect();
        let stopped = || std::io::Error::other("a reader stopped unexpectedly");
        readers.into_iter().map(|reader| reader.join().unwrap_or_else(|_| Err(stopped()))).collect()
    });
    let mut all = Vec::new();
    for part in hashes {
        match part {
            Ok(part) => all.extend(part),
            // Another process has cut it off or taken it away meanwhile.
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
    }
    let mut expected = [0; HASH_BYTES as usize];
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(body as u64)).and_then(|_| file.read_exact(&mut expected)).map_err(failed)?;
    if hash_of(&all) != u64::from_le_bytes(expected) {
        return Ok(None);
    }
    Ok(Index::of_bytes(bytes).ok())
}

fn read_part(path: &Path, start: u64, part: &mut [u8]) -> std::io::Result<Vec<u64>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut hashes = Vec::with_capacity(part.len() / BLOCK_BYTES + 1);
    for block in part.chunks_mut(BLOCK_BYTES) {
        file.read_exact(block)?;
        hashes.push(xxh3_64(block));
    }
    Ok(hashes)
}

/// Writes an index, and removes those of other states.
///
/// # Errors
/// The folder cannot be written.
pub fn write(path: &Path, index: &Index) -> Result<()> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(PREFIX).suffix(".tmp").tempfile_in(folder).map_err(failed)?;
    let mut hashes = Vec::new();
    for block in index.bytes().chunks(BLOCK_BYTES) {
        file.write_all(block).map_err(failed)?;
        hashes.push(xxh3_64(block));
    }
    file.write_all(&hash_of(&hashes).to_le_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    remove_others(folder, path);
    Ok(())
}

/// What cannot be removed now is removed by the next one that writes.
fn remove_others(folder: &Path, kept: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let age = || entry.metadata().and_then(|metadata| metadata.modified()).ok()?.elapsed().ok();
        let is_abandoned = || age().is_some_and(|age| age > ABANDONED);
        if path != kept && name.starts_with(PREFIX) && (name.ends_with(SUFFIX) || is_abandoned()) {
            _ = std::fs::remove_file(&path);
        }
    }
}

fn hash_of(hashes: &[u64]) -> u64 {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Vocabulary;
    use super::*;

    #[test]
    fn an_index_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(format!("cache/{PREFIX}{name}{SUFFIX}"));
        assert!(read(&at("1")).unwrap().is_none());
        let starter = Vocabulary::starter();
        write(&at("1"), &starter.index).unwrap();
        assert_eq!(read(&at("1")).unwrap().unwrap().bytes(), starter.index.bytes());
        write(&at("2"), &starter.index).unwrap();
        assert!(!at("1").exists(), "an index of another state is of no use");
        let bytes = std::fs::read(at("2")).unwrap();
        for length in [0, 7, 8, 100, bytes.len() - 1] {
            std::fs::write(at("2"), &bytes[..length]).unwrap();
            assert!(read(&at("2")).unwrap().is_none(), "{length}");
        }
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        std::fs::write(at("2"), &damaged).unwrap();
        assert!(read(&at("2")).unwrap().is_none());
    }

    #[test]
    fn a_large_index_is_put_together_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = super::super::build::IndexBuilder::default();
        for concept_id in 0..400_000 {
            builder.add_concept(&super::super::build::ConceptRow {
                concept_id,
                domain_id: "Drug",
                vocabulary_id: "RxNorm",
                concept_class_id: "",
                standard_concept: "S",
                concept_code: &concept_id.to_string(),
                invalid_reason: "",
            });
        }
        let index = builder.finish().unwrap();
        assert!(index.bytes().len() > 3 * BLOCK_BYTES);
        let path = folder.path().join("vocabulary-0.index");
        write(&path, &index).unwrap();
        assert!(read(&path).unwrap().unwrap().bytes() == index.bytes());
    }
}
