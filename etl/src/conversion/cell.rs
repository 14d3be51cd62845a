//! One element's value from the cells of a row: a template of columns, then a look-up, then the type that it must have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use csv::StringRecord;
use serde::Deserialize;

/// The columns of a file by name.
pub struct Columns<'h> {
    header: &'h StringRecord,
}

impl<'h> Columns<'h> {
    pub fn new(header: &'h StringRecord) -> Self {
        Columns { header }
    }

    pub fn find(&self, name: &str) -> Result<usize, String> {
        self.header.iter().position(|column| column.trim() == name).ok_or_else(|| {
            let known: Vec<_> = self.header.iter().map(str::trim).collect();
            format!("there is no column `{name}`, expected one of {}", known.join(", "))
        })
    }
}

/// What a mapping file says about one element.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Rule {
    /// A template, or a constant when it names no column.
    Template(String),
    /// A column or template with more to say.
    Full(Full),
}

/// A column or template with more to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Full {
    column: Option<String>,
    value: Option<String>,
    #[serde(default)]
    map: BTreeMap<String, String>,
    otherwise: Option<String>,
    /// The value where the column is empty.
    empty: Option<String>,
    #[serde(default, rename = "as")]
    kind: Kind,
    #[serde(default)]
    format: Formats,
    #[serde(default)]
    required: bool,
}

/// The JSON type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, as it is.
    #[default]
    String,
    /// A decimal number, its digits kept.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A date, or a part of one.
    Date,
    /// A date, with time where there is one.
    DateTime,
}

/// One format or several that are tried in order.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Formats {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

/// A rule fitted to a file.
#[derive(Debug)]
pub struct Leaf {
    template: Template,
    map: BTreeMap<String, String>,
    otherwise: Option<String>,
    empty: Option<String>,
    kind: Kind,
    formats: Vec<String>,
    zone: String,
    required: bool,
}

/// Text with columns in it.
#[derive(Debug)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Column(usize),
}

/// A cell that cannot be taken.
#[derive(Debug)]
pub struct Bad {
    pub column: usize,
    pub reason: &'static str,
    pub detail: String,
}

impl Rule {
    /// Fits the rule to a file.
    pub fn bind(&self, columns: &Columns<'_>, systems: &BTreeMap<String, String>, zone: &str) -> Result<Leaf, String> {
        let plain = Full::default();
        let (text, full) = match self {
            Rule::Template(text) => (resolve(text, systems)?.to_owned(), &plain),
            Rule::Full(full) => match (&full.column, &full.value) {
                (Some(column), None) => (format!("{{{column}}}"), full),
                (None, Some(value)) => (resolve(value, systems)?.to_owned(), full),
                _ => return Err("expected `column` or `value`".into()),
            },
        };
        let formats = match &full.format {
            Formats::None => Vec::new(),
            Formats::One(format) => vec![format.clone()],
            Formats::Many(formats) => formats.clone(),
        };
        if !formats.is_empty() && !matches!(full.kind, Kind::Date | Kind::DateTime) {
            return Err("`format` goes with `as = \"date\"` or `as = \"datetime\"`".into());
        }
        for format in &formats {
            if chrono::format::StrftimeItems::new(format).any(|item| item == chrono::format::Item::Error) {
                return Err(format!("`{format}` is no format of a date, expected such as `%Y-%m-%d`"));
            }
        }
        Ok(Leaf {
            template: Template::parse(&text, columns)?,
            map: full.map.clone(),
            otherwise: full.otherwise.clone(),
            empty: full.empty.clone(),
            kind: full.kind,
            formats,
            zone: zone.to_owned(),
            required: full.required,
        })
    }
}

/// A short name for a code system.
fn resolve<'t>(text: &'t str, systems: &'t BTreeMap<String, String>) -> Result<&'t str, String> {
    match text.strip_prefix('@') {
        Some(name) => systems.get(name).map(String::as_str).ok_or_else(|| format!("there is no system `{name}`")),
        None => Ok(text),
    }
}

impl Template {
    /// Reads `text {COLUMN} text`.
    pub fn parse(text: &str, columns: &Columns<'_>) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (name, behind) = after.split_once('}').ok_or_else(|| format!("`{text}`: a `{{` has no `}}`"))?;
            parts.push(Part::Column(columns.find(name)?));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { parts })
    }

    /// The first column that it names.
    fn column(&self) -> Option<usize> {
        self.parts.iter().find_map(|part| match part {
            Part::Column(column) => Some(*column),
            Part::Text(_) => None,
        })
    }

    /// The text; none when one of the columns is empty, then with that column.
    fn fill<'r>(&'r self, row: &'r StringRecord) -> Result<Cow<'r, str>, usize> {
        let cell = |column: usize| match row.get(column).map(str::trim) {
            Some(cell) if !cell.is_empty() => Ok(cell),
            _ => Err(column),
        };
        match self.parts.as_slice() {
            [Part::Text(text)] => Ok(Cow::Borrowed(text)),
            [Part::Column(column)] => cell(*column).map(Cow::Borrowed),
            parts => {
                let mut filled = String::new();
                for part in parts {
                    filled += match part {
                        Part::Text(text) => text,
                        Part::Column(column) => cell(*column)?,
                    };
                }
                Ok(Cow::Owned(filled))
            }
        }
    }

    /// The text, which must be there.
    pub fn required<'r>(&'r self, row: &'r StringRecord) -> Result<Cow<'r, str>, Bad> {
        self.fill(row).map_err(missing)
    }
}

fn missing(column: usize) -> Bad {
    Bad { column, reason: "missing_value", detail: "expected a value".into() }
}

impl Leaf {
    /// True when no column has a say.
    pub fn is_constant(&self) -> bool {
        self.template.column().is_none()
    }

    /// Writes the value as JSON; answers false when there is none.
    pub fn write(&self, row: &StringRecord, out: &mut Vec<u8>) -> Result<bool, Bad> {
        let bad = |reason, detail: &str| Bad {
            column: self.template.column().unwrap_or_default(),
            reason,
            detail: detail.to_owned(),
        };
        let text = match (self.template.fill(row), &self.empty) {
            (Ok(text), _) if self.map.is_empty() && self.otherwise.is_none() => text,
            (Ok(text), _) => {
                let meant = self.map.get(text.as_ref()).or(self.otherwise.as_ref());
                let unknown = || bad("unknown_value", "expected one of the values that the mapping names");
                Cow::Borrowed(meant.ok_or_else(unknown)?.as_str())
            }
            (Err(_), Some(empty)) => Cow::Borrowed(empty.as_str()),
            (Err(column), None) if self.required => return Err(missing(column)),
            (Err(_), None) => return Ok(false),
        };
        // A value that the map means to leave out.
        if text.is_empty() {
            return Ok(false);
        }
        match self.kind {
            Kind::String => string(&text, out),
            Kind::Number if is_number(&text) => out.extend_from_slice(text.as_bytes()),
            Kind::Number => return Err(bad("invalid_number", "expected a decimal number")),
            Kind::Integer if is_number(&text) && !text.contains(['.', 'e', 'E']) => {
                out.extend_from_slice(text.as_bytes())
            }
            Kind::Integer => return Err(bad("invalid_number", "expected a whole number")),
            Kind::Boolean => match text.to_ascii_lowercase().as_str() {
                word @ ("true" | "false") => out.extend_from_slice(word.as_bytes()),
                _ => return Err(bad("invalid_boolean", "expected true or false")),
            },
            Kind::Date | Kind::DateTime => match self.moment(&text) {
                Some(moment) => string(&moment, out),
                None => return Err(bad("invalid_date", &self.expected())),
            },
        }
        Ok(true)
    }

    fn expected(&self) -> String {
        if self.formats.is_empty() {
            return "expected a date as FHIR writes it".into();
        }
        let formats: Vec<_> = self.formats.iter().map(|format| format!("`{format}`")).collect();
        format!("expected a date as {}", formats.join(" or "))
    }

    /// The date or moment as FHIR writes it.
    fn moment<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        if self.formats.is_empty() {
            model::fhir::DateTime::parse(text).ok()?;
            let day = text.split('T').next().unwrap_or(text);
            return Some(Cow::Borrowed(if self.kind == Kind::Date { day } else { text }));
        }
        self.formats.iter().find_map(|format| {
            let with_zone = |moment: DateTime<FixedOffset>| moment.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
            let without = |moment: NaiveDateTime| format!("{}{}", moment.format("%Y-%m-%dT%H:%M:%S"), self.zone);
            let day = |day: NaiveDate| day.format("%Y-%m-%d").to_string();
            if self.kind == Kind::Date {
                let date = NaiveDate::parse_from_str(text, format).ok();
                return date
                    .or_else(|| Some(NaiveDateTime::parse_from_str(text, format).ok()?.date()))
                    .map(day)
                    .map(Cow::Owned);
            }
            let found = DateTime::parse_from_str(text, format).ok().map(with_zone);
            let found = found.or_else(|| NaiveDateTime::parse_from_str(text, format).ok().map(without));
            found.or_else(|| NaiveDate::parse_from_str(text, format).ok().map(day)).map(Cow::Owned)
        })
    }
}

/// True for what JSON takes as a number.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) =
        digits.split_once(['e', 'E']).map_or((digits, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(|exponent| all_digits(exponent) && exponent.len() <= 3)
}

/// An offset such as `+01:00`.
pub fn offset(zone: &str) -> Option<FixedOffset> {
    DateTime::parse_from_str(&format!("2000-01-01T00:00:00{zone}"), "%Y-%m-%dT%H:%M:%S%:z")
        .ok()
        .map(|moment| *moment.offset())
}

/// Writes a text as JSON.
pub fn string(text: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        for sound in ["0", "-1.50", "12", "1e5", "1.2E-3", "0.5"] {
            assert!(is_number(sound) && serde_json::from_str::<f64>(sound).is_ok(), "{sound}");
        }
        for broken in ["", "-", "01", ".5", "1.", "1,5", "+1", "NaN", "1e", "0x1", "1 2", "1e9999"] {
            assert!(!is_number(broken), "{broken}");
        }
    }

    fn leaf(rule: &str) -> Leaf {
        let rule: BTreeMap<String, Rule> = toml::from_str(rule).unwrap();
        let header = StringRecord::from(vec!["A"]);
        rule["x"].bind(&Columns::new(&header), &BTreeMap::new(), "+02:00").unwrap()
    }

    #[track_caller]
    fn assert_written(rule: &str, cell: &str, expected: &str) {
        let mut out = Vec::new();
        let told = match leaf(rule).write(&StringRecord::from(vec![cell]), &mut out) {
            Ok(true) => String::from_utf8(out).unwrap(),
            Ok(false) => "nothing".into(),
            Err(bad) => bad.reason.into(),
        };
        assert_eq!(told, expected, "{rule} {cell}");
    }

    #[test]
    fn every_kind_of_value_is_checked() {
        assert_written("x = 'a {A} b'", "1\"", r#""a 1\" b""#);
        assert_written("x = { column = 'A', as = 'integer' }", "7.0", "invalid_number");
        assert_written("x = { column = 'A', as = 'boolean' }", "TRUE", "true");
        assert_written("x = { column = 'A', as = 'boolean' }", "1", "invalid_boolean");
        assert_written("x = { column = 'A', as = 'date' }", "2020-02-30", "invalid_date");
        assert_written("x = { column = 'A', as = 'date' }", "2020-02-03T01:02:03Z", "\"2020-02-03\"");
        assert_written("x = { column = 'A', as = 'datetime' }", "2020-02", "\"2020-02\"");
        assert_written(
            "x = { column = 'A', as = 'datetime', format = '%Y%m%d%H%M' }",
            "202002030405",
            "\"2020-02-03T04:05:00+02:00\"",
        );
        assert_written(
            "x = { column = 'A', as = 'datetime', format = '%Y/%m/%d %H:%M %z' }",
            "2020/02/03 04:05 -0500",
            "\"2020-02-03T04:05:00-05:00\"",
        );
        assert_written("x = { column = 'A', map = { u = '' } }", "u", "nothing");
        assert_written("x = { column = 'A', map = { u = 'v' }, otherwise = 'w' }", "z", "\"w\"");
        assert_written("x = { column = 'A', otherwise = 'over', empty = 'on' }", "2020", "\"over\"");
        assert_written("x = { column = 'A', otherwise = 'over', empty = 'on' }", "", "\"on\"");
        assert_written("x = { column = 'A', required = true }", " ", "missing_value");
    }
}
