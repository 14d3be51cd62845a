//! The summary of a snapshot: what the caller wants remembered, and what was counted.

use std::collections::{BTreeMap, HashMap};

use iceberg::spec::{Operation, Summary};

use crate::totals::Totals;

/// Makes the summary of a snapshot that adds and removes files; `total` is what there is then.
pub(crate) fn summary(
    properties: &BTreeMap<String, String>,
    is_append: bool,
    added: &Totals,
    removed: &Totals,
    total: &Totals,
) -> Summary {
    let mut values: HashMap<String, String> = properties.clone().into_iter().collect();
    let mut put = |key: &str, value: u64| values.insert(key.to_string(), value.to_string());
    put("added-data-files", added.data_files);
    put("added-records", added.records);
    put("added-files-size", added.bytes);
    if added.delete_files > 0 {
        put("added-delete-files", added.delete_files);
        put("added-position-delete-files", added.delete_files);
        put("added-position-deletes", added.position_deletes);
    }
    if removed.data_files > 0 {
        put("deleted-data-files", removed.data_files);
        put("deleted-records", removed.records);
    }
    if removed.delete_files > 0 {
        put("removed-delete-files", removed.delete_files);
        put("removed-position-deletes", removed.position_deletes);
    }
    if removed.bytes > 0 {
        put("removed-files-size", removed.bytes);
    }
    put("total-data-files", total.data_files);
    put("total-records", total.records);
    put("total-delete-files", total.delete_files);
    put("total-position-deletes", total.position_deletes);
    put("total-equality-deletes", total.equality_deletes);
    put("total-files-size", total.bytes);
    let operation = if is_append {
        Operation::Append
    } else if added.data_files == 0 {
        Operation::Delete
    } else {
        Operation::Overwrite
    };
    Summary { operation, additional_properties: values }
}
