//! Risks of heart attack, ischaemic heart disease, stroke and atrial fibrillation, from published equations. What is
//! known in years becomes a probability for one month: so often do modules draw.
//!
//! - Hard atherosclerotic events within ten years: the pooled cohort equations of ACC/AHA (Goff et al., Circulation
//!   2014; 129 suppl 2: S49, table A), for ages 40 to 79. Half of these events are heart attacks, half strokes, and
//!   stable disease begins about as often as a heart attack (AHA, Heart Disease and Stroke Statistics: 605,000 first
//!   heart attacks, 610,000 first strokes and 565,000 new cases of stable angina a year).
//! - Atrial fibrillation within five years: the simple model of CHARGE-AF (Alonso et al., J Am Heart Assoc 2013; 2:
//!   e000102).
//! - Outside the ages of the equations: risks of younger adults fall by 9 % for each year below the youngest age, which
//!   is how they rise above it; those of older people stay as they are at the oldest. Nobody below 20 has any.

use crate::random::{exp, ln, power};

/// What the equations ask for.
#[derive(Clone, Copy, Debug)]
pub struct RiskFactors {
    /// Years.
    pub age: f64,
    /// Sex.
    pub female: bool,
    /// Black or African American.
    pub black: bool,
    /// White.
    pub white: bool,
    /// mg/dL.
    pub total_cholesterol: f64,
    /// mg/dL.
    pub hdl: f64,
    /// mm[Hg].
    pub systolic: f64,
    /// mm[Hg].
    pub diastolic: f64,
    /// Blood pressure is treated.
    pub treated: bool,
    /// Smokes now.
    pub smoker: bool,
    /// Has diabetes.
    pub diabetes: bool,
    /// cm.
    pub height: f64,
    /// kg.
    pub weight: f64,
}

/// Probabilities for one month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonthlyRisks {
    /// Heart attack.
    pub myocardial_infarction: f64,
    /// Stable ischaemic heart disease.
    pub ischemic_heart_disease: f64,
    /// Stroke.
    pub stroke: f64,
    /// Atrial fibrillation.
    pub atrial_fibrillation: f64,
}

/// How much risk falls with each year below the youngest age of an equation.
const PER_YOUNGER_YEAR: f64 = 0.91;

impl RiskFactors {
    /// The probabilities for the coming month.
    pub fn monthly(&self) -> MonthlyRisks {
        if self.age < 20.0 {
            let none = 0.0;
            return MonthlyRisks {
                myocardial_infarction: none,
                ischemic_heart_disease: none,
                stroke: none,
                atrial_fibrillation: none,
            };
        }
        let events = monthly(self.within_bounds(40.0, 79.0).ten_years_of_events() * self.youth(40.0), 120.0);
        let fibrillation = self.within_bounds(46.0, 94.0).five_years_of_fibrillation() * self.youth(46.0);
        MonthlyRisks {
            myocardial_infarction: 0.5 * events,
            ischemic_heart_disease: 0.46 * events,
            stroke: 0.5 * events,
            atrial_fibrillation: monthly(fibrillation, 60.0),
        }
    }

    fn within_bounds(&self, youngest: f64, oldest: f64) -> RiskFactors {
        RiskFactors { age: self.age.clamp(youngest, oldest), ..*self }
    }

    fn youth(&self, youngest: f64) -> f64 {
        power(PER_YOUNGER_YEAR, (youngest - self.age).max(0.0))
    }

    /// Pooled cohort equations.
    fn ten_years_of_events(&self) -> f64 {
        let (age, total, hdl, systolic) = (ln(self.age), ln(self.total_cholesterol), ln(self.hdl), ln(self.systolic));
        let (smoker, diabetes) = (f64::from(self.smoker), f64::from(self.diabetes));
        let either = |treated: f64, untreated: f64| if self.treated { treated } else { untreated };
        let (sum, mean, survival) = match (self.female, self.black) {
            (true, false) => (
                -29.799 * age + 4.884 * age * age + 13.540 * total - 3.114 * age * total - 13.578 * hdl
                    + 3.149 * age * hdl
                    + either(2.019, 1.957) * systolic
                    + (7.574 - 1.665 * age) * smoker
                    + 0.661 * diabetes,
                -29.18,
                0.9665,
            ),
            (true, true) => (
                17.114 * age + 0.940 * total - 18.920 * hdl
                    + 4.475 * age * hdl
                    + either(29.291 - 6.432 * age, 27.820 - 6.087 * age) * systolic
                    + 0.691 * smoker
                    + 0.874 * diabetes,
                86.61,
                0.9533,
            ),
            (false, false) => (
                12.344 * age + 11.853 * total - 2.664 * age * total - 7.990 * hdl
                    + 1.769 * age * hdl
                    + either(1.797, 1.764) * systolic
                    + (7.837 - 1.795 * age) * smoker
                    + 0.658 * diabetes,
                61.18,
                0.9144,
            ),
            (false, true) => (
                2.469 * age + 0.302 * total - 0.307 * hdl
                    + either(1.916, 1.809) * systolic
                    + 0.549 * smoker
                    + 0.645 * diabetes,
                19.54,
                0.8954,
            ),
        };
        1.0 - power(survival, exp(sum - mean))
    }

    /// CHARGE-AF, without heart failure and earlier heart attack, which modules know and the core does not.
    fn five_years_of_fibrillation(&self) -> f64 {
        let sum = 0.508 * self.age / 5.0
            + 0.465 * f64::from(self.white)
            + 0.248 * self.height / 10.0
            + 0.115 * self.weight / 15.0
            + 0.197 * self.systolic / 20.0
            - 0.101 * self.diastolic / 10.0
            + 0.359 * f64::from(self.smoker)
            + 0.349 * f64::from(self.treated)
            + 0.237 * f64::from(self.diabetes);
        1.0 - power(0.971_841_273_6, exp(sum - 12.581_56))
    }
}

/// The probability of one month when that of many is known.
fn monthly(probability: f64, months: f64) -> f64 {
    1.0 - power(1.0 - probability.min(0.999), 1.0 / months)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(female: bool, black: bool) -> RiskFactors {
        RiskFactors {
            age: 55.0,
            female,
            black,
            white: !black,
            total_cholesterol: 213.0,
            hdl: 50.0,
            systolic: 120.0,
            diastolic: 75.0,
            treated: false,
            smoker: false,
            diabetes: false,
            height: 170.0,
            weight: 75.0,
        }
    }

    #[test]
    fn events_are_those_of_the_published_example() {
        for (female, black, published) in
            [(true, false, 2.1), (true, true, 3.0), (false, false, 5.3), (false, true, 6.1)]
        {
            let found = example(female, black).ten_years_of_events() * 100.0;
            assert!((found - published).abs() < 0.1, "{found} instead of {published}");
        }
    }

    #[test]
    fn risks_grow_with_age_and_factors() {
        let base = example(false, false);
        let at = |age: f64| RiskFactors { age, ..base }.monthly();
        for age in 20..94 {
            let (younger, older) = (at(f64::from(age)), at(f64::from(age + 1)));
            assert!(older.stroke >= younger.stroke && older.atrial_fibrillation > younger.atrial_fibrillation, "{age}");
        }
        assert_eq!(at(19.0).myocardial_infarction, 0.0);
        let worse = RiskFactors { smoker: true, diabetes: true, systolic: 160.0, ..base }.monthly();
        assert!(worse.myocardial_infarction > 2.0 * base.monthly().myocardial_infarction);
        assert!(worse.atrial_fibrillation > base.monthly().atrial_fibrillation);
        // Twelve months of a probability make a year of it.
        let year = 1.0 - (1.0 - monthly(0.3, 120.0)).powi(120);
        assert!((year - 0.3).abs() < 1e-9);
    }
}
