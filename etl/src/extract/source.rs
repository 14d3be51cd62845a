//! From what the user names (files, folders, patterns, standard input) to the files to read.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::conversion::{Conversion, Mapping};
use crate::error::{Error, Result};

/// Files that accompany a bulk export and hold no resources.
const COMPANIONS: [&str; 3] = ["manifest.json", "log.ndjson", "log.ndjson.gz"];

/// How a file's records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One record per line.
    Ndjson,
    /// One resource or Bundle, over any number of lines.
    Json,
    /// Rows that a mapping turns into resources.
    Csv,
}

/// One file to read.
#[derive(Debug)]
pub struct InputFile {
    /// As it is shown to the user; `-` is standard input.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How its records are laid out.
    pub layout: Layout,
    /// Bytes on disk.
    pub size_bytes: u64,
    /// The delimiter of rows and what they become.
    pub conversion: Option<(u8, Conversion)>,
}

/// The files to read, in the order in which versions of one resource follow each other.
#[derive(Debug, Default)]
pub struct Sources {
    /// The files.
    pub files: Vec<InputFile>,
    /// Files in folders that hold no resources, as far as their names tell.
    pub skipped: Vec<String>,
    /// A hash of the mapping of rows; 0 without.
    pub mapping_hash: u64,
    spool: Option<NamedTempFile>,
}

impl Sources {
    /// Finds the files.
    ///
    /// # Errors
    /// A source does not exist, cannot be read or is no FHIR file.
    pub fn find(sources: &[String]) -> Result<Sources> {
        let mut found = Sources::default();
        for source in sources {
            found.add(source)?;
        }
        if found.files.is_empty() {
            return Err(Error::NothingToRead { sources: sources.join(", ") });
        }
        Ok(found)
    }

    /// Finds the files that a mapping takes, in a folder.
    ///
    /// # Errors
    /// None is there, or the mapping does not fit one of them.
    pub fn rows(folder: &str, mapping: &Mapping) -> Result<Sources> {
        let mut found = Sources { mapping_hash: mapping.hash(), ..Sources::default() };
        let failed = |source| Error::Read { path: folder.into(), source };
        if !Path::new(folder).exists() {
            return Err(Error::NoSuchSource { name: folder.to_owned() });
        }
        let entries = fs::read_dir(folder).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            let Some(file) = mapping.files().into_iter().find(|file| file.to_lowercase() == name) else {
                found.skipped.push(path.display().to_string());
                continue;
            };
            let failed = |source| Error::Read { path: path.clone(), source };
            let header =
                super::csv::header(super::open(&path, None).map_err(failed)?, mapping.delimiter()).map_err(failed)?;
            let conversion = mapping.fit(file, &header)?;
            found.add_file(&path, Layout::Csv)?;
            if let Some(file) = found.files.last_mut() {
                file.conversion = Some((mapping.delimiter(), conversion));
            }
        }
        if found.files.is_empty() {
            let sources = format!("`{folder}` that the mapping takes: {}", mapping.files().join(", "));
            return Err(Error::NoRows { sources });
        }
        Ok(found)
    }

    /// Takes lines that the program wrote itself, under a name of their own.
    pub fn spooled(name: &str, spool: NamedTempFile) -> Result<Sources> {
        let mut found = Sources::default();
        found.add_file(spool.path(), Layout::Ndjson)?;
        if let Some(file) = found.files.last_mut() {
            file.name = name.to_owned();
        }
        found.spool = Some(spool);
        Ok(found)
    }

    /// The sum of all files.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    fn add(&mut self, source: &str) -> Result<()> {
        if source == "-" {
            return self.add_stdin();
        }
        let path = Path::new(source);
        if path.is_dir() {
            self.add_folder(path)
        } else if path.exists() {
            let layout = layout(path).ok_or_else(|| Error::UnknownFormat { name: source.to_owned() })?;
            self.add_file(path, layout)
        } else if source.contains(['*', '?', '[']) {
            self.add_pattern(source)
        } else {
            Err(Error::NoSuchSource { name: source.to_owned() })
        }
    }

    fn add_file(&mut self, path: &Path, layout: Layout) -> Result<()> {
        let size_bytes = fs::metadata(path).map_err(|source| Error::Read { path: path.to_owned(), source })?.len();
        if self.files.iter().all(|file| file.path != path) {
            self.files.push(InputFile {
                name: path.display().to_string(),
                path: path.to_owned(),
                layout,
                size_bytes,
                conversion: None,
            });
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> Result<()> {
        let failed = |source| Error::Read { path: folder.to_owned(), source };
        let entries = fs::read_dir(folder).map_err(failed)?.collect::<io::Result<Vec<_>>>().map_err(failed)?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if let Some(layout) = layout(&path).filter(|_| !COMPANIONS.contains(&name.as_str())) {
                self.add_file(&path, layout)?;
            } else {
                self.skipped.push(path.display().to_string());
            }
        }
        Ok(())
    }

    fn add_pattern(&mut self, pattern: &str) -> Result<()> {
        let problem = |problem: String| Error::Pattern { pattern: pattern.to_owned(), problem };
        let paths = glob::glob(pattern).map_err(|error| problem(error.msg.to_owned()))?;
        let mut count = 0;
        for path in paths {
            let path = path.map_err(|error| Error::Read { path: error.path().to_owned(), source: error.into() })?;
            count += 1;
            if path.is_dir() {
                self.add_folder(&path)?;
            } else if let Some(layout) = layout(&path) {
                self.add_file(&path, layout)?;
            } else {
                self.skipped.push(path.display().to_string());
            }
        }
        if count == 0 { Err(problem("matches nothing".into())) } else { Ok(()) }
    }

    /// Standard input is read twice, so it is spooled; a temporary file needs no memory.
    fn add_stdin(&mut self) -> Result<()> {
        let failed = |source| Error::Read { path: "-".into(), source };
        let mut spool = NamedTempFile::new().map_err(failed)?;
        let size_bytes = io::copy(&mut io::stdin().lock(), &mut spool).map_err(failed)?;
        spool.flush().map_err(failed)?;
        let path = spool.path().to_owned();
        let layout = if starts_with_a_whole_line(&path).map_err(failed)? { Layout::Ndjson } else { Layout::Json };
        self.files.push(InputFile { name: "-".into(), path, layout, size_bytes, conversion: None });
        self.spool = Some(spool);
        Ok(())
    }
}

fn layout(path: &Path) -> Option<Layout> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name.ends_with(".ndjson") || name.ends_with(".jsonl") {
        Some(Layout::Ndjson)
    } else if name.ends_with(".json") {
        Some(Layout::Json)
    } else {
        None
    }
}

/// True when the first line that is not blank is an object of its own.
fn starts_with_a_whole_line(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    super::open(path, None)?.take(1 << 20).read_to_end(&mut head)?;
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    Ok(is_lines(text))
}

/// True when an object ends on the line on which it starts, and something may follow.
pub fn is_lines(text: &[u8]) -> bool {
    let start = crate::skim::space(text, 0);
    let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end);
    let line = &text[start..end];
    crate::skim::members(line, 0, |_, at| crate::skim::value(line, at))
        .is_some_and(|behind| line[behind..].trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_layout() {
        for (name, expected) in [
            ("Patient.ndjson", Some(Layout::Ndjson)),
            ("Patient.000.ndjson.gz", Some(Layout::Ndjson)),
            ("bundle.JSON", Some(Layout::Json)),
            ("bundle.json.gz", Some(Layout::Json)),
            ("bundles.tar.gz", None),
            ("PROVENANCE.md", None),
        ] {
            assert_eq!(layout(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_folder_gives_its_files_in_order_and_lists_the_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["b/c.json", "a.ndjson", "log.ndjson", "manifest.json", "x.md"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let found = Sources::find(&[folder.path().display().to_string()]).unwrap();
        let names: Vec<_> = found.files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.ndjson", "c.json"]);
        assert_eq!(found.skipped.len(), 3);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let find = |name: &str| Sources::find(&[name.to_owned()]).unwrap_err().to_string();
        assert_eq!(find("/no/such"), "no such file or folder `/no/such`");
        assert_eq!(find("/no/such/*.ndjson"), "pattern `/no/such/*.ndjson` matches nothing");
        assert!(find(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).contains("is not FHIR in JSON"));
        assert!(find(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).starts_with("no FHIR file in"));
    }

    #[test]
    fn lines_are_told_from_one_document() {
        assert!(is_lines(b"\n{\"a\":1}\n{\"b\":2}"));
        assert!(!is_lines(b"{\n\"a\":1}\n"));
        assert!(!is_lines(b""));
    }
}
