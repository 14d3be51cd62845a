//! Writes files into a folder.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes a value as JSON and its page into a folder, which is created; returns where the two are.
///
/// # Errors
/// When the folder cannot be written.
pub(crate) fn write(
    folder: &Path,
    json: (&str, &impl serde::Serialize),
    page: (&str, &str),
) -> Result<(PathBuf, PathBuf)> {
    let put = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        match std::fs::write(&path, content) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::File { path, source }),
        }
    };
    std::fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    Ok((put(json.0, &serde_json::to_vec_pretty(json.1)?)?, put(page.0, page.1.as_bytes())?))
}
