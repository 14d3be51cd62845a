//! QuestionnaireResponse to `observation`, or wherever the domain of a question says: one row for each answer.

use std::borrow::Cow;

use model::fhir::{Answer, CodeableConcept, Coding, Quantity, QuestionnaireResponse, ResponseItem, Value};
use model::vocabulary::rule;

use crate::map::Judgement;
use crate::map::draft::{Draft, SOURCE_VALUE, names_type};
use crate::map::event::Event;
use crate::map::value::{Found, event_value};
use crate::vocabulary::{Domain, Priority, Resolution};

const QUESTION: &str = "QuestionnaireResponse.item.linkId";
const ANSWER: &str = "QuestionnaireResponse.item.answer.value[x]";
const LOINC: &str = "LOINC";

/// Maps a QuestionnaireResponse.
pub fn from_questionnaire_response(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let response: QuestionnaireResponse<'_> = draft.read()?;
    draft.gate_modifiers(&response.modifier_extension, response.implicit_rules.as_ref())?;
    draft.gate_status("QuestionnaireResponse.status", response.status.as_deref(), &["completed", "amended"])?;
    let person_id = draft.person("QuestionnaireResponse.subject", response.subject.as_ref())?;
    let Some(start) = response.authored else {
        return Err(Judgement::missing("QuestionnaireResponse.authored", "expected when it was answered"));
    };
    draft.note_precision("QuestionnaireResponse.authored", &start);
    let told_by = response.source.as_ref().or(response.author.as_ref());
    let is_self_report = told_by.is_some_and(|told_by| names_type(told_by, &["Patient", "RelatedPerson"]));
    let type_concept_id = if is_self_report { rule::TYPE_PATIENT_FILLED_SURVEY } else { rule::TYPE_EHR };
    let mut event = Event::new(Domain::Observation, person_id, start, type_concept_id, &Resolution::default());
    event.visit = draft.visit("QuestionnaireResponse.encounter", response.encounter.as_ref());
    event.provider_id = draft.provider("QuestionnaireResponse.author", response.author.as_ref());
    for (index, item) in response.item.iter().enumerate() {
        answers(draft, &event, item, format!("item[{index}]"))?;
    }
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("no_answer", "QuestionnaireResponse")) }
}

/// Writes the answers of an item and of those within, `path` being its place.
fn answers<'d>(
    draft: &mut Draft<'d, '_>,
    setting: &Event<'d>,
    item: &ResponseItem<'d>,
    path: String,
) -> Result<(), Judgement> {
    draft.gate_extensions(&path, &item.modifier_extension)?;
    for (index, answer) in item.answer.iter().enumerate() {
        let part = if index == 0 { path.clone() } else { format!("{path}.answer[{index}]") };
        write(draft, setting, item, answer, part);
        for (within, item) in answer.item.iter().enumerate() {
            answers(draft, setting, item, format!("{path}.answer[{index}].item[{within}]"))?;
        }
    }
    for (within, item) in item.item.iter().enumerate() {
        answers(draft, setting, item, format!("{path}.item[{within}]"))?;
    }
    Ok(())
}

fn write<'d>(
    draft: &mut Draft<'d, '_>,
    setting: &Event<'d>,
    item: &ResponseItem<'d>,
    answer: &Answer<'d>,
    part: String,
) {
    let number = answer.value_decimal.clone().map(|value| Quantity { value: Some(value), ..Quantity::default() });
    let choice = answer
        .value_coding
        .clone()
        .map(|coding| CodeableConcept { coding: vec![coding], ..CodeableConcept::default() });
    let value = None
        .or(answer.value_boolean.map(Value::Boolean))
        .or(number.as_ref().map(Value::Quantity))
        .or(answer.value_quantity.as_ref().map(Value::Quantity))
        .or(answer.value_integer.map(Value::Integer))
        .or(choice.as_ref().map(Value::CodeableConcept))
        .or(answer.value_string.as_ref().or(answer.value_uri.as_ref()).map(Value::String))
        .or(answer.value_date_time.as_ref().or(answer.value_date.as_ref()).map(Value::DateTime))
        .or(answer.value_time.as_ref().map(Value::Time));
    if value.is_none() {
        // A file, or a reference to another resource.
        draft.lose(ANSWER, "no_target");
        return;
    }
    let code = question(draft, item);
    let mut event = setting.clone();
    event.part = part;
    event.source_value = code.source_value.clone();
    event.source_concept_id = Some(code.source_concept_id.unwrap_or(model::omop::NO_MATCHING_CONCEPT));
    event.value = event_value(draft, &Found { element: ANSWER, value, reference_range: &[] });
    draft.emit(QUESTION, &event, &code);
}

/// What was asked: the last part of the `linkId`, or of the definition, where that is a LOINC code; else unmapped.
fn question<'d>(draft: &mut Draft<'d, '_>, item: &ResponseItem<'d>) -> Resolution<'d> {
    let vocabulary = draft.context.vocabulary;
    let link = item.link_id.as_deref().unwrap_or_default();
    let definition = item.definition.as_deref().unwrap_or_default();
    let last = |text: &str| text.rsplit(['/', '#', '|']).next().unwrap_or_default().to_owned();
    let code = [last(link), last(definition)]
        .into_iter()
        .find(|code| !code.is_empty() && vocabulary.concept_of_code(LOINC, code).is_some());
    let Some(code) = code else {
        let source_value = (!link.is_empty()).then(|| draft.cut(QUESTION, Cow::Owned(link.to_owned()), SOURCE_VALUE));
        return draft.cover(QUESTION, Resolution { source_value, ..Resolution::default() });
    };
    let system = model::vocabulary::code_systems().find(|system| system.vocabulary_id == LOINC);
    let coding =
        Coding { system: system.map(|system| system.uri.into()), code: Some((&*code).into()), ..Coding::default() };
    let concept = CodeableConcept { coding: vec![coding], text: None };
    let resolved = vocabulary.resolve(&concept, Priority::Observation).into_owned();
    draft.cover(QUESTION, resolved)
}
