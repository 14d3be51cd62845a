//! What is wrong with an element, in words that carry none of the record's content.

use thiserror::Error;

/// An element that is not what FHIR R4 says it is.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}: {message}")]
pub struct ElementError {
    /// The element: `Observation.valueQuantity.value`.
    pub path: String,
    /// What was expected, and the kind of thing that was found.
    pub message: String,
}

impl ElementError {
    /// An error at a path.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        ElementError { path: path.into(), message: message.into() }
    }

    /// Rewords a parser's error. Its own text quotes the record, so only known phrases are taken over.
    pub(super) fn translate(resource_type: &str, error: &serde_path_to_error::Error<sonic_rs::Error>) -> Self {
        let path = match error.path().to_string().as_str() {
            "." | "" => resource_type.to_owned(),
            path => format!("{resource_type}.{path}"),
        };
        let inner = error.inner();
        let text = inner.to_string();
        let message = match inner.classify() {
            sonic_rs::error::Category::Eof => "expected valid JSON, found its end too early".to_owned(),
            sonic_rs::error::Category::Syntax => format!("expected valid JSON at byte {}", inner.offset()),
            _ => known_phrase(&text).unwrap_or_else(|| format!("unexpected content at byte {}", inner.offset())),
        };
        ElementError { path, message }
    }
}

fn known_phrase(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("duplicate field `") {
        return Some(format!("`{}` appears twice", rest.split('`').next()?));
    }
    if let Some(rest) = text.strip_prefix("missing field `") {
        return Some(format!("`{}` is missing", rest.split('`').next()?));
    }
    if text.starts_with("expected ") {
        return Some(text.lines().next()?.split(" at line ").next()?.to_owned());
    }
    let rest = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "))?;
    let found = match rest.split([' ', ',']).next()? {
        "string" => "a string",
        "integer" => "a number",
        "floating" => "a decimal number",
        "boolean" => "true or false",
        "map" => "an object",
        "sequence" => "an array",
        "null" => "null",
        _ => "something else",
    };
    let tail = &rest[rest.rfind(", expected ")? + ", expected ".len()..];
    let tail = tail.lines().next()?.split(" at line ").next()?;
    let expected = match tail {
        "a sequence" => "an array",
        "a boolean" => "true or false",
        "i32" | "i64" | "u32" | "u64" => "a whole number",
        other => other,
    };
    Some(format!("expected {expected}, found {found}"))
}
