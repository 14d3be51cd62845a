//! Writes JSON bytes directly: keys in the order in which they are written, commas where they belong. Where nobody wants
//! the text, what is written is noted besides, and is a parsed record at its end.

use std::ops::Range;

use model::document::{Element, Kind, Notes, plain};

/// One JSON text in the making.
#[derive(Default)]
pub struct Json {
    out: Vec<u8>,
    /// The next key or item is the first of its object or array.
    first: bool,
    notes: Option<Notes>,
}

impl Json {
    /// Notes what it writes, for [`finish_element`](Self::finish_element).
    pub fn with_notes() -> Json {
        Json { notes: Some(Notes::default()), ..Json::default() }
    }

    /// Starts a resource: an object with its type and id.
    pub fn resource(&mut self, resource_type: &str, id: Option<uuid::Uuid>) {
        self.out.clear();
        if let Some(notes) = &mut self.notes {
            notes.begin();
        }
        self.open(b'{');
        self.plain("resourceType", |out| out.extend_from_slice(resource_type.as_bytes()));
        if let Some(id) = id {
            self.plain("id", |out| write_uuid(id, out));
        }
    }

    /// Ends the resource; none where nothing was noted, or where its text is not UTF-8.
    pub fn finish_element(&mut self) -> Option<Element<'_>> {
        self.close(b'}');
        self.notes.as_mut()?.finish(&self.out).ok()
    }

    /// Ends the resource and its line, or cuts it in the middle, and hands it to `out`.
    pub fn finish(&mut self, is_truncated: bool, out: &mut Vec<u8>) {
        if is_truncated {
            let mut middle = self.out.len() / 2;
            while self.out[middle] & 0b1100_0000 == 0b1000_0000 {
                middle -= 1;
            }
            self.out.truncate(middle);
        } else {
            self.out.push(b'}');
        }
        self.out.push(b'\n');
        out.extend_from_slice(&self.out);
    }

    /// A key; a value must follow.
    pub fn key(&mut self, key: &str) {
        self.comma();
        self.out.push(b'"');
        if let Some(notes) = &mut self.notes {
            notes.name(self.out.len(), key);
        }
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Starts an object as value of a key.
    pub fn object(&mut self, key: &str) {
        self.key(key);
        self.open(b'{');
    }

    /// Starts an object as item of an array.
    pub fn item(&mut self) {
        self.comma();
        self.open(b'{');
    }

    /// Ends an object.
    pub fn end(&mut self) {
        self.close(b'}');
    }

    /// Starts an array.
    pub fn array(&mut self, key: &str) {
        self.key(key);
        self.open(b'[');
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        self.close(b']');
    }

    /// A key with a text.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
    }

    /// A text as item of an array.
    pub fn text_item(&mut self, value: &str) {
        self.comma();
        self.string(value);
    }

    /// A key with a number, as short as it can be read back.
    pub fn number(&mut self, key: &str, value: f64) {
        self.key(key);
        self.bare(Kind::Number, |out| write_number(value, out));
    }

    /// A key with a whole number.
    pub fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        self.bare(Kind::Number, |out| out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()));
    }

    /// A key with true or false.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        match value {
            true => self.bare(Kind::True, |out| out.extend_from_slice(b"true")),
            false => self.bare(Kind::False, |out| out.extend_from_slice(b"false")),
        }
    }

    /// A key with a text that is written by `write` and needs no escapes.
    pub fn plain(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        self.bare(Kind::String, write);
        self.out.push(b'"');
    }

    /// A key with a reference to a resource.
    pub fn reference(&mut self, key: &str, resource_type: &str, id: uuid::Uuid) {
        self.key(key);
        self.open(b'{');
        self.reference_field(resource_type, id);
        self.end();
    }

    /// A reference as item of an array.
    pub fn reference_item(&mut self, resource_type: &str, id: uuid::Uuid) {
        self.item();
        self.reference_field(resource_type, id);
        self.end();
    }

    fn reference_field(&mut self, resource_type: &str, id: uuid::Uuid) {
        self.plain("reference", |out| {
            out.extend_from_slice(resource_type.as_bytes());
            out.push(b'/');
            write_uuid(id, out);
        });
    }

    /// A value as it stands in the text, of a string what stands between the quotes.
    fn bare(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.out.len();
        write(&mut self.out);
        self.note(kind, start..self.out.len());
    }

    fn note(&mut self, kind: Kind, place: Range<usize>) {
        if let Some(notes) = &mut self.notes {
            notes.value(kind, place);
        }
    }

    fn string(&mut self, value: &str) {
        self.out.push(b'"');
        let start = self.out.len();
        let mut rest = value.as_bytes();
        // Nearly every text is written in one piece.
        loop {
            let place = plain(rest, 0);
            let Some(byte) = rest.get(place) else { break };
            self.out.extend_from_slice(&rest[..place]);
            self.escape(*byte);
            rest = &rest[place + 1..];
        }
        self.out.extend_from_slice(rest);
        match &mut self.notes {
            Some(notes) if rest.len() < value.len() => notes.escaped(value),
            _ => self.note(Kind::String, start..self.out.len()),
        }
        self.out.push(b'"');
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
            b'\n' => self.out.extend_from_slice(b"\\n"),
            b'\r' => self.out.extend_from_slice(b"\\r"),
            b'\t' => self.out.extend_from_slice(b"\\t"),
            _ => {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                self.out.extend_from_slice(b"\\u00");
                self.out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    fn open(&mut self, bracket: u8) {
        if let Some(notes) = &mut self.notes {
            notes.open(if bracket == b'{' { Kind::Object } else { Kind::Array }, self.out.len());
        }
        self.out.push(bracket);
        self.first = true;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.first = false;
        if let Some(notes) = &mut self.notes {
            notes.close(self.out.len());
        }
    }
}

fn write_uuid(id: uuid::Uuid, out: &mut Vec<u8>) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
}

/// Appends a number: whole numbers without a point, others as short as they can be read back.
pub fn write_number(value: f64, out: &mut Vec<u8>) {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(json: &mut Json) {
        json.resource("Test", Some(uuid::Uuid::nil()));
        json.text("text", "a \"quoted\" \\ line\n\u{1} ü");
        json.array("empty");
        json.end_array();
        json.array("items");
        json.text_item("x");
        json.item();
        json.number("whole", 120.0);
        json.number("decimal", 0.1);
        json.end();
        json.reference_item("Patient", uuid::Uuid::nil());
        json.end_array();
        json.object("object");
        json.end();
        json.flag("flag", true);
        json.integer("integer", -3);
    }

    #[test]
    fn everything_is_valid_json() {
        let mut json = Json::default();
        write(&mut json);
        let mut out = Vec::new();
        json.finish(false, &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["text"], "a \"quoted\" \\ line\n\u{1} ü");
        assert_eq!(value["items"][1]["whole"], 120);
        assert_eq!(value["items"][1]["decimal"], 0.1);
        assert_eq!(value["flag"], true);
        assert!(out.ends_with(b"}\n"));
    }

    /// All that a record tells of itself.
    fn told(element: Element<'_>, out: &mut Vec<String>) {
        out.push(format!("{:?} {:?} {} {}", element.kind(), element.as_str(), element.position(), element.text()));
        for (name, value) in element.members() {
            assert!(element.get(name).is_some_and(|found| found.is(&value)), "{name}");
            out.push(name.to_owned());
            told(value, out);
        }
        element.items().for_each(|item| told(item, out));
    }

    #[test]
    fn what_is_noted_is_what_a_parser_finds_in_the_text() {
        let (mut text, mut noted) = (Json::default(), Json::with_notes());
        // The second record is not mixed up with the first.
        for _ in 0..2 {
            let mut line = Vec::new();
            write(&mut text);
            text.finish(false, &mut line);
            write(&mut noted);
            let mut tape = model::document::Tape::default();
            let parsed = tape.parse(std::str::from_utf8(&line).unwrap()).unwrap();
            let element = noted.finish_element().unwrap();
            assert_eq!(element.content_hash(), parsed.content_hash());
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            told(parsed, &mut expected);
            told(element, &mut found);
            assert_eq!(found, expected);
        }
        write(&mut text);
        assert!(text.finish_element().is_none());
    }
}
