//! The rows of the tables of people and places, as they stand in `generator/data`.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct AgeSex {
    pub age_from: i32,
    pub age_to: i32,
    pub male: f64,
    pub female: f64,
}

#[derive(Debug, Deserialize)]
pub struct RaceEthnicity {
    pub ethnicity: String,
    pub race: String,
    pub second_race: Option<String>,
    pub share: f64,
}

/// A race.
#[derive(Debug, Deserialize)]
pub struct Race {
    /// CDC code.
    pub code: String,
    /// Its name.
    pub display: String,
    /// The word that modules use.
    pub word: String,
}

/// A language.
#[derive(Debug, Deserialize)]
pub struct Language {
    pub group: String,
    /// BCP 47 code.
    pub code: String,
    /// Its name.
    pub display: String,
    pub share: f64,
}

#[derive(Debug, Deserialize)]
pub struct MaritalStatus {
    pub age_from: i32,
    pub single: f64,
    pub married: f64,
    pub divorced: f64,
    pub widowed: f64,
}

#[derive(Debug, Deserialize)]
pub struct Smoking {
    pub born_from: i32,
    pub ever_male: f64,
    pub ever_female: f64,
    pub quit_per_year: f64,
}

#[derive(Debug, Deserialize)]
pub struct Mortality {
    pub age: f64,
    pub male: f64,
    pub female: f64,
}

/// A state.
#[derive(Debug, Deserialize)]
pub struct State {
    /// Two letters.
    pub code: String,
    /// Its name.
    pub name: String,
    pub population: f64,
    pub offset_minutes: i16,
    pub daylight_saving: String,
}

/// A town.
#[derive(Debug, Deserialize)]
pub struct Town {
    /// Two letters.
    pub state: String,
    /// Its name.
    pub city: String,
    /// Its county.
    pub county: String,
    /// One of its ZIP codes.
    pub zip: String,
    pub weight: f64,
}

#[derive(Debug, Deserialize)]
pub struct GivenName {
    pub sex: String,
    pub name: String,
}
