//! Files of what was made of the vocabulary's tables, in the lake's folder for what can be made again: the index, and what
//! the self-check found. A name says which state of the tables the file stands for, so it is never out of date: it is there
//! or it is not.
//!
//! A file is read into memory as a whole, in parallel, and checked on the way: docs/adr/0003-vocabulary-index.md says why.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lake::Lake;
use xxhash_rust::xxh3::xxh3_64;

use super::block::Block;
use crate::{Error, Result};

/// So much is read and hashed at once.
const BLOCK_BYTES: usize = 4 << 20;
const HASH_BYTES: u64 = 8;
const PREFIX: &str = "vocabulary-";
const INDEX: &str = ".index";
const SELF_CHECK: &str = ".check";
/// A file that is not finished after so long was left by a process that died.
const ABANDONED: Duration = Duration::from_hours(1);

/// Where the index of a state is.
pub fn index(lake: &Lake, state: u64) -> PathBuf {
    lake.cache_folder().join(format!("{}{INDEX}", prefix(state)))
}

/// Where it says what was found of the project's concepts in a state; `expected` is a hash of them.
pub fn self_check(lake: &Lake, state: u64, expected: u64) -> PathBuf {
    lake.cache_folder().join(format!("{}-{expected:016x}{SELF_CHECK}", prefix(state)))
}

fn prefix(state: u64) -> String {
    format!("{PREFIX}{state:016x}")
}

/// Reads a file; `None` when there is none, or one that is damaged.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read(path: &Path) -> Result<Option<Block>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let length = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let Some(body) = length.checked_sub(HASH_BYTES).and_then(|body| usize::try_from(body).ok()) else {
        return Ok(None);
    };
    let mut bytes = Block::zeroed(body).map_err(failed)?;
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
    Ok((hash_of(&all) == u64::from_le_bytes(expected)).then_some(bytes))
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

/// Writes a file, and removes those of other states and others of its kind.
///
/// # Errors
/// The folder cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(PREFIX).suffix(".tmp").tempfile_in(folder).map_err(failed)?;
    let mut hashes = Vec::new();
    for block in bytes.chunks(BLOCK_BYTES) {
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
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kept_name = name(kept);
    let state = kept_name.get(..prefix(0).len()).unwrap_or_default();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = name(&path);
        let age = || entry.metadata().and_then(|metadata| metadata.modified()).ok()?.elapsed().ok();
        let is_abandoned = || age().is_some_and(|age| age > ABANDONED);
        let is_kind = path.extension() == kept.extension();
        let is_finished = [INDEX, SELF_CHECK].iter().any(|suffix| name.ends_with(suffix));
        let is_old = if is_finished { is_kind || !name.starts_with(state) } else { is_abandoned() };
        if path != kept && name.starts_with(PREFIX) && is_old {
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
    fn a_file_is_read_as_it_was_written_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(format!("cache/{name}"));
        let (first, check) = (at(&format!("{}{INDEX}", prefix(1))), at(&format!("{}-7{SELF_CHECK}", prefix(1))));
        let second = at(&format!("{}{INDEX}", prefix(2)));
        assert!(read(&first).unwrap().is_none());
        let starter = Vocabulary::starter();
        let bytes = starter.index.bytes();
        write(&first, bytes).unwrap();
        write(&check, b"{}").unwrap();
        assert_eq!(&*read(&first).unwrap().unwrap(), bytes);
        assert_eq!(&*read(&check).unwrap().unwrap(), b"{}");
        let yesterday = std::time::SystemTime::now() - ABANDONED * 24;
        File::options().write(true).open(&first).unwrap().set_modified(yesterday).unwrap();
        let other = at(&format!("{}-8{SELF_CHECK}", prefix(1)));
        write(&other, b"").unwrap();
        assert!(first.exists() && !check.exists(), "what the program no longer asks for is of no use");
        write(&second, bytes).unwrap();
        assert!(!first.exists() && !other.exists(), "what stands for another state is of no use");
        let bytes = std::fs::read(&second).unwrap();
        for length in [0, 7, 8, 100, bytes.len() - 1] {
            std::fs::write(&second, &bytes[..length]).unwrap();
            assert!(read(&second).unwrap().is_none(), "{length}");
        }
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        std::fs::write(&second, &damaged).unwrap();
        assert!(read(&second).unwrap().is_none());
    }

    #[test]
    fn a_large_file_is_put_together_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..3_u32 << 20).flat_map(u32::to_le_bytes).collect();
        assert!(bytes.len() > 2 * BLOCK_BYTES);
        let path = folder.path().join("vocabulary-0.index");
        write(&path, &bytes).unwrap();
        assert!(*read(&path).unwrap().unwrap() == bytes);
    }
}
