//! Decides conditions.

use chrono::Datelike;

use super::person::{Person, Value};
use super::unanswered::Question;
use crate::host::socioeconomic_category;
use crate::module::{ActiveKind, By, Cell, Condition, ConstantValue, DateTest, Id, Key, Lookup, Operator, Unit};
use crate::moment::{Moment, age_months, age_years, birthday_months, date};
use crate::record::ObservationValue;

/// Nobody becomes that old: 200 years.
const OLDEST_MONTHS: f64 = 2_400.0;

impl Person<'_> {
    pub(super) fn holds(&self, cursor: usize, condition: &Condition, time: Moment) -> bool {
        match condition {
            Condition::True => true,
            Condition::False => false,
            Condition::Female(female) => self.patient.female == *female,
            Condition::Age(operator, quantity, unit) => {
                let age = match unit {
                    Unit::Months => age_months(self.patient.birth, time),
                    _ => age_years(self.patient.birth, time),
                };
                operator.numbers(f64::from(age), *quantity)
            }
            Condition::Date(operator, test) => match test {
                DateTest::Year(year) => operator.numbers(f64::from(date(time).year()), f64::from(*year)),
                DateTest::Month(month) => operator.numbers(f64::from(date(time).month()), f64::from(*month)),
                DateTest::Moment(moment) => operator.numbers(time as f64, *moment as f64),
            },
            Condition::Socioeconomic(category) => socioeconomic_category(self.life.income) == category,
            Condition::Race(race) => {
                if race == "hispanic" {
                    return self.patient.hispanic;
                }
                self.patient.races.iter().any(|row| self.world.population.races[*row].word == *race)
            }
            Condition::Symptom(symptom, operator, value) => operator.numbers(self.symptom_strength(*symptom), *value),
            Condition::Observation(by, operator, operand) => {
                let latest = match by {
                    By::Codes(lists) => lists
                        .iter()
                        .find_map(|list| self.latest[self.world.library.codes.text_id(*list) as usize].as_ref()),
                    // An observation is not held by an attribute.
                    By::Attribute(_) | By::State(_) | By::StateElsewhere(_) => None,
                };
                self.observation_holds(cursor, latest, *operator, operand.as_ref())
            }
            Condition::VitalSign(sign, operator, value) => operator.numbers(self.vital_sign(*sign, time), *value),
            Condition::Active(kind, by) => self.is_active(*kind, by),
            Condition::PriorState { name, since, within } => {
                self.has_visited(cursor, *name, *since, within.map(|span| time - span))
            }
            Condition::Attribute(attribute, operator, operand) => {
                self.compare(cursor, &self.attributes[*attribute as usize], *operator, operand.as_ref())
            }
            Condition::And(all) => all.iter().all(|one| self.holds(cursor, one, time)),
            Condition::Or(all) => all.iter().any(|one| self.holds(cursor, one, time)),
            Condition::Not(one) => !self.holds(cursor, one, time),
            Condition::AtLeast(count, all) => all.iter().filter(|one| self.holds(cursor, one, time)).count() >= *count,
            Condition::AtMost(count, all) => all.iter().filter(|one| self.holds(cursor, one, time)).count() <= *count,
        }
    }

    /// When a guard is worth asking again: at once for what may change any week.
    pub(super) fn next_chance(&self, condition: &Condition) -> Moment {
        match condition {
            Condition::Age(Operator::GreaterOrEqual, quantity, unit) => {
                let months = if *unit == Unit::Months { *quantity } else { quantity * 12.0 };
                match months {
                    months if months > OLDEST_MONTHS => Moment::MAX,
                    months => birthday_months(self.patient.birth, months.max(0.0).floor() as i32),
                }
            }
            Condition::False => Moment::MAX,
            _ => Moment::MIN,
        }
    }

    /// A comparison with what is absent is false, whatever the operator; only the nil tests see absence.
    fn compare(&self, cursor: usize, value: &Value, operator: Operator, operand: Option<&ConstantValue>) -> bool {
        match operator {
            Operator::IsNil => return *value == Value::Nil,
            Operator::IsNotNil => return *value != Value::Nil,
            _ => {}
        }
        match (value, operand) {
            (Value::Number(left), Some(ConstantValue::Number(right))) => operator.numbers(*left, *right),
            (Value::Bool(left), Some(ConstantValue::Bool(right))) => match operator {
                Operator::Equal => left == right,
                _ => left != right,
            },
            (Value::Text(left), Some(ConstantValue::Text(right))) => match operator {
                Operator::Equal => left == right,
                Operator::NotEqual => left != right,
                Operator::Less => left < right,
                Operator::LessOrEqual => left <= right,
                Operator::Greater => left > right,
                _ => left >= right,
            },
            (Value::Code(left), Some(ConstantValue::Code(right))) => self.same_code(*left, *right, operator),
            (Value::Entry(entry), Some(ConstantValue::Code(right))) => {
                let codes = &self.world.library.codes;
                let first = codes.lists()[self.slots[entry.0 as usize].codes as usize][0];
                self.same_code(first, *right, operator)
            }
            (Value::Nil, _) => false,
            _ => {
                self.leave_unanswered(cursor, Question::Comparison);
                false
            }
        }
    }

    fn same_code(&self, left: Id, right: Id, operator: Operator) -> bool {
        let codes = &self.world.library.codes;
        let same = codes.code(left).code == codes.code(right).code;
        if operator == Operator::Equal { same } else { !same }
    }

    /// An observation that was never made compares as absent.
    fn observation_holds(
        &self,
        cursor: usize,
        latest: Option<&ObservationValue>,
        operator: Operator,
        operand: Option<&ConstantValue>,
    ) -> bool {
        let value = match latest {
            None | Some(ObservationValue::None) => Value::Nil,
            Some(ObservationValue::Quantity(number, _)) => Value::Number(*number),
            Some(ObservationValue::Code(code)) => Value::Code(*code),
            Some(ObservationValue::Text(text)) => Value::Text(text.as_str().into()),
        };
        if value == Value::Nil && !matches!(operator, Operator::IsNil | Operator::IsNotNil) {
            self.leave_unanswered(cursor, Question::Observation);
        }
        self.compare(cursor, &value, operator, operand)
    }

    fn is_active(&self, kind: ActiveKind, by: &By) -> bool {
        match by {
            By::Attribute(attribute) => match self.attributes[*attribute as usize] {
                Value::Entry(entry) => self.active.contains(&entry.0),
                _ => false,
            },
            By::Codes(lists) => self.active_slot(kind, lists).is_some(),
            By::State(_) | By::StateElsewhere(_) => false,
        }
    }

    /// The active entry whose first code has the text of one of these. Conditions and allergies share one table.
    pub(super) fn active_slot(&self, kind: ActiveKind, lists: &[Id]) -> Option<u32> {
        let codes = &self.world.library.codes;
        let table = |kind| if kind == ActiveKind::Allergy { ActiveKind::Condition } else { kind };
        self.active.iter().copied().find(|slot| {
            let slot = &self.slots[*slot as usize];
            table(slot.kind) == table(kind)
                && lists.iter().any(|list| codes.text_id(*list) == codes.text_id(slot.codes))
        })
    }

    /// The chances of a lookup: those of the first row that fits, or the defaults.
    pub(super) fn shares_of<'l>(&self, cursor: usize, lookup: &'l Lookup, time: Moment) -> &'l [f64] {
        let row = lookup
            .rows
            .iter()
            .find(|row| lookup.keys.iter().zip(&row.cells).all(|(key, cell)| self.fits(*key, cell, time)));
        if row.is_none() && lookup.keys.iter().any(|key| self.lacks(*key)) {
            self.leave_unanswered(cursor, Question::LookupKey);
        }
        row.map_or(&lookup.defaults, |row| &row.shares)
    }

    fn fits(&self, key: Key, cell: &Cell, time: Moment) -> bool {
        let within = |value: i64| matches!(cell, Cell::Range(low, high) if (*low..=*high).contains(&value));
        let says = |text: &str| matches!(cell, Cell::Text(cell) if cell.eq_ignore_ascii_case(text));
        match key {
            Key::Age => within(i64::from(age_years(self.patient.birth, time))),
            Key::Time => within(time),
            Key::Gender => says(if self.patient.female { "F" } else { "M" }),
            Key::Race => self.patient.races.iter().any(|row| says(&self.world.population.races[*row].word)),
            Key::Ethnicity => says(if self.patient.hispanic { "hispanic" } else { "nonhispanic" }),
            Key::State => says(self.world.population.state_name(self.patient.town)),
            Key::Attribute(attribute) => match &self.attributes[attribute as usize] {
                Value::Nil => false,
                Value::Number(number) => cell.is_number(*number),
                Value::Bool(flag) => says(if *flag { "true" } else { "false" }),
                Value::Text(text) => *cell == Cell::Text(text.as_ref().into()),
                Value::Code(code) => says(&self.world.library.codes.code(*code).code),
                Value::Entry(entry) => says(&self.world.library.codes.first(self.slots[entry.0 as usize].codes).code),
            },
        }
    }

    fn lacks(&self, key: Key) -> bool {
        matches!(key, Key::Attribute(attribute) if self.attributes[attribute as usize] == Value::Nil)
    }

    /// The latest visit is more recent than the one to `since`, and was not over when the window began.
    fn has_visited(&self, cursor: usize, name: Id, since: Option<Id>, window: Option<Moment>) -> bool {
        let Some(frame) = self.cursors[cursor].frames.last() else { return false };
        let of = |name: Id| frame.visits.iter().find(|visit| visit.name == name);
        let Some(visit) = of(name) else { return false };
        if since.and_then(of).is_some_and(|since| since.sequence >= visit.sequence) {
            return false;
        }
        match (window, visit.exited) {
            (Some(window), Some(exited)) => exited > window,
            _ => true,
        }
    }

    pub(super) fn symptom_strength(&self, symptom: Id) -> f64 {
        self.symptoms
            .iter()
            .filter(|known| known.symptom == symptom && !known.addressed)
            .fold(0.0, |highest, known| known.strength.max(highest))
    }
}
