//! What modules do that no sink writes: it is kept in the record, and counted in the manifest.
#![allow(dead_code, reason = "the interpreter fills it, and only tests look inside until a sink does")]

use crate::module::Id;
use crate::moment::Moment;

/// Entries that are counted and not written.
#[derive(Debug, Default)]
pub struct Unwritten {
    /// Care plans.
    pub care_plans: Vec<CarePlan>,
    /// Medications given on the spot.
    pub administrations: Vec<Administration>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Supplies.
    pub supplies: Vec<Supply>,
    /// Imaging studies; each has its procedure besides, which is written.
    pub imaging_studies: Vec<ImagingStudy>,
}

impl Unwritten {
    /// How many there are of each resource type.
    pub fn counts(&self) -> [(&'static str, usize); 5] {
        [
            ("CarePlan", self.care_plans.len()),
            ("Device", self.devices.len()),
            ("ImagingStudy", self.imaging_studies.len()),
            ("MedicationAdministration", self.administrations.len()),
            ("SupplyDelivery", self.supplies.len()),
        ]
    }

    /// Nothing is later than `last`, and nothing ends before it begins.
    pub(super) fn put_in_order(&mut self, last: Moment) {
        let spans = self.care_plans.iter_mut().map(|plan| (&mut plan.start, &mut plan.end));
        for (start, end) in spans.chain(self.devices.iter_mut().map(|device| (&mut device.start, &mut device.end))) {
            *start = (*start).min(last);
            *end = end.map(|end| end.min(last).max(*start));
        }
        self.administrations.iter_mut().for_each(|administration| administration.time = administration.time.min(last));
        self.supplies.iter_mut().for_each(|supply| supply.time = supply.time.min(last));
        self.imaging_studies.iter_mut().for_each(|study| study.time = study.time.min(last));
    }
}

/// A care plan.
#[derive(Clone, Debug)]
pub struct CarePlan {
    /// Which.
    pub codes: Id,
    /// What is to be done.
    pub activities: Option<Id>,
    /// Why.
    pub reason: Option<Id>,
    /// During which visit it was made.
    pub encounter: Option<u32>,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Option<Moment>,
}

/// A medication given on the spot.
#[derive(Clone, Debug)]
pub struct Administration {
    /// Which drug.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
}

/// A device that somebody has.
#[derive(Clone, Debug)]
pub struct Device {
    /// Which.
    pub codes: Id,
    /// During which visit it came.
    pub encounter: Option<u32>,
    /// Bits of its serial number.
    pub serial: u64,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Option<Moment>,
}

/// Supplies handed out.
#[derive(Clone, Debug)]
pub struct Supply {
    /// What.
    pub codes: Id,
    /// How many.
    pub quantity: u32,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
}

/// Pictures taken.
#[derive(Clone, Debug)]
pub struct ImagingStudy {
    /// How.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
    /// The series.
    pub series: Vec<Series>,
}

/// One series of pictures.
#[derive(Clone, Debug)]
pub struct Series {
    /// What is shown.
    pub body_site: Id,
    /// How it is shown.
    pub modality: Id,
    /// The SOP class of each picture.
    pub instances: Vec<Id>,
}
