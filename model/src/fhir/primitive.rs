//! Strings that borrow from the text and decimals that keep their digits.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A string, uri, code, id or markdown: borrowed from the text unless it holds escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Str<'a>(Cow<'a, str>);

impl<'a> Str<'a> {
    /// True when no copy was made.
    pub fn is_borrowed(&self) -> bool {
        matches!(self.0, Cow::Borrowed(_))
    }

    /// The text, as cheaply as it can be had.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// A copy that shares the borrowed text.
    pub fn to_cow(&self) -> Cow<'a, str> {
        self.0.clone()
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Str(Cow::Borrowed(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(StrVisitor)
    }
}

struct StrVisitor;

impl<'de> Visitor<'de> for StrVisitor {
    type Value = Str<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Str<'de>, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Str<'de>, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Str<'de>, A::Error> {
        Err(A::Error::invalid_type(Unexpected::Seq, &self))
    }
}

/// A decimal with the digits as written: `1.50` is not `1.5`.
#[derive(Clone, Debug, PartialEq)]
pub struct Decimal<'a> {
    literal: Cow<'a, str>,
    number: f64,
}

impl<'a> Decimal<'a> {
    /// The digits as written.
    pub fn literal(&self) -> &str {
        &self.literal
    }

    /// The digits as written, sharing the text.
    pub fn to_cow(&self) -> Cow<'a, str> {
        self.literal.clone()
    }

    /// The nearest double.
    pub fn number(&self) -> f64 {
        self.number
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Decimal<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let literal = sonic_rs::LazyValue::<'de>::deserialize(deserializer)?.as_raw_cow();
        let found = match literal.trim_start().as_bytes().first() {
            Some(b'"') => "a string",
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "",
        };
        if !found.is_empty() {
            return Err(D::Error::custom(format_args!("expected a number, found {found}")));
        }
        match literal.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Decimal { literal, number }),
            _ => Err(D::Error::custom("expected a number within the range of a double")),
        }
    }
}
