//! Names of tables.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// The name of a table or view: `omop.person`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The namespace, for instance `omop`.
    pub namespace: String,
    /// The name in the namespace, for instance `person`.
    pub name: String,
}

impl TableName {
    /// Makes a name of its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { namespace: namespace.into(), name: name.into() }
    }

    /// Refuses what would not be one folder and one plain SQL identifier.
    pub(crate) fn check(&self) -> Result<()> {
        let plain = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if plain(&self.namespace) && plain(&self.name) { Ok(()) } else { Err(Error::BadName(self.to_string())) }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

impl FromStr for TableName {
    type Err = Error;

    fn from_str(text: &str) -> Result<TableName> {
        let (namespace, name) = text.split_once('.').ok_or_else(|| Error::BadName(text.to_string()))?;
        let parsed = TableName::new(namespace, name);
        parsed.check()?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_exactly_two_plain_parts() {
        assert_eq!("omop.person".parse::<TableName>().unwrap(), TableName::new("omop", "person"));
        for bad in ["person", "a.b.c", "omop.", ".person", "omop.per son", "omop.../x", "omop.1st"] {
            assert!(bad.parse::<TableName>().is_err(), "{bad}");
        }
    }
}
