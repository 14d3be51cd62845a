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
