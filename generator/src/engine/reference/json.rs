//! Reads fields of a module's JSON. What must be there has been checked when the module was loaded.

use crate::module::{Code, system_uri};

pub type Json = serde_json::Value;

/// A field; null counts as absent.
pub fn field<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    json.get(name).filter(|value| !value.is_null())
}

/// A text.
pub fn text<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    field(json, name)?.as_str()
}

/// A name; an empty one counts as absent.
pub fn filled<'a>(json: &'a Json, name: &str) -> Option<&'a str> {
    text(json, name).filter(|text| !text.is_empty())
}

/// A number.
pub fn number(json: &Json, name: &str) -> Option<f64> {
    field(json, name)?.as_f64()
}

/// True or false; false when absent.
pub fn flag(json: &Json, name: &str) -> bool {
    field(json, name).and_then(Json::as_bool).unwrap_or(false)
}

/// The values of an array; none when absent.
pub fn list<'a>(json: &'a Json, name: &str) -> &'a [Json] {
    field(json, name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// A text that must be there.
pub fn need_text<'a>(json: &'a Json, name: &str) -> &'a str {
    text(json, name).unwrap_or_else(|| panic!("there is no text `{name}` in {json}"))
}

/// A number that must be there.
pub fn need_number(json: &Json, name: &str) -> f64 {
    number(json, name).unwrap_or_else(|| panic!("there is no number `{name}` in {json}"))
}

/// An object that must be there.
pub fn need<'a>(json: &'a Json, name: &str) -> &'a Json {
    field(json, name).unwrap_or_else(|| panic!("there is no `{name}` in {json}"))
}

/// A code, with the URI of its system.
pub fn code(json: &Json) -> Code {
    let code = match need(json, "code") {
        Json::Number(number) => number.to_string(),
        _ => need_text(json, "code").into(),
    };
    Code { system: system_uri(need_text(json, "system")).into(), code, display: need_text(json, "display").into() }
}

/// The codes of an array.
pub fn codes(json: &Json, name: &str) -> Vec<Code> {
    list(json, name).iter().map(code).collect()
}
