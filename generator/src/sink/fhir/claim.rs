//! Coverage, Claim, ExplanationOfBenefit, and the Organizations that pay.

use super::FhirSink;
use crate::moment::{date, write_date};
use crate::record::{Amounts, Payer, Record};

const CLASSES: &str = "http://terminology.hl7.org/CodeSystem/coverage-class";

impl FhirSink<'_> {
    /// Writes who pays.
    pub(super) fn payers(&mut self) {
        for (index, payer) in Payer::ALL.into_iter().enumerate() {
            self.begin("Organization", self.world.facilities.id("Payer", index), "us-core-organization");
            self.json.flag("active", true);
            self.json.array("type");
            self.fixed_item("http://terminology.hl7.org/CodeSystem/organization-type", "pay", "Payer");
            self.json.end_array();
            self.json.text("name", payer.describe().0);
            self.finish("Organization");
        }
    }

    fn payer_id(&self, payer: Payer) -> uuid::Uuid {
        self.world.facilities.id("Payer", payer as usize)
    }

    pub(super) fn coverage(&mut self, record: &Record, index: u32) {
        let coverage = &record.coverages[index as usize];
        let (name, code) = coverage.payer.describe();
        self.begin("Coverage", record.patient.id("Coverage", u64::from(index)), "us-core-coverage");
        self.status("active");
        self.fixed("type", "https://nahdo.org/sopt", code, name);
        self.json.text("subscriberId", &record.patient.subscriber_id());
        self.subject("beneficiary", record);
        self.fixed("relationship", "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self", "Self");
        self.json.object("period");
        self.json.plain("start", |out| write_date(coverage.from, out));
        self.json.plain("end", |out| write_date(coverage.to, out));
        self.json.end();
        self.json.array("payor");
        self.json.reference_item("Organization", self.payer_id(coverage.payer));
        self.json.end_array();
        self.json.array("class");
        self.json.item();
        self.fixed("type", CLASSES, "plan", "Plan");
        self.json.text("value", name);
        self.json.end();
        self.json.end_array();
        self.finish("Coverage");
    }

    /// What is asked for a visit.
    pub(super) fn claim(&mut self, record: &Record, encounter: u32) {
        let Some(coverage) = record.coverage_of(encounter) else { return };
        let amounts = Amounts::of(record, encounter, record.coverages[coverage as usize].payer);
        self.begin_plain("Claim", record.patient.id("Claim", u64::from(encounter)));
        self.head(record, encounter);
        self.fixed("priority", "http://terminology.hl7.org/CodeSystem/processpriority", "normal", "Normal");
        self.insurance(record, coverage, true);
        self.item(record, encounter);
        self.money("total", amounts.charge);
        self.finish("Claim");
    }

    /// What is paid for a visit.
    pub(super) fn explanation_of_benefit(&mut self, record: &Record, encounter: u32) {
        let Some(coverage) = record.coverage_of(encounter) else { return };
        let payer = record.coverages[coverage as usize].payer;
        let amounts = Amounts::of(record, encounter, payer);
        let id = record.patient.id("ExplanationOfBenefit", u64::from(encounter));
        self.begin_plain("ExplanationOfBenefit", id);
        self.head(record, encounter);
        self.json.reference("insurer", "Organization", self.payer_id(payer));
        self.json.reference("claim", "Claim", record.patient.id("Claim", u64::from(encounter)));
        self.json.text("outcome", "complete");
        self.insurance(record, coverage, false);
        self.item(record, encounter);
        self.json.array("total");
        let adjudication = "http://terminology.hl7.org/CodeSystem/adjudication";
        let carin = "http://hl7.org/fhir/us/carin-bb/CodeSystem/C4BBAdjudication";
        for (system, code, display, cents) in [
            (adjudication, "submitted", "Submitted Amount", amounts.charge),
            (adjudication, "eligible", "Eligible Amount", amounts.allowed),
            (carin, "paidbypatient", "Paid by patient", amounts.by_patient),
        ] {
            self.json.item();
            self.fixed("category", system, code, display);
            self.money("amount", cents);
            self.json.end();
        }
        self.json.end_array();
        self.json.object("payment");
        self.money("amount", amounts.by_payer());
        self.json.end();
        self.finish("ExplanationOfBenefit");
    }

    /// What claim and answer share: what for whom, when, and by whom.
    fn head(&mut self, record: &Record, index: u32) {
        let encounter = &record.encounters[index as usize];
        self.status("active");
        // The hospitals are the odd ones.
        let (code, display) = if encounter.organization % 2 == 1 {
            ("institutional", "Institutional")
        } else {
            ("professional", "Professional")
        };
        self.fixed("type", "http://terminology.hl7.org/CodeSystem/claim-type", code, display);
        self.json.text("use", "claim");
        self.subject("patient", record);
        self.json.object("billablePeriod");
        self.moment("start", record, encounter.start);
        self.moment("end", record, encounter.end);
        self.json.end();
        let day = date(encounter.end);
        self.json.plain("created", |out| write_date(day, out));
        let provider = self.world.facilities.id("Organization", encounter.organization);
        self.json.reference("provider", "Organization", provider);
    }

    fn insurance(&mut self, record: &Record, coverage: u32, with_sequence: bool) {
        self.json.array("insurance");
        self.json.item();
        if with_sequence {
            self.json.integer("sequence", 1);
        }
        self.json.flag("focal", true);
        self.json.reference("coverage", "Coverage", record.patient.id("Coverage", u64::from(coverage)));
        self.json.end();
        self.json.end_array();
    }

    fn item(&mut self, record: &Record, encounter: u32) {
        self.json.array("item");
        self.json.item();
        self.json.integer("sequence", 1);
        self.concept("productOrService", record.encounters[encounter as usize].codes);
        self.json.array("encounter");
        self.json.reference_item("Encounter", record.patient.id("Encounter", u64::from(encounter)));
        self.json.end_array();
        self.json.end();
        self.json.end_array();
    }

    fn money(&mut self, key: &str, cents: u64) {
        self.json.object(key);
        self.json.number("value", cents as f64 / 100.0);
        self.json.text("currency", "USD");
        self.json.end();
    }
}
