//! The files of a project: those that come with the program, or those of a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::error::{Error, Result};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/models");

/// Text files by their path from the project's folder on.
pub(crate) type Files = BTreeMap<String, String>;

/// The models that come with the program.
pub(crate) fn embedded() -> Files {
    let mut files = Files::new();
    collect_embedded(&EMBEDDED, &mut files);
    files
}

/// The models of a folder.
pub(crate) fn of_folder(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    collect_folder(dir, dir, &mut files)?;
    Ok(files)
}

/// The YAML file beside a model's SQL or CSV.
pub(crate) fn yaml_file(file: &str) -> String {
    format!("{}.yml", file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}

fn collect_embedded(dir: &Dir<'_>, files: &mut Files) {
    for file in dir.files() {
        let text = file.contents_utf8().expect("the project's own models are UTF-8");
        files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
    }
    for inner in dir.dirs() {
        collect_embedded(inner, files);
    }
}

fn collect_folder(root: &Path, dir: &Path, files: &mut Files) -> Result<()> {
    let read_error = |path: &Path| {
        let path = path.display().to_string();
        move |source| Error::Read { path, source }
    };
    for entry in fs::read_dir(dir).map_err(read_error(dir))? {
        let path = entry.map_err(read_error(dir))?.path();
        if path.is_dir() {
            collect_folder(root, &path, files)?;
        } else if path.extension().is_some_and(|ending| ["sql", "yml", "csv"].iter().any(|known| ending == *known)) {
            let text = fs::read_to_string(&path).map_err(read_error(&path))?;
            let name = path.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
            files.insert(name, text);
        }
    }
    Ok(())
}
