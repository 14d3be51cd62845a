//! Nodes to typed structs, by serde. Errors name the element and never repeat the record's content.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Element, Items, Kind, Members};

/// A value that does not have the type that its place asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongType {
    /// Where, relative to the element: `period.start`, `code.coding[0].system`; empty for the element itself.
    pub path: String,
    /// What was expected and what was found, without the content.
    pub message: String,
}

impl WrongType {
    fn below(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for WrongType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for WrongType {}

impl Error for WrongType {
    fn custom<T: fmt::Display>(message: T) -> Self {
        WrongType { path: String::new(), message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {}, found {}", expectation(expected), kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("`{field}` is missing"))
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a number",
        Unexpected::Float(_) => "a decimal number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

fn expectation(expected: &dyn de::Expected) -> String {
    match expected.to_string().as_str() {
        "a sequence" => "an array".into(),
        "a boolean" => "true or false".into(),
        "i32" | "i64" | "u32" | "u64" => "a whole number".into(),
        other => other.into(),
    }
}

impl<'d> Element<'d> {
    fn visit_number<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, WrongType> {
        let number = self.as_number().unwrap_or_default();
        if let Ok(whole) = number.parse::<u64>() {
            return visitor.visit_u64(whole);
        }
        if let Ok(whole) = number.parse::<i64>() {
            return visitor.visit_i64(whole);
        }
        match number.parse::<f64>() {
            Ok(decimal) if decimal.is_finite() => visitor.visit_f64(decimal),
            _ => Err(WrongType::custom("expected a number within the range of a double")),
        }
    }
}

impl<'d> Deserializer<'d> for Element<'d> {
    type Error = WrongType;

    fn deserialize_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, WrongType> {
        match self.kind() {
            Kind::Null => visitor.visit_unit(),
            Kind::True => visitor.visit_bool(true),
            Kind::False => visitor.visit_bool(false),
            Kind::Number => self.visit_number(visitor),
            Kind::String | Kind::Escaped => visitor.visit_borrowed_str(self.as_str().unwrap_or_default()),
            Kind::Array => visitor.visit_seq(ReadItems { items: self.items(), index: 0 }),
            Kind::Object => visitor.visit_map(ReadMembers::of(self)),
        }
    }

    fn deserialize_option<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, WrongType> {
        if self.kind() == Kind::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A lazy value of sonic-rs, with which `model` keeps the digits of a decimal, asks for the JSON text.
    fn deserialize_newtype_struct<V: Visitor<'d>>(self, name: &'static str, visitor: V) -> Result<V::Value, WrongType> {
        if name.starts_with("$sonic_rs::") {
            return visitor.visit_borrowed_str(self.text());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'d>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        match self.as_str() {
            Some(variant) => visitor.visit_enum(variant.into_deserializer()),
            None => Err(WrongType::custom("expected a string")),
        }
    }

    /// A struct is an object; serde would take an array for one.
    fn deserialize_struct<V: Visitor<'d>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, WrongType> {
        match self.kind() {
            Kind::Array => Err(WrongType::invalid_type(Unexpected::Seq, &visitor)),
            Kind::Object => visitor.visit_map(ReadMembers { fields, ..ReadMembers::of(self) }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'d>>(self, visitor: V) -> Result<V::Value, WrongType> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'d>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

struct ReadItems<'d> {
    items: Items<'d>,
    index: usize,
}

impl<'d> SeqAccess<'d> for ReadItems<'d> {
    type Error = WrongType;

    fn next_element_seed<T: DeserializeSeed<'d>>(&mut self, seed: T) -> Result<Option<T::Value>, WrongType> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.below(&format!("[{}]", self.index - 1)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.clone().count())
    }
}

struct ReadMembers<'d> {
    members: Members<'d>,
    /// The fields of the struct that is read: their members come by number, which is found without asking the struct.
    fields: &'static [&'static str],
    /// The field behind the last one, since members mostly stand in the order of the fields.
    next: usize,
    value: Option<(&'d str, Element<'d>)>,
}

impl<'d> ReadMembers<'d> {
    fn of(object: Element<'d>) -> Self {
        ReadMembers { members: object.members(), fields: &[], next: 0, value: None }
    }

    #[inline]
    fn number(&self, name: &str) -> Option<usize> {
        // Most fields are told apart by length and first letter, without a call that compares texts.
        let is_it = |field: &&str| {
            field.len() == name.len() && field.as_bytes().first() == name.as_bytes().first() && *field == name
        };
        let (before, behind) = self.fields.split_at(self.next);
        let behind = behind.iter().position(is_it).map(|number| number + self.next);
        behind.or_else(|| before.iter().position(is_it))
    }
}

impl<'d> MapAccess<'d> for ReadMembers<'d> {
    type Error = WrongType;

    fn next_key_seed<K: DeserializeSeed<'d>>(&mut self, seed: K) -> Result<Option<K::Value>, WrongType> {
        let Some((name, value)) = self.members.next() else {
            return Ok(None);
        };
        self.value = Some((name, value));
        let Some(number) = self.number(name) else {
            return seed.deserialize(de::value::BorrowedStrDeserializer::new(name)).map(Some);
        };
        self.next = number + 1;
        seed.deserialize((number as u64).into_deserializer()).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'d>>(&mut self, seed: T) -> Result<T::Value, WrongType> {
        let (name, value) = self.value.take().ok_or_else(|| WrongType::custom("a value without a name"))?;
        seed.deserialize(value).map_err(|error| error.below(name))
    }
}

#[cfg(test)]
mod tests {
    use crate::fhir::Observation;

    use super::super::Tape;

    fn error(json: &str) -> (String, String) {
        let mut tape = Tape::default();
        let wrong = tape.parse(json).unwrap().read::<Observation<'_>>().unwrap_err();
        (wrong.path, wrong.message)
    }

    #[test]
    fn typed_structs_borrow_and_keep_digits() {
        let json = r#"{"id":"a","valueString":"x\ny","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},
            "component":[{"valueQuantity":{"value":-1.50,"unit":"mg"}}],"unknown":{"a":[1]}}"#;
        let mut tape = Tape::default();
        let observation: Observation<'_> = tape.parse(json).unwrap().read().unwrap();
        assert!(observation.id.as_ref().unwrap().is_borrowed());
        assert_eq!(observation.value_string.as_deref(), Some("x\ny"));
        assert_eq!(observation.code.coding[0].code.as_deref(), Some("1-8"));
        let value = observation.component[0].value_quantity.as_ref().unwrap().value.as_ref().unwrap();
        assert_eq!((value.literal(), value.number()), ("-1.50", -1.5));
    }

    #[test]
    fn a_wrong_type_names_its_element_and_not_its_content() {
        for (json, path, message) in [
            (r#"{"code":"secret"}"#, "code", "expected an object, found a string"),
            (
                r#"{"component":[{"code":{}},{"valueString":7}]}"#,
                "component[1].valueString",
                "expected a string, found a number",
            ),
            (r#"{"valueQuantity":{"value":"secret"}}"#, "valueQuantity.value", "expected a number, found a string"),
            (r#"{"valueBoolean":"secret"}"#, "valueBoolean", "expected true or false, found a string"),
            (r#"[1]"#, "", "expected an object, found an array"),
        ] {
            assert_eq!(error(json), (path.to_owned(), message.to_owned()), "{json}");
        }
    }
}
