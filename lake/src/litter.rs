//! Files of a transaction that are not part of the lake yet. What is still here when the last owner goes is removed,
//! so that a transaction that fails or is dropped leaves nothing behind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Litter {
    paths: Mutex<HashSet<PathBuf>>,
}

impl Litter {
    /// Notes a file before it is created.
    pub fn add(&self, path: &Path) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_path_buf());
    }

    /// Forgets files: they belong to the lake now.
    pub fn keep<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut held = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            held.remove(path);
        }
    }

    /// Forgets all files, for instance when it is not known whether the lake has them.
    pub fn keep_all(&self) {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes files now.
    pub fn remove<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        let mut held = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            held.remove(path);
            remove(path);
        }
    }
}

impl Drop for Litter {
    fn drop(&mut self) {
        for path in self.paths.get_mut().unwrap_or_else(PoisonError::into_inner).iter() {
            remove(path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "an unused file could not be removed");
    }
}
