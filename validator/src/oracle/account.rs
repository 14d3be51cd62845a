//! What the generator says must become of its resources, against what the run says has become of them.

use std::collections::BTreeMap;
use std::path::Path;

use model::quality::{Accounting, Category, CheckResult, Counts, UNREADABLE};
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::question::check;
use crate::report::Reason;

/// The part of a manifest that tells it.
#[derive(Deserialize)]
struct Manifest {
    account: Account,
}

/// What must become of the resources, summed over all shards.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Account {
    by_type: BTreeMap<String, Counts>,
    exclusions: BTreeMap<String, u64>,
    rejections: BTreeMap<String, u64>,
}

/// Reads `manifest.json`, or `manifest.<k>-of-<n>.json` of each shard.
///
/// # Errors
/// There is none, or one that does not say what must become of its resources.
pub(crate) fn expected(folder: &Path) -> Result<Account> {
    let refused = |source| Error::File { path: folder.to_owned(), source };
    let mut account: Option<Account> = None;
    for entry in std::fs::read_dir(folder).map_err(refused)? {
        let path = entry.map_err(refused)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !(name.starts_with("manifest.") && name.ends_with(".json")) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|source| Error::Manifest { path: path.clone(), source })?;
        account.get_or_insert_default().add(manifest.account);
    }
    account.ok_or_else(|| Error::NoManifest(folder.to_owned()))
}

impl Account {
    fn add(&mut self, other: Account) {
        for (resource_type, counts) in other.by_type {
            self.by_type.entry(resource_type).or_default().add(&counts);
        }
        for (sums, counts) in [(&mut self.exclusions, other.exclusions), (&mut self.rejections, other.rejections)] {
            for (key, count) in counts {
                *sums.entry(key).or_default() += count;
            }
        }
    }
}

/// Compares the counts by type, and why resources were excluded or rejected.
pub(crate) fn results(expected: &Account, accounting: &Accounting, reasons: &[Reason]) -> Vec<CheckResult> {
    let found = |rejected: bool| -> BTreeMap<String, String> {
        let of = reasons.iter().filter(|reason| reason.rejected == rejected);
        of.map(|reason| {
            let resource_type = if reason.resource_type.is_empty() { UNREADABLE } else { &reason.resource_type };
            (format!("{resource_type} {}", reason.reason), reason.records.to_string())
        })
        .collect()
    };
    let number = |counts: &BTreeMap<String, u64>| -> BTreeMap<String, String> {
        counts.iter().map(|(key, count)| (key.clone(), count.to_string())).collect()
    };
    let all = |counts: &BTreeMap<String, Counts>| -> BTreeMap<String, String> {
        counts.iter().map(|(key, counts)| (key.clone(), words(counts))).collect()
    };
    let sentence = |what: &str| format!("The generator knows {what}.");
    vec![
        compared(
            "accounting",
            sentence("what becomes of each resource"),
            &all(&expected.by_type),
            &all(&accounting.by_type),
        ),
        compared("exclusion", sentence("what is excluded, and why"), &number(&expected.exclusions), &found(false)),
        compared("rejected", sentence("what is rejected, and why"), &number(&expected.rejections), &found(true)),
    ]
}

/// Both sides by key, in words; what is not there is nothing.
fn compared(
    table: &str,
    sentence: String,
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> CheckResult {
    let check = check(Category::Completeness, "oracleAccount", &format!("quality.{table}"), None, sentence);
    let of = |side: &BTreeMap<String, String>, key: &String| side.get(key).map_or("nothing", String::as_str).to_owned();
    let mut keys: Vec<&String> = expected.keys().chain(found.keys()).collect();
    keys.sort();
    keys.dedup();
    let differing: Vec<String> = keys
        .iter()
        .filter(|key| of(expected, key) != of(found, key))
        .map(|key| format!("{key}: expected {}, found {}", of(expected, key), of(found, key)))
        .collect();
    let mut result = CheckResult::judged(check, keys.len() as u64, differing.len() as u64);
    result.message = (!differing.is_empty()).then(|| differing[..differing.len().min(5)].join("; "));
    result
}

fn words(counts: &Counts) -> String {
    let Counts { read, mapped, excluded, rejected } = counts;
    format!("{read} read, {mapped} mapped, {excluded} excluded, {rejected} rejected")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(mapped: u64, refused: u64) -> String {
        let read = mapped + refused + 1;
        format!(
            r#"{{"seed":1,"account":{{"by_type":{{"Patient":{{"read":{read},"mapped":{mapped},"excluded":1,"rejected":{refused}}}}},
            "exclusions":{{"Patient duplicate":1}},"rejections":{{"Patient wrong_type":{refused}}}}}}}"#
        )
    }

    fn judged(mapped: u64, reason: &str) -> Vec<Option<String>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("manifest.1-of-2.json"), manifest(3, 1)).unwrap();
        std::fs::write(folder.path().join("manifest.2-of-2.json"), manifest(4, 1)).unwrap();
        let mut accounting = Accounting::default();
        *accounting.of("Patient") = Counts { read: mapped + 4, mapped, excluded: 2, rejected: 2 };
        let because = |rejected, reason: &str| Reason {
            rejected,
            resource_type: "Patient".into(),
            reason: reason.into(),
            records: 2,
        };
        let reasons = [because(false, "duplicate"), because(true, reason)];
        let results = results(&expected(folder.path()).unwrap(), &accounting, &reasons);
        results.into_iter().map(|result| result.message).collect()
    }

    #[test]
    fn what_became_of_the_resources_is_what_had_to() {
        assert_eq!(judged(7, "wrong_type"), [None, None, None]);
    }

    #[test]
    fn what_was_lost_or_refused_for_another_reason_is_told() {
        let message = "Patient: expected 11 read, 7 mapped, 2 excluded, 2 rejected, found 10 read, 6 mapped, 2 excluded, 2 rejected";
        assert_eq!(judged(6, "wrong_type")[0].as_deref(), Some(message));
        let message = "Patient invalid_json: expected nothing, found 2; Patient wrong_type: expected 2, found nothing";
        assert_eq!(judged(7, "invalid_json"), [None, None, Some(message.into())]);
    }

    #[test]
    fn a_folder_without_a_manifest_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(expected(folder.path()).unwrap_err().to_string().contains("manifest.json"));
        std::fs::write(folder.path().join("manifest.json"), "{}").unwrap();
        assert!(expected(folder.path()).unwrap_err().to_string().contains("manifest.json"));
    }
}
