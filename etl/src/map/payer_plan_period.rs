//! Coverage to `payer_plan_period`. The number of the insured is hashed: it names a person.

use std::borrow::Cow;

use model::fhir::{Coverage, DateTime};
use model::omop::PayerPlanPeriod;
use model::omop::key::omop_key;

use super::Judgement;
use super::draft::{Draft, SOURCE_VALUE, literal};
use super::event::is_before;
use crate::vocabulary::Priority;

/// Maps a Coverage.
pub fn from_coverage(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let coverage: Coverage<'_> = draft.read()?;
    draft.gate_modifiers(&coverage.modifier_extension, coverage.implicit_rules.as_ref())?;
    draft.gate_status("Coverage.status", coverage.status.as_deref(), &["active"])?;
    let person_id = draft.person("Coverage.beneficiary", coverage.beneficiary.as_ref())?;
    let period = coverage.period.as_ref();
    let Some(start) = period.and_then(|period| period.start) else {
        return Err(Judgement::missing("Coverage.period.start", "expected when it begins"));
    };
    draft.note_precision("Coverage.period.start", &start);
    let end = end(draft, start, period.and_then(|period| period.end))?;
    let mut row = PayerPlanPeriod {
        payer_plan_period_id: draft.key("payer_plan_period", ""),
        person_id,
        payer_plan_period_start_date: start.date,
        payer_plan_period_end_date: end,
        ..PayerPlanPeriod::default()
    };
    if coverage.coverage_type.coding.is_empty() {
        row.payer_source_value = payor(draft, &coverage);
    } else {
        let resolved = draft.resolve("Coverage.type", &coverage.coverage_type, Priority::Clinical);
        row.payer_concept_id = Some(resolved.concept_id());
        row.payer_source_concept_id = resolved.source_concept_id;
        row.payer_source_value = resolved.source_value;
    }
    let plan = coverage.class.iter().find(|class| class.class_type.has_code("plan"));
    row.plan_source_value = plan.and_then(|plan| draft.source_value("Coverage.class", plan.value.as_ref()));
    if let Some(number) = coverage.subscriber_id.as_deref() {
        let hash = omop_key(draft.context.source_id, number, "payer_plan_period", "family");
        row.family_source_value = Some(hash.to_string().into());
    }
    if coverage.payor.len() > 1 {
        draft.lose("Coverage.payor", "first_of_many");
    }
    draft.push(row, "".into());
    Ok(())
}

/// The end as told; while it lasts, the day up to which the source is known.
fn end(draft: &mut Draft<'_, '_>, start: DateTime, told: Option<DateTime>) -> Result<chrono::NaiveDate, Judgement> {
    let Some(end) = told else {
        draft.lose("Coverage.period.end", "derived");
        return Ok(draft.context.extraction_date.max(start.date));
    };
    draft.note_precision("Coverage.period.end", &end);
    if is_before(&end, &start) && !end.is_partial() {
        let expected = "expected an end that is not before the start";
        return Err(Judgement::rejected("Coverage.period.end", "end_before_start", expected));
    }
    Ok(end.date.max(start.date))
}

/// The organization that pays, by its logical id; persons who pay for themselves stay out.
fn payor<'d>(draft: &mut Draft<'d, '_>, coverage: &Coverage<'d>) -> Option<Cow<'d, str>> {
    let target = coverage.payor.iter().find_map(literal)?;
    let id = draft.context.references.id(&target, Some("Organization"))?;
    let id = id.into_owned();
    Some(draft.cut("Coverage.payor", id.into(), SOURCE_VALUE))
}
