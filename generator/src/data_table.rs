//! The tables in `generator/data`, compiled in.

use serde::de::DeserializeOwned;

use crate::Error;

/// Reads the rows of a table.
pub(crate) fn read_table<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<Vec<T>, Error> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| Error::Data { table, message: error.to_string() })
}

/// The rows of `generator/data/<name>.csv`.
macro_rules! data_table {
    ($name:literal) => {
        $crate::data_table::read_table(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $name, ".csv")),
        )
    };
}
pub(crate) use data_table;
