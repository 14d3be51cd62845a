//! DocumentReference and Composition: whole documents, taken only when the option `notes` says so.

use std::borrow::Cow;

use model::fhir::{Composition, DocumentReference, Section};
use model::vocabulary::rule;

use super::{Page, class, text};
use crate::map::Judgement;
use crate::map::draft::Draft;

const CONTENT: &str = "DocumentReference.content";

/// Maps a DocumentReference.
pub fn from_document_reference(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let document: DocumentReference<'_> = draft.read()?;
    draft.gate_modifiers(&document.modifier_extension, document.implicit_rules.as_ref())?;
    draft.gate_status("DocumentReference.status", document.status.as_deref(), &["current"])?;
    if let Some(status) = document.doc_status.as_deref() {
        draft.gate_status("DocumentReference.docStatus", Some(status), &["final", "amended"])?;
    }
    if !draft.context.notes {
        return Err(Judgement::excluded("notes_off", "DocumentReference"));
    }
    let person_id = draft.person("DocumentReference.subject", document.subject.as_ref())?;
    let context = document.context.as_ref();
    let period = context.and_then(|context| context.period.as_ref());
    let Some(start) = document.date.or(period.and_then(|period| period.start)) else {
        return Err(Judgement::missing("DocumentReference.date", "expected a date, or the period that it is about"));
    };
    draft.note_precision("DocumentReference.date", &start);
    if document.date.is_none() {
        draft.lose("DocumentReference.date", "date_from_period");
    }
    let encounters = context.map_or(&[] as &[_], |context| &context.encounter);
    let mut page = Page {
        person_id,
        start,
        type_concept_id: rule::TYPE_EHR,
        visit: draft.visit("DocumentReference.context.encounter", encounters.first()),
        provider_id: draft.provider("DocumentReference.author", &document.author),
        class: class(draft, "DocumentReference.type", &document.document_type),
        language: None,
    };
    // Every content is the same document in another format: the first that is text will do.
    for attachment in document.content.iter().filter_map(|content| content.attachment.as_ref()) {
        if let Some(text) = text::of_attachment(draft, CONTENT, attachment) {
            page.language = attachment.language.clone();
            page.push(draft, "DocumentReference.type", text, "".into());
            break;
        }
    }
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("no_text", "DocumentReference")) }
}

/// Maps a Composition: one note with the text of all sections.
pub fn from_composition(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let composition: Composition<'_> = draft.read()?;
    draft.gate_modifiers(&composition.modifier_extension, composition.implicit_rules.as_ref())?;
    draft.gate_status("Composition.status", composition.status.as_deref(), &["final", "amended"])?;
    if !draft.context.notes {
        return Err(Judgement::excluded("notes_off", "Composition"));
    }
    let person_id = draft.person("Composition.subject", composition.subject.as_ref())?;
    let Some(start) = composition.date else {
        return Err(Judgement::missing("Composition.date", "expected when it was written"));
    };
    draft.note_precision("Composition.date", &start);
    let mut words = String::new();
    composition.section.iter().for_each(|section| write(section, &mut words));
    if words.is_empty() {
        return Err(Judgement::excluded("no_text", "Composition"));
    }
    let page = Page {
        person_id,
        start,
        type_concept_id: rule::TYPE_EHR,
        visit: draft.visit("Composition.encounter", composition.encounter.as_ref()),
        provider_id: draft.provider("Composition.author", &composition.author),
        class: class(draft, "Composition.type", &composition.document_type),
        language: composition.language.clone(),
    };
    page.push(draft, "Composition.type", words.into(), "".into());
    Ok(())
}

/// Adds the title and text of a section and of those within.
fn write(section: &Section<'_>, words: &mut String) {
    let text = section.text.as_ref().and_then(|text| text.div.as_deref()).map(text::of_html);
    for paragraph in section.title.as_deref().map(Cow::Borrowed).into_iter().chain(text.map(Cow::Owned)) {
        if paragraph.trim().is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push('\n');
        }
        words.push_str(paragraph.trim());
    }
    section.section.iter().for_each(|within| write(within, words));
}
