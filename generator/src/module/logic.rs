//! Conditions of guards and transitions.

use super::Id;
use super::distribution::Unit;
use super::field::Fields;
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

/// A literal of a module.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstantValue {
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A text.
    Text(std::sync::Arc<str>),
    /// A code.
    Code(Id),
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
    /// Devices.
    Device,
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
    /// By the name of a state of another module that made it.
    StateElsewhere(Box<str>),
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
