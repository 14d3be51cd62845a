//! note, payer_plan_period and cost: what only some populations have.

use model::omop::key::omop_key;
use model::omop::{CareSite, Cost, NO_MATCHING_CONCEPT, Note, PayerPlanPeriod};
use model::vocabulary::{rule, value};

use super::concept::Meaning;
use super::{Observed, OmopSink};
use crate::record::{Amounts, Payer, Record, note};

impl OmopSink<'_> {
    pub(super) fn note(&mut self, record: &Record, index: u32, _: &mut Observed) {
        let encounter = &record.encounters[index as usize];
        let kind = note::kind(encounter.class);
        let when = self.when(record, encounter.end);
        let id = record.patient.id("DocumentReference", u64::from(index));
        self.add(Note {
            note_id: self.key("DocumentReference", id, "note", ""),
            person_id: self.person_id(record),
            note_date: when.date,
            note_datetime: when.datetime,
            note_type_concept_id: rule::TYPE_EHR,
            note_class_concept_id: Meaning::of(&kind.system, &kind.code).first(),
            note_title: Some(kind.display.into()),
            note_text: note::text(record, &self.world.library.codes, index).into(),
            encoding_concept_id: rule::NOTE_ENCODING_UTF_8,
            language_concept_id: rule::NOTE_LANGUAGE_ENGLISH,
            provider_id: self.provider_id(record, Some(index)),
            visit_occurrence_id: self.visit_id(record, Some(index)),
            note_source_value: Some(kind.code.into()),
            ..Note::default()
        });
    }

    /// Each Organization is a site, one that pays too.
    pub(super) fn payers(&mut self) {
        for (index, payer) in Payer::ALL.into_iter().enumerate() {
            let id = self.world.facilities.id("Payer", index);
            self.account.map("Organization");
            self.add(CareSite {
                care_site_id: self.key("Organization", id, "care_site", ""),
                care_site_name: Some(payer.describe().0.into()),
                care_site_source_value: Some(id.to_string().into()),
                place_of_service_concept_id: Some(NO_MATCHING_CONCEPT),
                place_of_service_source_value: Some("pay".into()),
                ..CareSite::default()
            });
        }
    }

    pub(super) fn coverage(&mut self, record: &Record, index: u32, _: &mut Observed) {
        let coverage = &record.coverages[index as usize];
        let (name, code) = coverage.payer.describe();
        let meaning = Meaning::of("https://nahdo.org/sopt", code);
        let number = record.patient.subscriber_id();
        let family = omop_key(&self.world.options.source_id, &number, "payer_plan_period", "family");
        self.add(PayerPlanPeriod {
            payer_plan_period_id: self.plan_id(record, index),
            person_id: self.person_id(record),
            payer_plan_period_start_date: coverage.from,
            payer_plan_period_end_date: coverage.to,
            payer_concept_id: Some(meaning.first()),
            payer_source_concept_id: meaning.source,
            payer_source_value: Some(code.into()),
            plan_source_value: Some(name.into()),
            family_source_value: Some(family.to_string().into()),
            ..PayerPlanPeriod::default()
        });
    }

    fn plan_id(&self, record: &Record, coverage: u32) -> i64 {
        self.key("Coverage", record.patient.id("Coverage", u64::from(coverage)), "payer_plan_period", "")
    }

    /// What is asked for a visit.
    pub(super) fn claim(&mut self, record: &Record, encounter: u32, _: &mut Observed) {
        let Some((row, amounts)) = self.cost(record, "Claim", encounter) else { return };
        self.add(Cost { total_charge: Some(dollars(amounts.charge)), ..row });
    }

    /// What is allowed and paid for a visit; and what was asked for, where no claim tells it.
    pub(super) fn benefit(&mut self, record: &Record, encounter: u32, _: &mut Observed) {
        let Some((row, amounts)) = self.cost(record, "ExplanationOfBenefit", encounter) else { return };
        let is_claimed = record.blemishes.of("Claim", encounter).makes_rows();
        let (by_payer, by_patient) = (dollars(amounts.by_payer()), dollars(amounts.by_patient));
        self.add(Cost {
            total_charge: (!is_claimed).then(|| dollars(amounts.charge)),
            amount_allowed: Some(dollars(amounts.allowed)),
            paid_by_payer: Some(by_payer),
            paid_by_patient: Some(by_patient),
            total_paid: Some(by_payer + by_patient),
            ..row
        });
    }

    /// A row without amounts, and the amounts of the visit; none where the visit has no row.
    fn cost(&self, record: &Record, resource_type: &str, encounter: u32) -> Option<(Cost<'static>, Amounts)> {
        let coverage = record.coverage_of(encounter)?;
        let is_covered = record.blemishes.of("Coverage", coverage).makes_rows();
        let id = record.patient.id(resource_type, u64::from(encounter));
        let row = Cost {
            cost_id: self.key(resource_type, id, "cost", ""),
            cost_event_id: self.visit_id(record, Some(encounter))?,
            cost_domain_id: "Visit".into(),
            cost_type_concept_id: rule::TYPE_CLAIM,
            currency_concept_id: Some(value("currency", "USD").unwrap_or(NO_MATCHING_CONCEPT)),
            payer_plan_period_id: is_covered.then(|| self.plan_id(record, coverage)),
            ..Cost::default()
        };
        Some((row, Amounts::of(record, encounter, record.coverages[coverage as usize].payer)))
    }
}

fn dollars(cents: u64) -> f64 {
    cents as f64 / 100.0
}
