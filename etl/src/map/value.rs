//! Observation.value[x] to numbers, concepts and texts.

use std::borrow::Cow;

use model::fhir::{CodeableConcept, Quantity, Range, Ratio, ReferenceRange, Str, Value};
use model::omop::NO_MATCHING_CONCEPT;
use model::vocabulary::{rule, value};

use super::draft::{Draft, SOURCE_VALUE};
use super::event::EventValue;
use crate::vocabulary::{Domain, Priority};

/// The length of `observation.value_as_string`.
const VALUE_AS_STRING: usize = 60;

/// A value and what is usual.
pub struct Found<'k, 'd> {
    /// The element, for what is counted.
    pub element: &'static str,
    pub value: Option<Value<'k, 'd>>,
    pub reference_range: &'k [ReferenceRange<'d>],
}

/// What the columns of a value are to hold.
pub fn event_value<'d>(draft: &mut Draft<'d, '_>, found: &Found<'_, 'd>) -> EventValue<'d> {
    let mut event = EventValue::default();
    match found.value {
        None => {}
        Some(Value::Quantity(quantity)) => {
            set_quantity(draft, found.element, &mut event, quantity);
            set_range(draft, &mut event, quantity, found.reference_range);
        }
        Some(Value::CodeableConcept(concept)) => set_concept(draft, found.element, &mut event, concept),
        Some(Value::String(text)) => set_text(draft, found.element, &mut event, text),
        Some(Value::Boolean(answer)) => {
            event.concept_id = Some(if answer { rule::VALUE_YES } else { rule::VALUE_NO });
            event.source_value = Some(Cow::Borrowed(if answer { "true" } else { "false" }));
            event.is_denial = !answer;
        }
        Some(Value::Integer(number)) => {
            event.number = Some(number as f64);
            event.source_value = Some(number.to_string().into());
        }
        Some(Value::Ratio(ratio)) => set_ratio(draft, found.element, &mut event, ratio),
        Some(Value::Range(range)) => set_low_high(draft, found.element, &mut event, range),
        Some(Value::SampledData) => draft.lose(found.element, "no_target"),
        Some(Value::Time(text) | Value::DateTime(text)) => {
            event.source_value = Some(draft.cut(found.element, text.to_cow(), SOURCE_VALUE));
        }
        Some(Value::Period(period)) => {
            let day = |moment: Option<model::fhir::DateTime>| moment.map_or(String::new(), |at| at.date.to_string());
            event.source_value = Some(format!("{}/{}", day(period.start), day(period.end)).into());
        }
    }
    event
}

/// A text goes into both text columns; each has its own length.
fn set_text<'d>(draft: &mut Draft<'d, '_>, element: &'static str, event: &mut EventValue<'d>, text: &Str<'d>) {
    event.text = Some(draft.cut(element, text.to_cow(), VALUE_AS_STRING));
    event.source_value = Some(draft.cut(element, text.to_cow(), SOURCE_VALUE));
}

fn set_quantity<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    event: &mut EventValue<'d>,
    quantity: &Quantity<'d>,
) {
    if let Some(number) = &quantity.value {
        event.number = Some(number.number());
        event.source_value = Some(draft.cut(element, number.to_cow(), SOURCE_VALUE));
    }
    if let Some(comparator) = quantity.comparator.as_deref() {
        event.operator_concept_id = Some(value("comparator", comparator).unwrap_or(NO_MATCHING_CONCEPT));
    }
    if let Some((concept_id, source_value)) = draft.unit(quantity) {
        event.unit_concept_id = Some(concept_id);
        event.unit_source_value = source_value;
    }
}

/// The normal range, or the first, where it has the value's unit.
fn set_range(
    draft: &mut Draft<'_, '_>,
    event: &mut EventValue<'_>,
    quantity: &Quantity<'_>,
    ranges: &[ReferenceRange<'_>],
) {
    let is_normal = |range: &&ReferenceRange<'_>| range.range_type.as_ref().is_some_and(|kind| kind.has_code("normal"));
    let Some(range) = ranges.iter().find(is_normal).or(ranges.first()) else {
        return;
    };
    let bound = |bound: &Option<Quantity<'_>>| {
        let bound = bound.as_ref()?;
        let has_other = |one: &Option<Str<'_>>, two: &Option<Str<'_>>| one.is_some() && two.is_some() && one != two;
        let is_same = match (&bound.code, &quantity.code) {
            (Some(one), Some(two)) => one == two,
            _ => !has_other(&bound.unit, &quantity.unit),
        };
        bound.value.as_ref().filter(|_| is_same).map(|value| value.number())
    };
    event.range_low = bound(&range.low);
    event.range_high = bound(&range.high);
    if event.range_low.is_none() && event.range_high.is_none() {
        draft.lose("Observation.referenceRange", "no_target");
    }
}

fn set_concept<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    event: &mut EventValue<'d>,
    concept: &CodeableConcept<'d>,
) {
    if concept.coding.iter().all(|coding| coding.code.is_none()) {
        if let Some(text) = &concept.text {
            set_text(draft, element, event, text);
        }
        return;
    }
    let resolved = draft.resolve(element, concept, Priority::Clinical);
    let preferred = resolved.targets.iter().find(|target| target.domain == Domain::MeasValue);
    event.concept_id = Some(preferred.map_or(resolved.concept_id(), |target| target.concept_id));
    event.source_value = resolved.source_value;
}

/// A titer is known by what stands below its line; any other ratio is a quotient.
fn set_ratio<'d>(draft: &mut Draft<'d, '_>, element: &'static str, event: &mut EventValue<'d>, ratio: &Ratio<'d>) {
    let above = ratio.numerator.as_ref().and_then(|quantity| quantity.value.as_ref());
    let below = ratio.denominator.as_ref().and_then(|quantity| quantity.value.as_ref());
    let (Some(above), Some(below)) = (above, below) else {
        draft.lose(element, "no_target");
        return;
    };
    let text = format!("{}:{}", above.literal(), below.literal());
    event.source_value = Some(draft.cut(element, text.into(), SOURCE_VALUE));
    let unit = |quantity: &Option<Quantity<'d>>| {
        quantity.as_ref().and_then(|quantity| quantity.code.clone().or_else(|| quantity.unit.clone()))
    };
    match (unit(&ratio.numerator), unit(&ratio.denominator)) {
        (None, None) if above.number() == 1.0 => event.number = Some(below.number()),
        (above_unit, below_unit) if below.number() != 0.0 => {
            event.number = Some(above.number() / below.number());
            let unit = match (above_unit, below_unit) {
                (Some(above), Some(below)) => format!("{}/{}", &*above, &*below),
                (Some(above), None) => above.to_string(),
                _ => return,
            };
            event.unit_concept_id = Some(draft.context.vocabulary.unit(None, &unit));
            event.unit_source_value = Some(draft.cut(element, unit.into(), SOURCE_VALUE));
        }
        _ => draft.lose(element, "no_target"),
    }
}

/// The mean of both ends, or the one end with its operator.
fn set_low_high<'d>(draft: &mut Draft<'d, '_>, element: &'static str, event: &mut EventValue<'d>, range: &Range<'d>) {
    let low = range.low.as_ref().and_then(|quantity| quantity.value.as_ref());
    let high = range.high.as_ref().and_then(|quantity| quantity.value.as_ref());
    let text = format!("{}-{}", low.map_or("", |value| value.literal()), high.map_or("", |value| value.literal()));
    match (low, high) {
        (Some(low), Some(high)) => event.number = Some((low.number() + high.number()) / 2.0),
        (Some(low), None) => {
            event.number = Some(low.number());
            event.operator_concept_id = Some(rule::OPERATOR_GREATER_OR_EQUAL);
        }
        (None, Some(high)) => {
            event.number = Some(high.number());
            event.operator_concept_id = Some(rule::OPERATOR_LESS_OR_EQUAL);
        }
        (None, None) => {
            draft.lose(element, "no_target");
            return;
        }
    }
    event.source_value = Some(draft.cut(element, text.into(), SOURCE_VALUE));
    let with_unit =
        [&range.low, &range.high].into_iter().flatten().find(|end| end.code.is_some() || end.unit.is_some());
    if let Some(quantity) = with_unit
        && let Some(unit) = quantity.code.as_ref().or(quantity.unit.as_ref())
    {
        let system = if quantity.code.is_some() { quantity.system.as_deref() } else { None };
        event.unit_concept_id = Some(draft.context.vocabulary.unit(system, unit));
        event.unit_source_value = draft.source_value("Quantity.code", Some(unit));
    }
}
