//! Local time. A history runs in the wall-clock time of the patient's state; the zone's offset comes in when a
//! moment is written, so that "date as written, datetime in UTC" is exercised by every row.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

/// Milliseconds of local time since 1970-01-01.
pub type Moment = i64;

/// One second.
pub const SECOND: Moment = 1_000;
/// One minute.
pub const MINUTE: Moment = 60 * SECOND;
/// One hour.
pub const HOUR: Moment = 60 * MINUTE;
/// One day.
pub const DAY: Moment = 24 * HOUR;
/// One week.
pub const WEEK: Moment = 7 * DAY;

/// Midnight of that day.
pub fn midnight(date: NaiveDate) -> Moment {
    i64::from(date.to_epoch_days()) * DAY
}

/// The calendar day of a moment.
pub fn date(moment: Moment) -> NaiveDate {
    NaiveDate::from_epoch_days(moment.div_euclid(DAY) as i32).expect("moments lie within a few centuries")
}

/// The wall-clock time of a moment, in whole seconds.
pub fn local(moment: Moment) -> NaiveDateTime {
    DateTime::from_timestamp(moment.div_euclid(SECOND), 0).expect("moments lie within a few centuries").naive_utc()
}

/// Completed calendar years between a birth date and a moment.
pub fn age_years(birth: NaiveDate, moment: Moment) -> i32 {
    let today = date(moment);
    let years = today.year() - birth.year();
    if (today.month(), today.day()) < (birth.month(), birth.day()) { years - 1 } else { years }
}

/// Completed calendar months between a birth date and a moment.
pub fn age_months(birth: NaiveDate, moment: Moment) -> i32 {
    let today = date(moment);
    let months = (today.year() - birth.year()) * 12 + today.month() as i32 - birth.month() as i32;
    if today.day() < birth.day() { months - 1 } else { months }
}

/// Age in years with a fraction, for formulas.
pub fn age_exact(birth: NaiveDate, moment: Moment) -> f64 {
    (moment - midnight(birth)) as f64 / (365.25 * DAY as f64)
}

/// Midnight of the day on which that age in months is reached.
pub fn birthday_months(birth: NaiveDate, months: i32) -> Moment {
    let month0 = birth.year() * 12 + birth.month0() as i32 + months;
    let (year, month) = (month0.div_euclid(12), month0.rem_euclid(12) as u32 + 1);
    let day = NaiveDate::from_ymd_opt(year, month, birth.day());
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    // The 29th of February and other missing days count as the first of the next month.
    midnight(day.or_else(|| NaiveDate::from_ymd_opt(next.0, next.1, 1)).expect("a calendar day"))
}

/// A time zone of the United States: its standard offset and whether it keeps daylight-saving time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Zone {
    /// Minutes east of UTC in winter.
    pub standard_minutes: i16,
    /// Keeps daylight-saving time.
    pub daylight_saving: bool,
}

impl Zone {
    /// Minutes east of UTC at a moment, by today's rule (second Sunday of March to first Sunday of November).
    pub fn offset_minutes(self, moment: Moment) -> i16 {
        if self.daylight_saving && summer(moment) { self.standard_minutes + 60 } else { self.standard_minutes }
    }

    /// The moment in UTC.
    pub fn utc(self, moment: Moment) -> NaiveDateTime {
        local(self.shown(moment) - i64::from(self.offset_minutes(moment)) * MINUTE)
    }

    /// What clocks show: the hour that they leave out in spring is its end, so that nothing ends before it begins.
    fn shown(self, moment: Moment) -> Moment {
        if !self.daylight_saving || moment.rem_euclid(DAY) / HOUR != 2 {
            return moment;
        }
        let time = local(moment);
        let is_left_out = time.month() == 3 && is_change(time);
        if is_left_out { moment - moment.rem_euclid(HOUR) + HOUR } else { moment }
    }

    /// What clocks show at the moment where they are so many minutes east of UTC.
    pub fn elsewhere(self, moment: Moment, offset_minutes: i16) -> NaiveDateTime {
        self.utc(moment) + TimeDelta::minutes(i64::from(offset_minutes))
    }

    /// Appends the moment as a FHIR dateTime with its offset, such as `2020-03-04T09:30:00-05:00`.
    pub fn write(self, moment: Moment, out: &mut Vec<u8>) {
        self.write_without_zone(moment, out);
        write_offset(self.offset_minutes(moment), out);
    }

    /// Appends the moment as a place with that offset tells it.
    pub fn write_elsewhere(self, moment: Moment, offset_minutes: i16, out: &mut Vec<u8>) {
        write_time(self.elsewhere(moment, offset_minutes), out);
        write_offset(offset_minutes, out);
    }

    /// Appends the moment without its offset.
    pub fn write_without_zone(self, moment: Moment, out: &mut Vec<u8>) {
        write_time(local(self.shown(moment)), out);
    }
}

fn write_time(time: NaiveDateTime, out: &mut Vec<u8>) {
    write_date(time.date(), out);
    out.push(b'T');
    two(time.hour(), out);
    out.push(b':');
    two(time.minute(), out);
    out.push(b':');
    two(time.second(), out);
}

fn write_offset(minutes: i16, out: &mut Vec<u8>) {
    out.push(if minutes < 0 { b'-' } else { b'+' });
    two(u32::from(minutes.unsigned_abs() / 60), out);
    out.push(b':');
    two(u32::from(minutes.unsigned_abs() % 60), out);
}

/// Appends a day as `YYYY-MM-DD`.
pub fn write_date(date: NaiveDate, out: &mut Vec<u8>) {
    let year = date.year().unsigned_abs();
    two(year / 100, out);
    two(year % 100, out);
    out.push(b'-');
    two(date.month(), out);
    out.push(b'-');
    two(date.day(), out);
}

fn two(number: u32, out: &mut Vec<u8>) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

fn summer(moment: Moment) -> bool {
    let time = local(moment);
    match time.month() {
        4..=10 => true,
        month @ (3 | 11) => {
            let change = day_of_change(time);
            let after = time.day() > change || (time.day() == change && time.hour() >= 2);
            (month == 3) == after
        }
        _ => false,
    }
}

fn is_change(time: NaiveDateTime) -> bool {
    time.day() == day_of_change(time)
}

/// The second Sunday of March, or the first Sunday of another month.
fn day_of_change(time: NaiveDateTime) -> u32 {
    let first = NaiveDate::from_ymd_opt(time.year(), time.month(), 1);
    let weekday_of_first = first.map_or(0, |first| first.weekday().num_days_from_sunday());
    let first_sunday = 1 + (7 - weekday_of_first) % 7;
    if time.month() == 3 { first_sunday + 7 } else { first_sunday }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }

    #[test]
    fn offsets_follow_the_season() {
        let eastern = Zone { standard_minutes: -300, daylight_saving: true };
        let written = |moment| {
            let mut out = Vec::new();
            eastern.write(moment, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(midnight(day(2024, 1, 15)) + 9 * HOUR), "2024-01-15T09:00:00-05:00");
        assert_eq!(written(midnight(day(2024, 3, 10)) + HOUR), "2024-03-10T01:00:00-05:00");
        assert_eq!(written(midnight(day(2024, 3, 10)) + 3 * HOUR), "2024-03-10T03:00:00-04:00");
        assert_eq!(written(midnight(day(2024, 11, 3)) + 3 * HOUR), "2024-11-03T03:00:00-05:00");
        assert_eq!(eastern.utc(midnight(day(2024, 7, 1)) + 22 * HOUR).to_string(), "2024-07-02 02:00:00");
    }

    #[test]
    fn nothing_ends_before_it_begins_when_clocks_go_forward() {
        let pacific = Zone { standard_minutes: -480, daylight_saving: true };
        let night = midnight(day(2021, 3, 14));
        let mut written = Vec::new();
        pacific.write(night + 2 * HOUR + 25 * MINUTE + 44 * SECOND, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), "2021-03-14T03:00:00-07:00");
        let moments: Vec<_> = (0..6 * 60).map(|minute| pacific.utc(night + minute * MINUTE)).collect();
        assert!(moments.is_sorted());
        assert_eq!(moments[99].to_string(), "2021-03-14 09:39:00");
        let arizona = Zone { standard_minutes: -420, daylight_saving: false };
        assert_eq!(arizona.utc(night + 2 * HOUR + MINUTE).to_string(), "2021-03-14 09:01:00");
    }

    #[test]
    fn ages_are_calendar_floors() {
        let birth = day(2000, 2, 29);
        assert_eq!(age_years(birth, midnight(day(2018, 2, 28))), 17);
        assert_eq!(age_years(birth, midnight(day(2018, 3, 1))), 18);
        assert_eq!(age_months(birth, midnight(day(2000, 3, 28))), 0);
        assert_eq!(age_months(birth, midnight(day(2000, 3, 29))), 1);
        assert_eq!(date(birthday_months(birth, 12)), day(2001, 3, 1));
        assert_eq!(date(birthday_months(birth, 48)), day(2004, 2, 29));
    }
}
