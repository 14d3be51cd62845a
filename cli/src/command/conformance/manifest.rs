//! The manifest: for programs, what is read and what is filled, with which versions, policies and departures.

use std::collections::BTreeMap;

use anyhow::Result;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use etl::{Completeness, Edge, edges};
use lake::{AsOf, Lake, TableName};
use serde::Serialize;
use validator::{Departure, Governance, Scorecard};

use crate::command::etl::policy;
use crate::config::Config;

/// What the program is for, in the words of its users.
const USE_CASES: [&str; 4] = [
    "observational research on OMOP tables made from FHIR exports",
    "quality measurement and reporting on the same tables",
    "development and test of FHIR and OMOP pipelines with synthetic patients",
    "comparison of mappings, with the expected rows of synthetic patients as the measure",
];

/// What is accepted.
const PROFILES: [&str; 2] =
    ["HL7 FHIR R4 base resources", "US Core extensions for race, ethnicity and sex at birth on Patient"];

#[derive(Serialize)]
pub struct Manifest {
    guide: String,
    software_version: String,
    cdm_version: String,
    vocabulary_version: Option<String>,
    fhir_versions: [&'static str; 1],
    profiles: [&'static str; 2],
    use_cases: [&'static str; 4],
    policies: BTreeMap<&'static str, String>,
    resource_types: BTreeMap<&'static str, Vec<&'static Edge>>,
    tables: BTreeMap<&'static str, &'static str>,
    departures: Vec<Departure>,
    identifier_systems: Vec<IdentifierSystem>,
    governance: Governance,
}

/// A system of business identifiers that the lake has met.
#[derive(Serialize)]
struct IdentifierSystem {
    resource_type: &'static str,
    system: Option<String>,
    identifiers: i64,
    /// What is done with them.
    handling: &'static str,
}

/// Makes the manifest of these settings; the lake adds the systems of identifiers that it has met.
pub async fn of(config: &Config, lake: Option<&Lake>, card: &Scorecard) -> Result<Manifest> {
    let mut resource_types: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in edges() {
        resource_types.entry(edge.resource_type.as_str()).or_default().push(edge);
    }
    Ok(Manifest {
        guide: card.guide.clone(),
        software_version: card.software_version.clone(),
        cdm_version: card.cdm_version.clone(),
        vocabulary_version: card.vocabulary_version.clone(),
        fhir_versions: ["4.0.1"],
        profiles: PROFILES,
        use_cases: USE_CASES,
        policies: policies(config),
        resource_types,
        tables: tables(),
        departures: validator::departures(),
        identifier_systems: match lake {
            Some(lake) => identifier_systems(lake).await?,
            None => Vec::new(),
        },
        governance: config.governance.clone(),
    })
}

fn policies(config: &Config) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("mapping", policy(config)),
        ("dates", "the local day as written; moments in UTC".into()),
        ("keys", "hash of source, resource type, logical id, table and part".into()),
        ("codes", "a coding with a map, then SNOMED, RxNorm, LOINC, CPT4 and HCPCS, ICD, others; then the more specific, the chosen, the first".into()),
        ("addresses", "state, three digits of the postal code, county and country, unless keep_address".into()),
        ("updates", "a changed resource replaces its rows, a deleted one or one entered in error takes them away".into()),
    ])
}

/// How completely each table of the CDM can be filled.
fn tables() -> BTreeMap<&'static str, &'static str> {
    let clinical = model::omop::tables().iter().filter(|table| table.schema == "cdm");
    clinical
        .map(|table| {
            let best = edges().iter().filter(|edge| edge.omop_table == table.name).map(|edge| edge.completeness).min();
            let word = match best {
                Some(Completeness::Full) => "full",
                Some(Completeness::Partial) => "partial",
                // Rows come from other rows.
                None if matches!(table.name, "cdm_source" | "condition_era" | "drug_era") => "full",
                None => "none",
            };
            (table.name, word)
        })
        .collect()
}

async fn identifier_systems(lake: &Lake) -> Result<Vec<IdentifierSystem>> {
    let tables = lake.tables().await?;
    let session = lake.session(&AsOf::Latest).await?;
    let mut found = Vec::new();
    for (resource_type, table) in [
        ("Patient", "patient_identifier"),
        ("Practitioner", "practitioner_identifier"),
        ("Organization", "organization_identifier"),
        ("Location", "location_identifier"),
    ] {
        if !tables.contains(&TableName::new("fhir", table)) {
            continue;
        }
        let sql = format!(
            "select system, count(*) as n from fhir.{table} where value is not null group by system order by system"
        );
        for batch in session.sql(&sql).await?.collect().await? {
            let (systems, counts) = (cast(batch.column(0), &DataType::Utf8)?, cast(batch.column(1), &DataType::Int64)?);
            let counts = counts.as_primitive::<Int64Type>();
            for (row, system) in systems.as_string::<i32>().iter().enumerate() {
                found.push(IdentifierSystem {
                    resource_type,
                    system: system.map(str::to_owned),
                    identifiers: counts.value(row),
                    handling: "kept in the namespace `fhir` only; never a key and never in an OMOP table",
                });
            }
        }
    }
    Ok(found)
}
