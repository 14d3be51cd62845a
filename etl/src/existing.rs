//! What the lake holds already of the resources of the input: for runs that are not the first. Every look-up is one
//! scan of few columns, and keeps only what the input asks for.

mod definition;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::AsArray;
use chrono::NaiveDate;
use datafusion::prelude::SessionContext;
use lake::{AsOf, Lake, TableName};
use model::omop;
use model::omop::key::omop_key;

use crate::error::Result;
use crate::id_set::IdSet;
use crate::load::{cdm_tables, key_column};
use crate::query::{days, for_each, numbers, quoted, texts};
use crate::reference::identifier_key;
use crate::survey::Survey;
use crate::view::View;

/// The hash of no mapping: tables disagree, since a view was away for a while.
const OUTDATED: i64 = i64::MIN;

/// What the lake holds already.
#[derive(Default)]
pub struct Existing {
    /// Mapping hashes by resource key, of resources that the input has too.
    pub mapping_hashes: HashMap<i64, i64>,
    /// Resources of this source that a complete input lacks.
    pub absent: HashSet<i64>,
    /// Content hashes by resource key in `raw`, of resources that the input has too.
    pub raw_hashes: HashMap<i64, i64>,
    /// All locations.
    pub locations: HashSet<i64>,
    /// Tables that exist.
    pub tables: HashSet<TableName>,
}

/// True when an earlier run left something that this one must respect.
///
/// # Errors
/// The lake cannot be read.
pub async fn holds_something(lake: &Lake) -> Result<bool> {
    let counts = lake.row_counts().await?;
    let ours = |table: &TableName| table.namespace == "fhir" || table.namespace == "omop" || table.namespace == "raw";
    Ok(counts.iter().any(|(table, count)| ours(table) && *count > 0))
}

impl Existing {
    /// Looks up what the survey asks for, and completes its directory.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn look_up(
        lake: &Lake,
        survey: &mut Survey,
        views: &[Arc<View>],
        source_id: &str,
        complete: bool,
    ) -> Result<Existing> {
        let session = lake.session(&AsOf::Latest).await?;
        let mut existing = Existing { tables: lake.tables().await?.into_iter().collect(), ..Existing::default() };
        for view in views {
            if existing.tables.contains(&TableName::new("fhir", &view.name)) {
                let can_be_absent =
                    if complete { format!("source_id = '{}'", quoted(source_id)) } else { "false".into() };
                let sql = format!("select resource_key, mapping_hash, {can_be_absent} from fhir.{}", view.name);
                for_each(&session, &sql, |batch| {
                    let (keys, hashes) = (numbers(batch, 0), numbers(batch, 1));
                    let can_be_absent = batch.column(2).as_boolean();
                    for (row, key) in keys.into_iter().enumerate() {
                        if survey.keys.contains(key) {
                            let known = existing.mapping_hashes.entry(key).or_insert(hashes[row]);
                            if *known != hashes[row] {
                                *known = OUTDATED;
                            }
                        } else if can_be_absent.value(row) {
                            existing.absent.insert(key);
                        }
                    }
                })
                .await?;
            }
        }
        if existing.tables.contains(&TableName::new("omop", "location")) {
            for_each(&session, "select location_id from omop.location", |batch| {
                existing.locations.extend(numbers(batch, 0));
            })
            .await?;
        }
        existing.complete_directory(&session, survey, source_id).await?;
        Ok(existing)
    }

    /// Looks up which versions `raw` has last.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn look_up_raw(&mut self, lake: &Lake, survey: &Survey, source_id: &str) -> Result<()> {
        if !self.tables.contains(&TableName::new("raw", "resource_version")) {
            return Ok(());
        }
        let session = lake.session(&AsOf::Latest).await?;
        let mut newest: HashMap<i64, i64> = HashMap::new();
        let sql = format!(
            "select content_hash, cast(ingested_at as bigint), resource_type || '/' || resource_id \
             from raw.resource_version where source_id = '{}'",
            quoted(source_id)
        );
        let hashes = &mut self.raw_hashes;
        for_each(&session, &sql, |batch| {
            let (content, moments, names) = (numbers(batch, 0), numbers(batch, 1), texts(batch, 2));
            for row in 0..batch.num_rows() {
                let key = omop_key(source_id, &names[row], "fhir", "");
                let newer = newest.get(&key).is_none_or(|moment| moments[row] >= *moment);
                if survey.keys.contains(key) && newer {
                    newest.insert(key, moments[row]);
                    hashes.insert(key, content[row]);
                }
            }
        })
        .await
    }

    async fn complete_directory(&self, session: &SessionContext, survey: &mut Survey, source_id: &str) -> Result<()> {
        self.last_visits(session, survey).await?;
        self.roles(session, survey, source_id).await?;
        self.definitions(session, survey, source_id).await?;
        let mut rows: Vec<i64> = survey.directory.rows.iter().collect();
        for name in ["person", "provider", "care_site", "visit_occurrence", "payer_plan_period"] {
            if self.tables.contains(&TableName::new("omop", name)) {
                for_each(session, &format!("select {name}_id from omop.{name}"), |batch| {
                    rows.extend(numbers(batch, 0).iter().filter(|id| survey.is_wanted(**id)));
                })
                .await?;
            }
        }
        if self.tables.contains(&TableName::new("omop", "person")) {
            let mut births = Vec::new();
            let sql = "select person_id, cast(year_of_birth as bigint), cast(month_of_birth as bigint), \
                       cast(day_of_birth as bigint) from omop.person";
            for_each(session, sql, |batch| {
                let [ids, years, months, days] = [0, 1, 2, 3].map(|column| numbers(batch, column));
                for row in (0..ids.len()).filter(|row| survey.is_wanted(ids[*row])) {
                    let (month, day) = (months[row].max(1) as u32, days[row].max(1) as u32);
                    births.extend(NaiveDate::from_ymd_opt(years[row] as i32, month, day).map(|date| (ids[row], date)));
                }
            })
            .await?;
            for (person_id, birth) in births {
                survey.directory.births.entry(person_id).or_insert(birth);
            }
        }
        let known = IdSet::new(rows.clone());
        rows.extend(survey.unsure.iter().filter(|(_, person)| known.contains(*person)).map(|(visit, _)| *visit));
        if self.tables.contains(&TableName::new("omop", "visit_detail")) {
            let mut details = Vec::new();
            let sql = "select visit_detail_id, visit_occurrence_id from omop.visit_detail";
            for_each(session, sql, |batch| {
                let pairs = numbers(batch, 0).into_iter().zip(numbers(batch, 1));
                details.extend(pairs.filter(|(id, _)| survey.is_wanted(*id)));
            })
            .await?;
            rows.extend(details.iter().map(|(id, _)| *id));
            survey.directory.visit_of_detail.extend(details);
        }
        survey.directory.rows = IdSet::new(rows);
        if survey.wanted_identifiers.is_empty() {
            return Ok(());
        }
        for (resource_type, name) in [
            ("Patient", "patient"),
            ("Practitioner", "practitioner"),
            ("Organization", "organization"),
            ("Location", "location"),
        ] {
            if !self.tables.contains(&TableName::new("fhir", format!("{name}_identifier"))) {
                continue;
            }
            let sql = format!(
                "select {name}_id, coalesce(system, ''), value from fhir.{name}_identifier \
                 where source_id = '{}' and value is not null",
                quoted(source_id)
            );
            let mut found = Vec::new();
            for_each(session, &sql, |batch| {
                let (ids, systems, values) = (texts(batch, 0), texts(batch, 1), texts(batch, 2));
                for row in 0..batch.num_rows() {
                    for system in [systems[row].as_str(), ""] {
                        let key = identifier_key(resource_type, system, &values[row]);
                        if survey.wanted_identifiers.contains(&key) {
                            found.push((key, Box::<str>::from(ids[row].as_str())));
                        }
                    }
                }
            })
            .await?;
            // A resource that only an identifier names is in the lake; its rows are wanted as well.
            let tables: &[&str] = match resource_type {
                "Patient" => &["person"],
                "Practitioner" => &["provider"],
                _ => &["care_site"],
            };
            let ids = found.iter().flat_map(|(_, id)| {
                tables.iter().map(move |table| omop_key(source_id, &format!("{resource_type}/{id}"), table, ""))
            });
            let mut rows: Vec<i64> = survey.directory.rows.iter().collect();
            rows.extend(ids.filter(|id| !survey.absent.contains(id)));
            survey.directory.rows = IdSet::new(rows);
            for (key, id) in found {
                survey.directory.identifiers.entry(key).or_insert(id);
            }
        }
        Ok(())
    }

    /// Looks up the last visits of the input's persons, among the visits that the input itself does not bring or take.
    async fn last_visits(&self, session: &SessionContext, survey: &mut Survey) -> Result<()> {
        if !self.tables.contains(&TableName::new("omop", "visit_occurrence")) {
            return Ok(());
        }
        let sql = "select visit_occurrence_id, person_id, visit_start_date from omop.visit_occurrence";
        for_each(session, sql, |batch| {
            let visits = numbers(batch, 0).into_iter().zip(numbers(batch, 1)).zip(days(batch, 2));
            for ((visit, person), day) in visits {
                let stays = !survey.directory.rows.contains(visit) && !survey.absent.contains(&visit);
                if let Some(day) = day.filter(|_| stays && survey.directory.rows.contains(person)) {
                    let last = survey.directory.last_visits.entry(person).or_insert(day);
                    *last = day.max(*last);
                }
            }
        })
        .await
    }

    /// Finds the OMOP rows of resources, by table.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn rows_of(
        &self,
        lake: &Lake,
        resources: &HashSet<i64>,
        source_id: &str,
    ) -> Result<BTreeMap<String, HashSet<i64>>> {
        let mut rows: BTreeMap<String, HashSet<i64>> = BTreeMap::new();
        if resources.is_empty() || !self.tables.contains(&TableName::new("quality", "crosswalk")) {
            return Ok(rows);
        }
        let session = lake.session(&AsOf::Latest).await?;
        for_each_trace(&session, source_id, |table, id, resource| {
            if resources.contains(&resource) {
                rows.entry(table.to_owned()).or_default().insert(id);
            }
        })
        .await?;
        Ok(rows)
    }

    /// Finds the resources whose OMOP rows belong to some persons.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn resources_of(&self, lake: &Lake, persons: &HashSet<i64>, source_id: &str) -> Result<HashSet<i64>> {
        let session = lake.session(&AsOf::Latest).await?;
        let mut rows: HashMap<&str, HashSet<i64>> = HashMap::new();
        for table in cdm_tables().filter(|table| table.column("person_id").is_some()) {
            if !self.tables.contains(&TableName::new("omop", table.name)) {
                continue;
            }
            let sql = format!("select {}, person_id as person from omop.{}", key_column(table), table.name);
            for_each(&session, &sql, |batch| {
                let pairs = numbers(batch, 0).into_iter().zip(numbers(batch, 1));
                let theirs = pairs.filter(|(_, person)| persons.contains(person)).map(|(id, _)| id);
                rows.entry(table.name).or_default().extend(theirs);
            })
            .await?;
        }
        let mut resources = HashSet::new();
        for_each_trace(&session, source_id, |table, id, resource| {
            if rows.get(table).is_some_and(|ids| ids.contains(&id)) {
                resources.insert(resource);
            }
        })
        .await?;
        Ok(resources)
    }

    /// Finds the persons of OMOP rows.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn persons_of(&self, lake: &Lake, rows: &BTreeMap<String, HashSet<i64>>) -> Result<HashSet<i64>> {
        let mut persons = HashSet::new();
        let session = lake.session(&AsOf::Latest).await?;
        for (name, ids) in rows {
            let Some(table) = omop::table(name).filter(|table| table.column("person_id").is_some()) else { continue };
            let sql = format!("select {}, person_id as person from omop.{name}", key_column(table));
            for_each(&session, &sql, |batch| {
                let pairs = numbers(batch, 0).into_iter().zip(numbers(batch, 1));
                persons.extend(pairs.filter(|(id, _)| ids.contains(id)).map(|(_, person)| person));
            })
            .await?;
        }
        Ok(persons)
    }
}

/// Hands over the crosswalk of a source: table and id of each row, and the key of the resource that it was made of.
async fn for_each_trace(session: &SessionContext, source_id: &str, mut take: impl FnMut(&str, i64, i64)) -> Result<()> {
    let sql = format!(
        "select omop_id, omop_table, resource_type || '/' || resource_id from quality.crosswalk where source_id = '{}'",
        quoted(source_id)
    );
    for_each(session, &sql, |batch| {
        let (ids, tables, names) = (numbers(batch, 0), texts(batch, 1), texts(batch, 2));
        for (id, (table, name)) in ids.into_iter().zip(tables.iter().zip(names)) {
            take(table, id, omop_key(source_id, &name, "fhir", ""));
        }
    })
    .await
}

/// Finds the locations that no row names any more: several resources share one, so that none can take it along.
///
/// # Errors
/// The tables cannot be read.
pub async fn unused_locations(session: &SessionContext) -> Result<HashSet<i64>> {
    let mut unused = HashSet::new();
    let sql = "select l.location_id from omop.location as l left anti join (select location_id from omop.person \
               union all select location_id from omop.care_site) as used on used.location_id = l.location_id";
    for_each(session, sql, |batch| unused.extend(numbers(batch, 0))).await?;
    Ok(unused)
}

impl Survey {
    fn is_wanted(&self, id: i64) -> bool {
        self.wanted.contains(id) && !self.absent.contains(&id)
    }
}
