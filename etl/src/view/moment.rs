//! Days, moments and times of the day with as much of them as was written: how they compare, and the first and last
//! moment that they may stand for.

use std::cmp::Ordering;

use chrono::{Datelike, Duration, NaiveDate, Timelike};

use super::data_type::Class;

/// Year, month, day, hour, minute, second, microsecond.
type Parts = [u32; 7];
const FIRST: Parts = [1, 1, 1, 0, 0, 0, 0];
const LAST: Parts = [9999, 12, 31, 23, 59, 59, 999_999];
/// Where the time of the day begins in [`Parts`].
const TIME: usize = 3;

/// A day, moment or time, perhaps in part.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    parts: Parts,
    /// How many parts were written, those before the first included.
    known: usize,
    /// A time of the day, without the day.
    is_time: bool,
    offset_minutes: Option<i32>,
}

impl Moment {
    /// Reads `2024`, `2024-05`, `2024-05-17`, a day with a time in part or whole, or a time alone.
    pub fn parse(text: &str) -> Option<Moment> {
        let bytes = text.as_bytes();
        let is_time = bytes.first() == Some(&b'T') || bytes.get(2) == Some(&b':');
        let mut moment = Moment { parts: FIRST, known: TIME, is_time, offset_minutes: None };
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, time),
            None if is_time => ("", text),
            None => (text, ""),
        };
        if !is_time {
            let mut pieces = day.split('-');
            moment.parts[0] = digits(pieces.next()?, 4)?;
            moment.known = 1;
            for piece in pieces {
                *moment.parts.get_mut(moment.known).filter(|_| moment.known < TIME)? = digits(piece, 2)?;
                moment.known += 1;
            }
            let [year, month, day, ..] = moment.parts;
            NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day).filter(|_| year > 0)?;
        }
        if is_time || !time.is_empty() {
            if moment.known != TIME {
                return None;
            }
            moment.read_time(time)?;
        }
        Some(moment)
    }

    fn read_time(&mut self, text: &str) -> Option<()> {
        let (clock, offset) = match text.find(['Z', '+', '-']) {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        for piece in clock.split(':') {
            *self.parts.get_mut(self.known).filter(|_| self.known < 6)? = digits(piece, 2)?;
            self.known += 1;
        }
        if !fraction.is_empty() {
            if self.known < 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let fraction = &fraction[..fraction.len().min(6)];
            self.parts[6] = fraction.parse::<u32>().ok()? * 10_u32.pow(6 - fraction.len() as u32);
            self.known = 7;
        }
        let beyond = |at: usize| self.parts[at] > LAST[at];
        if beyond(3) || beyond(4) || self.parts[5] > 60 {
            return None;
        }
        self.offset_minutes = match offset {
            None => None,
            Some("Z") => Some(0),
            Some(offset) => {
                let (hours, minutes) = offset[1..].split_once(':')?;
                let minutes = (digits(hours, 2)? * 60 + digits(minutes, 2)?) as i32;
                Some(if offset.starts_with('-') { -minutes } else { minutes })
            }
        };
        Some(())
    }

    /// How the two follow on each other; `None` when they are of different kinds, or when the one is written in less
    /// detail and the rest would decide. A moment without a zone counts as UTC.
    pub fn compare(&self, other: &Moment) -> Option<Ordering> {
        if self.is_time != other.is_time {
            return None;
        }
        let (a, b) = (self.in_utc()?, other.in_utc()?);
        for at in if self.is_time { TIME } else { 0 }..6 {
            match (at < a.known, at < b.known) {
                (true, true) => {}
                (false, false) => return Some(Ordering::Equal),
                _ => return None,
            }
            match a.parts[at].cmp(&b.parts[at]) {
                Ordering::Equal => {}
                order => return Some(order),
            }
        }
        // Seconds and their fraction are one part.
        Some(a.parts[6].cmp(&b.parts[6]))
    }

    fn in_utc(self) -> Option<Moment> {
        let Some(offset) = self.offset_minutes.filter(|offset| *offset != 0 && self.known > 4 && !self.is_time) else {
            return Some(self);
        };
        let [year, month, day, hour, minute, ..] = self.parts;
        let local = NaiveDate::from_ymd_opt(year as i32, month, day)?.and_hms_opt(hour, minute, 0)?;
        let utc = local.checked_sub_signed(Duration::minutes(offset.into()))?;
        let mut parts = self.parts;
        parts[..5].copy_from_slice(&[utc.year() as u32, utc.month(), utc.day(), utc.hour(), utc.minute()]);
        Some(Moment { parts, ..self })
    }
}

/// Which end of what a moment may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The first moment.
    Low,
    /// The last one.
    High,
}

/// The first or last moment that a text of that class may stand for, in so many digits; in all of them when none are
/// asked for. Without a zone it is the first or last zone of the earth.
pub fn boundary(text: &str, class: Class, end: End, digits: Option<i64>) -> Option<String> {
    let moment = Moment::parse(text).filter(|moment| moment.is_time == (class == Class::Time))?;
    let mut parts = moment.parts;
    if end == End::High {
        parts[moment.known..].copy_from_slice(&LAST[moment.known..]);
        while moment.known < TIME && NaiveDate::from_ymd_opt(parts[0] as i32, parts[1], parts[2]).is_none() {
            parts[2] -= 1;
        }
    }
    let [year, month, day, hour, minute, second, micros] = parts;
    let millis = micros / 1000;
    let clock = |digits: i64| match digits {
        2 => Some(format!("{hour:02}")),
        4 => Some(format!("{hour:02}:{minute:02}")),
        6 => Some(format!("{hour:02}:{minute:02}:{second:02}")),
        9 => Some(format!("{hour:02}:{minute:02}:{second:02}.{millis:03}")),
        _ => None,
    };
    let all = match class {
        Class::Time => return clock(digits.unwrap_or(9)),
        Class::Date => 8,
        _ => 17,
    };
    match digits.unwrap_or(all) {
        4 => Some(format!("{year:04}")),
        6 => Some(format!("{year:04}-{month:02}")),
        8 => Some(format!("{year:04}-{month:02}-{day:02}")),
        digits => {
            let offset = moment.offset_minutes.unwrap_or(if end == End::Low { 14 * 60 } else { -12 * 60 });
            let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
            let zone = format!("{sign}{:02}:{:02}", offset / 60, offset % 60);
            Some(format!("{year:04}-{month:02}-{day:02}T{}{zone}", clock(digits.checked_sub(8)?)?))
        }
    }
}

fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(a: &str, b: &str) -> Option<Ordering> {
        Moment::parse(a).unwrap().compare(&Moment::parse(b).unwrap())
    }

    #[test]
    fn what_is_written_in_less_detail_may_leave_the_order_open() {
        assert_eq!(compare("2024", "2023-12-31"), Some(Ordering::Greater));
        assert_eq!(compare("2024", "2024-01-01"), None);
        assert_eq!(compare("2024-05-17", "2024-05-17"), Some(Ordering::Equal));
        assert_eq!(compare("2024-05-17T08:00:00+02:00", "2024-05-17T06:00:00Z"), Some(Ordering::Equal));
        assert_eq!(compare("2024-05-17T00:30:00+02:00", "2024-05-16T22:31:00Z"), Some(Ordering::Less));
        assert_eq!(compare("2024-05-17T08:00:00.5Z", "2024-05-17T08:00:00Z"), Some(Ordering::Greater));
        assert_eq!(compare("12:30", "12:29:59"), Some(Ordering::Greater));
        assert_eq!(compare("12:30", "2024"), None);
        for text in ["", "24", "2024-13", "2024-02-30", "2024-05T08:00", "2024-05-17T25:00", "12:61", "é", "T", "0000"]
        {
            assert!(Moment::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn boundaries_fill_in_what_was_not_written() {
        let low = |text, class| boundary(text, class, End::Low, None).unwrap();
        let high = |text, class| boundary(text, class, End::High, None).unwrap();
        assert_eq!(low("1970-06", Class::Date), "1970-06-01");
        assert_eq!(high("1970-06", Class::Date), "1970-06-30");
        assert_eq!(high("2024-02", Class::Date), "2024-02-29");
        assert_eq!(low("2010-10-10", Class::DateTime), "2010-10-10T00:00:00.000+14:00");
        assert_eq!(high("2010-10-10", Class::DateTime), "2010-10-10T23:59:59.999-12:00");
        assert_eq!(high("2010-10-10T08:30-05:30", Class::DateTime), "2010-10-10T08:30:59.999-05:30");
        assert_eq!(low("12:34:00", Class::Time), "12:34:00.000");
        assert_eq!(high("12:34", Class::Time), "12:34:59.999");
        assert_eq!(boundary("2014", Class::Date, End::High, Some(6)).unwrap(), "2014-12");
        assert_eq!(boundary("2014", Class::DateTime, End::Low, Some(12)).unwrap(), "2014-01-01T00:00+14:00");
        assert_eq!(boundary("2014", Class::Date, End::Low, Some(7)), None);
        assert_eq!(boundary("12:34", Class::Date, End::Low, None), None);
    }
}
