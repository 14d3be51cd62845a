//! The part of a record that is written, so that every reference in it resolves.

use super::Record;
use crate::moment::{Moment, midnight};

/// Which entries of a [`Record`] are written.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The patient, who has the index 0, or nobody.
    pub patients: Vec<u32>,
    /// Indexes of encounters, and so on; all ascending.
    pub encounters: Vec<u32>,
    /// Conditions.
    pub conditions: Vec<u32>,
    /// Allergies.
    pub allergies: Vec<u32>,
    /// Medication orders.
    pub medications: Vec<u32>,
    /// Procedures.
    pub procedures: Vec<u32>,
    /// Observations.
    pub observations: Vec<u32>,
    /// Reports.
    pub reports: Vec<u32>,
    /// Vaccines.
    pub immunizations: Vec<u32>,
    /// Care plans.
    pub care_plans: Vec<u32>,
    /// Medications given on the spot.
    pub administrations: Vec<u32>,
    /// Devices.
    pub devices: Vec<u32>,
    /// Devices of which it is told since when they are used.
    pub device_uses: Vec<u32>,
    /// Supplies handed out.
    pub supplies: Vec<u32>,
    /// Imaging studies.
    pub imaging_studies: Vec<u32>,
    /// Insurance.
    pub coverages: Vec<u32>,
    /// Visits for which an insurance is asked to pay.
    pub claims: Vec<u32>,
    /// Visits for which an insurance says what it pays.
    pub benefits: Vec<u32>,
    /// Visits of which a note is written.
    pub notes: Vec<u32>,
}

/// The lists of a selection by resource type, borrowed as the second word says: `&` or `&mut`.
macro_rules! by_type {
    ($selection:ident, $($by:tt)+) => {
        [
            ("Patient", $($by)+ $selection.patients),
            ("Encounter", $($by)+ $selection.encounters),
            ("Condition", $($by)+ $selection.conditions),
            ("Observation", $($by)+ $selection.observations),
            ("Procedure", $($by)+ $selection.procedures),
            ("MedicationRequest", $($by)+ $selection.medications),
            ("Immunization", $($by)+ $selection.immunizations),
            ("AllergyIntolerance", $($by)+ $selection.allergies),
            ("DiagnosticReport", $($by)+ $selection.reports),
            ("CarePlan", $($by)+ $selection.care_plans),
            ("MedicationAdministration", $($by)+ $selection.administrations),
            ("Device", $($by)+ $selection.devices),
            ("DeviceUseStatement", $($by)+ $selection.device_uses),
            ("SupplyDelivery", $($by)+ $selection.supplies),
            ("ImagingStudy", $($by)+ $selection.imaging_studies),
            ("Coverage", $($by)+ $selection.coverages),
            ("Claim", $($by)+ $selection.claims),
            ("ExplanationOfBenefit", $($by)+ $selection.benefits),
            ("DocumentReference", $($by)+ $selection.notes),
        ]
    };
}

impl Selection {
    /// The patient and the entries, by resource type.
    pub fn by_type(&self) -> [(&'static str, &[u32]); 19] {
        by_type!(self, &)
    }

    /// The part of it that is wanted.
    pub fn only(&self, wanted: impl Fn(&'static str, u32) -> bool) -> Selection {
        let mut part = self.clone();
        for (resource_type, indexes) in by_type!(part, &mut) {
            indexes.retain(|index| wanted(resource_type, *index));
        }
        part
    }
}

impl Record {
    /// The visit that an entry belongs to; a visit belongs to itself.
    pub fn visit_of(&self, resource_type: &str, index: u32) -> Option<u32> {
        let at = index as usize;
        match resource_type {
            "Encounter" | "Claim" | "ExplanationOfBenefit" | "DocumentReference" => Some(index),
            "Condition" => self.conditions[at].encounter,
            "Observation" => self.observations[at].encounter,
            "Procedure" => self.procedures[at].encounter,
            "MedicationRequest" => self.medications[at].encounter,
            "Immunization" => self.immunizations[at].encounter,
            "AllergyIntolerance" => self.allergies[at].encounter,
            "DiagnosticReport" => self.reports[at].encounter,
            "CarePlan" => self.care_plans[at].encounter,
            "MedicationAdministration" => self.administrations[at].encounter,
            "Device" | "DeviceUseStatement" => self.devices[at].encounter,
            "SupplyDelivery" => self.supplies[at].encounter,
            "ImagingStudy" => self.imaging_studies[at].encounter,
            _ => None,
        }
    }
}

impl Record {
    /// Chooses what is written when history begins at `from`.
    ///
    /// An event is written when it happens inside the window; what lasts (conditions, medications, care plans, devices)
    /// also when it is still active then; allergies always. An encounter is written when it begins inside the window or
    /// when something written refers to it, so that every reference resolves. A report follows its results, a note its
    /// visit where notes are wanted.
    pub fn select(&self, from: Moment, with_notes: bool) -> Selection {
        let pick = |keep: &dyn Fn(usize) -> bool, count: usize| -> Vec<u32> {
            (0..count).filter(|index| keep(*index)).map(|index| index as u32).collect()
        };
        let mut selection = Selection {
            patients: vec![0],
            encounters: Vec::new(),
            conditions: pick(
                &|index| {
                    let condition = &self.conditions[index];
                    condition.recorded >= from || condition.abatement.is_none_or(|end| end >= from)
                },
                self.conditions.len(),
            ),
            allergies: pick(&|_| true, self.allergies.len()),
            medications: pick(
                &|index| {
                    let medication = &self.medications[index];
                    medication.start >= from || medication.end.is_none_or(|end| end >= from)
                },
                self.medications.len(),
            ),
            procedures: pick(&|index| self.procedures[index].start >= from, self.procedures.len()),
            observations: pick(&|index| self.observations[index].time >= from, self.observations.len()),
            reports: pick(&|index| self.reports[index].time >= from, self.reports.len()),
            immunizations: pick(&|index| self.immunizations[index].time >= from, self.immunizations.len()),
            care_plans: pick(
                &|index| {
                    let plan = &self.care_plans[index];
                    plan.start >= from || plan.end.is_none_or(|end| end >= from)
                },
                self.care_plans.len(),
            ),
            administrations: pick(&|index| self.administrations[index].time >= from, self.administrations.len()),
            devices: pick(
                &|index| {
                    let device = &self.devices[index];
                    device.start >= from || device.end.is_none_or(|end| end >= from)
                },
                self.devices.len(),
            ),
            supplies: pick(&|index| self.supplies[index].time >= from, self.supplies.len()),
            imaging_studies: pick(&|index| self.imaging_studies[index].time >= from, self.imaging_studies.len()),
            coverages: pick(&|index| midnight(self.coverages[index].to) >= from, self.coverages.len()),
            device_uses: Vec::new(),
            claims: Vec::new(),
            benefits: Vec::new(),
            notes: Vec::new(),
        };
        selection.device_uses.clone_from(&selection.devices);
        let at = |index: &u32| *index as usize;
        selection
            .conditions
            .extend(selection.medications.iter().filter_map(|index| self.medications[at(index)].reason));
        selection.conditions.extend(selection.care_plans.iter().filter_map(|index| self.care_plans[at(index)].reason));
        let given = selection.administrations.iter();
        selection.conditions.extend(given.filter_map(|index| self.administrations[at(index)].reason));
        selection.conditions.sort_unstable();
        selection.conditions.dedup();
        let mut encounters: Vec<bool> = self.encounters.iter().map(|encounter| encounter.start >= from).collect();
        let mut refer = |encounter: Option<u32>| {
            if let Some(encounter) = encounter {
                encounters[encounter as usize] = true;
            }
        };
        selection.conditions.iter().for_each(|index| refer(self.conditions[at(index)].encounter));
        selection.allergies.iter().for_each(|index| refer(self.allergies[at(index)].encounter));
        selection.medications.iter().for_each(|index| refer(self.medications[at(index)].encounter));
        selection.procedures.iter().for_each(|index| refer(self.procedures[at(index)].encounter));
        selection.observations.iter().for_each(|index| refer(self.observations[at(index)].encounter));
        selection.reports.iter().for_each(|index| refer(self.reports[at(index)].encounter));
        selection.immunizations.iter().for_each(|index| refer(self.immunizations[at(index)].encounter));
        selection.care_plans.iter().for_each(|index| refer(self.care_plans[at(index)].encounter));
        selection.administrations.iter().for_each(|index| refer(self.administrations[at(index)].encounter));
        selection.imaging_studies.iter().for_each(|index| refer(self.imaging_studies[at(index)].encounter));
        selection.encounters = pick(&|index| encounters[index], self.encounters.len());
        let is_covered = |index: &u32| {
            self.coverage_of(*index).is_some_and(|coverage| selection.coverages.binary_search(&coverage).is_ok())
        };
        selection.claims = selection.encounters.iter().copied().filter(is_covered).collect();
        selection.benefits.clone_from(&selection.claims);
        if with_notes {
            selection.notes.clone_from(&selection.encounters);
        }
        selection
    }
}
