//! The NDJSON reader: any bytes are records, or unreadable ones, and what is taken for JSON is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    etl::fuzz::read_records(bytes, |record| {
        let Ok(text) = std::str::from_utf8(record) else { return };
        if etl::fuzz::is_record(text) {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(), "taken, but no JSON: {text}");
        }
    });
});
