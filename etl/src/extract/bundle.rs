//! Bundles: where their entries stand, what each asks for, and which resource each `fullUrl` names.

use std::collections::HashMap;
use std::ops::Range;

use crate::literal_reference::type_and_id;
use crate::skim;

/// A Bundle, opened: its entries and the names by which they refer to each other.
#[derive(Default)]
pub struct Bundle {
    /// The entries, in the order of the Bundle.
    pub entries: Vec<Entry>,
    /// A history: newest first.
    pub is_history: bool,
    names: HashMap<Box<str>, Box<str>>,
}

/// One entry of a [`Bundle`].
#[derive(Default)]
pub struct Entry {
    /// Where the resource stands; absent in a deletion.
    pub resource: Option<Range<usize>>,
    /// The entry's own name.
    pub full_url: Option<Box<str>>,
    /// `Type/id` of the resource to delete.
    pub deletes: Option<Box<str>>,
    /// `response.lastModified`, the time of a deletion in a history.
    pub last_modified: Option<Box<str>>,
}

/// What a resource says about itself at its outermost level.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'b> {
    /// `resourceType`
    pub resource_type: Option<&'b str>,
    /// `id`
    pub id: Option<&'b str>,
    /// `meta.lastUpdated`
    pub last_updated: Option<&'b str>,
    /// `meta.versionId`
    pub version_id: Option<&'b str>,
}

impl<'b> Head<'b> {
    /// Reads the head of the record at `place`.
    pub fn of(bytes: &'b [u8], place: Range<usize>) -> Head<'b> {
        let text = &bytes[place];
        let mut head = Head::default();
        let end = skim::members(text, 0, |name, start| {
            let end = skim::value(text, start)?;
            match name {
                b"resourceType" => head.resource_type = skim::plain_string(text, start..end),
                b"id" => head.id = skim::plain_string(text, start..end),
                b"meta" => {
                    skim::members(text, start, |name, start| {
                        let end = skim::value(text, start)?;
                        match name {
                            b"lastUpdated" => head.last_updated = skim::plain_string(text, start..end),
                            b"versionId" => head.version_id = skim::plain_string(text, start..end),
                            _ => {}
                        }
                        Some(end)
                    });
                }
                _ => {}
            }
            Some(end)
        });
        // What is broken must not stand in the way of a sound version.
        if end.is_some_and(|end| skim::space(text, end) == text.len()) { head } else { Head::default() }
    }
}

impl Bundle {
    /// True when the text starts an object that says it is a Bundle, even if it breaks off later.
    pub fn is(text: &[u8]) -> bool {
        let mut is_bundle = false;
        skim::members(text, 0, |name, start| {
            let end = skim::value(text, start)?;
            if name == b"resourceType" {
                is_bundle = skim::plain_string(text, start..end) == Some("Bundle");
                return None;
            }
            Some(end)
        });
        is_bundle
    }

    /// Finds the entries of the Bundle at `place`; false when the Bundle breaks off behind them.
    pub fn open(bytes: &[u8], place: Range<usize>) -> (Bundle, bool) {
        let mut bundle = Bundle::default();
        let text = &bytes[..place.end];
        let end = skim::members(text, place.start, |name, start| match name {
            b"entry" => {
                // Not `value` first: entries in front of a break are still good.
                skim::items(text, start, |place| bundle.entries.push(Entry::read(text, place)))
            }
            b"type" => {
                let end = skim::value(text, start)?;
                bundle.is_history = skim::plain_string(text, start..end) == Some("history");
                Some(end)
            }
            _ => skim::value(text, start),
        });
        for entry in &bundle.entries {
            if let (Some(url), Some(place)) = (&entry.full_url, &entry.resource) {
                let head = Head::of(text, place.clone());
                let id = head.id.or_else(|| identity(url));
                if let (Some(resource_type), Some(id)) = (head.resource_type, id) {
                    bundle.names.insert(url.clone(), format!("{resource_type}/{id}").into());
                }
            }
        }
        let whole = end.is_some_and(|end| skim::space(text, end) == text.len());
        (bundle, whole)
    }

    /// `Type/id` of the entry with that name.
    pub fn resolve(&self, full_url: &str) -> Option<&str> {
        self.names.get(full_url).map(AsRef::as_ref)
    }
}

/// The logical id that a `fullUrl` gives to a resource that has none.
pub fn identity(full_url: &str) -> Option<&str> {
    let id = full_url.strip_prefix("urn:uuid:").or_else(|| full_url.strip_prefix("urn:oid:"));
    id.or_else(|| full_url.rsplit_once('/').map(|(_, id)| id)).filter(|id| !id.is_empty())
}

impl Entry {
    fn read(text: &[u8], place: Range<usize>) -> Entry {
        let text = &text[..place.end];
        let mut entry = Entry::default();
        let (mut method, mut url) = (None, None);
        skim::members(text, place.start, |name, start| {
            let end = skim::value(text, start)?;
            match name {
                b"fullUrl" => entry.full_url = skim::plain_string(text, start..end).map(Into::into),
                b"resource" => entry.resource = Some(start..end),
                b"request" => {
                    skim::members(text, start, |name, start| {
                        let end = skim::value(text, start)?;
                        match name {
                            b"method" => method = skim::plain_string(text, start..end),
                            b"url" => url = skim::plain_string(text, start..end),
                            _ => {}
                        }
                        Some(end)
                    });
                }
                b"response" => {
                    skim::members(text, start, |name, start| {
                        let end = skim::value(text, start)?;
                        if name == b"lastModified" {
                            entry.last_modified = skim::plain_string(text, start..end).map(Into::into);
                        }
                        Some(end)
                    });
                }
                _ => {}
            }
            Some(end)
        });
        if method == Some("DELETE") {
            entry.deletes = url.or(entry.full_url.as_deref()).and_then(type_and_id).map(Into::into);
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient","id":"p"},"request":{"method":"POST","url":"Patient"}},
        {"fullUrl":"urn:uuid:b","resource":{"resourceType":"Encounter"}},
        {"request":{"method":"DELETE","url":"Condition/c/_history/2"},"response":{"lastModified":"2024-01-01T00:00:00Z"}}]}"#;

    #[test]
    fn entries_names_and_deletions_are_found() {
        assert!(Bundle::is(BUNDLE.as_bytes()));
        let (bundle, whole) = Bundle::open(BUNDLE.as_bytes(), 0..BUNDLE.len());
        assert!(whole);
        assert_eq!(bundle.entries.len(), 3);
        assert_eq!(bundle.resolve("urn:uuid:a"), Some("Patient/p"));
        assert_eq!(bundle.resolve("urn:uuid:b"), Some("Encounter/b"));
        assert_eq!(bundle.entries[2].deletes.as_deref(), Some("Condition/c"));
        assert_eq!(bundle.entries[2].last_modified.as_deref(), Some("2024-01-01T00:00:00Z"));
    }

    #[test]
    fn entries_in_front_of_a_break_are_kept() {
        let cut = BUNDLE.find("{\"request\":{\"method\":\"DELETE").unwrap() + 20;
        let (bundle, whole) = Bundle::open(&BUNDLE.as_bytes()[..cut], 0..cut);
        assert!(!whole);
        assert_eq!(bundle.entries.len(), 2);
    }

    #[test]
    fn the_head_is_read_wherever_it_stands() {
        let text =
            br#"{"id":"1","meta":{"profile":["x"],"versionId":"2","lastUpdated":"2024"},"resourceType":"Claim"}"#;
        let head = Head::of(text, 0..text.len());
        assert_eq!((head.resource_type, head.id), (Some("Claim"), Some("1")));
        assert_eq!((head.version_id, head.last_updated), (Some("2"), Some("2024")));
    }
}
