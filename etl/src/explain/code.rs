//! The codes of a resource once more through the vocabulary: each coding that was tried, what it is, where it maps to,
//! and which one counted.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use model::document::{Resource, Tape};
use serde::Serialize;
use serde_json::Value;

use crate::map::{self, Context, MedicationRequestPolicy};
use crate::reference::References;
use crate::table_choice::TableChoice;
use crate::vocabulary::{Spelling, Vocabulary};

/// What is known of a resource's content.
pub enum Content {
    /// All of it.
    Json { resource_type: String, id: String, json: String },
    /// The columns of its flat table.
    Flat { table: String, columns: BTreeMap<String, String> },
    /// Nothing.
    None,
}

/// One coded element and where its codings lead.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CodeStory {
    /// `Condition.code`
    pub element: String,
    /// The codings, in the order of the source.
    pub codings: Vec<TriedCoding>,
    /// The concept that the rules of today find; 0 for none.
    pub concept_id: i32,
    /// Its name.
    pub concept_name: Option<String>,
}

/// One coding.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TriedCoding {
    /// The code system's URI.
    pub system: Option<String>,
    /// The code.
    pub code: Option<String>,
    /// Its display in the source.
    pub display: Option<String>,
    /// The OMOP vocabulary of the system, where it is loaded.
    pub vocabulary_id: Option<String>,
    /// The concept of the code.
    pub source_concept_id: Option<i32>,
    /// Its name.
    pub source_concept_name: Option<String>,
    /// `exact`, `normalised` or `not found`.
    pub found: &'static str,
    /// Where `Maps to` leads; a standard concept leads to itself.
    pub targets: Vec<Target>,
    /// Where `Maps to value` leads.
    pub value: Option<Target>,
    /// True for the coding that counted.
    pub is_chosen: bool,
}

/// A concept that a code leads to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The concept.
    pub concept_id: i32,
    /// Its name.
    pub concept_name: Option<String>,
    /// Its domain.
    pub domain_id: String,
    /// The table of that domain; none for a domain that is no event.
    pub omop_table: Option<&'static str>,
    /// False for one that is retired or not standard, and so does not count.
    pub is_valid_standard: bool,
}

impl CodeStory {
    /// All concepts that it mentions.
    pub fn concept_ids(&self) -> impl Iterator<Item = i32> {
        let of_codings = self.codings.iter().flat_map(|coding| {
            let targets = coding.targets.iter().chain(&coding.value).map(|target| target.concept_id);
            targets.chain(coding.source_concept_id)
        });
        of_codings.chain([self.concept_id])
    }

    /// Puts names to the concepts.
    pub fn name(&mut self, names: &BTreeMap<i32, String>) {
        self.concept_name = names.get(&self.concept_id).cloned();
        for coding in &mut self.codings {
            coding.source_concept_name = coding.source_concept_id.and_then(|id| names.get(&id).cloned());
            for target in coding.targets.iter_mut().chain(&mut coding.value) {
                target.concept_name = names.get(&target.concept_id).cloned();
            }
        }
    }
}

/// The stories of all codes of a resource.
pub fn stories(
    vocabulary: &Vocabulary,
    source_id: &str,
    content: &Content,
    policy: MedicationRequestPolicy,
) -> Vec<CodeStory> {
    match content {
        Content::Json { resource_type, id, json } => of_json(vocabulary, source_id, (resource_type, id), json, policy),
        Content::Flat { table, columns } => of_columns(vocabulary, table, columns),
        Content::None => Vec::new(),
    }
}

/// Maps the resource once more, and follows every code that the mapping looked up.
fn of_json(
    vocabulary: &Vocabulary,
    source_id: &str,
    (resource_type, id): (&str, &str),
    json: &str,
    policy: MedicationRequestPolicy,
) -> Vec<CodeStory> {
    let mut tape = Tape::default();
    let (Ok(element), Ok(value)) = (tape.parse(json), serde_json::from_str::<Value>(json)) else { return Vec::new() };
    let references = References::credulous(source_id, None, None);
    let context = Context {
        source_id,
        vocabulary,
        medication_request_policy: policy,
        keep_address: false,
        notes: false,
        table_choice: &TableChoice::default(),
        extraction_date: NaiveDate::default(),
        references: &references,
    };
    let mapped = map::map(&Resource { resource_type, id, element }, &context);
    let mut told: Vec<CodeStory> = Vec::new();
    for coverage in &mapped.coverage {
        let chosen = (coverage.system.as_deref(), coverage.code.as_deref());
        let found = find(&value, coverage.element);
        // Of several elements of that name, the one that holds the code.
        let holds = |codings: &Vec<Plain>| {
            codings.iter().any(|coding| (coding.system.as_deref(), coding.code.as_deref()) == chosen)
        };
        let codings = found.into_iter().find(holds).unwrap_or_else(|| {
            let own = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
            vec![Plain { system: own(&coverage.system), code: own(&coverage.code), display: own(&coverage.display) }]
        });
        let mut has_chosen = false;
        let tried = codings.into_iter().map(|coding| {
            let is_chosen = !has_chosen && (coding.system.as_deref(), coding.code.as_deref()) == chosen;
            has_chosen |= is_chosen;
            tried(vocabulary, coding, is_chosen)
        });
        let story = CodeStory {
            element: coverage.element.to_owned(),
            codings: tried.collect(),
            concept_id: coverage.concept_id,
            concept_name: None,
        };
        if !told.contains(&story) {
            told.push(story);
        }
    }
    told
}

/// The flat table has the first coding of the code, and that is what can be told.
fn of_columns(vocabulary: &Vocabulary, table: &str, columns: &BTreeMap<String, String>) -> Vec<CodeStory> {
    let column = |name: &str| columns.get(name).cloned();
    let Some(code) = column("code") else { return Vec::new() };
    let plain = Plain { system: column("code_system"), code: Some(code), display: column("code_display") };
    let coding = tried(vocabulary, plain, true);
    let concept_id = coding.targets.iter().find(|target| target.is_valid_standard).map(|target| target.concept_id);
    vec![CodeStory {
        element: format!("fhir.{table}.code"),
        concept_id: concept_id.unwrap_or(model::omop::NO_MATCHING_CONCEPT),
        concept_name: None,
        codings: vec![coding],
    }]
}

/// A coding as it stands in the source.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    system: Option<String>,
    code: Option<String>,
    display: Option<String>,
}

fn tried(vocabulary: &Vocabulary, coding: Plain, is_chosen: bool) -> TriedCoding {
    let Plain { system, code, display } = coding;
    let mut tried = TriedCoding { system, code, display, found: "not found", is_chosen, ..TriedCoding::default() };
    let (Some(system), Some(code)) = (tried.system.as_deref(), tried.code.as_deref()) else { return tried };
    tried.vocabulary_id = vocabulary.vocabulary_of(system).map(str::to_owned);
    let Some((concept, spelling)) = vocabulary.concept_of_coding(system, code) else { return tried };
    tried.found = match spelling {
        Spelling::Exact => "exact",
        Spelling::Normalised => "normalised",
    };
    let target = |concept_id: i32| {
        let concept = vocabulary.concept(concept_id);
        let is_valid_standard = concept.is_some_and(|concept| concept.is_standard && concept.is_valid);
        Target {
            concept_id,
            concept_name: None,
            domain_id: concept.map_or("", |concept| concept.domain_id).to_owned(),
            omop_table: concept.filter(|concept| concept.domain.is_event()).map(|concept| concept.domain.table()),
            is_valid_standard,
        }
    };
    tried.source_concept_id = Some(concept.concept_id);
    tried.targets = vocabulary.maps_to(concept.concept_id).into_iter().map(target).collect();
    tried.value = vocabulary.maps_to_value(concept.concept_id).map(target);
    tried
}

/// The codings of every element of that name: `Observation.component.code`, `MedicationRequest.medication[x]`.
fn find(resource: &Value, element: &str) -> Vec<Vec<Plain>> {
    let mut found = vec![resource];
    if element == "Quantity.code" {
        let components = resource.get("component").and_then(Value::as_array).into_iter().flatten();
        let quantities = std::iter::once(resource).chain(components).filter_map(|holder| holder.get("valueQuantity"));
        return quantities.map(|quantity| vec![plain(quantity, "unit")]).collect();
    }
    for step in element.split('.').skip(1) {
        found = found.into_iter().flat_map(|value| members(value, step)).collect();
    }
    found.into_iter().filter_map(codings).collect()
}

/// The members of that name, lists opened; `medication[x]` is any member that starts like that.
fn members<'v>(value: &'v Value, step: &str) -> Vec<&'v Value> {
    let Some(object) = value.as_object() else { return Vec::new() };
    let named = object.iter().filter(|(name, _)| match step.strip_suffix("[x]") {
        Some(stem) => {
            name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
        }
        None => name.as_str() == step,
    });
    named
        .flat_map(|(_, value)| match value {
            Value::Array(items) => items.iter().collect(),
            other => vec![other],
        })
        .collect()
}

fn codings(concept: &Value) -> Option<Vec<Plain>> {
    match concept.get("coding") {
        Some(codings) => Some(codings.as_array()?.iter().map(|coding| plain(coding, "display")).collect()),
        // A Coding of its own, such as Encounter.class.
        None => concept.get("code").map(|_| vec![plain(concept, "display")]),
    }
}

fn plain(coding: &Value, display: &str) -> Plain {
    let text = |name: &str| coding.get(name).and_then(Value::as_str).map(str::to_owned);
    Plain { system: text("system"), code: text("code"), display: text(display) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Vec<CodeStory> {
        let value: Value = serde_json::from_str(json).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let content = Content::Json { resource_type: text("resourceType"), id: text("id"), json: json.to_owned() };
        stories(&Vocabulary::starter(), "test", &content, MedicationRequestPolicy::OrdersAsExposure)
    }

    #[test]
    fn every_coding_is_tried_and_one_counts() {
        let told = of(
            r#"{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"onsetDateTime":"2020-01-01",
            "code":{"coding":[{"system":"urn:local","code":"x"},{"system":"http://snomed.info/sct","code":"44054006","display":"Diabetes"}]}}"#,
        );
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!((told[0].element.as_str(), told[0].concept_id), ("Condition.code", 201826));
        let [local, snomed] = &told[0].codings[..] else { panic!("{told:#?}") };
        assert_eq!((local.found, local.is_chosen, &local.vocabulary_id), ("not found", false, &None));
        assert_eq!((snomed.found, snomed.is_chosen, snomed.source_concept_id), ("exact", true, Some(201826)));
        let target = &snomed.targets[0];
        assert_eq!(
            (target.concept_id, target.omop_table, target.is_valid_standard),
            (201826, Some("condition_occurrence"), true)
        );
    }

    #[test]
    fn a_map_to_another_concept_and_to_a_value_is_followed() {
        let told = of(
            r#"{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"Patient/p"},"recordedDate":"2020-01-01",
            "code":{"coding":[{"system":"http://snomed.info/sct","code":"294499007"}]}}"#,
        );
        let coding = &told[0].codings[0];
        assert_eq!(coding.source_concept_id, Some(4167462));
        assert_eq!(coding.targets.iter().map(|target| target.concept_id).collect::<Vec<_>>(), [439224]);
        assert_eq!(coding.value.as_ref().map(|value| value.concept_id), Some(1728416));
    }

    #[test]
    fn elements_are_found_by_their_path() {
        let value: Value = serde_json::from_str(r#"{"component":[{"code":{"coding":[{"code":"1"}]}},{"code":{"coding":[{"code":"2"}]}}],
            "medicationCodeableConcept":{"coding":[{"code":"m"}]},"medications":1,"class":{"code":"AMB"},"valueQuantity":{"code":"mg","unit":"mgs"}}"#)
        .unwrap();
        let codes = |element: &str| -> Vec<String> {
            find(&value, element).into_iter().flatten().filter_map(|coding| coding.code).collect()
        };
        assert_eq!(codes("Observation.component.code"), ["1", "2"]);
        assert_eq!(codes("MedicationRequest.medication[x]"), ["m"]);
        assert_eq!(codes("Encounter.class"), ["AMB"]);
        assert_eq!(codes("Quantity.code"), ["mg"]);
        assert_eq!(codes("Observation.nothing.there"), Vec::<String>::new());
    }

    #[test]
    fn the_flat_table_tells_the_first_code() {
        let columns = [("code", "44054006"), ("code_system", "http://snomed.info/sct")];
        let columns = columns.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let content = Content::Flat { table: "condition".into(), columns };
        let told = stories(&Vocabulary::starter(), "test", &content, MedicationRequestPolicy::OrdersAsExposure);
        assert_eq!((told[0].element.as_str(), told[0].concept_id), ("fhir.condition.code", 201826));
    }
}
