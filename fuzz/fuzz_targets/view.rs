//! The compiler of ViewDefinitions and its paths. The first line of the input is a definition, or else a path that
//! becomes one of a single column; the other lines are resources.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (definition, records) = text.split_once('\n').unwrap_or((text, ""));
    let of_path = || {
        let column = json!({"name": "x", "path": definition, "collection": definition.len() % 2 == 0});
        json!({"resource": "Observation", "name": "v", "select": [{"column": [column]}]}).to_string()
    };
    let definition = if definition.starts_with('{') { definition.to_owned() } else { of_path() };
    _ = etl::fuzz::run_view(&definition, records.lines());
});
