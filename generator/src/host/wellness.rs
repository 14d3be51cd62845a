//! When the next wellness visit is due.

use chrono::NaiveDate;

use crate::moment::{DAY, Moment, age_months};

/// Time between two wellness visits at that age; chronic medication caps it at a year.
pub fn wellness_interval(birth: NaiveDate, time: Moment, chronic: bool) -> Moment {
    let months = age_months(birth, time);
    let days = match months {
        ..=1 => 30,
        2..=5 => 60,
        6..=17 => 90,
        18..=47 => 180,
        48..=239 => 365,
        240..=479 => 3 * 365,
        480..=599 => 2 * 365,
        _ => 365,
    };
    let days = if chronic { days.min(365) } else { days };
    days * DAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::birthday_months;

    #[test]
    fn intervals_follow_age_and_medication() {
        let birth = NaiveDate::from_ymd_opt(1980, 5, 5).unwrap();
        let days = |years: i32, chronic| wellness_interval(birth, birthday_months(birth, years * 12), chronic) / DAY;
        assert_eq!([days(0, false), days(2, false), days(10, false)], [30, 180, 365]);
        assert_eq!([days(25, false), days(45, false), days(60, false)], [1095, 730, 365]);
        assert_eq!(days(25, true), 365);
        assert_eq!(days(2, true), 180);
    }
}
