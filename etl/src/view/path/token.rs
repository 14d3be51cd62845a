//! The text of a path to tokens, each with its place.

use super::super::data_type::DataType;

/// A piece of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or a keyword.
    Word(String),
    /// A name in back quotes: never a keyword.
    Name(String),
    /// `%name`
    Variable(String),
    /// `'text'`
    Text(String),
    /// A number as written.
    Number(String),
    /// `@2024-05-17`, `@2024-05-17T08:30`, `@T08:30`
    Moment(String, DataType),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// Nothing more.
    End,
}

const SYMBOLS: [&str; 22] =
    ["!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "|", "=", "~", "<", ">", "+", "-", "*", "/", "&"];

/// Cuts a path into tokens.
///
/// # Errors
/// What is not understood, and where.
pub fn tokens(text: &str) -> Result<Vec<(Token, usize)>, (String, usize)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at = skip_space(text, at)?;
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else {
            tokens.push((Token::End, at));
            return Ok(tokens);
        };
        let (token, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' | '$' => {
                let length = 1 + word_length(&rest[1..]);
                (Token::Word(rest[..length].to_owned()), length)
            }
            '0'..='9' => number(rest),
            '\'' => quoted(rest, '\'').map(|(text, length)| (Token::Text(text), length)).map_err(|why| (why, at))?,
            '`' => quoted(rest, '`').map(|(text, length)| (Token::Name(text), length)).map_err(|why| (why, at))?,
            '%' => variable(&rest[1..])
                .map(|(name, length)| (Token::Variable(name), length + 1))
                .ok_or_else(|| ("expected a name behind `%`".to_owned(), at + 1))?,
            '@' => moment(rest).ok_or_else(|| ("expected a date or time behind `@`".to_owned(), at))?,
            _ => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                Some(symbol) => (Token::Symbol(symbol), symbol.len()),
                None => return Err((format!("unexpected `{first}`"), at)),
            },
        };
        tokens.push((token, at));
        at += length;
    }
}

/// Behind white space and comments.
fn skip_space(text: &str, mut at: usize) -> Result<usize, (String, usize)> {
    loop {
        let rest = &text[at..];
        let trimmed = rest.trim_start();
        at += rest.len() - trimmed.len();
        if trimmed.starts_with("//") {
            at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            at += trimmed.find("*/").ok_or_else(|| ("a comment does not end".to_owned(), at))? + 2;
        } else {
            return Ok(at);
        }
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn number(text: &str) -> (Token, usize) {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let mut length = digits(text);
    // `1.5` is a number, `1.abs()` is a function of one.
    if let Some(fraction) = text[length..].strip_prefix('.')
        && digits(fraction) > 0
    {
        length += 1 + digits(fraction);
    }
    (Token::Number(text[..length].to_owned()), length)
}

fn variable(text: &str) -> Option<(String, usize)> {
    match text.chars().next()? {
        quote @ ('`' | '\'') => quoted(text, quote).ok(),
        _ => Some(word_length(text)).filter(|length| *length > 0).map(|length| (text[..length].to_owned(), length)),
    }
}

/// What stands in quotes, and how long it is with them.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((content, at + 1));
        }
        if c != '\\' {
            content.push(c);
            continue;
        }
        let escape = chars.next().map(|(_, escape)| escape);
        content.push(match escape {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('f') => '\u{c}',
            Some(same @ ('\'' | '"' | '`' | '\\' | '/')) => same,
            Some('u') => {
                let digits: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                code.and_then(char::from_u32).ok_or("expected four hexadecimal digits behind `\\u`")?
            }
            _ => return Err("a text has an unknown escape".into()),
        });
    }
    Err("a text does not end".into())
}

fn moment(text: &str) -> Option<(Token, usize)> {
    let length = 1 + text[1..].find(|c: char| !c.is_ascii_digit() && !"-:.TZ+".contains(c)).unwrap_or(text.len() - 1);
    // A point behind belongs to the path: `@2024.lowBoundary()`.
    let written = text[1..length].trim_end_matches('.');
    let of = match written.find('T') {
        Some(0) => DataType::TIME,
        Some(_) => DataType::DATE_TIME,
        None => DataType::DATE,
    };
    let value = written.strip_prefix('T').unwrap_or(written);
    let value = value.strip_suffix('T').unwrap_or(value);
    super::super::moment::Moment::parse(value)?;
    Some((Token::Moment(value.to_owned(), of), 1 + written.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_kinds_and_places() {
        let found = tokens("a.`b c`[1] != 1.5 // rest\n + %x 'it\\'s' @2024-05 /* */ @T08:30").unwrap();
        let word = |text: &str| text.to_owned();
        let expected = [
            (Token::Word(word("a")), 0),
            (Token::Symbol("."), 1),
            (Token::Name(word("b c")), 2),
            (Token::Symbol("["), 7),
            (Token::Number(word("1")), 8),
            (Token::Symbol("]"), 9),
            (Token::Symbol("!="), 11),
            (Token::Number(word("1.5")), 14),
            (Token::Symbol("+"), 27),
            (Token::Variable(word("x")), 29),
            (Token::Text(word("it's")), 32),
            (Token::Moment(word("2024-05"), DataType::DATE), 40),
            (Token::Moment(word("08:30"), DataType::TIME), 55),
            (Token::End, 62),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_token_is_said_with_its_place() {
        for (text, message, at) in [
            ("a ; b", "unexpected `;`", 2),
            ("a = 'b", "a text does not end", 4),
            ("'\\x'", "a text has an unknown escape", 0),
            ("'\\u12'", "expected four hexadecimal digits behind `\\u`", 0),
            ("%", "expected a name behind `%`", 1),
            ("@@", "expected a date or time behind `@`", 0),
            ("a /* b", "a comment does not end", 2),
            ("é", "unexpected `é`", 0),
        ] {
            assert_eq!(tokens(text).unwrap_err(), (message.to_owned(), at), "{text}");
        }
    }
}
