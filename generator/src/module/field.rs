//! Reads the fields of one JSON object and says where something is wrong. A field that nobody asked for is an error
//! too, so that a misspelt name does not silently change a disease.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::limit;
use crate::Error;

/// Fields that say something to people only.
const FOR_PEOPLE: &[&str] = &["type", "name", "remarks", "comment", "view", "//", "$schema"];

/// Fields that the format knows somewhere. Where one stands in a place that has no use for it, it is noted and passed
/// over, as engines of the format do; any other name is an error.
const OF_THE_FORMAT: &[&str] = &[
    "action",
    "amount",
    "assign_to_attribute",
    "attribute",
    "category",
    "chronic",
    "code",
    "codes",
    "decimals",
    "discharge_disposition",
    "distribution",
    "duration",
    "encounter_class",
    "exact",
    "manufacturer",
    "model",
    "number_of_observations",
    "quantity",
    "range",
    "reason",
    "referenced_by_attribute",
    "round",
    "series",
    "specialty",
    "target_encounter",
    "telemedicine_possibility",
    "unit",
    "value",
    "value_attribute",
    "value_code",
    "wellness",
];

/// Something about a module that is no error.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Path of the module.
    pub file: String,
    /// The state.
    pub state: String,
    /// The field, as a path inside the state.
    pub field: String,
    /// What there is to say.
    pub message: String,
}

/// Notes in the order of reading.
pub type Notes = RefCell<Vec<Note>>;

/// One object inside a state of a module file.
pub struct Fields<'a> {
    file: &'a str,
    state: &'a str,
    path: String,
    object: &'a Map<String, Value>,
    /// Every name that was asked for, there or not.
    asked: RefCell<BTreeSet<String>>,
    notes: &'a Notes,
}

impl<'a> Fields<'a> {
    /// The fields of `value`, which must be an object.
    pub fn new(
        file: &'a str,
        state: &'a str,
        path: &str,
        value: &'a Value,
        notes: &'a Notes,
    ) -> Result<Fields<'a>, Error> {
        let asked = RefCell::default();
        match value.as_object() {
            Some(object) => Ok(Fields { file, state, path: path.into(), object, asked, notes }),
            None => Err(error(file, state, path, format!("expected an object, found {}", kind(value)))),
        }
    }

    /// Notes something that is no error.
    pub fn note(&self, field: &str, message: impl Into<String>) {
        self.notes.borrow_mut().push(Note {
            file: self.file.into(),
            state: self.state.into(),
            field: self.path_of(field),
            message: message.into(),
        });
    }

    /// An error about one field.
    pub fn error(&self, field: &str, message: impl Into<String>) -> Error {
        error(self.file, self.state, &self.path_of(field), message.into())
    }

    /// The raw value of a field; null counts as absent.
    pub fn raw(&self, field: &str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(field.into());
        self.object.get(field).filter(|value| !value.is_null())
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.object.keys().map(String::as_str)
    }

    /// All fields.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.object.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The raw value of a field that another reading asks for.
    pub fn peek(&self, field: &str) -> Option<&'a Value> {
        self.object.get(field)
    }

    /// True when the field is there and not null.
    pub fn has(&self, field: &str) -> bool {
        self.object.get(field).is_some_and(|value| !value.is_null())
    }

    /// A text, if there.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Error> {
        self.typed(field, "a text", Value::as_str)
    }

    /// A name, if there; an empty one counts as absent.
    pub fn filled(&self, field: &str) -> Result<Option<&'a str>, Error> {
        Ok(self.text(field)?.filter(|name| !name.is_empty()))
    }

    /// A number, if there.
    pub fn number(&self, field: &str) -> Result<Option<f64>, Error> {
        let number = self.typed(field, "a number", Value::as_f64)?;
        match number {
            Some(number) if number.abs() > limit::NUMBER => {
                Err(self.error(field, format!("{number:e} is out of all bounds, expected at most {:e}", limit::NUMBER)))
            }
            number => Ok(number),
        }
    }

    /// A probability, if there.
    pub fn probability(&self, field: &str) -> Result<Option<f64>, Error> {
        match self.number(field)? {
            Some(share) if share < 0.0 => Err(self.error(field, format!("{share} is no probability, expected 0 to 1"))),
            Some(share) if share > 1.0 => {
                self.note(field, format!("{share} is more than certain and counts as 1"));
                Ok(Some(share))
            }
            share => Ok(share),
        }
    }

    /// A whole number from 0 up to a limit, if there.
    pub fn count(&self, field: &str, most: f64) -> Result<Option<u32>, Error> {
        match self.number(field)? {
            Some(number) if !(0.0..=most).contains(&number) || number.fract() != 0.0 => {
                Err(self.error(field, format!("{number} is no count, expected a whole number from 0 to {most}")))
            }
            number => Ok(number.map(|number| number as u32)),
        }
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
            .map(|(index, value)| Fields::new(self.file, self.state, &format!("{path}[{index}]"), value, self.notes))
            .collect()
    }

    /// An object, if there.
    pub fn object(&self, field: &str) -> Result<Option<Fields<'a>>, Error> {
        let value = self.raw(field);
        value.map(|value| Fields::new(self.file, self.state, &self.path_of(field), value, self.notes)).transpose()
    }

    /// What must be there.
    pub fn need<T>(&self, field: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.error(field, "is missing"))
    }

    /// Reports the first field that the format does not know, and notes those without a use in this place.
    pub fn finish(&self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        for key in self.object.keys().map(String::as_str) {
            if asked.contains(key) || FOR_PEOPLE.contains(&key) {
                continue;
            }
            if !OF_THE_FORMAT.contains(&key) {
                let expected: Vec<&str> = asked.iter().map(String::as_str).collect();
                let message = format!("is no field of the format here, expected only {}", expected.join(", "));
                return Err(self.error(key, message));
            }
            self.note(key, "has no effect in this place");
        }
        Ok(())
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
