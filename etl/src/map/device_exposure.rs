//! DeviceUseStatement to `device_exposure`, the devices of a Procedure, and any event whose concept is a device.
//!
//! A Device by itself says no day of use: the day of manufacture is none, and R4 has no element for that of an implant.
//! Its statement of use, or the Procedure that names it, makes the row. A Device of a patient is sound all the same, so
//! it is excluded with a reason of its own, and not rejected.

use std::borrow::Cow;

use model::document::{Resource, Tape, WrongType};
use model::fhir::{Device, DeviceUseStatement, Reference};
use model::omop::DeviceExposure;
use model::vocabulary::rule;

use super::Judgement;
use super::draft::{Draft, literal, names_type};
use super::event::{DevicePart, Event};
use crate::vocabulary::{Domain, Priority, Resolution};

const DEVICE: &str = "DeviceUseStatement.device";
const TIMING: &str = "DeviceUseStatement.timing[x]";

/// Maps a DeviceUseStatement.
pub fn from_device_use_statement(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let statement: DeviceUseStatement<'_> = draft.read()?;
    draft.gate_modifiers(&statement.modifier_extension, statement.implicit_rules.as_ref())?;
    draft.gate_status("DeviceUseStatement.status", statement.status.as_deref(), &["active", "completed"])?;
    let person_id = draft.person("DeviceUseStatement.subject", statement.subject.as_ref())?;
    let period = statement.timing_period.as_ref();
    let timing = statement
        .timing_date_time
        .or(period.and_then(|period| period.start))
        .or(statement.timing_timing.as_ref().and_then(|timing| timing.event.first().copied()));
    let Some(start) = timing.or(statement.recorded_on) else {
        return Err(Judgement::missing(TIMING, "expected when it is used, or when that was written down"));
    };
    draft.note_precision(TIMING, &start);
    if timing.is_none() {
        draft.lose(TIMING, "date_from_recorded");
    }
    let Some(device) = &statement.device else {
        return Err(Judgement::missing(DEVICE, "expected a reference to a Device"));
    };
    let (code, part) = describe(draft, DEVICE, device)?;
    let source = statement.source.as_ref();
    let is_self_report = source.is_some_and(|source| names_type(source, &["Patient", "RelatedPerson"]));
    let type_concept_id = if is_self_report { rule::TYPE_PATIENT_SELF_REPORT } else { rule::TYPE_EHR };
    let mut event = Event::new(Domain::Device, person_id, start, type_concept_id, &code);
    event.device = part;
    event.provider_id = draft.provider("DeviceUseStatement.source", source);
    event.set_end(draft, "DeviceUseStatement.timingPeriod.end", period.and_then(|period| period.end));
    if statement.body_site.is_some() {
        draft.lose("DeviceUseStatement.bodySite", "no_target");
    }
    draft.emit(DEVICE, &event, &code);
    if draft.has_rows() { Ok(()) } else { Err(Judgement::excluded("domain_visit", DEVICE)) }
}

/// Why a Device makes no row of its own.
pub fn reason_alone(device: &Resource<'_>) -> &'static str {
    if device.element.get("patient").is_some() { "no_day_of_use" } else { "told_by_others" }
}

/// Writes the devices that an event used: same person, day, visit and provider.
pub fn push_used<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    event: &Event<'d>,
    used: &[&Reference<'d>],
) -> Result<(), Judgement> {
    for (index, device) in used.iter().enumerate() {
        let (code, part) = describe(draft, element, device)?;
        let mut row = Event::new(Domain::Device, event.person_id, event.start, event.type_concept_id, &code);
        row.part = format!("device[{index}]");
        row.visit = event.visit;
        row.provider_id = event.provider_id;
        row.device = part;
        draft.emit(element, &row, &code);
    }
    Ok(())
}

/// The row of an event.
pub fn row<'d>(key: i64, concept_id: i32, event: &Event<'d>) -> DeviceExposure<'d> {
    DeviceExposure {
        device_exposure_id: key,
        person_id: event.person_id,
        device_concept_id: concept_id,
        device_exposure_start_date: event.start.date,
        device_exposure_start_datetime: event.start.utc(),
        device_exposure_end_date: event.end.map(|end| end.date),
        device_exposure_end_datetime: event.end.and_then(|end| end.utc()),
        device_type_concept_id: event.type_concept_id,
        unique_device_id: event.device.unique_device_id.clone(),
        production_id: event.device.production_id.clone(),
        provider_id: event.provider_id,
        visit_occurrence_id: event.visit.visit_occurrence_id,
        visit_detail_id: event.visit.visit_detail_id,
        device_source_value: event.source_value.clone(),
        device_source_concept_id: event.source_concept_id,
        ..DeviceExposure::default()
    }
}

/// What the Device that is referred to is, contained or on its own. One that is not found is counted.
fn describe<'d>(
    draft: &mut Draft<'d, '_>,
    element: &'static str,
    device: &Reference<'d>,
) -> Result<(Resolution<'d>, DevicePart<'d>), Judgement> {
    let target = literal(device).unwrap_or_default();
    if let Some(id) = target.strip_prefix('#') {
        if let Some(found) = draft.contained(id) {
            let device: Device<'d> = found.read().map_err(|wrong| rejected("contained", wrong))?;
            let code = draft.resolve(element, &device.device_type, Priority::Clinical);
            return Ok((code, part(draft, element, &device)));
        }
    } else if let Some(json) = draft.context.references.definition(&target, "Device") {
        let mut tape = Tape::default();
        if let Ok(found) = tape.parse(json) {
            let device: Device<'_> = found.read().map_err(|wrong| rejected("Device", wrong))?;
            let resolved = draft.context.vocabulary.resolve(&device.device_type, Priority::Clinical).into_owned();
            return Ok((draft.cover(element, resolved), part(draft, element, &device)));
        }
    }
    draft.lose(element, "unresolved_reference");
    Ok((draft.cover(element, Resolution::default()), DevicePart::default()))
}

/// The identifier of the model; lot and serial number tell the one device.
fn part<'d>(draft: &mut Draft<'d, '_>, element: &'static str, device: &Device<'_>) -> DevicePart<'d> {
    const LENGTH: usize = 255;
    let model = device.udi_carrier.iter().find_map(|carrier| carrier.device_identifier.as_deref());
    let unique_device_id = model.map(|model| draft.cut(element, Cow::Owned(model.to_owned()), LENGTH));
    let numbers: Vec<&str> = device.lot_number.as_deref().into_iter().chain(device.serial_number.as_deref()).collect();
    let production_id = (!numbers.is_empty()).then(|| draft.cut(element, numbers.join("/").into(), LENGTH));
    DevicePart { unique_device_id, production_id }
}

fn rejected(element: &str, wrong: WrongType) -> Judgement {
    Judgement::rejected(format!("{element}.{}", wrong.path), "wrong_type", wrong.message)
}
