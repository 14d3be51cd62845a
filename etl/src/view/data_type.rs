//! The data types of FHIR: what the end of a choice element's name says, and what a column or constant may be.

/// A data type of FHIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataType(u8);

/// What values of a type have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// True or false.
    Boolean,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Integer64,
    /// A decimal number.
    Decimal,
    /// A day, a month or a year.
    Date,
    /// A moment, or a day, a month or a year.
    DateTime,
    /// A time of the day.
    Time,
    /// Any kind of text.
    Text,
    /// Something with members.
    Complex,
}

const TYPES: [(&str, Class); 60] = [
    ("boolean", Class::Boolean),
    ("integer", Class::Integer),
    ("decimal", Class::Decimal),
    ("string", Class::Text),
    ("date", Class::Date),
    ("dateTime", Class::DateTime),
    ("time", Class::Time),
    ("instant", Class::DateTime),
    ("positiveInt", Class::Integer),
    ("unsignedInt", Class::Integer),
    ("integer64", Class::Integer64),
    ("code", Class::Text),
    ("id", Class::Text),
    ("markdown", Class::Text),
    ("uri", Class::Text),
    ("url", Class::Text),
    ("canonical", Class::Text),
    ("oid", Class::Text),
    ("uuid", Class::Text),
    ("base64Binary", Class::Text),
    ("xhtml", Class::Text),
    ("Address", Class::Complex),
    ("Age", Class::Complex),
    ("Annotation", Class::Complex),
    ("Attachment", Class::Complex),
    ("Availability", Class::Complex),
    ("BackboneElement", Class::Complex),
    ("CodeableConcept", Class::Complex),
    ("CodeableReference", Class::Complex),
    ("Coding", Class::Complex),
    ("ContactDetail", Class::Complex),
    ("ContactPoint", Class::Complex),
    ("Contributor", Class::Complex),
    ("Count", Class::Complex),
    ("DataRequirement", Class::Complex),
    ("Distance", Class::Complex),
    ("Dosage", Class::Complex),
    ("Duration", Class::Complex),
    ("Expression", Class::Complex),
    ("ExtendedContactDetail", Class::Complex),
    ("Extension", Class::Complex),
    ("HumanName", Class::Complex),
    ("Identifier", Class::Complex),
    ("Meta", Class::Complex),
    ("MonetaryComponent", Class::Complex),
    ("Money", Class::Complex),
    ("Narrative", Class::Complex),
    ("ParameterDefinition", Class::Complex),
    ("Period", Class::Complex),
    ("Quantity", Class::Complex),
    ("Range", Class::Complex),
    ("Ratio", Class::Complex),
    ("RatioRange", Class::Complex),
    ("Reference", Class::Complex),
    ("RelatedArtifact", Class::Complex),
    ("SampledData", Class::Complex),
    ("Signature", Class::Complex),
    ("Timing", Class::Complex),
    ("TriggerDefinition", Class::Complex),
    ("UsageContext", Class::Complex),
];

/// Elements that have several types in R4 or R5: in JSON the type ends their name.
const CHOICE_ELEMENTS: [&str; 66] = [
    "abatement",
    "actor",
    "additive",
    "age",
    "allowed",
    "amount",
    "answer",
    "asNeeded",
    "author",
    "availability",
    "born",
    "bounds",
    "chargeItem",
    "collected",
    "content",
    "created",
    "cause",
    "deceased",
    "default",
    "defaultValue",
    "definition",
    "detail",
    "diagnosis",
    "dose",
    "doseNumber",
    "due",
    "effective",
    "entity",
    "event",
    "example",
    "fastingStatus",
    "fixed",
    "identified",
    "instance",
    "item",
    "legallyBinding",
    "location",
    "maxValue",
    "medication",
    "minValue",
    "multipleBirth",
    "occurred",
    "occurrence",
    "onset",
    "participantEffective",
    "pattern",
    "performed",
    "procedure",
    "product",
    "quantity",
    "rate",
    "reported",
    "scheduled",
    "series",
    "seriesDoses",
    "serviced",
    "source",
    "start",
    "statusReason",
    "subject",
    "substance",
    "target",
    "time",
    "timing",
    "topic",
    "value",
];

impl DataType {
    /// `boolean`
    pub const BOOLEAN: DataType = DataType(0);
    /// `integer`
    pub const INTEGER: DataType = DataType(1);
    /// `decimal`
    pub const DECIMAL: DataType = DataType(2);
    /// `string`
    pub const STRING: DataType = DataType(3);
    /// `date`
    pub const DATE: DataType = DataType(4);
    /// `dateTime`
    pub const DATE_TIME: DataType = DataType(5);
    /// `time`
    pub const TIME: DataType = DataType(6);

    /// The type of that name; `System.String` and the like are taken for the types of FHIR, and so is the address of
    /// a type's definition.
    pub fn named(name: &str) -> Option<DataType> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let name = name.strip_prefix("FHIR.").or(name.strip_prefix("System.")).unwrap_or(name);
        let exact = TYPES.iter().position(|(known, _)| *known == name);
        let found = exact.or_else(|| Self::position_of_ending(name))?;
        Some(DataType(found as u8))
    }

    /// The type that ends the name of a choice element: `DateTime`, `Quantity`.
    pub fn of_ending(ending: &str) -> Option<DataType> {
        Self::position_of_ending(ending).map(|found| DataType(found as u8))
    }

    fn position_of_ending(ending: &str) -> Option<usize> {
        let (first, rest) = ending.split_at_checked(1)?;
        let same = |known: &str| known[1..] == *rest && known[..1].to_ascii_uppercase() == first;
        TYPES.iter().position(|(known, _)| same(known))
    }

    /// The name in FHIR.
    pub fn name(self) -> &'static str {
        TYPES[self.0 as usize].0
    }

    /// What its values are like.
    pub fn class(self) -> Class {
        TYPES[self.0 as usize].1
    }

    /// True for days, moments and times.
    pub fn is_temporal(self) -> bool {
        matches!(self.class(), Class::Date | Class::DateTime | Class::Time)
    }

    /// The name that a choice element has in JSON with this type.
    pub fn ending(self, element: &str) -> String {
        let name = self.name();
        format!("{element}{}{}", name[..1].to_ascii_uppercase(), &name[1..])
    }

    /// The type of an element that is known by its name alone, as far as it is no text.
    pub fn of_element(name: &str) -> Option<DataType> {
        Some(match name {
            "active" | "primarySource" | "experimental" | "userSelected" => DataType::BOOLEAN,
            "birthDate" => DataType::DATE,
            "lastUpdated" | "issued" | "authoredOn" | "recordedDate" | "recorded" => DataType::DATE_TIME,
            _ => {
                let at = name.rfind(|c: char| c.is_ascii_uppercase()).filter(|at| *at > 0)?;
                let at = if name[..at].ends_with("Date") { at - 4 } else { at };
                let (element, ending) = name.split_at(at);
                return DataType::of_ending(ending).filter(|_| is_choice(element));
            }
        })
    }
}

/// True for an element whose type ends its name in JSON.
pub fn is_choice(element: &str) -> bool {
    CHOICE_ELEMENTS.contains(&element)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_by_name_ending_and_address() {
        for (name, known) in [
            ("dateTime", "dateTime"),
            ("Quantity", "Quantity"),
            ("FHIR.Quantity", "Quantity"),
            ("System.String", "string"),
            ("http://hl7.org/fhir/StructureDefinition/code", "code"),
            ("http://hl7.org/fhirpath/System.Integer", "integer"),
        ] {
            assert_eq!(DataType::named(name).map(DataType::name), Some(known), "{name}");
        }
        assert_eq!(DataType::named("Patient"), None);
        assert_eq!(DataType::named(""), None);
        assert_eq!(DataType::of_ending("DateTime"), Some(DataType::DATE_TIME));
        assert_eq!(DataType::of_ending("dateTime"), None);
        assert_eq!(DataType::DATE_TIME.ending("value"), "valueDateTime");
        for (constant, name) in [
            (DataType::BOOLEAN, "boolean"),
            (DataType::INTEGER, "integer"),
            (DataType::DECIMAL, "decimal"),
            (DataType::STRING, "string"),
            (DataType::DATE, "date"),
            (DataType::TIME, "time"),
        ] {
            assert_eq!(constant.name(), name);
        }
    }

    #[test]
    fn some_elements_tell_their_type() {
        assert_eq!(DataType::of_element("birthDate"), Some(DataType::DATE));
        assert_eq!(DataType::of_element("effectiveDateTime"), Some(DataType::DATE_TIME));
        assert_eq!(DataType::of_element("deceasedBoolean"), Some(DataType::BOOLEAN));
        assert_eq!(DataType::of_element("reasonCode"), None);
        assert_eq!(DataType::of_element("family"), None);
    }
}
