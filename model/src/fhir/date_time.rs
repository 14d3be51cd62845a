//! FHIR dates with the precision they are written in. The day is the day as written; the moment is UTC.

use chrono::{Datelike, Days, Duration, NaiveDate, NaiveDateTime, NaiveTime};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::primitive::Str;

/// How much of a moment was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2024`
    Year,
    /// `2024-05`
    Month,
    /// `2024-05-17`
    Day,
    /// `2024-05-17T08:30:00Z`
    Time,
}

/// A `dateTime` or `instant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The day as written, in the zone as written; the first day of a year or month.
    pub date: NaiveDate,
    /// How much was written.
    pub precision: Precision,
    utc: Option<NaiveDateTime>,
}

impl DateTime {
    /// The moment in UTC; `None` when no time was written, or no zone with it.
    pub fn utc(&self) -> Option<NaiveDateTime> {
        self.utc
    }

    /// True for a year or a month: the day is a convention.
    pub fn is_partial(&self) -> bool {
        self.precision < Precision::Day
    }

    /// The same, so many days later; `None` beyond the calendar.
    pub fn plus_days(&self, days: u32) -> Option<DateTime> {
        let days = Days::new(days.into());
        let utc = match self.utc {
            Some(utc) => Some(utc.checked_add_days(days)?),
            None => None,
        };
        Some(DateTime { date: self.date.checked_add_days(days)?, utc, ..*self })
    }

    /// Reads `YYYY`, `YYYY-MM`, `YYYY-MM-DD` or a day with a time. Second 60 is the second after; hour 24 is an error.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<DateTime, &'static str> {
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let (date, precision) = parse_day(day)?;
        let Some(time) = time else {
            return Ok(DateTime { date, precision, utc: None });
        };
        if precision != Precision::Day {
            return Err("expected a whole day before the time, such as 2024-05-17T08:30:00Z");
        }
        let (local, offset_seconds) = parse_time(date, time)?;
        let utc = match offset_seconds {
            None => None,
            Some(offset) => {
                let moved = local.checked_sub_signed(Duration::seconds(offset));
                Some(moved.ok_or("expected a moment between the years 1 and 9999")?)
            }
        };
        Ok(DateTime { date, precision: Precision::Time, utc })
    }
}

impl From<NaiveDate> for DateTime {
    fn from(date: NaiveDate) -> Self {
        DateTime { date, precision: Precision::Day, utc: None }
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::parse(&Str::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A `date`: no time, perhaps no day or month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The day as written; the first day of a year or month.
    pub date: NaiveDate,
    /// Year, month or day.
    pub precision: Precision,
}

impl Date {
    /// The year.
    pub fn year(&self) -> i32 {
        self.date.year()
    }

    /// The month from 1, where it was written.
    pub fn month(&self) -> Option<u32> {
        (self.precision >= Precision::Month).then(|| self.date.month())
    }

    /// The day of the month from 1, where it was written.
    pub fn day(&self) -> Option<u32> {
        (self.precision >= Precision::Day).then(|| self.date.day())
    }

    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Date, &'static str> {
        let (date, precision) = parse_day(text)?;
        Ok(Date { date, precision })
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Date::parse(&Str::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

const DAY_FORM: &str = "expected a date such as 2024, 2024-05 or 2024-05-17";
const TIME_FORM: &str = "expected a time such as T08:30:00Z or T08:30:00.250+02:00";

fn parse_day(text: &str) -> Result<(NaiveDate, Precision), &'static str> {
    let bytes = text.as_bytes();
    let (precision, month, day) = match bytes.len() {
        4 => (Precision::Year, 1, 1),
        7 if bytes[4] == b'-' => (Precision::Month, digits(&bytes[5..7], DAY_FORM)?, 1),
        10 if bytes[4] == b'-' && bytes[7] == b'-' => {
            (Precision::Day, digits(&bytes[5..7], DAY_FORM)?, digits(&bytes[8..10], DAY_FORM)?)
        }
        _ => return Err(DAY_FORM),
    };
    let year = digits(&bytes[..4], DAY_FORM)?;
    if year == 0 {
        return Err("expected a year from 0001 to 9999");
    }
    let date = NaiveDate::from_ymd_opt(year as i32, month, day);
    Ok((date.ok_or("expected a day that exists in the calendar")?, precision))
}

/// The local moment and the offset in seconds, where one was written.
fn parse_time(date: NaiveDate, text: &str) -> Result<(NaiveDateTime, Option<i64>), &'static str> {
    let (clock, offset) = match text.find(['Z', '+', '-']) {
        None => (text, None),
        Some(index) => (&text[..index], Some(parse_offset(&text[index..])?)),
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (clock, None),
    };
    let bytes = clock.as_bytes();
    let (hour, minute, second) = match bytes.len() {
        5 if bytes[2] == b':' && fraction.is_none() => {
            (digits(&bytes[..2], TIME_FORM)?, digits(&bytes[3..5], TIME_FORM)?, 0)
        }
        8 if bytes[2] == b':' && bytes[5] == b':' => {
            (digits(&bytes[..2], TIME_FORM)?, digits(&bytes[3..5], TIME_FORM)?, digits(&bytes[6..8], TIME_FORM)?)
        }
        _ => return Err(TIME_FORM),
    };
    if hour > 23 {
        return Err("expected an hour from 00 to 23");
    }
    if minute > 59 {
        return Err("expected a minute from 00 to 59");
    }
    if second > 60 {
        return Err("expected a second from 00 to 60");
    }
    let micros = fraction.map_or(Ok(0), parse_fraction)?;
    let start = date.and_time(NaiveTime::MIN);
    let since = Duration::seconds(i64::from(hour * 3600 + minute * 60 + second)) + Duration::microseconds(micros);
    let local = start.checked_add_signed(since).ok_or("expected a moment between the years 1 and 9999")?;
    Ok((local, offset))
}

/// Microseconds; further digits are cut, not rounded.
fn parse_fraction(text: &str) -> Result<i64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TIME_FORM);
    }
    Ok(text.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, byte| sum * 10 + i64::from(byte - b'0')))
}

fn parse_offset(text: &str) -> Result<i64, &'static str> {
    const FORM: &str = "expected Z or an offset from -14:00 to +14:00";
    let bytes = text.as_bytes();
    if text == "Z" {
        return Ok(0);
    }
    if bytes.len() != 6 || bytes[3] != b':' {
        return Err(FORM);
    }
    let (hour, minute) = (digits(&bytes[1..3], FORM)?, digits(&bytes[4..6], FORM)?);
    if hour > 14 || minute > 59 || (hour == 14 && minute > 0) {
        return Err(FORM);
    }
    let seconds = i64::from(hour * 3600 + minute * 60);
    Ok(if bytes[0] == b'-' { -seconds } else { seconds })
}

fn digits(bytes: &[u8], form: &'static str) -> Result<u32, &'static str> {
    bytes.iter().try_fold(
        0,
        |sum, byte| {
            if byte.is_ascii_digit() { Ok(sum * 10 + u32::from(byte - b'0')) } else { Err(form) }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> String {
        DateTime::parse(text).unwrap().utc().map_or("none".into(), |utc| utc.to_string())
    }

    #[test]
    fn precision_is_as_written() {
        for (text, precision, date) in [
            ("2024", Precision::Year, "2024-01-01"),
            ("2024-05", Precision::Month, "2024-05-01"),
            ("2024-05-17", Precision::Day, "2024-05-17"),
            ("2024-05-17T23:30:00-05:00", Precision::Time, "2024-05-17"),
        ] {
            let read = DateTime::parse(text).unwrap();
            assert_eq!((read.precision, read.date.to_string().as_str()), (precision, date));
        }
        let month = Date::parse("1980-07").unwrap();
        assert_eq!((month.year(), month.month(), month.day()), (1980, Some(7), None));
    }

    #[test]
    fn moments_are_utc_and_days_are_local() {
        assert_eq!(utc("2024-05-17T23:30:00-05:00"), "2024-05-18 04:30:00");
        assert_eq!(utc("2024-01-01T00:30:00+02:00"), "2023-12-31 22:30:00");
        assert_eq!(utc("2024-05-17T08:30:00.1234567Z"), "2024-05-17 08:30:00.123456");
        assert_eq!(utc("2024-05-17T08:30Z"), "2024-05-17 08:30:00");
        assert_eq!(utc("2016-12-31T23:59:60Z"), "2017-01-01 00:00:00");
        assert_eq!(utc("2024-05-17T08:30:00"), "none");
        assert_eq!(utc("2024-05"), "none");
    }

    #[test]
    fn days_later_keep_the_time() {
        let later = DateTime::parse("2024-02-28T23:30:00-05:00").unwrap().plus_days(2).unwrap();
        assert_eq!(later.date.to_string(), "2024-03-01");
        assert_eq!(later.utc().unwrap().to_string(), "2024-03-02 04:30:00");
        assert_eq!(DateTime::parse("2024").unwrap().plus_days(31).unwrap().utc(), None);
        assert_eq!(DateTime::parse("2024").unwrap().plus_days(u32::MAX), None);
    }

    #[test]
    fn impossible_moments_say_what_was_expected() {
        for (text, expected) in [
            ("", DAY_FORM),
            ("17.05.2024", DAY_FORM),
            ("2024-5-17", DAY_FORM),
            ("20240517", DAY_FORM),
            ("2024-05-17 08:30:00Z", DAY_FORM),
            ("２０24", DAY_FORM),
            ("0000", "expected a year from 0001 to 9999"),
            ("2023-02-29", "expected a day that exists in the calendar"),
            ("2024-13", "expected a day that exists in the calendar"),
            ("2024-05T08:00:00Z", "expected a whole day before the time, such as 2024-05-17T08:30:00Z"),
            ("2024-05-17T24:00:00Z", "expected an hour from 00 to 23"),
            ("2024-05-17T08:60:00Z", "expected a minute from 00 to 59"),
            ("2024-05-17T08:00:61Z", "expected a second from 00 to 60"),
            ("2024-05-17T", TIME_FORM),
            ("2024-05-17T08:00:00.Z", TIME_FORM),
            ("2024-05-17T08:00:00+2", "expected Z or an offset from -14:00 to +14:00"),
            ("2024-05-17T08:00:00+15:00", "expected Z or an offset from -14:00 to +14:00"),
            ("2024-05-17T08:00:00ü", TIME_FORM),
        ] {
            assert_eq!(DateTime::parse(text).unwrap_err(), expected, "{text}");
        }
        assert_eq!(Date::parse("1980-07-01T00:00:00Z").unwrap_err(), DAY_FORM);
    }
}
