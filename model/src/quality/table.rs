//! The tables of the namespace `quality`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A table of the namespace `quality`: its name and Arrow schema.
pub struct QualityTable {
    /// Name without the namespace.
    pub name: &'static str,
    columns: &'static [(&'static str, DataType, bool)],
}

impl QualityTable {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        let fields =
            self.columns.iter().map(|(name, data_type, required)| Field::new(*name, data_type.clone(), !required));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// One row per run: what ran, with which policies and vocabulary, and how it ended.
pub const RUN: QualityTable = QualityTable {
    name: "run",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("started_at", TIMESTAMP, true),
        ("ended_at", TIMESTAMP, true),
        ("status", DataType::Utf8, true),
        ("software_version", DataType::Utf8, true),
        ("cdm_version", DataType::Utf8, true),
        ("vocabulary_version", DataType::Utf8, false),
        ("policy", DataType::Utf8, false),
        ("read_count", DataType::Int64, true),
        ("mapped_count", DataType::Int64, true),
        ("excluded_count", DataType::Int64, true),
        ("rejected_count", DataType::Int64, true),
        ("checks_passed", DataType::Int64, true),
        ("checks_failed", DataType::Int64, true),
        ("guide_version", DataType::Utf8, false),
    ],
};

/// One row per check and run.
pub const CHECK_RESULT: QualityTable = QualityTable {
    name: "check_result",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("check_id", DataType::Utf8, true),
        ("check_name", DataType::Utf8, true),
        ("category", DataType::Utf8, true),
        ("severity", DataType::Utf8, true),
        ("table_name", DataType::Utf8, true),
        ("column_name", DataType::Utf8, false),
        ("description", DataType::Utf8, true),
        ("threshold_percent", DataType::Float64, true),
        ("row_count", DataType::Int64, true),
        ("violation_count", DataType::Int64, true),
        ("status", DataType::Utf8, true),
        ("message", DataType::Utf8, false),
    ],
};

/// One row per [`Reject`](super::Reject).
pub const REJECTED: QualityTable = QualityTable {
    name: "rejected",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("file", DataType::Utf8, true),
        ("line", DataType::Int64, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, false),
        ("field", DataType::Utf8, false),
        ("reason", DataType::Utf8, true),
        ("detail", DataType::Utf8, true),
    ],
};

/// One row per [`Exclusion`](super::Exclusion).
pub const EXCLUSION: QualityTable = QualityTable {
    name: "exclusion",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("file", DataType::Utf8, true),
        ("line", DataType::Int64, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, false),
        ("reason", DataType::Utf8, true),
        ("detail", DataType::Utf8, true),
    ],
};

/// One row per run, element, code system and code: how often it was met and whether it has a standard concept.
pub const MAPPING_COVERAGE: QualityTable = QualityTable {
    name: "mapping_coverage",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("code_system", DataType::Utf8, false),
        ("code", DataType::Utf8, false),
        ("display", DataType::Utf8, false),
        ("concept_id", DataType::Int32, true),
        ("record_count", DataType::Int64, true),
    ],
};

/// One row per run, element and reason: what mapped resources said that no column could take.
pub const LOSS: QualityTable = QualityTable {
    name: "loss",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("reason", DataType::Utf8, true),
        ("record_count", DataType::Int64, true),
        ("has_residual_row", DataType::Boolean, true),
    ],
};

/// One row per run, element, code and kind: what is odd about the vocabulary, seen from the codes of the input.
pub const ANOMALY: QualityTable = QualityTable {
    name: "anomaly",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("kind", DataType::Utf8, true),
        ("element", DataType::Utf8, true),
        ("code_system", DataType::Utf8, false),
        ("code", DataType::Utf8, false),
        ("display", DataType::Utf8, false),
        ("source_concept_id", DataType::Int32, false),
        ("target_concept_ids", DataType::Utf8, false),
        ("detail", DataType::Utf8, true),
        ("record_count", DataType::Int64, true),
        ("vocabulary_version", DataType::Utf8, true),
    ],
};

/// One row per run and concept that the project's own tables name: is it, in the loaded vocabulary, what they say?
pub const CONCEPT_CHECK: QualityTable = QualityTable {
    name: "concept_check",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("vocabulary_version", DataType::Utf8, true),
        ("named_by", DataType::Utf8, true),
        ("concept_id", DataType::Int32, true),
        ("expected_name", DataType::Utf8, true),
        ("found_name", DataType::Utf8, false),
        ("expected_domain", DataType::Utf8, true),
        ("found_domain", DataType::Utf8, false),
        ("expected_standard", DataType::Boolean, true),
        ("found_standard", DataType::Boolean, false),
        ("status", DataType::Utf8, true),
    ],
};

/// One row per run, source and resource type: the [`Counts`](super::Counts).
pub const ACCOUNTING: QualityTable = QualityTable {
    name: "accounting",
    columns: &[
        ("pipeline_run_id", DataType::Utf8, true),
        ("source_id", DataType::Utf8, true),
        ("resource_type", DataType::Utf8, true),
        ("read_count", DataType::Int64, true),
        ("mapped_count", DataType::Int64, true),
        ("excluded_count", DataType::Int64, true),
        ("rejected_count", DataType::Int64, true),
    ],
};

/// One row per OMOP row: the resource and version that it was made from.
pub const CROSSWALK: QualityTable = QualityTable {
    name: "crosswalk",
    columns: &[
        ("omop_table", DataType::Utf8, true),
        ("omop_id", DataType::Int64, true),
        ("source_id", DataType::Utf8, true),
        ("resource_type", DataType::Utf8, true),
        ("resource_id", DataType::Utf8, true),
        ("version_id", DataType::Utf8, false),
        ("part", DataType::Utf8, true),
        ("pipeline_run_id", DataType::Utf8, true),
        // The key that the flat tables have for the resource, too.
        ("resource_key", DataType::Int64, true),
    ],
};
