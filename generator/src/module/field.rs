//! Reads the fields of one JSON object and says where something is wrong. A field that nobody asked for is an error
//! too, so that a misspelt name does not silently change a disease.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::Error;

/// Fields that say something to people only, or that belong to parts of the format without an effect here.
const IGNORED: &[&str] =
    &["type", "name", "remarks", "comment", "view", "telemedicine_possibility", "specialty", "goals", "//", "$schema"];

/// One object inside a state of a module file.
pub struct Fields<'a> {
    file: &'a str,
    state: &'a str,
    path: String,
    object: &'a Map<String, Value>,
    asked: RefCell<Vec<&'a str>>,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which must be an object.
    pub fn new(file: &'a str, state: &'a str, path: &str, value: &'a Value) -> Result<Fields<'a>, Error> {
        match value.as_object() {
            Some(object) => Ok(Fields { file, state, path: path.into(), object, asked: RefCell::new(Vec::new()) }),
            None => Err(error(file, state, path, format!("expected an object, found {}", kind(value)))),
        }
    }

    /// An error about one field.
    pub fn error(&self, field: &str, message: impl Into<String>) -> Error {
        error(self.file, self.state, &self.path_of(field), message.into())
    }

    /// The raw value of a field; null counts as absent.
    pub fn raw(&self, field: &str) -> Option<&'a Value> {
        let (name, value) = self.object.get_key_value(field)?;
        self.asked.borrow_mut().push(name);
        if value.is_null() { None } else { Some(value) }
    }

    /// True when the field is there and not null.
    pub fn has(&self, field: &str) -> bool {
        self.object.get(field).is_some_and(|value| !value.is_null())
    }

    /// A text, if there.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Error> {
        self.typed(field, "a text", Value::as_str)
    }

    /// A number, if there.
    pub fn number(&self, field: &str) -> Result<Option<f64>, Error> {
        self.typed(field, "a number", Value::as_f64)
    }

    /// True or false; false when absent.
    pub fn flag(&self, field: &str) -> Result<bool, Error> {
        Ok(self.typed(field, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// The objects of an array; none when absent.
    pub fn objects(&self, field: &str) -> Result<Vec<Fields<'a>>, Error> {
        let Some(values) = self.typed(field, "an array", Value::as_array)? else { return Ok(Vec::new()) };
        let path = self.path_of(field);
        values
            .iter()
            .enumerate()
            .map(|(index, value)| Fields::new(self.file, self.state, &format!("{path}[{index}]"), value))
            .collect()
    }

    /// An object, if there.
    pub fn object(&self, field: &str) -> Result<Option<Fields<'a>>, Error> {
        self.raw(field).map(|value| Fields::new(self.file, self.state, &self.path_of(field), value)).transpose()
    }

    /// What must be there.
    pub fn need<T>(&self, field: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.error(field, "is missing"))
    }

    /// Reports the first field that nobody asked for.
    pub fn finish(&self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        match self.object.keys().find(|key| !asked.contains(&key.as_str()) && !IGNORED.contains(&key.as_str())) {
            Some(unknown) => Err(self.error(unknown, "is not a field of this state, or does not fit its other fields")),
            None => Ok(()),
        }
    }

    fn typed<T>(&self, field: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(value) = self.raw(field) else { return Ok(None) };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(field, format!("expected {expected}, found {}", kind(value)))),
        }
    }

    fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() { field.into() } else { format!("{}.{field}", self.path) }
    }
}

fn error(file: &str, state: &str, field: &str, message: String) -> Error {
    Error::Module { file: file.into(), state: state.into(), field: field.into(), message }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
