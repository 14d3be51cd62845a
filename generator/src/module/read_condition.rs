//! Reads the conditions of guards and transitions.

use super::bind::Binder;
use super::distribution::Unit;
use super::field::Fields;
use super::logic::{ActiveKind, Condition, DateTest, Operator};
use crate::Error;

/// The conditions of the format.
const CONDITION_TYPES: [&str; 21] = [
    "Active Allergy",
    "Active CarePlan",
    "Active Condition",
    "Active Medication",
    "Age",
    "And",
    "At Least",
    "At Most",
    "Attribute",
    "Date",
    "False",
    "Gender",
    "Not",
    "Observation",
    "Or",
    "PriorState",
    "Race",
    "Socioeconomic Status",
    "Symptom",
    "True",
    "Vital Sign",
];

impl Condition {
    pub(super) fn read(fields: &Fields<'_>, binder: &mut Binder<'_>) -> Result<Condition, Error> {
        let kind = fields.need("condition_type", fields.text("condition_type")?)?;
        let text = |field: &str| fields.need(field, fields.text(field)?);
        let number = |field: &str| fields.need(field, fields.number(field)?);
        let condition = match kind {
            "True" => Condition::True,
            "False" => Condition::False,
            "Gender" => match text("gender")? {
                "M" => Condition::Female(false),
                "F" => Condition::Female(true),
                other => return Err(fields.error("gender", format!("`{other}` is no gender, expected M or F"))),
            },
            "Age" => {
                let unit = Unit::read(fields, "unit", text("unit")?)?;
                if !matches!(unit, Unit::Years | Unit::Months) {
                    return Err(fields.error("unit", "an age is counted in years or months"));
                }
                Condition::Age(Operator::read(fields)?, number("quantity")?, unit)
            }
            "Date" => Condition::Date(Operator::read(fields)?, read_date(fields)?),
            "Socioeconomic Status" => match text("category")? {
                category @ ("Low" | "Middle" | "High") => Condition::Socioeconomic(category.to_lowercase()),
                other => {
                    let message = format!("`{other}` is no category, expected Low, Middle or High");
                    return Err(fields.error("category", message));
                }
            },
            "Race" => Condition::Race(text("race")?.to_lowercase()),
            "Symptom" => {
                Condition::Symptom(binder.symptom(text("symptom")?), Operator::read(fields)?, number("value")?)
            }
            "Observation" => {
                let by = binder.by(fields, None)?;
                let operator = Operator::read(fields)?;
                Condition::Observation(by, operator, binder.operand(fields, operator)?)
            }
            "Vital Sign" => {
                Condition::VitalSign(binder.vital_sign(text("vital_sign")?), Operator::read(fields)?, number("value")?)
            }
            "Active Condition" => Condition::Active(ActiveKind::Condition, binder.by(fields, None)?),
            "Active Allergy" => Condition::Active(ActiveKind::Allergy, binder.by(fields, None)?),
            "Active Medication" => Condition::Active(ActiveKind::Medication, binder.by(fields, None)?),
            "Active CarePlan" => Condition::Active(ActiveKind::CarePlan, binder.by(fields, None)?),
            "PriorState" => read_prior_state(fields, binder)?,
            "Attribute" => {
                let operator = Operator::read(fields)?;
                let attribute = binder.read_attribute(text("attribute")?);
                Condition::Attribute(attribute, operator, binder.operand(fields, operator)?)
            }
            "And" => Condition::And(read_all(fields, binder)?),
            "Or" => Condition::Or(read_all(fields, binder)?),
            "Not" => {
                let inner = fields.need("condition", fields.object("condition")?)?;
                Condition::Not(Box::new(Condition::read(&inner, binder)?))
            }
            "At Least" => Condition::AtLeast(number("minimum")? as usize, read_all(fields, binder)?),
            "At Most" => Condition::AtMost(number("maximum")? as usize, read_all(fields, binder)?),
            other => {
                let message =
                    format!("`{other}` is no known condition, expected one of {}", CONDITION_TYPES.join(", "));
                return Err(fields.error("condition_type", message));
            }
        };
        fields.finish()?;
        Ok(condition)
    }
}

fn read_all(fields: &Fields<'_>, binder: &mut Binder<'_>) -> Result<Vec<Condition>, Error> {
    let conditions = fields.objects("conditions")?;
    if conditions.is_empty() {
        return Err(fields.error("conditions", "expected at least one condition"));
    }
    conditions.iter().map(|condition| Condition::read(condition, binder)).collect()
}

fn read_date(fields: &Fields<'_>) -> Result<DateTest, Error> {
    if let Some(year) = fields.number("year")? {
        return Ok(DateTest::Year(year as i32));
    }
    if let Some(month) = fields.number("month")? {
        return Ok(DateTest::Month(month as u32));
    }
    let date = fields.need("year", fields.object("date")?)?;
    let part = |field: &str| -> Result<u32, Error> { Ok(date.number(field)?.unwrap_or(0.0) as u32) };
    let year = date.need("year", date.number("year")?)? as i32;
    let moment = chrono::NaiveDate::from_ymd_opt(year, part("month")?.max(1), part("day")?.max(1))
        .and_then(|day| day.and_hms_opt(part("hour").ok()?, part("minute").ok()?, part("second").ok()?));
    part("millisecond")?;
    date.finish()?;
    match moment {
        Some(moment) => Ok(DateTest::Moment(moment.and_utc().timestamp_millis())),
        None => Err(fields.error("date", "is no calendar date")),
    }
}

fn read_prior_state(fields: &Fields<'_>, binder: &mut Binder<'_>) -> Result<Condition, Error> {
    let name = fields.need("name", fields.text("name")?)?;
    let within = match fields.object("within")? {
        None => None,
        Some(within) => {
            let quantity = within.need("quantity", within.number("quantity")?)?;
            let unit = Unit::read(&within, "unit", within.need("unit", within.text("unit")?)?)?;
            within.finish()?;
            Some(unit.fractional(quantity))
        }
    };
    let name = binder.track("name", name);
    let since = fields.text("since")?.map(|since| binder.track("since", since));
    Ok(Condition::PriorState { name, since, within })
}
