//! What the files of the mapping share about the resource at hand: reading it, its gates, references, keys, codes and
//! the rows so far.

use std::borrow::Cow;

use model::document::{Element, Resource};
use model::fhir::{CodeableConcept, DateTime, Extension, Quantity, Reference, Str};
use model::omop::Row;
use model::omop::key::omop_key;
use serde::Deserialize;

use super::{Context, Coverage, Judgement, Loss, Mapped, MappedRow};
use crate::literal_reference::plain;
use crate::vocabulary::{Priority, Resolution};

/// The longest `*_source_value` of the CDM.
pub const SOURCE_VALUE: usize = 50;

/// The mapping of one resource, as far as it has come.
pub struct Draft<'d, 'c> {
    /// What the mapping may know.
    pub context: Context<'c>,
    /// The resource.
    pub resource: Resource<'d>,
    name: String,
    mapped: Mapped<'d>,
    /// (table, part) of the rows so far.
    parts: Vec<(&'static str, Cow<'static, str>)>,
}

/// The visit that an event belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Visit {
    pub visit_occurrence_id: Option<i64>,
    pub visit_detail_id: Option<i64>,
}

impl<'d, 'c> Draft<'d, 'c> {
    /// A draft without rows.
    pub fn new(resource: Resource<'d>, context: Context<'c>) -> Self {
        let name = [resource.resource_type, "/", resource.id].concat();
        Draft { context, resource, name, mapped: Mapped::default(), parts: Vec::new() }
    }

    /// The resource as a typed struct.
    pub fn read<T: Deserialize<'d>>(&self) -> Result<T, Judgement> {
        self.resource.read().map_err(|wrong| {
            let dot = if wrong.path.is_empty() || wrong.path.starts_with('[') { "" } else { "." };
            let field = format!("{}{dot}{}", self.resource.resource_type, wrong.path);
            Judgement::rejected(field, "wrong_type", wrong.message)
        })
    }

    /// The logical id.
    pub fn id(&self) -> &'d str {
        self.resource.id
    }

    /// `Type/id`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The contained resource that `#id` names.
    pub fn contained(&self, id: &str) -> Option<Element<'d>> {
        let contained = self.resource.element.get("contained")?;
        contained.items().find(|contained| contained.get("id").and_then(|id| id.as_str()) == Some(id))
    }

    /// The judgement and, when the resource is mapped, its rows.
    pub fn finish(self, outcome: Result<(), Judgement>) -> Mapped<'d> {
        match outcome {
            Ok(()) if self.mapped.rows.is_empty() => {
                Mapped { judgement: Judgement::excluded("no_row", self.resource.resource_type), ..Mapped::default() }
            }
            Ok(()) => self.mapped,
            Err(judgement) => Mapped { judgement, ..Mapped::default() },
        }
    }

    /// Stops at what may turn the meaning of the resource around: modifier extensions and implicit rules.
    pub fn gate_modifiers(&self, extensions: &[Extension<'_>], rules: Option<&Str<'_>>) -> Result<(), Judgement> {
        self.gate_extensions("", extensions)?;
        match rules {
            Some(_) => Err(Judgement::rejected(
                format!("{}.implicitRules", self.resource.resource_type),
                "unknown_implicit_rules",
                "expected none: the rules are not known here and may change the meaning",
            )),
            None => Ok(()),
        }
    }

    /// Stops at the modifier extensions of a part of the resource.
    pub fn gate_extensions(&self, part: &str, extensions: &[Extension<'_>]) -> Result<(), Judgement> {
        let Some(first) = extensions.first() else {
            return Ok(());
        };
        let dot = if part.is_empty() { "" } else { "." };
        Err(Judgement::rejected(
            format!("{}{dot}{part}.modifierExtension", self.resource.resource_type),
            "unknown_modifier_extension",
            first.url.as_deref().unwrap_or("without url").to_owned(),
        ))
    }

    /// Stops unless the status is one that makes rows.
    pub fn gate_status(&self, field: &str, status: Option<&str>, admitted: &[&str]) -> Result<(), Judgement> {
        let Some(status) = status else {
            return Err(Judgement::missing(field, "expected a code"));
        };
        if admitted.contains(&status) {
            return Ok(());
        }
        match STATUS_REASONS.iter().find(|(code, _)| *code == status) {
            Some((code, reason)) => Err(Judgement::excluded(reason, *code)),
            None => Err(Judgement::rejected(field, "unknown_code", "expected a code of the R4 value set")),
        }
    }

    /// The key of a row of this resource.
    pub fn key(&self, table: &str, part: &str) -> i64 {
        omop_key(self.context.source_id, &self.name, table, part)
    }

    /// The part of the next row of a table: the base, or the base and the concept when the base is taken.
    pub fn part(&mut self, table: &'static str, base: &str, concept_id: i32) -> Cow<'static, str> {
        let taken = |part: &str| self.parts.iter().any(|(of, held)| *of == table && held == part);
        let mut part: Cow<'static, str> = if base.is_empty() { "".into() } else { base.to_owned().into() };
        if taken(&part) {
            part = format!("{base}/{concept_id}").into();
        }
        self.parts.push((table, part.clone()));
        part
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl Into<Row<'d>>, part: Cow<'static, str>) {
        self.mapped.rows.push(MappedRow { row: row.into(), part });
    }

    /// True when there is a row already.
    pub fn has_rows(&self) -> bool {
        !self.mapped.rows.is_empty()
    }

    /// Counts something that no column could take.
    pub fn lose(&mut self, element: &'static str, reason: &'static str) {
        self.mapped.losses.push(Loss { element, reason });
    }

    /// Cuts a text to the length of its column.
    pub fn cut(&mut self, element: &'static str, text: Cow<'d, str>, length: usize) -> Cow<'d, str> {
        if text.len() <= length {
            return text;
        }
        let Some((end, _)) = text.char_indices().nth(length) else {
            return text;
        };
        self.lose(element, "truncated");
        match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
            Cow::Owned(mut text) => {
                text.truncate(end);
                Cow::Owned(text)
            }
        }
    }

    /// A string of the source as a source value.
    pub fn source_value(&mut self, element: &'static str, text: Option<&Str<'d>>) -> Option<Cow<'d, str>> {
        text.map(|text| self.cut(element, text.to_cow(), SOURCE_VALUE))
    }

    /// The first code of a CodeableConcept as a source value.
    pub fn first_code(&mut self, element: &'static str, concept: &CodeableConcept<'d>) -> Option<Cow<'d, str>> {
        let code = concept.coding.iter().find_map(|coding| coding.code.as_ref());
        self.source_value(element, code)
    }

    /// Resolves a code and counts what became of it.
    pub fn resolve(
        &mut self,
        element: &'static str,
        concept: &CodeableConcept<'d>,
        priority: Priority,
    ) -> Resolution<'d> {
        let resolution = self.context.vocabulary.resolve(concept, priority);
        self.cover(element, resolution)
    }

    /// Counts what became of a code, and cuts it to its column.
    pub fn cover(&mut self, element: &'static str, mut resolution: Resolution<'d>) -> Resolution<'d> {
        self.mapped.coverage.push(Coverage {
            element,
            system: resolution.system.clone(),
            code: resolution.source_value.clone(),
            display: resolution.display.clone(),
            concept_id: resolution.concept_id(),
        });
        if resolution.is_normalised {
            self.lose(element, "normalised_code");
        }
        if resolution.is_undecided {
            self.lose(element, "first_of_many");
        }
        resolution.source_value = resolution.source_value.map(|code| self.cut(element, code, SOURCE_VALUE));
        resolution
    }

    /// The concept of a quantity's unit, by its code or as it is written, and how the source writes it. Counts what
    /// became of it.
    pub fn unit(&mut self, quantity: &Quantity<'d>) -> Option<(i32, Option<Cow<'d, str>>)> {
        let unit = quantity.code.as_ref().or(quantity.unit.as_ref())?;
        let system = if quantity.code.is_some() { quantity.system.as_deref() } else { None };
        let concept_id = self.context.vocabulary.unit(system, unit);
        self.mapped.coverage.push(Coverage {
            element: "Quantity.code",
            system: quantity.system.as_ref().map(|system| system.to_cow()),
            code: Some(unit.to_cow()),
            display: quantity.unit.as_ref().map(|unit| unit.to_cow()),
            concept_id,
        });
        Some((concept_id, self.source_value("Quantity.code", Some(unit))))
    }

    /// The person that the resource is about.
    pub fn person(&mut self, field: &'static str, reference: Option<&Reference<'d>>) -> Result<i64, Judgement> {
        let Some(target) = reference.and_then(literal) else {
            return Err(Judgement::missing(field, "expected a reference to a Patient"));
        };
        if let Some(person_id) = self.context.references.person(&target) {
            return Ok(person_id);
        }
        match other_type(&target, reference) {
            Some(other) if other != "Patient" => Err(Judgement::excluded("subject_not_patient", other)),
            _ => Err(Judgement::rejected(field, "unresolved_reference", "expected a Patient that makes a person")),
        }
    }

    /// The visit that the resource belongs to.
    pub fn visit(&mut self, element: &'static str, reference: Option<&Reference<'d>>) -> Visit {
        let Some(target) = reference.and_then(literal) else {
            return Visit::default();
        };
        let visit = Visit {
            visit_occurrence_id: self.context.references.visit_occurrence(&target),
            visit_detail_id: self.context.references.visit_detail(&target),
        };
        if visit.visit_occurrence_id.is_none() {
            self.lose(element, "unresolved_reference");
            return Visit::default();
        }
        visit
    }

    /// The first provider among the references; patients, organizations and the like are passed over.
    pub fn provider<'r>(
        &mut self,
        element: &'static str,
        references: impl IntoIterator<Item = &'r Reference<'d>>,
    ) -> Option<i64>
    where
        'd: 'r,
    {
        let mut is_lost = false;
        for reference in references {
            let Some(target) = literal(reference) else {
                continue;
            };
            if let Some(provider_id) = self.context.references.provider(&target) {
                return Some(provider_id);
            }
            is_lost |= matches!(other_type(&target, Some(reference)), None | Some("Practitioner" | "PractitionerRole"));
        }
        if is_lost {
            self.lose(element, "unresolved_reference");
        }
        None
    }

    /// The first care site among the references.
    pub fn care_site<'r>(
        &mut self,
        element: &'static str,
        references: impl IntoIterator<Item = &'r Reference<'d>>,
    ) -> Option<i64>
    where
        'd: 'r,
    {
        let mut is_lost = false;
        for target in references.into_iter().filter_map(literal) {
            if let Some(care_site_id) = self.context.references.care_site(&target) {
                return Some(care_site_id);
            }
            is_lost = true;
        }
        if is_lost {
            self.lose(element, "unresolved_reference");
        }
        None
    }

    /// Counts a date that says only a year or a month, or a time that says no zone.
    pub fn note_precision(&mut self, element: &'static str, moment: &DateTime) {
        if moment.is_partial() {
            self.lose(element, "precision");
        } else if moment.precision == model::fhir::Precision::Time && moment.utc().is_none() {
            self.lose(element, "time_without_zone");
        }
    }
}

/// The text by which a reference finds its target: literal, or by business identifier.
pub fn literal<'k>(reference: &'k Reference<'_>) -> Option<Cow<'k, str>> {
    if let Some(text) = reference.reference.as_deref() {
        return Some(Cow::Borrowed(text));
    }
    let identifier = reference.identifier.as_ref()?;
    let target_type = reference.target_type.as_deref()?;
    let (system, value) = (identifier.system.as_deref().unwrap_or_default(), identifier.value.as_deref()?);
    Some(Cow::Owned(format!("{target_type}?identifier={system}|{value}")))
}

/// True when the reference says that its target is of one of the types.
pub fn names_type(reference: &Reference<'_>, types: &[&str]) -> bool {
    literal(reference).is_some_and(|target| other_type(&target, Some(reference)).is_some_and(|of| types.contains(&of)))
}

/// The type of a reference's target, where the reference says it.
pub fn other_type<'k>(target: &'k str, reference: Option<&'k Reference<'_>>) -> Option<&'k str> {
    if let Some(target_type) = reference.and_then(|reference| reference.target_type.as_deref()) {
        return Some(target_type);
    }
    if let Some((target_type, _)) = plain(target) {
        return Some(target_type);
    }
    if target.starts_with('#') || target.starts_with("urn:") {
        return None;
    }
    if let Some((head, _)) = target.split_once('?') {
        return head.rsplit('/').next();
    }
    let path = target.split("/_history/").next().unwrap_or(target);
    let target_type = path.rsplit('/').nth(1)?;
    target_type.starts_with(|first: char| first.is_ascii_uppercase()).then_some(target_type)
}

/// Status codes that make no row, with the reason that is counted.
const STATUS_REASONS: [(&str, &str); 31] = [
    ("entered-in-error", "status_entered_in_error"),
    ("planned", "status_planned"),
    ("cancelled", "status_cancelled"),
    ("unknown", "status_unknown"),
    ("preparation", "status_preparation"),
    ("in-progress", "status_in_progress"),
    ("not-done", "status_not_done"),
    ("on-hold", "status_on_hold"),
    ("stopped", "status_stopped"),
    ("completed", "status_completed"),
    ("active", "status_active"),
    ("draft", "status_draft"),
    ("registered", "status_registered"),
    ("preliminary", "status_preliminary"),
    ("unconfirmed", "status_unconfirmed"),
    ("refuted", "status_refuted"),
    ("intended", "status_intended"),
    ("not-taken", "status_not_taken"),
    ("declined", "status_declined"),
    ("partial", "status_partial"),
    ("health-unknown", "status_health_unknown"),
    ("superseded", "status_superseded"),
    ("inactive", "status_inactive"),
    ("proposal", "intent_proposal"),
    ("plan", "intent_plan"),
    ("option", "intent_option"),
    ("order", "intent_order"),
    ("original-order", "intent_original_order"),
    ("reflex-order", "intent_reflex_order"),
    ("filler-order", "intent_filler_order"),
    ("instance-order", "intent_instance_order"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_target_is_read_where_it_stands() {
        for (target, expected) in [
            ("Patient/1", Some("Patient")),
            ("http://example.org/fhir/Group/2/_history/3", Some("Group")),
            ("Practitioner?identifier=a|b", Some("Practitioner")),
            ("urn:uuid:1", None),
            ("#p", None),
            ("nothing", None),
        ] {
            assert_eq!(other_type(target, None), expected, "{target}");
        }
    }

    #[test]
    fn a_reference_without_text_is_found_by_identifier() {
        let json = br#"{"type":"Patient","identifier":{"system":"urn:s","value":"7"}}"#;
        let reference: Reference<'_> = model::fhir::parse("Reference", json).unwrap();
        assert_eq!(literal(&reference).as_deref(), Some("Patient?identifier=urn:s|7"));
        assert_eq!(literal(&Reference::default()), None);
    }
}
