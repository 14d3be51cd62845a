//! Domain constraints, looked up by the codes of this run: who may have what, which values are plausible, what needs
//! what. The rules themselves are data of `model::constraint`.

use model::constraint;
use model::vocabulary::vocabulary_of_system;

use crate::module::{Codes, Id};

/// The constraints, compiled for the codes of a library.
#[derive(Debug, Default)]
pub struct Constraints {
    /// By code: the rules on it.
    rules: Vec<Vec<Rule>>,
    /// By code: unit, lowest, highest.
    ranges: Vec<Vec<(&'static str, f64, f64)>>,
    /// By list of codes: its codes.
    lists: Vec<Vec<Id>>,
}

/// One rule on an event.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// Only women; or only men.
    Female(bool),
    /// Completed years, limits included.
    Age(Option<i32>, Option<i32>),
    /// One of these conditions, by the text of its code, is on record.
    Needs(Vec<Id>),
    /// None of these is.
    Excludes(Vec<Id>),
}

impl Constraints {
    /// Compiles the rules for the codes known.
    pub fn new(codes: &Codes) -> Constraints {
        let mut constraints = Constraints { lists: codes.lists().to_vec(), ..Constraints::default() };
        for code in codes.all() {
            let vocabulary_id = vocabulary_of_system(&code.system).unwrap_or("");
            constraints.rules.push(rules_of(codes, vocabulary_id, &code.code));
            let ranges = constraint::value_ranges()
                .filter(|row| row.vocabulary_id == vocabulary_id && row.code == code.code)
                .map(|row| (row.unit, row.low, row.high));
            constraints.ranges.push(ranges.collect());
        }
        constraints
    }

    /// The name of the first rule that forbids an event; `has` says whether a condition with one of these code texts is
    /// on record.
    pub fn violated(&self, list: Id, female: bool, age: i32, has: impl Fn(&[Id]) -> bool) -> Option<&'static str> {
        let rules = self.lists[list as usize].iter().flat_map(|code| &self.rules[*code as usize]);
        let is_broken = |rule: &&Rule| match &rule.test {
            Test::Female(only) => *only != female,
            Test::Age(youngest, oldest) => {
                youngest.is_some_and(|youngest| age < youngest) || oldest.is_some_and(|oldest| age > oldest)
            }
            Test::Needs(codes) => !has(codes),
            Test::Excludes(codes) => has(codes),
        };
        rules.into_iter().find(is_broken).map(|rule| rule.name)
    }

    /// The plausible range of an observation in a unit.
    pub fn range(&self, list: Id, unit: Option<&str>) -> Option<(f64, f64)> {
        let unit = unit?;
        let mut ranges = self.lists[list as usize].iter().flat_map(|code| &self.ranges[*code as usize]);
        ranges.find(|(known, _, _)| *known == unit).map(|(_, low, high)| (*low, *high))
    }
}

fn rules_of(codes: &Codes, vocabulary_id: &str, code: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for row in constraint::sexes().filter(|row| row.vocabulary_id == vocabulary_id && row.code == code) {
        rules.push(Rule { name: "sex", test: Test::Female(row.gender == "F") });
    }
    for row in constraint::age_ranges().filter(|row| row.vocabulary_id == vocabulary_id && row.code == code) {
        rules.push(Rule { name: "age", test: Test::Age(row.youngest, row.oldest) });
    }
    let mut needs: Vec<(&'static str, Vec<Id>)> = Vec::new();
    for row in constraint::requirements().filter(|row| row.vocabulary_id == vocabulary_id && row.code == code) {
        if needs.last().is_none_or(|(name, _)| *name != row.rule) {
            needs.push((row.rule, Vec::new()));
        }
        if let (Some((_, alternatives)), Some(text)) = (needs.last_mut(), codes.text_number(row.required_code)) {
            alternatives.push(text);
        }
    }
    rules.extend(needs.into_iter().map(|(name, codes)| Rule { name, test: Test::Needs(codes) }));
    for row in constraint::exclusions().filter(|row| row.vocabulary_id == vocabulary_id && row.code == code) {
        let excluded = codes.text_number(row.excluded_code).into_iter().collect();
        rules.push(Rule { name: row.rule, test: Test::Excludes(excluded) });
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::Code;

    fn compiled(all: &[(&str, &str)]) -> (Codes, Constraints, Vec<Id>) {
        let mut codes = Codes::default();
        let lists = all
            .iter()
            .map(|(system, code)| {
                let code = Code { system: (*system).into(), code: (*code).into(), display: String::new() };
                let code = codes.intern(code);
                codes.intern_list(vec![code])
            })
            .collect();
        let constraints = Constraints::new(&codes);
        (codes, constraints, lists)
    }

    const SNOMED: &str = "http://snomed.info/sct";
    const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";

    #[test]
    fn no_insulin_without_diabetes_and_no_pregnant_men() {
        let (codes, constraints, lists) =
            compiled(&[(RXNORM, "106892"), (SNOMED, "44054006"), (SNOMED, "72892002"), (SNOMED, "38341003")]);
        let nothing = |_: &[Id]| false;
        assert_eq!(constraints.violated(lists[0], true, 50, nothing), Some("insulin_needs_diabetes"));
        let diabetes = codes.text_number("44054006").unwrap();
        assert_eq!(constraints.violated(lists[0], true, 50, |codes: &[Id]| codes.contains(&diabetes)), None);
        assert_eq!(constraints.violated(lists[2], false, 30, nothing), Some("sex"));
        assert_eq!(constraints.violated(lists[2], true, 30, nothing), None);
        assert_eq!(constraints.violated(lists[3], false, 30, nothing), None);
    }

    #[test]
    fn ranges_hold_for_their_unit() {
        let (_, constraints, lists) = compiled(&[("http://loinc.org", "4548-4")]);
        assert_eq!(constraints.range(lists[0], Some("%")), Some((3.0, 20.0)));
        assert_eq!(constraints.range(lists[0], Some("mmol/mol")), None);
        assert_eq!(constraints.range(lists[0], None), None);
    }
}
