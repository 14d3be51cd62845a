//! Attributes by name, and the numbered places in which the host reads and writes them.

use std::collections::BTreeMap;

use super::super::Value as HostValue;
use super::json::{Json, code, field};
use crate::host::HOST_ATTRIBUTES;
use crate::module::{Code, Id, Interner};
use crate::world::World;

/// The value of an attribute that is set.
#[derive(Clone)]
pub enum Value {
    Bool(bool),
    Number(f64),
    Text(String),
    Code(Code),
    /// An entry by its number.
    Entry(usize),
}

/// The attributes of a person.
pub struct Attributes<'w> {
    by_name: BTreeMap<String, Value>,
    of_host: Vec<HostValue>,
    numbers: &'w Interner,
    /// The places that the host writes.
    written_by_host: Vec<Id>,
}

impl<'w> Attributes<'w> {
    /// Attributes none of which is set.
    pub fn new(world: &'w World) -> Attributes<'w> {
        let numbers = &world.library.attributes;
        let own = HOST_ATTRIBUTES.into_iter().filter_map(|name| numbers.get(name));
        let written_by_host = own.chain(world.risks.attributes()).collect();
        Attributes { by_name: BTreeMap::new(), of_host: vec![HostValue::Nil; numbers.len()], numbers, written_by_host }
    }

    /// The value of an attribute, if it is set.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.by_name.get(name)
    }

    /// Sets an attribute, or clears it.
    pub fn set(&mut self, name: &str, value: Option<Value>) {
        if let Some(number) = self.numbers.get(name) {
            self.of_host[number as usize] = for_host(value.as_ref());
        }
        match value {
            Some(value) => self.by_name.insert(name.into(), value),
            None => self.by_name.remove(name),
        };
    }

    /// The attributes in the places where the host looks for them.
    pub fn for_host(&self) -> &[HostValue] {
        &self.of_host
    }

    /// Lets the host write in its places, and takes over by name what it has changed.
    pub fn let_host_write(&mut self, write: impl FnOnce(&mut [HostValue])) {
        let places = self.written_by_host.iter();
        let before: Vec<HostValue> = places.map(|place| self.of_host[*place as usize].clone()).collect();
        write(&mut self.of_host);
        for (place, before) in self.written_by_host.iter().zip(before) {
            let after = &self.of_host[*place as usize];
            if before == *after {
                continue;
            }
            let name = self.numbers.text(*place);
            match after {
                HostValue::Nil => self.by_name.remove(name),
                HostValue::Bool(value) => self.by_name.insert(name.into(), Value::Bool(*value)),
                HostValue::Number(value) => self.by_name.insert(name.into(), Value::Number(*value)),
                HostValue::Text(value) => self.by_name.insert(name.into(), Value::Text(value.as_ref().into())),
                HostValue::Code(_) | HostValue::Entry(_) => panic!("the host set `{name}` to {after:?}"),
            };
        }
    }
}

/// The host asks for booleans, numbers and texts; for what it has no use for, any code stands.
fn for_host(value: Option<&Value>) -> HostValue {
    match value {
        None => HostValue::Nil,
        Some(Value::Bool(value)) => (*value).into(),
        Some(Value::Number(value)) => (*value).into(),
        Some(Value::Text(value)) => value.as_str().into(),
        Some(Value::Code(_) | Value::Entry(_)) => HostValue::Code(0),
    }
}

/// The `value_code` or `value` of a state or condition.
pub fn literal(json: &Json) -> Option<Value> {
    if let Some(value) = field(json, "value_code") {
        return Some(Value::Code(code(value)));
    }
    match field(json, "value")? {
        Json::Bool(value) => Some(Value::Bool(*value)),
        Json::String(value) => Some(Value::Text(value.clone())),
        value => value.as_f64().map(Value::Number),
    }
}
