//! From rows of comma-separated files to FHIR resources, as a mapping file tells: which columns fill which elements, in
//! which code systems and date formats, with which constants. What the mapping file may say stands in the crate's README.
//!
//! A row that cannot become a resource is a fault of that row, with the column; a mapping file that does not fit is an
//! error of the run.

mod cell;
mod row;
mod tree;

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64;

pub use row::{Conversion, Fault};

use crate::error::Error;
use cell::{Columns, Rule, Template};
use row::{Bound, BoundId};
use tree::Node;

/// Mappings that come with the program, by name.
const BUILT_IN: [(&str, &str); 1] = [("synthea", include_str!("../csv/synthea.toml"))];

/// What a mapping file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For readers.
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default = "comma")]
    delimiter: char,
    /// The offset of times that name none.
    #[serde(default = "utc")]
    zone: String,
    /// Short names of code systems, written `@name` as an element's value.
    #[serde(default)]
    system: BTreeMap<String, String>,
    resource: Vec<Resource>,
}

fn comma() -> char {
    ','
}

fn utc() -> String {
    "+00:00".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    file: String,
    #[serde(rename = "type")]
    resource_type: String,
    id: Id,
    /// Rows that become this resource: the column has one of the values.
    #[serde(default)]
    only: BTreeMap<String, Vec<String>>,
    /// Rows that do not, though `only` takes them.
    #[serde(default)]
    except: BTreeMap<String, Vec<String>>,
    element: BTreeMap<String, Rule>,
}

/// Where a resource's logical id comes from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    /// A template of columns.
    Template(String),
    /// Columns that tell a row from all others: the id is a hash of them.
    Columns(Vec<String>),
}

/// A mapping file.
#[derive(Debug)]
pub struct Mapping {
    name: String,
    file: File,
    hash: u64,
}

impl Mapping {
    /// Reads a mapping: a file, or the name of one that comes with the program.
    ///
    /// # Errors
    /// There is no such mapping, or it says what is not understood.
    pub fn open(name: &str) -> Result<Mapping, Error> {
        if Path::new(name).exists() {
            let failed = |source| Error::Read { path: name.into(), source };
            return Mapping::parse(name, &std::fs::read_to_string(name).map_err(failed)?);
        }
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Mapping::parse(name, text),
            None => {
                let known: Vec<_> = BUILT_IN.iter().map(|(known, _)| *known).collect();
                let problem =
                    format!("does not exist\nhint: a file, or one that comes with the program: {}", known.join(", "));
                Err(Error::Mapping { name: name.to_owned(), problem })
            }
        }
    }

    fn parse(name: &str, text: &str) -> Result<Mapping, Error> {
        let failed = |problem: String| Error::Mapping { name: name.to_owned(), problem };
        let file: File = toml::from_str(text)
            .map_err(|error| failed(format!("is not understood: {}", error.to_string().trim_end())))?;
        if !file.delimiter.is_ascii() {
            return Err(failed("has a delimiter that is not one ASCII character".into()));
        }
        if cell::offset(&file.zone).is_none() {
            return Err(failed(format!("has zone `{}`, expected an offset such as `+01:00`", file.zone)));
        }
        Ok(Mapping { name: name.to_owned(), file, hash: xxh3_64(text.as_bytes()) })
    }

    /// A hash of the file: another mapping may mean other resources.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The character between columns.
    pub fn delimiter(&self) -> u8 {
        self.file.delimiter as u8
    }

    /// Names of the files that the mapping takes, each once.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.file.resource.iter().map(|resource| resource.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Fits the mapping to a file's header.
    ///
    /// # Errors
    /// The mapping names a column that the file lacks, or an element that cannot be.
    pub fn fit(&self, file: &str, header: &StringRecord) -> Result<Conversion, Error> {
        let columns = Columns::new(header);
        let mut bound = Vec::new();
        for resource in self.file.resource.iter().filter(|resource| resource.file == file) {
            let of = self.bind(resource, &columns).map_err(|problem| Error::Mapping {
                name: self.name.clone(),
                problem: format!("{problem} (resource {} from `{file}`)", resource.resource_type),
            })?;
            bound.push(of);
        }
        Ok(Conversion { resources: bound, names: header.iter().map(|name| name.trim().to_owned()).collect() })
    }

    fn bind(&self, resource: &Resource, columns: &Columns<'_>) -> Result<Bound, String> {
        let id = match &resource.id {
            Id::Template(text) => BoundId::Template(Template::parse(text, columns)?),
            Id::Columns(names) => {
                BoundId::Hash(names.iter().map(|name| columns.find(name)).collect::<Result<_, String>>()?)
            }
        };
        let bind = |conditions: &BTreeMap<String, Vec<String>>| -> Result<Vec<(usize, Vec<String>)>, String> {
            conditions.iter().map(|(column, values)| Ok((columns.find(column)?, values.clone()))).collect()
        };
        let (only, except) = (bind(&resource.only)?, bind(&resource.except)?);
        let mut root = Node::object();
        // Items come in the order of their numbers, `[2]` before `[10]`.
        let mut elements: Vec<_> = resource.element.iter().collect();
        elements.sort_by_key(|(path, _)| tree::numbers_padded(path));
        for (path, rule) in elements {
            let leaf = rule
                .bind(columns, &self.file.system, &self.file.zone)
                .map_err(|problem| format!("{path}: {problem}"))?;
            root.insert(path, leaf)?;
        }
        Ok(Bound { resource_type: resource.resource_type.clone(), id, only, except, root })
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    const MAPPING: &str = r#"
        zone = "+01:00"
        [system]
        snomed = "http://snomed.info/sct"

        [[resource]]
        file = "visits.csv"
        type = "Observation"
        id = ["Patient", "Day"]
        only = { Kind = ["number", "withheld"] }
        except = { Kind = ["withheld"] }
        [resource.element]
        "status" = "final"
        "subject.reference" = "Patient/{Patient}"
        "code.coding[0].system" = "@snomed"
        "code.coding[0].code" = "{Code}"
        "effectiveDateTime" = { column = "Day", as = "datetime", format = ["%d.%m.%Y %H:%M", "%d.%m.%Y"], required = true }
        "valueQuantity.value" = { column = "Value", as = "number" }
        "valueQuantity.unit" = "mg"
        "interpretation[0].coding[0].code" = { column = "Flag", map = { up = "H" } }
    "#;
    const HEADER: [&str; 6] = ["Patient", "Day", "Kind", "Code", "Value", "Flag"];

    fn convert(cells: &[&str]) -> Vec<String> {
        let mapping = Mapping::parse("test", MAPPING).unwrap();
        let conversion = mapping.fit("visits.csv", &StringRecord::from(HEADER.to_vec())).unwrap();
        let (mut out, mut found) = (Vec::new(), Vec::new());
        conversion.convert(&StringRecord::from(cells.to_vec()), &mut out, |row| found.push(row));
        let tell = |row: Result<Range<usize>, Fault>| match row {
            Ok(place) => String::from_utf8(out[place].to_vec()).unwrap(),
            Err(fault) => format!("{} {:?} {} {}", fault.resource_type, fault.column, fault.reason, fault.detail),
        };
        found.into_iter().map(tell).collect()
    }

    #[test]
    fn a_row_becomes_a_resource() {
        let row = ["p \"1\"", "24.12.2020 18:30", "number", "44054006", "7.50", "up"];
        let json: serde_json::Value = serde_json::from_str(&convert(&row)[0]).unwrap();
        assert_eq!(json["subject"]["reference"], "Patient/p \"1\"");
        assert_eq!(json["code"]["coding"][0]["system"], "http://snomed.info/sct");
        assert_eq!(json["effectiveDateTime"], "2020-12-24T18:30:00+01:00");
        assert_eq!(json["interpretation"][0]["coding"][0]["code"], "H");
        assert!(convert(&row)[0].contains("\"value\":7.50"), "the digits are those of the file");
        assert_eq!(json["id"].as_str().unwrap().len(), 32);
    }

    #[test]
    fn what_is_empty_leaves_no_trace_and_takes_its_constants_along() {
        let json: serde_json::Value =
            serde_json::from_str(&convert(&["p", "24.12.2020", "number", "", " ", ""])[0]).unwrap();
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["resourceType", "id", "effectiveDateTime", "status", "subject"]);
        assert_eq!(json["effectiveDateTime"], "2020-12-24");
    }

    #[test]
    fn a_row_that_cannot_be_a_resource_names_its_column() {
        for (row, expected) in [
            (
                ["p", "soon", "number", "c", "1", ""],
                "Observation Some(\"Day\") invalid_date expected a date as `%d.%m.%Y %H:%M` or `%d.%m.%Y`",
            ),
            (["p", "", "number", "c", "1", ""], "Observation Some(\"Day\") missing_value expected a value"),
            (
                ["p", "24.12.2020", "number", "c", "1,5", ""],
                "Observation Some(\"Value\") invalid_number expected a decimal number",
            ),
            (
                ["p", "24.12.2020", "number", "c", "1", "down"],
                "Observation Some(\"Flag\") unknown_value expected one of the values that the mapping names",
            ),
            (
                ["p", "24.12.2020", "withheld", "c", "1", ""],
                "Observation Some(\"Kind\") unknown_value expected one of the values that the mapping names",
            ),
            (
                ["p", "24.12.2020", "text", "c", "1", ""],
                "Observation Some(\"Kind\") unknown_value expected one of the values that the mapping names",
            ),
        ] {
            assert_eq!(convert(&row), [expected]);
        }
        assert_eq!(convert(&["p"]), ["Observation None wrong_column_count expected 6 columns, found 1"]);
    }

    #[test]
    fn the_id_is_the_same_for_the_same_columns() {
        let id = |day: &str, value: &str| convert(&["p", day, "number", "c", value, ""])[0][36..80].to_owned();
        assert_eq!(id("24.12.2020", "1"), id("24.12.2020", "2"));
        assert_ne!(id("24.12.2020", "1"), id("25.12.2020", "1"));
    }

    #[track_caller]
    fn assert_refused(from: &str, to: &str, expected: &str) {
        let header = StringRecord::from(HEADER.to_vec());
        let outcome =
            Mapping::parse("m.toml", &MAPPING.replace(from, to)).and_then(|mapping| mapping.fit("visits.csv", &header));
        let message = outcome.unwrap_err().to_string();
        assert!(message.starts_with("mapping `m.toml` ") && message.contains(expected), "{message}");
    }

    #[test]
    fn what_a_mapping_cannot_say_is_one_message() {
        assert_refused("{Code}", "{Kode}", "there is no column `Kode`, expected one of Patient, Day,");
        assert_refused("{Code}", "{Code", "`{` has no `}`");
        assert_refused("@snomed", "@loinc", "there is no system `loinc`");
        assert_refused("zone", "zoen", "unknown field `zoen`");
        assert_refused("+01:00", "Berlin", "has zone `Berlin`");
        assert_refused(
            "coding[0].code\" = \"{Code}",
            "coding[3].code\" = \"{Code}",
            "item 3 stands without those before it",
        );
        assert_refused("\"status\"", "\"subject\"", "`subject");
        assert!(Mapping::open("nowhere.toml").unwrap_err().to_string().contains("synthea"));
    }

    #[test]
    fn the_mappings_that_come_with_the_program_are_sound() {
        for (name, _) in BUILT_IN {
            assert!(!Mapping::open(name).unwrap().files().is_empty());
        }
    }
}
