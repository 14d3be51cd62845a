//! Claim and ExplanationOfBenefit to `cost`: one row each, about the visit that the claim is for.
//!
//! What a claim asks for is told by the Claim, what was allowed and paid by the ExplanationOfBenefit: no amount is told
//! twice. Where the Claim is not there, or tells no cost, the ExplanationOfBenefit tells all.

use std::borrow::Cow;

use model::fhir::{
    Adjudication, Claim, ClaimInsurance, ClaimItem, CodeableConcept, ExplanationOfBenefit, Money, Reference,
};
use model::omop::{Cost, NO_MATCHING_CONCEPT};
use model::vocabulary::{rule, value};

use super::Judgement;
use super::draft::{Draft, literal};

/// The domain of the event that a cost is about.
const VISIT: &str = "Visit";

/// Maps a Claim.
pub fn from_claim(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let claim: Claim<'_> = draft.read()?;
    draft.gate_modifiers(&claim.modifier_extension, claim.implicit_rules.as_ref())?;
    draft.gate_status("Claim.status", claim.status.as_deref(), &["active"])?;
    gate_use(claim.claim_use.as_deref())?;
    draft.person("Claim.patient", claim.patient.as_ref())?;
    let Some(total) = claim.total.as_ref().filter(|total| total.value.is_some()) else {
        return Err(Judgement::excluded("no_amount", "Claim.total"));
    };
    let elements = ["Claim.item.encounter", "Claim.insurance.coverage", "Claim.item.revenue"];
    let mut row = row(draft, elements, &claim.claim_type, &claim.item, &claim.insurance)?;
    row.total_charge = amount(total);
    row.currency_concept_id = currency(total);
    draft.push(row, "".into());
    Ok(())
}

/// Maps an ExplanationOfBenefit.
pub fn from_explanation_of_benefit(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let benefit: ExplanationOfBenefit<'_> = draft.read()?;
    draft.gate_modifiers(&benefit.modifier_extension, benefit.implicit_rules.as_ref())?;
    draft.gate_status("ExplanationOfBenefit.status", benefit.status.as_deref(), &["active"])?;
    gate_use(benefit.claim_use.as_deref())?;
    draft.person("ExplanationOfBenefit.patient", benefit.patient.as_ref())?;
    let elements = [
        "ExplanationOfBenefit.item.encounter",
        "ExplanationOfBenefit.insurance.coverage",
        "ExplanationOfBenefit.item.revenue",
    ];
    let mut row = row(draft, elements, &benefit.claim_type, &benefit.item, &benefit.insurance)?;
    let claim = benefit.claim.as_ref().and_then(literal);
    let is_told_by_claim = claim.is_some_and(|claim| draft.context.references.cost(&claim).is_some());
    for total in &benefit.total {
        take(draft, &mut row, total, is_told_by_claim);
    }
    if let Some(paid) = benefit.payment.as_ref().and_then(|payment| payment.amount.as_ref()) {
        row.paid_by_payer = amount(paid).or(row.paid_by_payer);
        row.currency_concept_id = row.currency_concept_id.or(currency(paid));
    }
    if let (Some(payer), Some(patient)) = (row.paid_by_payer, row.paid_by_patient) {
        row.total_paid = Some(payer + patient);
    }
    let amounts = [
        row.total_charge,
        row.amount_allowed,
        row.paid_by_payer,
        row.paid_by_patient,
        row.paid_patient_copay,
        row.paid_patient_coinsurance,
        row.paid_patient_deductible,
    ];
    if amounts.iter().all(Option::is_none) {
        return Err(Judgement::excluded("no_amount", "ExplanationOfBenefit.total"));
    }
    draft.push(row, "".into());
    Ok(())
}

/// Only what was done is paid for: a preauthorization asks before.
fn gate_use(claim_use: Option<&str>) -> Result<(), Judgement> {
    match claim_use {
        Some("preauthorization") => Err(Judgement::excluded("use_preauthorization", "preauthorization")),
        Some("predetermination") => Err(Judgement::excluded("use_predetermination", "predetermination")),
        _ => Ok(()),
    }
}

/// A row without amounts.
fn row<'d>(
    draft: &mut Draft<'d, '_>,
    [encounter, coverage, revenue]: [&'static str; 3],
    kind: &CodeableConcept<'d>,
    items: &[ClaimItem<'d>],
    insurances: &[ClaimInsurance<'d>],
) -> Result<Cost<'d>, Judgement> {
    let mut visits: Vec<i64> = Vec::new();
    for reference in items.iter().flat_map(|item| &item.encounter) {
        let visit = draft.context.references.visit_occurrence(&literal(reference).unwrap_or_default());
        match visit {
            Some(visit) if !visits.contains(&visit) => visits.push(visit),
            Some(_) => {}
            None => draft.lose(encounter, "unresolved_reference"),
        }
    }
    let Some(visit_occurrence_id) = visits.first().copied() else {
        return Err(Judgement::excluded("no_visit", encounter));
    };
    if visits.len() > 1 {
        draft.lose(encounter, "first_of_many");
    }
    let focal = insurances.iter().find(|insurance| insurance.focal == Some(true)).or(insurances.first());
    let payer = focal.and_then(|insurance| insurance.coverage.as_ref());
    let code = items.iter().find_map(|item| item.revenue.as_ref());
    Ok(Cost {
        cost_id: draft.key("cost", ""),
        cost_event_id: visit_occurrence_id,
        cost_domain_id: VISIT.into(),
        cost_type_concept_id: if kind.has_code("pharmacy") { rule::TYPE_PHARMACY_CLAIM } else { rule::TYPE_CLAIM },
        payer_plan_period_id: payer.and_then(|payer| plan(draft, coverage, payer)),
        revenue_code_source_value: code.and_then(|code| draft.first_code(revenue, code)),
        ..Cost::default()
    })
}

/// The row of the Coverage; one that is contained or not known is counted.
fn plan<'d>(draft: &mut Draft<'d, '_>, element: &'static str, coverage: &Reference<'d>) -> Option<i64> {
    let target: Cow<'_, str> = literal(coverage)?;
    let plan = draft.context.references.payer_plan_period(&target);
    if plan.is_none() {
        draft.lose(element, "unresolved_reference");
    }
    plan
}

/// Puts an amount where its category says.
fn take(draft: &mut Draft<'_, '_>, row: &mut Cost<'_>, total: &Adjudication<'_>, is_told_by_claim: bool) {
    const TOTAL: &str = "ExplanationOfBenefit.total";
    let Some(money) = &total.amount else { return };
    let has = |code: &str| total.category.has_code(code);
    let column = if has("submitted") {
        if is_told_by_claim {
            draft.lose(TOTAL, "told_by_claim");
            return;
        }
        &mut row.total_charge
    } else if has("eligible") || has("allowed") {
        &mut row.amount_allowed
    } else if has("benefit") {
        &mut row.paid_by_payer
    } else if has("paidbypatient") {
        &mut row.paid_by_patient
    } else if has("copay") {
        &mut row.paid_patient_copay
    } else if has("coinsurance") {
        &mut row.paid_patient_coinsurance
    } else if has("deductible") {
        &mut row.paid_patient_deductible
    } else {
        draft.lose(TOTAL, "no_target");
        return;
    };
    *column = amount(money);
    row.currency_concept_id = row.currency_concept_id.or(currency(money));
}

fn amount(money: &Money<'_>) -> Option<f64> {
    money.value.as_ref().map(|value| value.number())
}

fn currency(money: &Money<'_>) -> Option<i32> {
    money.value.as_ref()?;
    Some(money.currency.as_deref().and_then(|code| value("currency", code)).unwrap_or(NO_MATCHING_CONCEPT))
}
