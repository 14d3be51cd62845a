//! A ViewDefinition as it is written, read strictly: a misspelt key is an error, not a column that is missing.

use model::document::Element;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::data_type::{Class, DataType};
use super::decimal::Decimal;
use super::moment::Moment;
use super::path::Literal;

/// Names of `%name` that are taken.
const TAKEN: [&str; 8] = ["rowIndex", "context", "resource", "rootResource", "ucum", "sct", "loinc", "this"];

/// What a ViewDefinition says beside its constants; what describes it (title, status, ...) is not looked at.
#[derive(Deserialize)]
pub struct ViewDefinition {
    #[serde(rename = "resourceType")]
    pub resource_type: Option<String>,
    pub name: Option<String>,
    pub resource: Option<String>,
    #[serde(default)]
    pub select: Vec<Select>,
    #[serde(default, rename = "where")]
    pub criteria: Vec<Criterion>,
}

/// Columns, and what they are repeated for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Select {
    #[serde(default)]
    pub column: Vec<ColumnDefinition>,
    #[serde(default)]
    pub select: Vec<Select>,
    #[serde(default)]
    pub union_all: Vec<Select>,
    pub for_each: Option<String>,
    pub for_each_or_null: Option<String>,
    pub repeat: Option<Vec<String>>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "extension")]
    _extension: Option<IgnoredAny>,
    #[serde(rename = "modifierExtension")]
    _modifier_extension: Option<IgnoredAny>,
}

/// A column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDefinition {
    pub name: String,
    pub path: String,
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    #[serde(default)]
    pub collection: bool,
    #[serde(default)]
    pub tag: Vec<Tag>,
    #[serde(rename = "description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "extension")]
    _extension: Option<IgnoredAny>,
    #[serde(rename = "modifierExtension")]
    _modifier_extension: Option<IgnoredAny>,
}

/// A hint for a database.
#[derive(Deserialize)]
pub struct Tag {
    pub name: String,
    pub value: String,
}

/// A condition that resources must meet.
#[derive(Deserialize)]
pub struct Criterion {
    pub path: String,
}

impl ViewDefinition {
    /// Reads the definition and its constants.
    ///
    /// # Errors
    /// What is not as it should be, and where.
    pub fn read(definition: Element<'_>) -> Result<(ViewDefinition, Vec<(String, Literal)>), String> {
        let read: ViewDefinition = definition.read().map_err(|wrong| match wrong.path.as_str() {
            "" => wrong.message,
            path => format!("`{path}`: {}", wrong.message),
        })?;
        if read.resource_type.as_deref().is_some_and(|name| name != "ViewDefinition") {
            return Err("`resourceType`: expected `ViewDefinition`".into());
        }
        let mut constants: Vec<(String, Literal)> = Vec::new();
        if let Some(list) = definition.get("constant") {
            for constant in list.items() {
                let (name, literal) = read_constant(constant)?;
                if TAKEN.contains(&name.as_str()) || constants.iter().any(|(known, _)| *known == name) {
                    return Err(format!("constant `{name}`: the name is taken"));
                }
                constants.push((name, literal));
            }
        }
        Ok((read, constants))
    }
}

fn read_constant(constant: Element<'_>) -> Result<(String, Literal), String> {
    let name = constant.get("name").and_then(|name| name.as_str()).ok_or("`constant`: expected a `name`")?;
    if !is_plain_name(name) {
        return Err(format!("constant `{name}`: expected a name of letters, digits and `_`"));
    }
    let mut values = constant.members().filter_map(|(key, value)| Some((key.strip_prefix("value")?, value)));
    let (ending, value) = values.next().ok_or_else(|| format!("constant `{name}` has no value"))?;
    if values.next().is_some() {
        return Err(format!("constant `{name}` has more than one value"));
    }
    let of = DataType::of_ending(ending).filter(|of| of.class() != Class::Complex);
    let of = of.ok_or_else(|| format!("constant `{name}`: `value{ending}` is no primitive type"))?;
    let literal =
        literal(value, of).ok_or_else(|| format!("constant `{name}`: expected a value of type `{}`", of.name()));
    Ok((name.to_owned(), literal?))
}

fn literal(value: Element<'_>, of: DataType) -> Option<Literal> {
    Some(match of.class() {
        Class::Boolean => Literal::Boolean(value.as_bool()?),
        Class::Integer => Literal::Integer(value.as_number()?.parse().ok()?),
        Class::Integer64 => Literal::Integer(value.as_number().or(value.as_str())?.parse().ok()?),
        Class::Decimal => Literal::Decimal(Decimal::parse(value.as_number()?)?),
        Class::Date | Class::DateTime | Class::Time => {
            let text = value.as_str()?;
            Moment::parse(text)?;
            Literal::Text(text.into(), of)
        }
        _ => Literal::Text(value.as_str()?.into(), of),
    })
}

/// True for letters, digits and underscores, a letter first.
pub fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
