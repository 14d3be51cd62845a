//! A quick look at a record's outermost members, without parsing what stands in them. It finds where things are; it
//! does not judge: what is broken shows when the record is parsed.

use std::ops::Range;

use model::document::plain;

/// Calls `member` with the name and the offset of the value of each member of the object at `at`; it answers the offset
/// behind the value, see [`value`]. Returns the offset behind the object, or `None` when the text is no object or ends
/// too early.
pub fn members(text: &[u8], at: usize, mut member: impl FnMut(&[u8], usize) -> Option<usize>) -> Option<usize> {
    let mut at = space(text, at);
    if *text.get(at)? != b'{' {
        return None;
    }
    at = space(text, at + 1);
    if *text.get(at)? == b'}' {
        return Some(at + 1);
    }
    loop {
        if *text.get(at)? != b'"' {
            return None;
        }
        let name = at + 1..string(text, at)? - 1;
        at = space(text, name.end + 1);
        if *text.get(at)? != b':' {
            return None;
        }
        let start = space(text, at + 1);
        at = space(text, member(&text[name], start)?);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Calls `item` with the place of each item of the array at `at`.
pub fn items(text: &[u8], at: usize, mut item: impl FnMut(Range<usize>)) -> Option<usize> {
    let mut at = space(text, at);
    if *text.get(at)? != b'[' {
        return None;
    }
    at = space(text, at + 1);
    if *text.get(at)? == b']' {
        return Some(at + 1);
    }
    loop {
        let end = value(text, at)?;
        item(at..end);
        at = space(text, end);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The text between the quotes of a string without escapes.
#[inline]
pub fn plain_string(text: &[u8], place: Range<usize>) -> Option<&str> {
    let inner = text.get(place)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') { None } else { std::str::from_utf8(inner).ok() }
}

/// The offset of the first byte that is not white space.
#[inline]
pub fn space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The offset behind the value at `at`.
#[inline]
pub fn value(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string(text, at),
        b'{' | b'[' => nested(text, at),
        b',' | b':' | b'}' | b']' => None,
        _ => {
            let rest = &text[at..];
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
            Some(at + end.unwrap_or(rest.len()))
        }
    }
}

/// The offset behind the string that opens at `at`.
fn string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = plain(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The offset behind the object or array at `at`: brackets are counted, strings are passed over.
fn nested(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Vec::new();
        members(text.as_bytes(), 0, |name, start| {
            let end = value(text.as_bytes(), start)?;
            found.push((String::from_utf8_lossy(name).into_owned(), text[start..end].to_owned()));
            Some(end)
        })?;
        Some(found)
    }

    #[test]
    fn outer_members_are_found_and_inner_ones_passed_over() {
        let found = names(r#" { "a" : {"b":"}\"]"}, "c":[1,{"d":[]}] ,"e":-1.5e3,"f":"x" }"#).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("a", r#"{"b":"}\"]"}"#), ("c", r#"[1,{"d":[]}]"#), ("e", "-1.5e3"), ("f", "\"x\"")]);
    }

    #[test]
    fn broken_text_is_no_object() {
        for text in
            ["", "[", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":\"", "{\"a\":{]", "{\"a\":,}", "{\"a\":\"\\"]
        {
            assert!(names(text).is_none(), "{text}");
        }
    }
}
