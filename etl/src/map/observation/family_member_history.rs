//! FamilyMemberHistory to `observation`: that there is a family history, and of what. Never a condition of the patient.

use model::fhir::FamilyMemberHistory;
use model::vocabulary::rule;

use crate::map::Judgement;
use crate::map::draft::Draft;
use crate::map::event::Event;
use crate::vocabulary::{Domain, Priority, Target};

const CODE: &str = "FamilyMemberHistory.condition.code";

/// Maps a FamilyMemberHistory: one observation for each condition of the relative.
pub fn from_family_member_history(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let history: FamilyMemberHistory<'_> = draft.read()?;
    draft.gate_modifiers(&history.modifier_extension, history.implicit_rules.as_ref())?;
    for (index, condition) in history.condition.iter().enumerate() {
        draft.gate_extensions(&format!("condition[{index}]"), &condition.modifier_extension)?;
    }
    draft.gate_status("FamilyMemberHistory.status", history.status.as_deref(), &["completed", "partial"])?;
    if history.condition.is_empty() {
        return Err(Judgement::excluded("no_condition", "FamilyMemberHistory"));
    }
    let person_id = draft.person("FamilyMemberHistory.patient", history.patient.as_ref())?;
    let Some(start) = history.date else {
        return Err(Judgement::missing("FamilyMemberHistory.date", "expected when it was written down"));
    };
    draft.note_precision("FamilyMemberHistory.date", &start);
    let relationship = draft.resolve("FamilyMemberHistory.relationship", &history.relationship, Priority::Clinical);
    for (index, condition) in history.condition.iter().enumerate() {
        let mut code = draft.resolve(CODE, &condition.code, Priority::Clinical);
        let history_of = code.concept_id();
        let concept_id = rule::FAMILY_HISTORY_CLINICAL_FINDING;
        code.targets = vec![Target { concept_id, domain: Domain::Observation }];
        let mut event = Event::new(Domain::Observation, person_id, start, rule::TYPE_EHR, &code);
        event.is_fixed = true;
        if index > 0 {
            event.part = format!("condition[{index}]");
        }
        event.value.concept_id = Some(history_of);
        event.value.source_value = code.source_value.clone();
        event.qualifier_concept_id = relationship.targets.first().map(|target| target.concept_id);
        event.qualifier_source_value = relationship.source_value.clone();
        draft.emit(CODE, &event, &code);
        for (is_told, element) in [
            (condition.outcome.is_some(), "FamilyMemberHistory.condition.outcome"),
            (
                condition.onset_age.is_some() || condition.onset_string.is_some(),
                "FamilyMemberHistory.condition.onset[x]",
            ),
        ] {
            if is_told {
                draft.lose(element, "no_target");
            }
        }
    }
    Ok(())
}
