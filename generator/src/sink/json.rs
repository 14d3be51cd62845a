//! Writes JSON bytes directly: keys in the order in which they are written, commas where they belong.

/// One JSON text in the making.
#[derive(Debug, Default)]
pub struct Json {
    out: Vec<u8>,
    /// The next key or item is the first of its object or array.
    first: bool,
}

impl Json {
    /// Starts a resource: an object with its type and id.
    pub fn resource(&mut self, resource_type: &str, id: Option<uuid::Uuid>) {
        self.out.clear();
        self.out.extend_from_slice(b"{\"resourceType\":\"");
        self.out.extend_from_slice(resource_type.as_bytes());
        self.out.push(b'"');
        if let Some(id) = id {
            self.out.extend_from_slice(b",\"id\":\"");
            self.uuid(id);
            self.out.push(b'"');
        }
        self.first = false;
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
        write_number(value, &mut self.out);
    }

    /// A key with a whole number.
    pub fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A key with true or false.
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A key with a text that is written by `write` and needs no escapes.
    pub fn plain(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        write(&mut self.out);
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
        self.key("reference");
        self.out.push(b'"');
        self.out.extend_from_slice(resource_type.as_bytes());
        self.out.push(b'/');
        self.uuid(id);
        self.out.push(b'"');
    }

    fn uuid(&mut self, id: uuid::Uuid) {
        let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
        self.out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
    }

    fn string(&mut self, value: &str) {
        self.out.push(b'"');
        let mut rest = value.as_bytes();
        // Nearly every text is written in one piece.
        while let Some(place) = rest.iter().position(|byte| needs_escape(*byte)) {
            self.out.extend_from_slice(&rest[..place]);
            self.escape(rest[place]);
            rest = &rest[place + 1..];
        }
        self.out.extend_from_slice(rest);
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
        self.out.push(bracket);
        self.first = true;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.first = false;
    }
}

fn needs_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
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

    #[test]
    fn everything_is_valid_json() {
        let mut json = Json::default();
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
        let mut out = Vec::new();
        json.finish(false, &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["text"], "a \"quoted\" \\ line\n\u{1} ü");
        assert_eq!(value["items"][1]["whole"], 120);
        assert_eq!(value["items"][1]["decimal"], 0.1);
        assert_eq!(value["flag"], true);
        assert!(out.ends_with(b"}\n"));
    }
}
