//! The spans of time in which somebody was insured.

use chrono::{Days, NaiveDate};

use super::Circumstances;
use crate::moment::{birthday_months, date};
use crate::record::{Coverage, Payer};

/// From birth to the last day: who paid is settled at each birthday.
pub fn coverages(circumstances: &Circumstances, birth: NaiveDate, last: NaiveDate) -> Vec<Coverage> {
    let mut coverages: Vec<Coverage> = Vec::new();
    for age in 0.. {
        let from = date(birthday_months(birth, age * 12));
        if from > last {
            break;
        }
        let to = (date(birthday_months(birth, (age + 1) * 12)) - Days::new(1)).min(last);
        let Some(payer) = Payer::of_status(circumstances.insurance_status(age)) else { continue };
        match coverages.last_mut() {
            Some(before) if before.payer == payer && before.to + Days::new(1) == from => before.to = to,
            _ => coverages.push(Coverage { payer, from, to }),
        }
    }
    coverages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::population::Population;

    #[test]
    fn spans_follow_each_other_and_medicare_comes_at_65() {
        let options = Options::default();
        let population = Population::new(&options).unwrap();
        let birth = NaiveDate::from_ymd_opt(1950, 3, 1).unwrap();
        let last = NaiveDate::from_ymd_opt(2020, 6, 30).unwrap();
        let of_65 = NaiveDate::from_ymd_opt(2015, 3, 1).unwrap();
        let mut uninsured = 0;
        for index in 0..60 {
            let (patient, life) = population.person(&options, index);
            let circumstances = Circumstances::new(&patient, &life, "white");
            let spans = coverages(&circumstances, birth, last);
            assert!(spans.windows(2).all(|pair| pair[0].to < pair[1].from && pair[0].from <= pair[0].to), "{spans:?}");
            let end = spans.last().unwrap();
            assert_eq!((end.payer, end.from, end.to), (Payer::Medicare, of_65, last));
            uninsured += usize::from(circumstances.insurance_status(40) == "none");
            let at_40 = NaiveDate::from_ymd_opt(1990, 6, 1).unwrap();
            let covered = spans.iter().any(|span| span.from <= at_40 && at_40 <= span.to);
            assert_eq!(covered, circumstances.insurance_status(40) != "none");
        }
        assert!(uninsured > 0);
        assert!(
            coverages(
                &Circumstances::new(&population.person(&options, 0).0, &population.person(&options, 0).1, ""),
                last,
                birth
            )
            .is_empty()
        );
    }
}
