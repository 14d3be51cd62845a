//! The personal values of the input, as hashes of their words.

use std::collections::HashMap;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::contents::Contents;
use crate::error::{Result, reading};

/// What a value tells of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Name,
    FullName,
    Phone,
    Email,
    Identifier,
    Street,
}

impl Kind {
    /// As a finding names it.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Name => "a name",
            Kind::FullName => "a full name",
            Kind::Phone => "a phone number",
            Kind::Email => "an email address",
            Kind::Identifier => "an identifier",
            Kind::Street => "a street line",
        }
    }
}

/// Hashes of what must not appear.
#[derive(Debug, Default)]
pub struct Personal {
    /// Found as a whole value and inside text.
    pub anywhere: HashMap<u64, Kind>,
    /// Found as a whole value.
    pub whole: HashMap<u64, Kind>,
    /// Short numbers with the person whom they identify.
    pub own: HashMap<u64, Kind>,
}

/// The personal values of the input, as far as its flat tables hold them.
pub async fn personal_values(session: &SessionContext, contents: &Contents) -> Result<Personal> {
    let mut personal = Personal::default();
    for person in ["patient", "practitioner"] {
        let flat = format!("fhir.{person}");
        let column = |name: &str| {
            if contents.has_columns(&flat, &[name]) { format!("f.{name}") } else { "cast(null as varchar)".into() }
        };
        if contents.has(&flat) {
            let sql = format!(
                "select {}, {}, {}, {}, {} from {flat} as f",
                column("given"),
                column("family"),
                column("phone"),
                column("email"),
                column("address_line")
            );
            each_row(session, &sql, |cell| {
                personal.name(&cell(0), &cell(1));
                personal.phone(&cell(2));
                personal.email(&cell(3));
                personal.street(&cell(4));
            })
            .await?;
        }
        let linked = if person == "patient" && contents.has("quality.crosswalk") {
            "(select resource_id, source_id, min(omop_id) as omop_id from quality.crosswalk \
             where resource_type = 'Patient' and omop_table = 'person' group by resource_id, source_id)"
        } else {
            "(select cast(null as varchar) as resource_id, cast(null as varchar) as source_id, \
             cast(null as bigint) as omop_id)"
        };
        let list = format!("fhir.{person}_identifier");
        let mut sources = Vec::new();
        if contents.has(&list) {
            sources.push((list, format!("{person}_id"), "value"));
        }
        // The list has them all.
        let single = if sources.is_empty() { ["identifier", "mrn", "ssn", "npi"].as_slice() } else { &[] };
        for name in single {
            if contents.has_columns(&flat, &[name]) {
                sources.push((flat.clone(), "id".to_owned(), name));
            }
        }
        for (table, id, value) in sources {
            let sql = format!(
                "select f.{value}, f.{id}, cast(x.omop_id as varchar) from {table} as f left join {linked} as x \
                 on x.resource_id = f.{id} and x.source_id = f.source_id where f.{value} is not null"
            );
            each_row(session, &sql, |cell| personal.identifier(&cell(0), &cell(1), cell(2).parse().ok())).await?;
        }
    }
    Ok(personal)
}

impl Personal {
    /// A name: its words, and the whole of it.
    pub fn name(&mut self, given: &str, family: &str) {
        let (given, family) = (words(given), words(family));
        for word in given.split(' ').chain(family.split(' ')).chain([given.as_str(), family.as_str()]) {
            if word.chars().filter(|character| character.is_alphabetic()).count() >= 4 {
                self.whole.insert(hash(word), Kind::Name);
            }
        }
        let first = given.split(' ').next().unwrap_or_default();
        if !first.is_empty() && !family.is_empty() && first.len() + family.len() >= 6 {
            for full in [format!("{given} {family}"), format!("{family} {given}"), format!("{first} {family}")] {
                self.anywhere.insert(hash(&full), Kind::FullName);
            }
        }
    }

    /// A phone number, with and without separators.
    pub fn phone(&mut self, phone: &str) {
        let phone = words(phone);
        let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 7 {
            self.anywhere.insert(hash(&phone), Kind::Phone);
            self.anywhere.insert(hash(&digits), Kind::Phone);
        }
    }

    /// An email address.
    pub fn email(&mut self, email: &str) {
        if email.contains('@') {
            self.anywhere.insert(hash(&words(email)), Kind::Email);
        }
    }

    /// A street line: its parts with a number.
    pub fn street(&mut self, line: &str) {
        for part in line.split(", ").chain([line]) {
            let part = words(part);
            let numbered = part.chars().any(|character| character.is_ascii_digit());
            if part.contains(' ') && part.len() >= 6 && numbered {
                self.anywhere.insert(hash(&part), Kind::Street);
            }
        }
    }

    /// An identifier that is not the logical `id`; a short number counts in rows of its person only.
    pub fn identifier(&mut self, value: &str, id: &str, person_id: Option<i64>) {
        let (value, id) = (words(value), words(id));
        if value == id {
            return;
        }
        let lettered = value.chars().any(char::is_alphabetic);
        if value.len() >= 9 || (lettered && value.len() >= 6) {
            self.anywhere.insert(hash(&value), Kind::Identifier);
        } else if let Some(person_id) = person_id.filter(|_| is_short_number(&value)) {
            self.own.insert(hash_own(person_id, &value), Kind::Identifier);
        }
    }
}

/// Lower-case words of letters and digits.
pub fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        } else if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if words.ends_with(' ') {
        words.pop();
    }
    words
}

/// Of the words of a value.
pub fn hash(words: &str) -> u64 {
    xxh3_64(words.as_bytes())
}

/// Of the words of a value that only counts in rows of that person.
pub fn hash_own(person_id: i64, words: &str) -> u64 {
    xxh3_64_with_seed(words.as_bytes(), person_id as u64)
}

/// True for 4 to 8 digits.
pub fn is_short_number(words: &str) -> bool {
    (4..=8).contains(&words.len()) && words.bytes().all(|byte| byte.is_ascii_digit())
}

/// Calls `take` with each row's cells as text; null is empty.
async fn each_row(session: &SessionContext, sql: &str, mut take: impl FnMut(&dyn Fn(usize) -> String)) -> Result<()> {
    let what = "the personal values of the input";
    let mut stream = session.sql(sql).await.map_err(reading(what))?.execute_stream().await.map_err(reading(what))?;
    while let Some(batch) = stream.try_next().await.map_err(reading(what))? {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            take(&|column: usize| {
                let values = columns[column].as_string::<i32>();
                if values.is_null(row) { String::new() } else { values.value(row).to_owned() }
            });
        }
    }
    Ok(())
}
