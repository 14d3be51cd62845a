//! Conditions of guards and transitions.

use super::Id;
use super::bind::Binder;
use super::distribution::Unit;
use super::field::Fields;
use super::state::ConstantValue;
use crate::Error;

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `is nil`
    IsNil,
    /// `is not nil`
    IsNotNil,
}

impl Operator {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Operator, Error> {
        Ok(match fields.need("operator", fields.text("operator")?)? {
            "==" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "is nil" => Operator::IsNil,
            "is not nil" => Operator::IsNotNil,
            other => {
                let message =
                    format!("`{other}` is no operator, expected ==, !=, <, <=, >, >=, `is nil` or `is not nil`");
                return Err(fields.error("operator", message));
            }
        })
    }

    /// Compares two numbers.
    pub fn numbers(self, left: f64, right: f64) -> bool {
        match self {
            Operator::Equal => left == right,
            Operator::NotEqual => left != right,
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Greater => left > right,
            Operator::GreaterOrEqual => left >= right,
            Operator::IsNil => false,
            Operator::IsNotNil => true,
        }
    }
}

/// The right-hand side of a comparison; absent for `is nil`.
pub type Operand = Option<ConstantValue>;

/// Which table of active entries is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ActiveKind {
    /// Conditions.
    Condition,
    /// Allergies.
    Allergy,
    /// Medications.
    Medication,
    /// Care plans.
    CarePlan,
}

/// How an entry is named.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// By any of the codes (a list per code).
    Codes(Vec<Id>),
    /// By the attribute that holds it.
    Attribute(Id),
    /// By the state of the same module that made it.
    State(usize),
}

/// What a Date condition compares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DateTest {
    /// The calendar year.
    Year(i32),
    /// The calendar month, from 1.
    Month(u32),
    /// The moment itself.
    Moment(i64),
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Always.
    True,
    /// Never.
    False,
    /// The person is of that sex; true means female.
    Female(bool),
    /// Age in completed units.
    Age(Operator, f64, Unit),
    /// The date.
    Date(Operator, DateTest),
    /// Socioeconomic category, in lower case.
    Socioeconomic(String),
    /// Race, in lower case.
    Race(String),
    /// Strength of a symptom.
    Symptom(Id, Operator, f64),
    /// Latest value of an observation.
    Observation(By, Operator, Operand),
    /// A vital sign now.
    VitalSign(Id, Operator, f64),
    /// Something is active.
    Active(ActiveKind, By),
    /// A state has been visited.
    PriorState {
        /// The state's name.
        name: Id,
        /// More recently than this one.
        since: Option<Id>,
        /// Not longer ago than this many milliseconds.
        within: Option<i64>,
    },
    /// Value of an attribute.
    Attribute(Id, Operator, Operand),
    /// All hold.
    And(Vec<Condition>),
    /// One holds.
    Or(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// So many hold at least.
    AtLeast(usize, Vec<Condition>),
    /// So many hold at most.
    AtMost(usize, Vec<Condition>),
}

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
            "Socioeconomic Status" => Condition::Socioeconomic(text("category")?.to_lowercase()),
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
                let attribute = binder.attribute(text("attribute")?);
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
            other => return Err(fields.error("condition_type", format!("`{other}` is no known condition"))),
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
