//! Resources for tests: JSON in; rows, judgements, losses out.

use chrono::NaiveDate;
use model::document::{Resource, Tape};
use model::omop::key::omop_key;

use super::{Context, Judgement, Mapped, MedicationRequestPolicy, map};
use crate::id_set::IdSet;
use crate::reference::{Directory, References};
use crate::table_choice::TableChoice;
use crate::vocabulary::Vocabulary;

/// What a test may turn.
pub struct Setting {
    pub policy: MedicationRequestPolicy,
    pub keep_address: bool,
    pub table_choice: TableChoice,
    pub directory: Option<Directory>,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            policy: MedicationRequestPolicy::OrdersAsExposure,
            keep_address: false,
            table_choice: TableChoice::default(),
            directory: None,
        }
    }
}

/// Maps a resource; whatever it refers to exists, unless a directory says what does.
pub fn with<R>(json: &str, setting: &Setting, look: impl FnOnce(&Mapped<'_>) -> R) -> R {
    let mut tape = Tape::default();
    let element = tape.parse(json).expect("the sample is JSON");
    let text =
        |name: &str| element.get(name).and_then(|value| value.as_str()).expect("the sample has a type and an id");
    let resource = Resource { resource_type: text("resourceType"), id: text("id"), element };
    let references = match &setting.directory {
        Some(directory) => References::new(directory, "test", None, None),
        None => References::credulous("test", None, None),
    };
    let vocabulary = Vocabulary::starter();
    let context = Context {
        source_id: "test",
        vocabulary: &vocabulary,
        medication_request_policy: setting.policy,
        keep_address: setting.keep_address,
        notes: false,
        table_choice: &setting.table_choice,
        extraction_date: NaiveDate::from_ymd_opt(2025, 1, 1).expect("a day"),
        references: &references,
    };
    look(&map(&resource, &context))
}

/// The rows of one table, as their debug text with the part in front.
pub fn rows(json: &str, table: &str) -> Vec<String> {
    rows_with(json, table, &Setting::default())
}

/// The same in another setting.
pub fn rows_with(json: &str, table: &str, setting: &Setting) -> Vec<String> {
    with(json, setting, |mapped| {
        let of_table = mapped.rows.iter().filter(|row| row.row.table().name == table);
        of_table.map(|row| format!("[{}] {:?}", row.part, row.row)).collect()
    })
}

/// How the resource was judged: `mapped`, `excluded: reason (detail)` or `rejected: reason (field)`.
pub fn judgement(json: &str) -> String {
    judgement_with(json, &Setting::default())
}

/// The same in another setting.
pub fn judgement_with(json: &str, setting: &Setting) -> String {
    with(json, setting, |mapped| match &mapped.judgement {
        Judgement::Mapped => "mapped".to_owned(),
        Judgement::Excluded { reason, detail } => format!("excluded: {reason} ({detail})"),
        Judgement::Rejected { reason, field, .. } => {
            format!("rejected: {reason} ({})", field.clone().unwrap_or_default())
        }
    })
}

/// What was lost: `element reason`.
pub fn losses(json: &str) -> Vec<String> {
    with(json, &Setting::default(), |mapped| {
        mapped.losses.iter().map(|loss| format!("{} {}", loss.element, loss.reason)).collect()
    })
}

/// A directory in which only these exist: (`Type/id`, table).
pub fn only(known: &[(&str, &str)]) -> Setting {
    let rows = IdSet::new(known.iter().map(|(name, table)| omop_key("test", name, table, "")).collect());
    Setting { directory: Some(Directory { rows, ..Directory::default() }), ..Setting::default() }
}

/// Fails unless the row says all of this.
#[track_caller]
pub fn assert_says(row: &str, expected: &[&str]) {
    for expected in expected {
        assert!(row.contains(expected), "`{expected}` is not in {row}");
    }
}
