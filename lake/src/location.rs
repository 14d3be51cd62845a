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
    let is_folder = url.strip_prefix("file://").is_some_and(|path| path.starts_with('/') && path.len() > 1);
    let is_bucket = url.strip_prefix("s3://").is_some_and(|rest| {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        is_bucket_name(bucket) && prefix.trim_end_matches('/').split('/').all(|part| !["", ".", ".."].contains(&part))
            || is_bucket_name(rest.trim_end_matches('/'))
    });
    if is_folder || is_bucket {
        Ok(url.trim_end_matches('/').to_string())
    } else {
        Err(Error::BadWarehouse(url.to_string()))
    }
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_file_urls_and_buckets_are_warehouses() {
        assert_eq!(check_warehouse("file:///a b/w/").unwrap(), "file:///a b/w");
        for good in ["s3://bucket", "s3://bucket/", "s3://my-bucket.1/a/b", "s3://bucket/a/"] {
            assert_eq!(check_warehouse(good).unwrap(), good.trim_end_matches('/'));
        }
        for bad in ["/a/b", "file://host/a", "file:///", "s3://", "s3://Bucket/a", "s3://bucket//a", "s3://bucket/../a"]
        {
            assert!(check_warehouse(bad).is_err(), "{bad}");
        }
        assert_eq!(path_of("file:///a b/c"), PathBuf::from("/a b/c"));
    }
}
