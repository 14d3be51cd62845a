//! JSON text to nodes. Strict: RFC 8259, every byte accounted for, no member named twice, limited nesting.

use thiserror::Error;

use super::member::{Names, fingerprint, name};
use super::{Kind, Node, Tape};

/// Objects and arrays may stand this deep inside each other.
pub(super) const MAX_DEPTH: usize = 128;

/// Why a text is not a record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// Offset from the start of the record.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Too many levels.
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// Offset from the start of the record.
        at: usize,
    },
    /// One object has two members of one name.
    #[error("member `{name}` appears twice, again at byte {at}")]
    DuplicateMember {
        /// Offset from the start of the record.
        at: usize,
        /// The member.
        name: String,
    },
}

pub(super) fn parse(text: &str, tape: &mut Tape) -> Result<(), Fault> {
    tape.nodes.clear();
    tape.text.clear();
    tape.text.push_str(text);
    tape.index.clear();
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, tape };
    parser.space();
    parser.value(0)?;
    parser.space();
    if parser.at < text.len() { Err(parser.expected("nothing behind the record")) } else { Ok(()) }
}

struct Parser<'p> {
    text: &'p str,
    bytes: &'p [u8],
    at: usize,
    tape: &'p mut Tape,
}

impl Parser<'_> {
    fn expected(&self, expected: &'static str) -> Fault {
        Fault::Syntax { at: self.at, expected }
    }

    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.tape.nodes.len() as u32 + 1;
        self.tape.nodes.push(Node { start: start as u32, end: end as u32, next, kind });
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            b'"' => self.string(),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Kind::True),
            b'f' => self.word("false", Kind::False),
            b'n' => self.word("null", Kind::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, kind: Kind) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.push(kind, self.at, self.at + word.len());
        self.at += word.len();
        Ok(())
    }

    fn enter(&mut self, kind: Kind, depth: usize) -> Result<usize, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooDeep { at: self.at });
        }
        let index = self.tape.nodes.len();
        self.push(kind, self.at, self.at);
        self.at += 1;
        self.space();
        Ok(index)
    }

    fn leave(&mut self, index: usize) {
        self.at += 1;
        let next = self.tape.nodes.len() as u32;
        let node = &mut self.tape.nodes[index];
        node.end = self.at as u32;
        node.next = next;
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        let index = self.enter(Kind::Array, depth)?;
        if self.peek() == b']' {
            self.leave(index);
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.leave(index);
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `]`")),
            }
            self.space();
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        let index = self.enter(Kind::Object, depth)?;
        if self.peek() == b'}' {
            self.leave(index);
            return Ok(());
        }
        let mut names = Names::default();
        loop {
            if self.peek() != b'"' {
                return Err(self.expected("a member name in quotes"));
            }
            let (start, key) = (self.at, self.tape.nodes.len());
            self.string()?;
            let fingerprint = fingerprint(name(self.tape, key).as_bytes());
            self.tape.nodes[key].next = fingerprint;
            if index == 0 {
                self.tape.index.add(fingerprint, key);
            }
            if names.repeat(self.tape, index, key) {
                let name = name(self.tape, key).chars().take(64).collect();
                return Err(Fault::DuplicateMember { at: start, name });
            }
            self.space();
            if self.peek() != b':' {
                return Err(self.expected("`:`"));
            }
            self.at += 1;
            self.space();
            self.value(depth)?;
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.leave(index);
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
            self.space();
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(self.expected("a digit")),
        }
        if self.peek() == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        self.push(Kind::Number, start, self.at);
        Ok(())
    }

    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_ascii_digit() {
            return Err(self.expected("a digit"));
        }
        self.digits();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let start = self.at;
        self.at = plain(self.bytes, start);
        match self.bytes.get(self.at) {
            Some(b'"') => {
                self.push(Kind::String, start, self.at);
                self.at += 1;
                Ok(())
            }
            Some(b'\\') => self.escaped(start),
            Some(_) => Err(self.expected("no control character inside a string")),
            None => Err(self.expected("the end of a string")),
        }
    }

    fn escaped(&mut self, start: usize) -> Result<(), Fault> {
        let begin = self.tape.text.len();
        let mut copied = start;
        loop {
            self.tape.text.push_str(&self.text[copied..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.expected("no control character inside a string")),
                None => return Err(self.expected("the end of a string")),
            }
            copied = self.at;
            self.at = plain(self.bytes, copied);
        }
        self.at += 1;
        let end = self.tape.text.len();
        self.push(Kind::Escaped, begin, end);
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let character = match self.peek() {
            quoted @ (b'"' | b'\\' | b'/') => quoted as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let character = self.unicode()?;
                self.tape.text.push(character);
                return Ok(());
            }
            _ => return Err(self.expected("an escape that JSON knows")),
        };
        self.tape.text.push(character);
        self.at += 1;
        Ok(())
    }

    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.bytes[self.at..].starts_with(b"\\u") {
                return Err(self.expected("the second half of a surrogate pair"));
            }
            self.at += 1;
            let second = self.four_digits()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.expected("the second half of a surrogate pair"));
            }
            0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.expected("a Unicode character"))
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at + 1..self.at + 5).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return Err(self.expected("four hexadecimal digits"));
        };
        self.at += 5;
        Ok(code)
    }
}

/// The offset of the next quote, backslash or control character, or the end: eight bytes at a time, since most strings
/// are too short for anything larger to pay.
#[inline]
pub fn plain(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(chunk) = text.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let found = zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64)) | control;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Tape::default().parse(text).map(|_| String::new()).unwrap_or_else(|fault| fault.to_string())
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, message) in [
            ("", "expected a value at byte 0"),
            ("{", "expected a member name in quotes at byte 1"),
            (r#"{"a"}"#, "expected `:` at byte 4"),
            (r#"{"a":1,}"#, "expected a member name in quotes at byte 7"),
            (r#"{"a":1 "b":2}"#, "expected `,` or `}` at byte 7"),
            ("[1 2]", "expected `,` or `]` at byte 3"),
            ("01", "expected nothing behind the record at byte 1"),
            ("1.", "expected a digit at byte 2"),
            ("-", "expected a digit at byte 1"),
            ("1e+", "expected a digit at byte 3"),
            ("nul", "expected a value at byte 0"),
            ("\"a", "expected the end of a string at byte 2"),
            ("\"a\nb\"", "expected no control character inside a string at byte 2"),
            (r#""\x""#, "expected an escape that JSON knows at byte 2"),
            (r#""\ud800x""#, "expected the second half of a surrogate pair at byte 7"),
            (r#""\udc00""#, "expected a Unicode character at byte 7"),
            (r#""\u00g0""#, "expected four hexadecimal digits at byte 2"),
            ("{} {}", "expected nothing behind the record at byte 3"),
            (r#"{"a":{"b":1,"c":2,"b":3}}"#, "member `b` appears twice, again at byte 18"),
            (r#"{"a":1,"\u0061":3}"#, "member `a` appears twice, again at byte 7"),
        ] {
            assert_eq!(fault(text), message, "{text}");
        }
    }

    #[test]
    fn nesting_has_a_limit_and_no_stack_is_needed_beyond_it() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(fault(&nested(MAX_DEPTH)), "");
        assert_eq!(fault(&nested(MAX_DEPTH + 1)), "nested deeper than 128 levels at byte 128");
        assert_eq!(fault(&"[".repeat(1_000_000)), "nested deeper than 128 levels at byte 128");
    }

    #[test]
    fn an_object_of_many_members_is_checked_too() {
        let members = |last: &str| {
            let many: Vec<_> = (0..5000).map(|n| format!("\"m{n}\":{n}")).collect();
            format!("{{{},\"{last}\":0}}", many.join(","))
        };
        assert_eq!(fault(&members("x")), "");
        assert!(fault(&members("m7")).starts_with("member `m7` appears twice"));
        assert!(fault(&members("m4999")).starts_with("member `m4999` appears twice"));
    }

    #[test]
    fn agrees_with_another_parser_on_strings() {
        for text in [r#""é€😀 plain""#, r#""\ud83d\ude00 \"\\\/\b\f\n\r\t""#, r#""12345678\n12345678""#, r#""1234567""#]
        {
            let expected: String = serde_json::from_str(text).unwrap();
            assert_eq!(Tape::default().parse(text).unwrap().as_str(), Some(expected.as_str()));
        }
    }
}
