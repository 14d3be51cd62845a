//! What tests of several modules need.

use std::path::{Path, PathBuf};

/// A file or folder of the reference data; none, with a word about the test that is skipped, where it is missing.
pub fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{} is missing", path.display());
    #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("SKIPPED {test}: {} is missing", path.display());
    }
    None
}
