//! Draws what is wrong with a patient's resources.

use chrono::{Datelike, NaiveDate};
use model::fhir::Precision;

use super::Kind;
use super::blemish::{Blemish, Fault, NameForm};
use crate::moment::{Moment, date};
use crate::random::{bits_at, stream_key, unit_at};
use crate::record::{ObservationValue, Record, Selection};
use crate::world::World;

/// Offsets of places where nobody of these people lives, in minutes.
const FAR: [i16; 6] = [0, 60, 330, 540, 720, -660];

/// Spoils the selected part of a record: each kind of dirt draws for itself, so that another rate changes nothing else.
pub fn stain(world: &World, record: &mut Record, selection: &Selection) {
    let rates = &world.rates;
    for (resource_type, indexes) in selection.by_type() {
        let kinds = Kind::ALL.into_iter().filter(|kind| kind.befalls(resource_type) && rates.of(*kind) > 0.0);
        for kind in kinds {
            let stream = format!("dirt/{}/{resource_type}", kind.name());
            let key = stream_key(record.patient.seed, record.patient.index, &stream);
            for index in indexes {
                let happens = unit_at(key, 2 * u64::from(*index)) < rates.of(kind);
                if happens && record.blemishes.of(resource_type, *index) == Blemish::None {
                    let draw = bits_at(key, 2 * u64::from(*index) + 1);
                    if let Some(blemish) = blemish(world, record, (resource_type, *index), kind, draw) {
                        record.blemishes.put(resource_type, *index, blemish);
                    }
                }
            }
        }
    }
    let another = record.blemishes.of("Patient", 0) == Blemish::MultiRace;
    if another && let Some(race) = (0..world.population.races.len()).find(|race| !record.patient.races.contains(race)) {
        record.patient.races.push(race);
    }
}

/// How that kind of dirt shows on a resource, where it can.
fn blemish(
    world: &World,
    record: &Record,
    (resource_type, index): (&'static str, u32),
    kind: Kind,
    draw: u64,
) -> Option<Blemish> {
    let pick = |count: usize| (draw % count as u64) as usize;
    Some(match kind {
        Kind::Invalid => {
            let faults = faults(resource_type);
            Blemish::Invalid(faults[pick(faults.len())])
        }
        Kind::Deleted => Blemish::Deleted,
        Kind::LateUpdate => Blemish::LateUpdate,
        Kind::EnteredInError => Blemish::EnteredInError,
        Kind::Refuted => Blemish::Refuted,
        Kind::MissingCode => Blemish::MissingCode,
        Kind::LocalCode => Blemish::LocalCode,
        Kind::WrongUnit => match &record.observations[index as usize].value {
            ObservationValue::Quantity(_, Some(unit)) => Blemish::WrongUnit(world.other_units.choose(unit, draw)?),
            _ => return None,
        },
        Kind::PartialDate if resource_type == "Patient" => {
            Blemish::PartialDate([Precision::Year, Precision::Month][pick(2)])
        }
        Kind::PartialDate => {
            // What is known of it must not lie before the birth.
            let (first, _) = span(record, resource_type, index);
            let is_possible = |precision: &&Precision| first_day(date(first), **precision) >= record.patient.birth;
            let all = [Precision::Year, Precision::Month, Precision::Day];
            Blemish::PartialDate(*all[pick(3)..].iter().find(is_possible)?)
        }
        Kind::TimeZone => {
            let (first, last) = span(record, resource_type, index);
            let zone = record.patient.zone;
            let death = record.patient.death.map_or(NaiveDate::MAX, date);
            let is_possible = |minutes: &i16| {
                zone.elsewhere(first, *minutes).date() >= record.patient.birth
                    && zone.elsewhere(last, *minutes).date() <= death
            };
            match FAR.get(pick(FAR.len() + 1)) {
                Some(minutes) => Some(*minutes).filter(is_possible).map(Blemish::OtherZone)?,
                None => Blemish::NoZone,
            }
        }
        Kind::Duplicate => Blemish::Duplicate,
        Kind::MergedPatient => Blemish::MergedPatient,
        Kind::MultiRace => Blemish::MultiRace,
        Kind::NameVariant => {
            let forms = [NameForm::Capitals, NameForm::TurnedAround, NameForm::Maiden, NameForm::Missing];
            Blemish::NameVariant(forms[pick(forms.len())])
        }
    })
}

/// The first day of a day's year or month.
pub fn first_day(day: NaiveDate, precision: Precision) -> NaiveDate {
    match precision {
        Precision::Year => day.with_month(1).and_then(|day| day.with_day(1)).unwrap_or(day),
        Precision::Month => day.with_day(1).unwrap_or(day),
        _ => day,
    }
}

/// What can be wrong with a resource of a type so that it cannot be taken.
fn faults(resource_type: &str) -> &'static [Fault] {
    const ALL: [Fault; 11] = [
        Fault::EndBeforeStart,
        Fault::NoStatus,
        Fault::Truncated,
        Fault::NoId,
        Fault::UnknownStatus,
        Fault::NoDate,
        Fault::NoSuchDay,
        Fault::NoPatient,
        Fault::TextForPatient,
        Fault::UnknownPatient,
        Fault::UnknownModifier,
    ];
    // Of these no moment counts.
    const UNDATED: [Fault; 8] = [
        Fault::NoStatus,
        Fault::Truncated,
        Fault::NoId,
        Fault::UnknownStatus,
        Fault::NoPatient,
        Fault::TextForPatient,
        Fault::UnknownModifier,
        Fault::UnknownPatient,
    ];
    match resource_type {
        "Encounter" => &ALL,
        "Coverage" | "ExplanationOfBenefit" => &UNDATED,
        // Which amounts are told twice is decided before it is known who is a patient.
        "Claim" => &UNDATED[..7],
        // Without a verification status they count as confirmed.
        "Condition" | "AllergyIntolerance" => &ALL[2..],
        _ => &ALL[1..],
    }
}

/// The first and the last moment that a resource tells.
fn span(record: &Record, resource_type: &str, index: u32) -> (Moment, Moment) {
    let index = index as usize;
    match resource_type {
        // Claims and notes have the number of their visit.
        "Encounter" | "Claim" | "ExplanationOfBenefit" | "DocumentReference" => {
            (record.encounters[index].start, record.encounters[index].end)
        }
        "Condition" => {
            let condition = &record.conditions[index];
            (condition.onset, condition.abatement.unwrap_or(condition.recorded))
        }
        "Observation" => (record.observations[index].time, record.observations[index].time),
        "Procedure" => {
            let procedure = &record.procedures[index];
            (procedure.start, procedure.end.unwrap_or(procedure.start))
        }
        "MedicationRequest" => (record.medications[index].start, record.medications[index].start),
        "Immunization" => (record.immunizations[index].time, record.immunizations[index].time),
        "MedicationAdministration" => (record.administrations[index].time, record.administrations[index].time),
        "DeviceUseStatement" => {
            let device = &record.devices[index];
            (device.start, device.end.unwrap_or(device.start))
        }
        _ => (record.allergies[index].onset, record.allergies[index].recorded),
    }
}
