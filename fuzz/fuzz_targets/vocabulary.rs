//! The reader of a vocabulary download and of its index. The first byte of the input says what the rest is: a digit for
//! the table of that number, `m` for a map of local codes, anything else for damage done to an index.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((what, content)) = bytes.split_first() else { return };
    match what {
        b'0'..=b'9' => _ = etl::fuzz::read_table(usize::from(what - b'0'), content),
        b'm' => _ = etl::fuzz::read_local_map(content),
        _ => _ = etl::fuzz::open_index(content),
    }
});
