//! What is planned, given, put in, handed out and photographed.

use chrono::{Days, NaiveDate};
use xxhash_rust::xxh3::xxh3_64;

use crate::module::Id;
use crate::moment::{Moment, date};

/// A care plan.
#[derive(Clone, Debug)]
pub struct CarePlan {
    /// Which.
    pub codes: Id,
    /// What is to be done.
    pub activities: Option<Id>,
    /// The condition that it is about.
    pub reason: Option<u32>,
    /// During which visit it was made.
    pub encounter: Option<u32>,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Option<Moment>,
}

/// A medication given on the spot.
#[derive(Clone, Debug)]
pub struct Administration {
    /// Which drug.
    pub codes: Id,
    /// During which visit.
    pub encounter: Option<u32>,
    /// Why.
    pub reason: Option<u32>,
    /// When.
    pub time: Moment,
    /// How much, in doses.
    pub dose: Option<f64>,
}

/// A device that somebody has.
#[derive(Clone, Debug)]
pub struct Device {
    /// Which.
    pub codes: Id,
    /// During which visit it came.
    pub encounter: Option<u32>,
    /// Bits of which lot, serial number and day of manufacture are made.
    pub serial: u64,
    /// Start.
    pub start: Moment,
    /// End.
    pub end: Option<Moment>,
}

/// Supplies handed out.
#[derive(Clone, Debug)]
pub struct Supply {
    /// What.
    pub codes: Id,
    /// How many.
    pub quantity: u32,
    /// During which visit.
    pub encounter: Option<u32>,
    /// When.
    pub time: Moment,
}

/// Pictures taken.
#[derive(Clone, Debug)]
pub struct ImagingStudy {
    /// How.
    pub codes: Id,
    /// The procedure that took them, where it was allowed.
    pub procedure: Option<u32>,
    /// During which visit.
    pub encounter: Option<u32>,
    /// Why.
    pub reason: Option<Id>,
    /// When.
    pub time: Moment,
    /// The series.
    pub series: Vec<Series>,
}

/// One series of pictures.
#[derive(Clone, Debug)]
pub struct Series {
    /// What is shown.
    pub body_site: Id,
    /// How it is shown.
    pub modality: Id,
    /// The SOP class of each picture.
    pub instances: Vec<Id>,
}

/// What the label of a device says: the unique device identification of the FDA, by the rules of GS1.
#[derive(Clone, Debug, PartialEq)]
pub struct Udi {
    /// The model: a number that is given out by no company.
    pub device_identifier: String,
    /// Day of manufacture.
    pub manufactured: NaiveDate,
    /// Last day on which it may be put in.
    pub expires: NaiveDate,
    /// Lot.
    pub lot: String,
    /// Serial number.
    pub serial: String,
}

impl Device {
    /// Its label; devices of one code are of one model.
    pub fn udi(&self, code: &str) -> Udi {
        let model = format!("02{:011}", xxh3_64(code.as_bytes()) % 100_000_000_000);
        let age = Days::new(21 + self.serial % 700);
        let manufactured = date(self.start) - age;
        Udi {
            device_identifier: format!("{model}{}", check_digit(&model)),
            manufactured,
            expires: manufactured + Days::new(5 * 365),
            lot: format!("{}{:05}", char::from(b'A' + (self.serial >> 32) as u8 % 26), (self.serial >> 40) % 100_000),
            serial: format!("{:010}", self.serial % 10_000_000_000),
        }
    }
}

impl Udi {
    /// The label as people read it.
    pub fn carrier(&self) -> String {
        let day = |day: NaiveDate| day.format("%y%m%d");
        format!(
            "(01){}(11){}(17){}(10){}(21){}",
            self.device_identifier,
            day(self.manufactured),
            day(self.expires),
            self.lot,
            self.serial
        )
    }
}

/// The last digit of a GTIN: weights 3 and 1 in turn, filled up to ten.
fn check_digit(digits: &str) -> u32 {
    let digits = digits.bytes().rev().map(|digit| u32::from(digit - b'0'));
    let sum: u32 = digits.enumerate().map(|(place, digit)| if place % 2 == 0 { 3 * digit } else { digit }).sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::midnight;

    #[test]
    fn a_label_follows_the_rules_of_gs1() {
        assert_eq!(check_digit("629104150021"), 3);
        let start = midnight(NaiveDate::from_ymd_opt(2024, 3, 1).unwrap());
        let device = Device { codes: 0, encounter: None, serial: 0x0123_4567_89ab_cdef, start, end: None };
        let udi = device.udi("705643001");
        assert_eq!((udi.device_identifier.len(), &udi.device_identifier[..2]), (14, "02"));
        assert!(udi.manufactured < date(start) && date(start) < udi.expires);
        assert_eq!(udi.device_identifier, device.udi("705643001").device_identifier);
        assert_ne!(udi.device_identifier, device.udi("706004007").device_identifier);
        let carrier = udi.carrier();
        assert!(carrier.ends_with(&format!("(10){}(21){}", udi.lot, udi.serial)), "{carrier}");
    }
}
