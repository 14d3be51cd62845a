//! A record in the making: its nodes are noted while its text is written, so that nobody has to parse it.

use std::ops::Range;
use std::str::Utf8Error;

use super::member::fingerprint;
use super::{Element, Kind, Node, Tape};

/// The nodes of a record whose text is being written. Places are offsets in that text.
#[derive(Default)]
pub struct Notes {
    tape: Tape,
    /// The objects and arrays that are not closed yet.
    open: Vec<u32>,
    /// Strings that have escapes in the text, without them.
    unescaped: String,
    /// Their nodes.
    escaped: Vec<u32>,
}

impl Notes {
    /// Starts the next record.
    pub fn begin(&mut self) {
        self.tape.nodes.clear();
        self.tape.index.clear();
        self.open.clear();
        self.unescaped.clear();
        self.escaped.clear();
    }

    /// An object or array opens.
    pub fn open(&mut self, kind: Kind, at: usize) {
        self.open.push(self.tape.nodes.len() as u32);
        self.push(kind, at..at);
    }

    /// The innermost object or array is closed; `end` is behind its bracket.
    pub fn close(&mut self, end: usize) {
        let Some(index) = self.open.pop() else { return };
        let next = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[index as usize];
        node.end = end as u32;
        node.next = next;
    }

    /// The name of a member, without escapes; its value follows.
    pub fn name(&mut self, start: usize, name: &str) {
        let (key, fingerprint) = (self.tape.nodes.len(), fingerprint(name.as_bytes()));
        self.push(Kind::String, start..start + name.len());
        self.tape.nodes[key].next = fingerprint;
        if self.open.len() == 1 {
            self.tape.index.add(fingerprint, key);
        }
    }

    /// A number, a truth, or a string without escapes; of a string the place between the quotes.
    pub fn value(&mut self, kind: Kind, place: Range<usize>) {
        self.push(kind, place);
    }

    /// A string that has escapes in the text.
    pub fn escaped(&mut self, value: &str) {
        self.escaped.push(self.tape.nodes.len() as u32);
        let start = self.unescaped.len();
        self.unescaped.push_str(value);
        self.push(Kind::Escaped, start..self.unescaped.len());
    }

    /// The record, now that its text is written.
    ///
    /// # Errors
    /// The text is not UTF-8.
    pub fn finish(&mut self, text: &[u8]) -> Result<Element<'_>, Utf8Error> {
        let Notes { tape, unescaped, escaped, .. } = self;
        tape.text.clear();
        tape.text.push_str(std::str::from_utf8(text)?);
        for index in escaped.drain(..) {
            let node = &mut tape.nodes[index as usize];
            node.start += text.len() as u32;
            node.end += text.len() as u32;
        }
        tape.text.push_str(unescaped);
        Ok(Element { tape, index: 0 })
    }

    fn push(&mut self, kind: Kind, place: Range<usize>) {
        let next = self.tape.nodes.len() as u32 + 1;
        self.tape.nodes.push(Node { start: place.start as u32, end: place.end as u32, next, kind });
    }
}
