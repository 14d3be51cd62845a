//! Reads folders of modules and lookup tables, and stays inside them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::limit;
use super::load::Source;
use crate::Error;

/// Where lookup tables stand: in the folder of the modules, or beside it.
const LOOKUP_TABLES: &str = "lookup_tables";

/// Adds the modules of a folder to `source`, with its lookup tables; a file of the same path takes the place of the one
/// there.
///
/// # Errors
/// When the folder or one of its files cannot be read, leads out of the folder, or is larger than anything sensible.
pub fn from_folder(folder: &Path, source: &mut Source) -> Result<(), Error> {
    let root = folder.canonicalize().map_err(Error::io(folder))?;
    let mut reader = Reader { root: root.clone(), folders: BTreeSet::from([root.clone()]), files: 0, bytes: 0 };
    reader.add_modules(&root, "", 0, source)?;
    let tables = [root.join(LOOKUP_TABLES), root.with_file_name(LOOKUP_TABLES)].into_iter().find(|path| path.is_dir());
    if let Some(tables) = tables {
        reader.root = tables.canonicalize().map_err(Error::io(&tables))?;
        for (name, path) in sorted(&tables)? {
            if name.ends_with(".csv") {
                source.lookup_tables.insert(name, reader.read(&path)?);
            }
        }
    }
    Ok(())
}

struct Reader {
    /// The folder that nothing leads out of.
    root: PathBuf,
    /// Folders read, without links.
    folders: BTreeSet<PathBuf>,
    files: usize,
    bytes: u64,
}

impl Reader {
    fn add_modules(&mut self, folder: &Path, prefix: &str, depth: usize, source: &mut Source) -> Result<(), Error> {
        if depth > limit::FOLDER_DEPTH {
            let message = format!("lies more than {} folders deep", limit::FOLDER_DEPTH);
            return Err(Error::Folder { path: folder.into(), message });
        }
        for (name, path) in sorted(folder)? {
            if path.is_dir() {
                if name != LOOKUP_TABLES {
                    let real = self.stay_inside(&path)?;
                    if !self.folders.insert(real) {
                        let message = "leads to a folder that is read already".into();
                        return Err(Error::Folder { path, message });
                    }
                    self.add_modules(&path, &format!("{prefix}{name}/"), depth + 1, source)?;
                }
            } else if let Some(stem) = name.strip_suffix(".json") {
                source.modules.insert(format!("{prefix}{stem}"), self.read(&path)?);
            }
        }
        Ok(())
    }

    /// The place itself, links resolved.
    fn stay_inside(&self, path: &Path) -> Result<PathBuf, Error> {
        let real = path.canonicalize().map_err(Error::io(path))?;
        if real.starts_with(&self.root) {
            return Ok(real);
        }
        let message = format!("leads to `{}`, expected a place in `{}`", real.display(), self.root.display());
        Err(Error::Folder { path: path.into(), message })
    }

    /// The bytes of a plain file.
    fn read(&mut self, path: &Path) -> Result<Vec<u8>, Error> {
        self.stay_inside(path)?;
        let refuse = |message: String| Err(Error::Folder { path: path.into(), message });
        // Asked before it is opened: to open a pipe would wait for its writer.
        if !fs::metadata(path).map_err(Error::io(path))?.is_file() {
            return refuse("is no plain file".into());
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(Error::io(path))?;
        file.take(limit::FILE_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.len() as u64 > limit::FILE_BYTES {
            return refuse(format!("has more than {} bytes, the most that a module may have", limit::FILE_BYTES));
        }
        self.files += 1;
        self.bytes += bytes.len() as u64;
        if self.files > limit::FILES || self.bytes > limit::ALL_BYTES {
            return refuse(format!(
                "goes beyond {} files or {} bytes, the most that a folder of modules may have",
                limit::FILES,
                limit::ALL_BYTES
            ));
        }
        Ok(bytes)
    }
}

/// The entries of a folder by name.
fn sorted(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        let entry = entry.map_err(Error::io(folder))?;
        entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        if entries.len() > 2 * limit::FILES {
            let message = format!("has more than {} entries", 2 * limit::FILES);
            return Err(Error::Folder { path: folder.into(), message });
        }
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path) -> Result<Source, Error> {
        let mut source = Source::default();
        from_folder(folder, &mut source).map(|()| source)
    }

    fn refused(folder: &Path) -> String {
        match read(folder) {
            Err(error @ Error::Folder { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_stand_inside_the_folder_or_beside_it() {
        for place in ["modules/lookup_tables", "lookup_tables"] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("modules/sub")).unwrap();
            fs::create_dir_all(folder.path().join(place)).unwrap();
            fs::write(folder.path().join("modules/sub/m.json"), "{}").unwrap();
            fs::write(folder.path().join(place).join("t.csv"), "age,A").unwrap();
            let source = read(&folder.path().join("modules")).unwrap();
            assert_eq!(source.modules.keys().collect::<Vec<_>>(), ["sub/m"]);
            assert_eq!(source.lookup_tables["t.csv"], b"age,A");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_do_not_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("modules");
        fs::create_dir(&inside).unwrap();
        fs::write(folder.path().join("secret.json"), "{}").unwrap();
        std::os::unix::fs::symlink("../secret.json", inside.join("m.json")).unwrap();
        assert!(refused(&inside).contains("m.json`: leads to"), "{}", refused(&inside));
        fs::remove_file(inside.join("m.json")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", inside.join("zero.json")).unwrap();
        assert!(refused(&inside).contains("leads to `/dev/zero`"));
        fs::remove_file(inside.join("zero.json")).unwrap();
        std::os::unix::fs::symlink(".", inside.join("again")).unwrap();
        assert!(refused(&inside).contains("read already"));
    }

    #[test]
    fn a_file_beyond_the_limit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("huge.json")).unwrap();
        file.set_len(limit::FILE_BYTES + 1).unwrap();
        assert!(refused(folder.path()).contains("huge.json`: has more than"));
    }
}
