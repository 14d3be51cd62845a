//! What is wrong with one resource.

use std::borrow::Cow;
use std::collections::HashMap;

use model::fhir::Precision;

use super::Kind;
use crate::record::{ObservationValue, Selection};
use crate::world::World;

/// What is wrong with one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blemish {
    /// Nothing.
    #[default]
    None,
    /// It cannot be taken.
    Invalid(Fault),
    /// The source deletes it again.
    Deleted,
    /// An older version follows it.
    LateUpdate,
    /// Its status says that it is an error.
    EnteredInError,
    /// Its verification status says that it is not so.
    Refuted,
    /// It has words and no code.
    MissingCode,
    /// Its code is in no vocabulary.
    LocalCode,
    /// Its value has the unit of that row of the table.
    WrongUnit(usize),
    /// Its moments are less than that.
    PartialDate(Precision),
    /// So far only the day is known.
    Early,
    /// It tells the day of its version.
    Dated,
    /// Its moments are told so many minutes east of UTC.
    OtherZone(i16),
    /// Its moments are told without a zone.
    NoZone,
    /// Its line stands there twice.
    Duplicate,
    /// It replaces another record of the patient.
    MergedPatient,
    /// The patient has one race more.
    MultiRace,
    /// The name is written in another way.
    NameVariant(NameForm),
}

/// Why a resource cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The line ends in the middle.
    Truncated,
    /// There is no id.
    NoId,
    /// There is no status.
    NoStatus,
    /// The status is none of FHIR.
    UnknownStatus,
    /// There is no date.
    NoDate,
    /// The date is not in the calendar.
    NoSuchDay,
    /// There is no patient.
    NoPatient,
    /// The patient is a text instead of a reference.
    TextForPatient,
    /// Nobody knows the patient.
    UnknownPatient,
    /// An extension turns the meaning around, nobody knows how.
    UnknownModifier,
    /// A visit ends before it begins.
    EndBeforeStart,
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameForm {
    /// In capitals.
    Capitals,
    /// The family's name where the given one should stand.
    TurnedAround,
    /// A maiden name besides.
    Maiden,
    /// Not at all.
    Missing,
}

impl Blemish {
    /// The kind of dirt that it is.
    pub fn kind(self) -> Option<Kind> {
        Some(match self {
            Blemish::None | Blemish::Early | Blemish::Dated => return None,
            Blemish::Invalid(_) => Kind::Invalid,
            Blemish::Deleted => Kind::Deleted,
            Blemish::LateUpdate => Kind::LateUpdate,
            Blemish::EnteredInError => Kind::EnteredInError,
            Blemish::Refuted => Kind::Refuted,
            Blemish::MissingCode => Kind::MissingCode,
            Blemish::LocalCode => Kind::LocalCode,
            Blemish::WrongUnit(_) => Kind::WrongUnit,
            Blemish::PartialDate(_) => Kind::PartialDate,
            Blemish::OtherZone(_) | Blemish::NoZone => Kind::TimeZone,
            Blemish::Duplicate => Kind::Duplicate,
            Blemish::MergedPatient => Kind::MergedPatient,
            Blemish::MultiRace => Kind::MultiRace,
            Blemish::NameVariant(_) => Kind::NameVariant,
        })
    }

    /// True when it makes rows all the same.
    pub fn makes_rows(self) -> bool {
        !matches!(self, Blemish::Invalid(_) | Blemish::Deleted | Blemish::EnteredInError)
    }

    /// The value as it is written.
    pub fn value<'v>(self, world: &World, value: &'v ObservationValue) -> Cow<'v, ObservationValue> {
        match (self, value) {
            (Blemish::WrongUnit(row), ObservationValue::Quantity(number, Some(_))) => {
                let written = world.other_units.written(row).to_owned();
                Cow::Owned(ObservationValue::Quantity(*number, Some(written)))
            }
            _ => Cow::Borrowed(value),
        }
    }
}

/// The blemishes of one patient's resources.
#[derive(Debug, Default)]
pub struct Blemishes {
    by_resource: HashMap<(&'static str, u32), Blemish>,
}

impl Blemishes {
    /// What is wrong with a resource.
    pub fn of(&self, resource_type: &'static str, index: u32) -> Blemish {
        if self.by_resource.is_empty() {
            return Blemish::None;
        }
        self.by_resource.get(&(resource_type, index)).copied().unwrap_or_default()
    }

    /// Spoils a resource.
    pub fn put(&mut self, resource_type: &'static str, index: u32, blemish: Blemish) {
        self.by_resource.insert((resource_type, index), blemish);
    }

    /// Spoils all that is selected in the same way.
    pub fn put_all(&mut self, selection: &Selection, blemish: Blemish) {
        for (resource_type, indexes) in selection.by_type() {
            indexes.iter().for_each(|index| self.put(resource_type, *index, blemish));
        }
    }
}
