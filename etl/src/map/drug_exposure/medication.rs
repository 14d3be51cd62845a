//! `medication[x]`: which drug it is, told here, in a contained Medication, or in a Medication of its own.

use model::document::{Tape, WrongType};
use model::fhir::{CodeableConcept, Reference};

use crate::map::Judgement;
use crate::map::draft::{Draft, literal};
use crate::vocabulary::{Priority, Resolution};

/// Resolves the drug. A reference that leads nowhere is counted, and its row has concept 0.
pub fn resolve<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    concept: Option<&CodeableConcept<'d>>,
    reference: Option<&Reference<'d>>,
) -> Result<Resolution<'d>, Judgement> {
    let code = find(draft, element, concept, reference)?;
    let vocabulary = draft.context.vocabulary;
    if !code.targets.is_empty() && code.targets.iter().all(|target| vocabulary.is_ingredient(target.concept_id)) {
        draft.lose(element, "ingredient_only");
    }
    Ok(code)
}

fn find<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    concept: Option<&CodeableConcept<'d>>,
    reference: Option<&Reference<'d>>,
) -> Result<Resolution<'d>, Judgement> {
    if let Some(concept) = concept {
        return Ok(draft.resolve(element, concept, Priority::Drug));
    }
    let Some(target) = reference.and_then(literal) else {
        return Err(Judgement::missing(element, "expected a code or a reference to a Medication"));
    };
    if let Some(id) = target.strip_prefix('#') {
        let code = draft.contained(id).and_then(|medication| medication.get("code"));
        if let Some(code) = code {
            let concept: CodeableConcept<'d> = code.read().map_err(|wrong| rejected("contained.code", wrong))?;
            return Ok(draft.resolve(element, &concept, Priority::Drug));
        }
    } else if let Some(json) = draft.context.references.definition(&target, "Medication") {
        let mut tape = Tape::default();
        if let Ok(code) = tape.parse(json) {
            let concept: CodeableConcept<'_> = code.read().map_err(|wrong| rejected("Medication.code", wrong))?;
            let resolved = draft.context.vocabulary.resolve(&concept, Priority::Drug).into_owned();
            return Ok(draft.cover(element, resolved));
        }
    }
    draft.lose(element, "unresolved_reference");
    Ok(draft.cover(element, Resolution::default()))
}

fn rejected(element: &str, wrong: WrongType) -> Judgement {
    let dot = if wrong.path.is_empty() { "" } else { "." };
    Judgement::rejected(format!("{element}{dot}{}", wrong.path), "wrong_type", wrong.message)
}
