//! Urls of files and the paths behind them. Iceberg writes `file:///a b`, without escapes, and so does every reader.

use std::path::PathBuf;

use crate::{Error, Result};

/// The path of a `file:` url.
pub(crate) fn path_of(url: &str) -> PathBuf {
    let path = url.strip_prefix("file://").or_else(|| url.strip_prefix("file:")).unwrap_or(url);
    PathBuf::from(path)
}

/// Checks the url of a warehouse, and takes the slash off its end.
pub(crate) fn check_warehouse(url: &str) -> Result<String> {
    let plain = url.strip_prefix("file://").is_some_and(|path| path.starts_with('/') && path.len() > 1);
    if plain { Ok(url.trim_end_matches('/').to_string()) } else { Err(Error::BadWarehouse(url.to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_file_urls_are_warehouses() {
        assert_eq!(check_warehouse("file:///a b/w/").unwrap(), "file:///a b/w");
        for bad in ["/a/b", "file://host/a", "s3://bucket/a", "file:///"] {
            assert!(check_warehouse(bad).is_err(), "{bad}");
        }
        assert_eq!(path_of("file:///a b/c"), PathBuf::from("/a b/c"));
    }
}
