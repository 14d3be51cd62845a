//! Doors for the programs in `fuzz/`: what this crate reads of others, from bytes, without a lake. No part of the
//! library's face; what goes through them is thrown away.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use model::document::{Element, Resource, Tape};

use crate::account::Account;
use crate::extract;
use crate::extract::record::{self, Item};
use crate::extract::source::{InputFile, Layout};
use crate::reference::{Directory, References};
use crate::view::path::Scope;
use crate::view::{Provenance, Rows, Version, View};

pub use crate::vocabulary::fuzz::{open_index, read_local_map, read_table};

/// True for the text of one record: JSON as strictly as the reader takes it.
pub fn is_record(text: &str) -> bool {
    let mut tape = Tape::default();
    let Ok(element) = tape.parse(text) else { return false };
    visit(element);
    assert_eq!(element.content_hash(), element.content_hash());
    true
}

/// Reads a file of lines and the same bytes as one document, and calls `each` with every record's text.
pub fn read_records(bytes: &[u8], mut each: impl FnMut(&[u8])) {
    with_file(bytes, |path| {
        for layout in [Layout::Ndjson, Layout::Json] {
            let file = InputFile {
                name: "input".to_owned(),
                path: path.to_owned(),
                layout,
                size_bytes: bytes.len() as u64,
                conversion: None,
            };
            let read = extract::read(&file, 0, &AtomicU64::new(0), &extract::Spare::default(), &mut |block| {
                record::for_each(&block, &mut |item| {
                    if let Item::Record(record) = item {
                        _ = record.head();
                        each(record.text);
                    }
                });
                true
            });
            assert!(read.is_ok(), "damaged content is no error: {read:?}");
        }
    });
}

/// Compiles a ViewDefinition and runs it over records of any resource type: how many rows it makes.
///
/// # Errors
/// What is wrong with the definition.
pub fn run_view<'r>(definition: &str, records: impl Iterator<Item = &'r str>) -> Result<usize, String> {
    let view = View::compile(definition)?;
    let mut rows = Rows::new(view.into());
    let (mut tape, directory) = (Tape::default(), Directory::default());
    let version = Version { resource_key: 0, version_id: None, last_updated: None, content_hash: 0, mapping_hash: 0 };
    for record in records {
        let Ok(element) = tape.parse(record) else { continue };
        let references = References::new(&directory, "", None, None);
        let id = element.get("id").and_then(|id| id.as_str()).unwrap_or_default();
        let resource = Resource { resource_type: "", id, element };
        rows.append(&resource, Scope { id, references: &references }, &version);
        rows.take_faults(&mut Account::default());
    }
    let provenance = Provenance { source_id: "", run_id: "", persisted_at: 0 };
    rows.finish(&provenance).map(|batch| batch.num_rows()).map_err(|error| error.to_string())
}

/// Asks everything that may be asked of an element.
fn visit(element: Element<'_>) {
    _ = (element.as_str(), element.as_number(), element.as_bool(), element.text());
    _ = element.read::<model::fhir::Observation<'_>>();
    for (name, value) in element.members() {
        assert!(element.get(name).is_some_and(|found| found.is(&value)), "no member is named twice");
        visit(value);
    }
    element.items().for_each(visit);
}

/// Puts bytes into a file for as long as `read` takes.
pub(crate) fn with_file(bytes: &[u8], read: impl FnOnce(&Path)) {
    let file = tempfile::NamedTempFile::new().and_then(|mut file| file.write_all(bytes).map(|()| file));
    match file {
        Ok(file) => read(file.path()),
        Err(error) => panic!("no temporary file: {error}"),
    }
}
