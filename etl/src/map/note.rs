//! DiagnosticReport, DocumentReference and Composition to `note`.
//!
//! The conclusion of a report is always a note. Whole documents name people, so their text is taken only when the
//! option `notes` says so.

mod document;
mod text;

use std::borrow::Cow;

use model::fhir::{CodeableConcept, DateTime, DiagnosticReport, Str};
use model::omop::{NO_MATCHING_CONCEPT, Note};
use model::vocabulary::{rule, value};

use super::Judgement;
use super::draft::{Draft, SOURCE_VALUE, Visit};
use super::event::Event;
use crate::vocabulary::{Domain, Priority, Resolution};

pub use document::{from_composition, from_document_reference};

const EFFECTIVE: &str = "DiagnosticReport.effective[x]";
const CONCLUSION_CODE: &str = "DiagnosticReport.conclusionCode";
const PRESENTED_FORM: &str = "DiagnosticReport.presentedForm";
/// The length of `note_title`.
const TITLE: usize = 250;

/// Maps a DiagnosticReport: its conclusion, in words and in codes. Its results are Observations of their own.
pub fn from_diagnostic_report(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let report: DiagnosticReport<'_> = draft.read()?;
    draft.gate_modifiers(&report.modifier_extension, report.implicit_rules.as_ref())?;
    let conclusion = report.conclusion.as_ref().filter(|text| !text.trim().is_empty());
    let takes_forms = draft.context.notes && !report.presented_form.is_empty();
    if conclusion.is_none() && report.conclusion_code.is_empty() && !takes_forms {
        let reason = if report.presented_form.is_empty() { "no_conclusion" } else { "notes_off" };
        return Err(Judgement::excluded(reason, "results are Observations of their own"));
    }
    let admitted = ["final", "amended", "corrected", "appended"];
    draft.gate_status("DiagnosticReport.status", report.status.as_deref(), &admitted)?;
    let person_id = draft.person("DiagnosticReport.subject", report.subject.as_ref())?;
    let effective = report.effective_date_time.or(report.effective_period.as_ref().and_then(|period| period.start));
    let Some(start) = effective.or(report.issued) else {
        return Err(Judgement::missing(EFFECTIVE, "expected a date, or the moment of issue"));
    };
    draft.note_precision(EFFECTIVE, &start);
    if effective.is_none() {
        draft.lose(EFFECTIVE, "date_from_issued");
    }
    let codes = report.category.iter().flat_map(|category| &category.coding);
    let known = codes.filter_map(|coding| value("report_category", coding.code.as_deref()?)).next();
    let type_concept_id = known.filter(|_| !start.is_partial()).unwrap_or(rule::TYPE_EHR);
    let visit = draft.visit("DiagnosticReport.encounter", report.encounter.as_ref());
    let provider_id = draft.provider("DiagnosticReport.performer", &report.performer);

    let mut page = Page {
        person_id,
        start,
        type_concept_id,
        visit,
        provider_id,
        class: Resolution::default(),
        language: report.language.clone(),
    };
    if conclusion.is_some() || takes_forms {
        page.class = draft.resolve("DiagnosticReport.code", &report.code, Priority::Observation);
    }
    if let Some(conclusion) = conclusion {
        page.push(draft, "DiagnosticReport.code", conclusion.to_cow(), "".into());
    }
    if !report.presented_form.is_empty() && !draft.context.notes {
        draft.lose(PRESENTED_FORM, "notes_off");
    } else {
        // Every form is the same report in another format: the first that is text will do.
        let text = report.presented_form.iter().find_map(|form| text::of_attachment(draft, PRESENTED_FORM, form));
        if let Some(text) = text {
            page.push(draft, "DiagnosticReport.code", text, "presentedForm".into());
        }
    }
    for (index, concept) in report.conclusion_code.iter().enumerate() {
        let code = draft.resolve(CONCLUSION_CODE, concept, Priority::Clinical);
        let mut event = Event::new(Domain::Observation, person_id, start, type_concept_id, &code);
        event.part = format!("conclusionCode[{index}]");
        event.visit = visit;
        event.provider_id = provider_id;
        draft.emit(CONCLUSION_CODE, &event, &code);
    }
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("no_text", "DiagnosticReport")) }
}

/// What the notes of one resource share.
struct Page<'d> {
    person_id: i64,
    start: DateTime,
    type_concept_id: i32,
    visit: Visit,
    provider_id: Option<i64>,
    /// What kind of document it is.
    class: Resolution<'d>,
    language: Option<Str<'d>>,
}

impl<'d> Page<'d> {
    fn push(&self, draft: &mut Draft<'d, '_>, element: &'static str, text: Cow<'d, str>, part: Cow<'static, str>) {
        let is_english = self.language.as_deref().is_none_or(|language| language.starts_with("en"));
        let title = self.class.display.clone();
        let row = Note {
            note_id: draft.key("note", &part),
            person_id: self.person_id,
            note_date: self.start.date,
            note_datetime: self.start.utc(),
            note_type_concept_id: self.type_concept_id,
            note_class_concept_id: self.class.concept_id(),
            note_title: title.map(|title| draft.cut(element, title, TITLE)),
            note_text: text,
            encoding_concept_id: rule::NOTE_ENCODING_UTF_8,
            language_concept_id: if is_english { rule::NOTE_LANGUAGE_ENGLISH } else { NO_MATCHING_CONCEPT },
            provider_id: self.provider_id,
            visit_occurrence_id: self.visit.visit_occurrence_id,
            visit_detail_id: self.visit.visit_detail_id,
            note_source_value: self.class.source_value.clone().map(|code| draft.cut(element, code, SOURCE_VALUE)),
            ..Note::default()
        };
        draft.push(row, part);
    }
}

/// The kind of a document.
fn class<'d>(draft: &mut Draft<'d, '_>, element: &'static str, kind: &CodeableConcept<'d>) -> Resolution<'d> {
    draft.resolve(element, kind, Priority::Observation)
}
