//! Who paid, and what was asked and paid for each visit.

use chrono::NaiveDate;

use super::Record;
use crate::module::EncounterClass;
use crate::moment::date;

/// Insurance of a span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// Who pays.
    pub payer: Payer,
    /// First day.
    pub from: NaiveDate,
    /// Last day.
    pub to: NaiveDate,
}

/// Who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payer {
    /// From 65 years on.
    Medicare,
    /// For the poor.
    Medicaid,
    /// Through an employer, or bought.
    Private,
}

/// What a visit costs, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// What the provider asks for.
    pub charge: u64,
    /// What the payer thinks right.
    pub allowed: u64,
    /// The part of it that the patient pays.
    pub by_patient: u64,
}

impl Payer {
    /// All of them, in the order of their organizations.
    pub const ALL: [Payer; 3] = [Payer::Medicare, Payer::Medicaid, Payer::Private];

    /// Its name and its code of the Source of Payment Typology.
    pub fn describe(self) -> (&'static str, &'static str) {
        match self {
            Payer::Medicare => ("Medicare", "1"),
            Payer::Medicaid => ("Medicaid", "2"),
            Payer::Private => ("Private health insurance", "5"),
        }
    }

    /// The payer of an `insurance_status`.
    pub fn of_status(status: &str) -> Option<Payer> {
        match status {
            "medicare" => Some(Payer::Medicare),
            "medicaid" => Some(Payer::Medicaid),
            "private" => Some(Payer::Private),
            _ => None,
        }
    }
}

impl Amounts {
    /// What the patient does not pay.
    pub fn by_payer(&self) -> u64 {
        self.allowed - self.by_patient
    }

    /// What the visit costs with that payer. Rates are those of Medicare in 2023, rounded by us from its fee schedules;
    /// Medicaid pays 72 % and private insurers 143 % of them (KFF, 2019 and 2020), and two and a half times as much is
    /// asked for. Of Medicare's rates the patient pays a fifth, of private ones a copayment of 25 dollars and a fifth of
    /// the rest.
    pub fn of(record: &Record, index: u32, payer: Payer) -> Amounts {
        let encounter = &record.encounters[index as usize];
        let visit: u64 = match encounter.class {
            EncounterClass::Ambulatory => 92,
            EncounterClass::Wellness => 130,
            EncounterClass::Virtual => 75,
            EncounterClass::UrgentCare => 110,
            EncounterClass::Home => 130,
            EncounterClass::Outpatient => 210,
            EncounterClass::Emergency => 510,
            EncounterClass::Inpatient => 14_000,
            EncounterClass::SkilledNursing => 9_000,
            EncounterClass::Hospice => 1_500,
        };
        let count = |of: &mut dyn Iterator<Item = Option<u32>>| of.filter(|of| *of == Some(index)).count() as u64;
        let laboratory = record.observations.iter().filter(|observation| observation.category == "laboratory");
        let dollars = visit
            + 150 * count(&mut record.procedures.iter().map(|it| it.encounter))
            + 60 * count(&mut record.imaging_studies.iter().map(|it| it.encounter))
            + 40 * count(&mut record.administrations.iter().map(|it| it.encounter))
            + 90 * count(&mut record.immunizations.iter().map(|it| it.encounter))
            + 8 * count(&mut laboratory.map(|it| it.encounter));
        let allowed = match payer {
            Payer::Medicare => dollars * 100,
            Payer::Medicaid => dollars * 72,
            Payer::Private => dollars * 143,
        };
        let by_patient = match payer {
            Payer::Medicare => allowed / 5,
            Payer::Medicaid => 0,
            Payer::Private => 2_500 + allowed.saturating_sub(2_500) / 5,
        };
        Amounts { charge: dollars * 250, allowed, by_patient: by_patient.min(allowed) }
    }
}

impl Record {
    /// The coverage of a day.
    pub fn coverage_on(&self, day: NaiveDate) -> Option<u32> {
        let place = self.coverages.iter().position(|coverage| coverage.from <= day && day <= coverage.to)?;
        Some(place as u32)
    }

    /// The coverage that pays for a visit.
    pub fn coverage_of(&self, encounter: u32) -> Option<u32> {
        self.coverage_on(date(self.encounters[encounter as usize].start))
    }
}
