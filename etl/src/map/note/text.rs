//! The text of an attachment: base64 to bytes, and HTML to what a reader sees of it.

use std::borrow::Cow;

use model::fhir::Attachment;

use crate::map::draft::Draft;

/// The text of an attachment; `None`, and counted, when it is no text or is kept elsewhere.
pub fn of_attachment<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    attachment: &Attachment<'d>,
) -> Option<Cow<'d, str>> {
    let Some(data) = attachment.data.as_deref() else {
        draft.lose(element, "attachment_elsewhere");
        return None;
    };
    let media_type = attachment.content_type.as_deref().unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_html = matches!(media_type.as_str(), "text/html" | "application/xhtml+xml");
    if !is_html && !media_type.starts_with("text/") {
        draft.lose(element, "attachment_not_text");
        return None;
    }
    let Some(text) = decode(data).and_then(|bytes| String::from_utf8(bytes).ok()) else {
        draft.lose(element, "attachment_unreadable");
        return None;
    };
    let text = if is_html { of_html(&text) } else { text };
    (!text.trim().is_empty()).then_some(Cow::Owned(text))
}

/// What a reader sees of HTML: words and line breaks, without tags, scripts and styles.
pub fn of_html(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        push_words(&rest[..start], &mut text);
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let Some(end) = rest.find('>') else {
            // A lone `<` is a character like any other.
            push_words(rest, &mut text);
            return text.trim().to_owned();
        };
        let tag = rest[1..end].trim_start_matches('/');
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        let is_open = !rest[1..end].starts_with('/');
        rest = &rest[end + 1..];
        match name.as_str() {
            "script" | "style" if is_open => {
                let close = format!("</{name}");
                let is_close = |bytes: &[u8]| bytes.eq_ignore_ascii_case(close.as_bytes());
                let end = rest.as_bytes().windows(close.len()).position(is_close);
                rest = &rest[end.unwrap_or(rest.len())..];
            }
            "br" | "p" | "div" | "li" | "tr" | "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let line = text.trim_end_matches(' ').len();
                text.truncate(line);
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
            }
            "td" | "th" if !is_open && !text.ends_with([' ', '\n']) => text.push(' '),
            _ => {}
        }
    }
    push_words(rest, &mut text);
    text.trim().to_owned()
}

/// Adds the words between two tags: runs of space become one, character references what they stand for.
fn push_words(words: &str, text: &mut String) {
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_whitespace() {
            if !text.is_empty() && !text.ends_with([' ', '\n']) {
                text.push(' ');
            }
            rest = &rest[1..];
        } else if let Some((character, length)) = character_reference(rest) {
            text.push(character);
            rest = &rest[length..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// `&amp;`, `&#160;`, `&#xA0;` at the start of the text: the character and how many bytes stood for it.
fn character_reference(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let end = body.bytes().take(12).position(|byte| byte == b';')?;
    let name = &body[..end];
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((character, end + 2))
}

/// Base64 with or without padding; white space is passed over. `None` when it is something else.
fn decode(data: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(data.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0);
    let data = data.trim_end_matches(|c: char| c == '=' || c.is_ascii_whitespace());
    for byte in data.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_anything_else_is_not() {
        for (data, expected) in [
            ("", Some("")),
            ("SGVsbG8=", Some("Hello")),
            ("SGVs\nbG8", Some("Hello")),
            ("SGVsbG8h", Some("Hello!")),
            ("SGVsbG8h!", None),
            ("S", None),
            ("é", None),
        ] {
            let decoded = decode(data).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(decoded.as_deref(), expected, "{data}");
        }
    }

    #[test]
    fn html_is_read_as_a_person_reads_it() {
        for (html, expected) in [
            ("<div><p>One  <b>two</b></p><p>three</p></div>", "One two\nthree"),
            ("a &lt; b &amp;&#160;c &#x41; &unknown; &", "a < b &\u{a0}c A &unknown; &"),
            ("<table><tr><td>x</td><td>1</td></tr><tr><td>y</td></tr></table>", "x 1\ny"),
            ("<style>p {}</style><SCRIPT>if (a < b) {}</script>text<!-- no > -->!", "text!"),
            ("5 < 6", "5 < 6"),
            ("<script>never closed", ""),
            ("", ""),
        ] {
            assert_eq!(of_html(html), expected, "{html}");
        }
    }
}
