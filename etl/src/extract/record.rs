//! The records of a block: lines, one resource, or entries of Bundles, wherever these stand. Both passes over the
//! input go through [`for_each`], so they agree on what a record is and where it stands.

use std::ops::Range;

use super::bundle::{Bundle, Head, identity};
use super::{Block, Content, MAX_RECORD_BYTES, Unreadable};

/// Bundles may stand this deep inside each other.
const MAX_BUNDLE_DEPTH: usize = 8;

/// Where a record stands, in the order of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Index of the file.
    pub file: u32,
    /// The line, or 1 in a file that is one document.
    pub line: u64,
    /// The entry of a Bundle, from 1; 0 for what is no entry.
    pub entry: u32,
}

/// One record.
pub struct Record<'b> {
    /// Where it stands.
    pub position: Position,
    /// The line or entry that the user is told.
    pub line: u64,
    /// Its JSON; none for a deletion.
    pub text: &'b [u8],
    /// The Bundle that it is an entry of.
    pub bundle: Option<&'b Bundle>,
    /// Its name in that Bundle.
    pub full_url: Option<&'b str>,
    /// `Type/id` of the resource that is deleted.
    pub deletes: Option<&'b str>,
    /// When the entry was made, for deletions.
    pub last_modified: Option<&'b str>,
}

impl<'b> Record<'b> {
    /// What it says about itself, without parsing it; the id is the one that the Bundle gives it where it has none.
    pub fn head(&self) -> Head<'b> {
        let head = Head::of(self.text, 0..self.text.len());
        Head { id: head.id.or_else(|| self.full_url.and_then(identity)), ..head }
    }
}

/// What a block holds.
pub enum Item<'b> {
    /// A resource or a deletion.
    Record(Record<'b>),
    /// A Bundle, whose entries follow.
    Bundle {
        /// The line or entry that the user is told.
        line: u64,
        /// The Bundle's own id.
        id: Option<&'b str>,
        /// How many entries it has.
        entry_count: usize,
    },
    /// Something that cannot be read.
    Unreadable(Unreadable),
}

/// Calls `visit` with everything that the block holds, in order.
pub fn for_each(block: &Block, visit: &mut dyn FnMut(Item<'_>)) {
    let bytes = block.bytes.as_slice();
    let mut walk = Walk { file: block.file, line: 1, entry: 0, told: None, visit };
    match &block.content {
        Content::Unreadable(what) => (walk.visit)(Item::Unreadable(what.clone())),
        Content::Rows(rows) => {
            for row in rows {
                walk.line = row.line;
                walk.entry = row.entry;
                match &row.content {
                    Ok(place) => walk.record(bytes, place.clone()),
                    Err(what) => (walk.visit)(Item::Unreadable(what.as_ref().clone())),
                }
            }
        }
        Content::Resource => walk.record(bytes, 0..bytes.len()),
        Content::Lines { first } => {
            walk.line = *first;
            let mut start = 0;
            while start < bytes.len() {
                let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
                if !bytes[start..end].trim_ascii().is_empty() {
                    walk.entry = 0;
                    walk.record(bytes, start..end);
                }
                walk.line += 1;
                start = end + 1;
            }
        }
        Content::Entries { bundle, range } => {
            if range.start == 0 {
                let id = Head::of(bytes, 0..bytes.len()).id;
                (walk.visit)(Item::Bundle { line: 1, id, entry_count: bundle.entries.len() });
            }
            for index in range.clone() {
                walk.told = Some(index as u64 + 1);
                walk.entry = index as u32;
                walk.bundle_entry(bytes, bundle, index, 1);
            }
        }
    }
}

struct Walk<'w> {
    file: u32,
    line: u64,
    entry: u32,
    told: Option<u64>,
    visit: &'w mut dyn FnMut(Item<'_>),
}

impl Walk<'_> {
    fn told(&self) -> u64 {
        self.told.unwrap_or(self.line)
    }

    fn unreadable(&mut self, line: u64, reason: &'static str, detail: String) {
        (self.visit)(Item::Unreadable(Unreadable { line, resource_type: String::new(), field: None, reason, detail }));
    }

    fn record(&mut self, bytes: &[u8], place: Range<usize>) {
        if Bundle::is(&bytes[place.clone()]) {
            let id = Head::of(bytes, place.clone()).id;
            return self.open_bundle(bytes, place, id, 0);
        }
        let position = Position { file: self.file, line: self.line, entry: self.entry };
        let record = Record {
            position,
            line: self.told(),
            text: &bytes[place],
            bundle: None,
            full_url: None,
            deletes: None,
            last_modified: None,
        };
        self.send(record);
    }

    fn send(&mut self, record: Record<'_>) {
        if record.text.len() > MAX_RECORD_BYTES {
            let detail = format!("expected a record of at most {} MiB", MAX_RECORD_BYTES >> 20);
            self.unreadable(record.line, "record_too_large", detail);
        } else {
            (self.visit)(Item::Record(record));
        }
    }

    fn open_bundle(&mut self, bytes: &[u8], place: Range<usize>, id: Option<&str>, depth: usize) {
        let line = self.told();
        if depth == MAX_BUNDLE_DEPTH {
            let detail = format!("expected at most {MAX_BUNDLE_DEPTH} Bundles inside each other");
            return self.unreadable(line, "nested_too_deep", detail);
        }
        let (bundle, whole) = Bundle::open(bytes, place);
        (self.visit)(Item::Bundle { line, id, entry_count: bundle.entries.len() });
        for index in 0..bundle.entries.len() {
            self.bundle_entry(bytes, &bundle, index, depth + 1);
        }
        if !whole {
            let detail = format!("expected entry {} or the end of the Bundle, found neither", bundle.entries.len() + 1);
            self.unreadable(line, "invalid_json", detail);
        }
    }

    fn bundle_entry(&mut self, bytes: &[u8], bundle: &Bundle, index: usize, depth: usize) {
        let entry = &bundle.entries[index];
        self.entry += 1;
        // A history tells the newest first: turned round, so that the last of the input is the newest.
        let order = if bundle.is_history { u32::MAX - self.entry } else { self.entry };
        let position = Position { file: self.file, line: self.line, entry: order };
        let record = |text| Record {
            position,
            line: self.told(),
            text,
            bundle: Some(bundle),
            full_url: entry.full_url.as_deref(),
            deletes: entry.deletes.as_deref(),
            last_modified: entry.last_modified.as_deref(),
        };
        match &entry.resource {
            _ if entry.deletes.is_some() => {
                let record = record(&[]);
                self.send(record);
            }
            Some(place) if Bundle::is(&bytes[place.clone()]) => {
                let id = Head::of(bytes, place.clone()).id;
                self.open_bundle(bytes, place.clone(), id, depth);
            }
            Some(place) => {
                let record = record(&bytes[place.clone()]);
                self.send(record);
            }
            // A search result's outcome, a GET of a batch, an empty response: nothing to take.
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn told(content: Content, text: &str) -> Vec<String> {
        let block = Block { file: 0, bytes: Arc::new(text.as_bytes().to_vec()), content };
        let mut told = Vec::new();
        for_each(&block, &mut |item| {
            told.push(match item {
                Item::Record(record) => match record.deletes {
                    Some(deleted) => format!("{} delete {deleted}", record.line),
                    None => format!("{} {:?} {:?}", record.line, record.head().resource_type, record.head().id),
                },
                Item::Bundle { line, entry_count, .. } => format!("{line} Bundle of {entry_count}"),
                Item::Unreadable(what) => format!("{} {}", what.line, what.reason),
            });
        });
        told
    }

    #[test]
    fn lines_may_be_bundles_and_blank_ones_count() {
        let text = concat!(
            "{\"resourceType\":\"Patient\",\"id\":\"a\"}\r\n\n",
            "{\"resourceType\":\"Bundle\",\"entry\":[{\"fullUrl\":\"urn:uuid:b\",\"resource\":{\"resourceType\":\"Device\"}},",
            "{\"request\":{\"method\":\"DELETE\",\"url\":\"Patient/x\"}}]}\nbroken"
        );
        assert_eq!(
            told(Content::Lines { first: 5 }, text),
            [
                "5 Some(\"Patient\") Some(\"a\")",
                "7 Bundle of 2",
                "7 Some(\"Device\") Some(\"b\")",
                "7 delete Patient/x",
                "8 None None"
            ]
        );
    }

    #[test]
    fn bundles_in_bundles_have_a_limit() {
        let mut text = String::from(r#"{"resourceType":"Patient"}"#);
        for _ in 0..20 {
            text = format!(r#"{{"resourceType":"Bundle","entry":[{{"resource":{text}}}]}}"#);
        }
        assert_eq!(told(Content::Resource, &text).last().map(String::as_str), Some("1 nested_too_deep"));
    }
}
