//! What happened to one patient: the only thing that the sinks see. Times are local, in milliseconds; the patient's
//! zone comes with the patient.

mod care;
mod coverage;
pub mod note;
mod selection;

use chrono::NaiveDate;
use uuid::Uuid;

use crate::dirt::Blemishes;
use crate::module::{EncounterClass, Id, Prescription};
use crate::moment::{Moment, Zone};
use crate::random;

pub use care::{Administration, CarePlan, Device, ImagingStudy, Series, Supply, Udi};
pub use coverage::{Amounts, Coverage, Payer};
pub use selection::Selection;

/// The life of one patient as it is written down.
#[derive(Debug, Default)]
pub struct Record {
    /// Who it is.
    pub patient: Patient,
    /// Visits, in the order of their start.
    pub encounters: Vec<Encounter>,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Allergies.
    pub allergies: Vec<Allergy>,
    /// Medication orders.
    pub medications: Vec<Medication>,
    /// Procedures.
    pub procedures: Vec<Procedure>,
    /// Observations.
    pub observations: Vec<Observation>,
    /// Reports over observations.
    pub reports: Vec<Report>,
    /// Vaccines given.
    pub immunizations: Vec<Immunization>,
    /// Care plans.
    pub care_plans: Vec<CarePlan>,
    /// Medications given on the spot.
    pub administrations: Vec<Administration>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Supplies handed out.
    pub supplies: Vec<Supply>,
    /// Imaging studies; each has its procedure besides.
    pub imaging_studies: Vec<ImagingStudy>,
    /// Insurance, where claims are wanted.
    pub coverages: Vec<Coverage>,
    /// What is wrong with what is written.
    pub blemishes: Blemishes,
}

/// Demographics.
#[derive(Clone, Debug, Default)]
pub struct Patient {
    /// Seed of the run.
    pub seed: u64,
    /// Index in the population.
    pub index: u64,
    /// Which of the records that there are of this patient it is; 0 is the one that stays.
    pub number: u64,
    /// Sex.
    pub female: bool,
    /// Day of birth.
    pub birth: NaiveDate,
    /// Moment of death.
    pub death: Option<Moment>,
    /// What a module says that it was.
    pub death_cause: Option<Id>,
    /// Zone of the state lived in.
    pub zone: Zone,
    /// Given names.
    pub given: [String; 2],
    /// Family name.
    pub family: String,
    /// Rows of the race table.
    pub races: Vec<usize>,
    /// Hispanic or Latino.
    pub hispanic: bool,
    /// Row of the language table.
    pub language: usize,
    /// Code of the marital status at the end.
    pub marital_status: &'static str,
    /// Row of the town table.
    pub town: usize,
    /// House and street.
    pub street: String,
    /// Telephone number.
    pub phone: String,
    /// Social security number of the range that is never given out.
    pub ssn: String,
    /// Medical record number.
    pub mrn: String,
    /// The clinic's own doctor.
    pub practitioner: usize,
}

/// A visit.
#[derive(Clone, Debug)]
pub struct Encounter {
    /// Class.
    pub class: EncounterClass,
    /// Type.
    pub codes: Id,
    /// Why.
    pub reason: Option<Id>,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Moment,
    /// Who.
    pub practitioner: usize,
    /// Where.
    pub organization: usize,
    /// Where to afterwards.
    pub discharge: Option<Id>,
}

/// A condition.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What.
    pub codes: Id,
    /// Visit of the diagnosis.
    pub encounter: Option<u32>,
    /// Start.
    pub onset: Moment,
    /// When it was written down.
    pub recorded: Moment,
    /// End.
    pub abatement: Option<Moment>,
    /// A problem of long standing, not only the diagnosis of one visit.
    pub problem: bool,
}

/// An allergy or intolerance.
#[derive(Clone, Debug)]
pub struct Allergy {
    /// What against.
    pub codes: Id,
    /// Visit of the diagnosis.
    pub encounter: Option<u32>,
    /// Intolerance instead of allergy.
    pub intolerance: bool,
    /// Food, medication, environment or biologic.
    pub category: String,
    /// (what, how severe).
    pub reactions: Vec<(Id, String)>,
    /// Start.
    pub onset: Moment,
    /// When it was written down.
    pub recorded: Moment,
    /// End.
    pub abatement: Option<Moment>,
}

/// A medication order.
#[derive(Clone, Debug)]
pub struct Medication {
    /// Which drug.
    pub codes: Id,
    /// Visit of the order.
    pub encounter: Option<u32>,
    /// Why.
    pub reason: Option<u32>,
    /// When it was ordered.
    pub start: Moment,
    /// When it ended.
    pub end: Option<Moment>,
    /// How it is taken.
    pub prescription: Prescription,
}

/// A procedure.
#[derive(Clone, Debug)]
pub struct Procedure {
    /// What.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// Why.
    pub reason: Option<Id>,
    /// Start.
    pub start: Moment,
    /// End, where it takes time.
    pub end: Option<Moment>,
}

/// The value of an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum ObservationValue {
    /// None of its own: a panel.
    None,
    /// A number with its UCUM unit.
    Quantity(f64, Option<String>),
    /// A code.
    Code(Id),
    /// A text.
    Text(String),
}

/// An observation.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What.
    pub codes: Id,
    /// Category, such as `laboratory`.
    pub category: String,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
    /// Value.
    pub value: ObservationValue,
    /// Components of a panel: code and value.
    pub components: Vec<(Id, ObservationValue)>,
    /// Reference range, where the laboratory gives one.
    pub range: Option<(Option<f64>, Option<f64>)>,
}

/// A diagnostic report.
#[derive(Clone, Debug)]
pub struct Report {
    /// What.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
    /// Its observations.
    pub results: Vec<u32>,
}

/// A vaccine given.
#[derive(Clone, Debug)]
pub struct Immunization {
    /// Which.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
    /// Lot.
    pub lot: String,
}

impl Patient {
    /// Id of the patient's record.
    pub fn own_id(&self) -> Uuid {
        self.id("Patient", self.number)
    }

    /// Id of the patient or of the `n`-th entry of a kind: a function of seed, patient, kind and n.
    pub fn id(&self, kind: &str, n: u64) -> Uuid {
        random::uuid(self.seed, self.index, kind, n)
    }

    /// Number of the insured.
    pub fn subscriber_id(&self) -> String {
        format!("{:09}", self.id("subscriber", 0).as_u128() % 1_000_000_000)
    }
}

impl Record {
    /// The latest moment at which something was done, orders' planned ends left aside.
    pub(crate) fn last_moment(&self) -> Moment {
        let encounters = self.encounters.iter().map(|encounter| encounter.end);
        let conditions = self.conditions.iter().map(|condition| condition.abatement.unwrap_or(condition.recorded));
        let medications = self.medications.iter().map(|medication| medication.end.unwrap_or(medication.start));
        let procedures = self.procedures.iter().map(|procedure| procedure.start);
        let observations = self.observations.iter().map(|observation| observation.time);
        encounters
            .chain(conditions)
            .chain(medications)
            .chain(procedures)
            .chain(observations)
            .chain(self.immunizations.iter().map(|immunization| immunization.time))
            .max()
            .unwrap_or(Moment::MIN)
    }

    /// Nothing is later than `last`, and nothing ends before it begins.
    pub(crate) fn put_in_order(&mut self, last: Moment) {
        let end_after = |start: Moment, end: &mut Option<Moment>| {
            *end = end.map(|end| end.min(last).max(start));
        };
        for encounter in &mut self.encounters {
            encounter.start = encounter.start.min(last);
            encounter.end = encounter.end.min(last).max(encounter.start);
        }
        for condition in &mut self.conditions {
            condition.recorded = condition.recorded.min(last);
            condition.onset = condition.onset.min(condition.recorded);
            end_after(condition.recorded, &mut condition.abatement);
        }
        for allergy in &mut self.allergies {
            allergy.recorded = allergy.recorded.min(last);
            allergy.onset = allergy.onset.min(allergy.recorded);
            end_after(allergy.recorded, &mut allergy.abatement);
        }
        for medication in &mut self.medications {
            medication.start = medication.start.min(last);
            end_after(medication.start, &mut medication.end);
        }
        for procedure in &mut self.procedures {
            procedure.start = procedure.start.min(last);
            end_after(procedure.start, &mut procedure.end);
        }
        self.observations.iter_mut().for_each(|observation| observation.time = observation.time.min(last));
        self.reports.iter_mut().for_each(|report| report.time = report.time.min(last));
        self.immunizations.iter_mut().for_each(|immunization| immunization.time = immunization.time.min(last));
        for plan in &mut self.care_plans {
            plan.start = plan.start.min(last);
            end_after(plan.start, &mut plan.end);
        }
        for device in &mut self.devices {
            device.start = device.start.min(last);
            end_after(device.start, &mut device.end);
        }
        self.administrations.iter_mut().for_each(|given| given.time = given.time.min(last));
        self.supplies.iter_mut().for_each(|supply| supply.time = supply.time.min(last));
        self.imaging_studies.iter_mut().for_each(|study| study.time = study.time.min(last));
    }
}

/// What the label of a prescription says.
pub fn sig(prescription: &Prescription) -> Option<String> {
    let mut text = match (prescription.dose, prescription.frequency, prescription.period) {
        (dose, Some(frequency), Some((period, unit))) => {
            let times = if frequency == 1 { "once".into() } else { format!("{frequency} times") };
            let unit = match unit {
                "a" => "year",
                "mo" => "month",
                "wk" => "week",
                "d" => "day",
                "h" => "hour",
                "min" => "minute",
                _ => "second",
            };
            let period = if period == 1.0 { format!("per {unit}") } else { format!("every {period} {unit}s") };
            match dose {
                Some(dose) => format!("Take {dose} {times} {period}"),
                None => format!("Take {times} {period}"),
            }
        }
        _ if prescription.as_needed => "Take".into(),
        _ => return None,
    };
    if prescription.as_needed {
        text.push_str(" as needed");
    }
    Some(text)
}
