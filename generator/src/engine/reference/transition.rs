//! Chooses the state that comes next.

use chrono::NaiveDate;

use super::Interpreter;
use super::attribute::Value;
use super::file::Table;
use super::json::{Json, field, list, need, need_number, need_text, number, text};
use crate::engine::run::type_of_care;
use crate::engine::unanswered::Question;
use crate::moment::{DAY, Moment, age_years, midnight};

impl<'w> Interpreter<'w> {
    /// The name of the state that a state leads to. What falls through goes to the last option.
    pub fn follow(&mut self, module: usize, state: &'w Json, time: Moment) -> &'w str {
        // The way beside a simulation goes before the way through it.
        if let Some(next) = text(state, "alt_direct_transition").or(text(state, "direct_transition")) {
            return next;
        }
        if field(state, "distributed_transition").is_some() {
            return self.choose(module, list(state, "distributed_transition"));
        }
        if field(state, "conditional_transition").is_some() {
            let branch = self.first_that_holds(module, list(state, "conditional_transition"), time);
            return need_text(branch, "transition");
        }
        if field(state, "complex_transition").is_some() {
            let branch = self.first_that_holds(module, list(state, "complex_transition"), time);
            return match text(branch, "transition") {
                Some(next) => next,
                None => self.choose(module, list(branch, "distributions")),
            };
        }
        if let Some(places) = field(state, "type_of_care_transition") {
            let places = ["ambulatory", "emergency", "telemedicine"].map(|place| need_text(places, place));
            return self.draw_option(module, places.into_iter().zip(type_of_care(time)));
        }
        let options = list(state, "lookup_table_transition");
        let chances = self.look_up(module, options, time);
        self.draw_option(module, options.iter().map(|option| need_text(option, "transition")).zip(chances))
    }

    fn first_that_holds(&mut self, module: usize, branches: &'w [Json], time: Moment) -> &'w Json {
        for branch in branches {
            if field(branch, "condition").is_none_or(|condition| self.holds(module, condition, time)) {
                return branch;
            }
        }
        &branches[branches.len() - 1]
    }

    /// Draws among options, unless there is only one. A probability may be the value of an attribute.
    fn choose(&mut self, module: usize, options: &'w [Json]) -> &'w str {
        if let [only] = options {
            return need_text(only, "transition");
        }
        let probability = |option: &Json| match need(option, "distribution") {
            Json::Number(_) => need_number(option, "distribution"),
            named => match self.attributes.get(need_text(named, "attribute")) {
                Some(Value::Number(probability)) => *probability,
                _ => number(named, "default").unwrap_or(0.0),
            },
        };
        let options: Vec<(&'w str, f64)> =
            options.iter().map(|option| (need_text(option, "transition"), probability(option))).collect();
        self.draw_option(module, options.into_iter())
    }

    fn draw_option(&mut self, module: usize, options: impl Iterator<Item = (&'w str, f64)>) -> &'w str {
        let mut rest = self.own_stream(module).unit();
        let mut last = "";
        for (next, probability) in options {
            if rest < probability {
                return next;
            }
            rest -= probability;
            last = next;
        }
        last
    }

    /// The chances of the options: those of the first row that fits, or their defaults.
    fn look_up(&mut self, module: usize, options: &'w [Json], time: Moment) -> Vec<f64> {
        let table = self.files.table(need_text(&options[0], "lookup_table_name"));
        let (keys, targets) = table.header.split_at(table.header.len() - options.len());
        let fits = |row: &&Vec<String>| keys.iter().zip(*row).all(|(key, cell)| self.fits(key, cell, time));
        if let Some(row) = table.rows.iter().find(fits) {
            let chance = |option: &Json| {
                let target = targets.iter().position(|target| target == need_text(option, "transition")).unwrap();
                row[keys.len() + target].parse().unwrap()
            };
            return options.iter().map(chance).collect();
        }
        if keys.iter().any(|key| !HOST_KEYS.contains(&key.as_str()) && self.attributes.get(key).is_none()) {
            self.leave_unanswered(module, Question::LookupKey);
        }
        options.iter().map(|option| need_number(option, "default_probability")).collect()
    }

    /// True when the person has what a cell of a column asks for.
    fn fits(&self, key: &str, cell: &str, time: Moment) -> bool {
        let says = |text: &str| cell.eq_ignore_ascii_case(text);
        match key {
            "age" => {
                let (low, high) = cell.split_once('-').unwrap();
                let bound = |text: &str| text.trim().parse::<i32>().unwrap();
                (bound(low)..=bound(high)).contains(&age_years(self.patient.birth, time))
            }
            "time" => Table::span(cell).contains(&time),
            "gender" => says(if self.patient.female { "F" } else { "M" }),
            "race" => self.patient.races.iter().any(|row| says(&self.world.population.races[*row].word)),
            "ethnicity" => says(if self.patient.hispanic { "hispanic" } else { "nonhispanic" }),
            "state" => says(self.world.population.state_name(self.patient.town)),
            attribute => match self.attributes.get(attribute) {
                None => false,
                Some(Value::Number(number)) => cell.parse() == Ok(*number),
                Some(Value::Bool(flag)) => says(&flag.to_string()),
                Some(Value::Text(text)) => cell == text,
                Some(Value::Code(code)) => says(&code.code),
                Some(Value::Entry(entry)) => says(&self.entries[*entry].codes[0].code),
            },
        }
    }
}

/// The columns that do not ask for an attribute.
const HOST_KEYS: [&str; 6] = ["age", "time", "gender", "race", "ethnicity", "state"];

impl Table {
    /// The moments that a cell of the column `time` means, limits included: of two days or of two numbers of milliseconds.
    fn span(cell: &str) -> std::ops::RangeInclusive<Moment> {
        if let (Some(Ok(first)), Some(Ok(last))) =
            (cell.get(..10).map(str::parse::<NaiveDate>), cell.get(11..).map(str::parse::<NaiveDate>))
        {
            return midnight(first)..=midnight(last) + DAY - 1;
        }
        let (first, last) = cell.split_once('-').unwrap();
        first.trim().parse().unwrap()..=last.trim().parse().unwrap()
    }
}
