//! What the lake holds already of the resources of the input: for runs that are not the first. Rows are found by key, so
//! that few columns are read, and of most of them only what the input asks for.

mod definition;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use datafusion::prelude::SessionContext;
use lake::{AsOf, Lake, TableName};
use model::omop::key::omop_key;

use crate::error::{Error, Result};
use crate::id_set::IdSet;
use crate::made;
use crate::merge;
use crate::query::{days, for_each, micros, numbers, quoted, sought, texts};
use crate::reference::identifier_key;
use crate::survey::Survey;
use crate::trace::crosswalk;
use crate::view::View;

/// The hash of no mapping: tables disagree, since a view was away for a while.
const OUTDATED: i64 = i64::MIN;

/// What the lake holds already.
#[derive(Default)]
pub struct Existing {
    /// Mapping hashes by resource key, of resources that the input has too.
    pub mapping_hashes: HashMap<i64, i64>,
    /// `meta.lastUpdated` of these, in microseconds, where they tell it.
    last_updated: HashMap<i64, i64>,
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
        if existing.tables.contains(&TableName::new("omop", "person")) {
            let count = made::count_made(&session, source_id).await?;
            if count > 0 {
                return Err(Error::SourceIsMade { source_id: source_id.to_owned(), count });
            }
        }
        if existing.tables.contains(&crosswalk()) {
            // A lake whose crosswalk does not know the keys would keep rows that have to go.
            lake.find(&crosswalk(), "resource_key", &sought([]), &[]).await?;
        }
        let ours = sought(survey.keys.iter());
        for view in views {
            let table = TableName::new("fhir", &view.name);
            if !existing.tables.contains(&table) {
                continue;
            }
            if complete {
                let sql =
                    format!("select resource_key from fhir.{} where source_id = '{}'", view.name, quoted(source_id));
                for_each(&session, &sql, |batch| {
                    let lacks = |key: &i64| !survey.keys.contains(*key);
                    existing.absent.extend(numbers(batch, 0).into_iter().filter(lacks));
                })
                .await?;
            }
            let columns = ["resource_key", "mapping_hash", "last_updated"];
            for batch in lake.find(&table, "resource_key", &ours, &columns).await? {
                let moments = numbers(&batch, 0).into_iter().zip(micros(&batch, 2));
                existing.last_updated.extend(moments.filter_map(|(key, moment)| Some((key, moment?))));
                for (key, hash) in numbers(&batch, 0).into_iter().zip(numbers(&batch, 1)) {
                    let known = existing.mapping_hashes.entry(key).or_insert(hash);
                    if *known != hash {
                        *known = OUTDATED;
                    }
                }
            }
        }
        if existing.tables.contains(&TableName::new("omop", "location")) {
            for_each(&session, "select location_id from omop.location", |batch| {
                existing.locations.extend(numbers(batch, 0));
            })
            .await?;
        }
        existing.complete_directory(lake, &session, survey, source_id).await?;
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

    /// True when the lake has a version of the resource that is newer than that moment.
    pub fn is_newer(&self, resource_key: i64, moment: Option<i64>) -> bool {
        let held = self.last_updated.get(&resource_key);
        held.zip(moment).is_some_and(|(held, moment)| moment < *held)
    }

    async fn complete_directory(
        &self,
        lake: &Lake,
        session: &SessionContext,
        survey: &mut Survey,
        source_id: &str,
    ) -> Result<()> {
        self.merges(session, survey, source_id).await?;
        self.last_visits(lake, survey).await?;
        self.definitions(lake, survey).await?;
        self.roles(lake, survey, source_id).await?;
        let wanted = sought(survey.wanted.iter().filter(|id| !survey.absent.contains(id)));
        let mut rows: Vec<i64> = survey.directory.rows.iter().collect();
        for name in ["provider", "care_site", "visit_occurrence", "payer_plan_period", "cost"] {
            let table = TableName::new("omop", name);
            if self.tables.contains(&table) {
                let key = format!("{name}_id");
                let found = lake.find(&table, &key, &wanted, &[&key]).await?;
                rows.extend(found.iter().flat_map(|batch| numbers(batch, 0)));
            }
        }
        let person = TableName::new("omop", "person");
        if self.tables.contains(&person) {
            let columns = ["person_id", "year_of_birth", "month_of_birth", "day_of_birth"];
            for batch in lake.find(&person, "person_id", &wanted, &columns).await? {
                let [ids, years, months, days] = [0, 1, 2, 3].map(|column| numbers(&batch, column));
                rows.extend(&ids);
                for (row, id) in ids.into_iter().enumerate() {
                    let (month, day) = (months[row].max(1) as u32, days[row].max(1) as u32);
                    if let Some(birth) = NaiveDate::from_ymd_opt(years[row] as i32, month, day) {
                        survey.directory.births.entry(id).or_insert(birth);
                    }
                }
            }
        }
        let known = IdSet::new(rows.clone());
        let heir = |person_id: i64| survey.directory.heir(person_id);
        rows.extend(survey.unsure.iter().filter(|(_, person)| known.contains(heir(*person))).map(|(visit, _)| *visit));
        let detail = TableName::new("omop", "visit_detail");
        if self.tables.contains(&detail) {
            let columns = ["visit_detail_id", "visit_occurrence_id"];
            for batch in lake.find(&detail, "visit_detail_id", &wanted, &columns).await? {
                let details = numbers(&batch, 0);
                rows.extend(&details);
                survey.directory.visit_of_detail.extend(details.into_iter().zip(numbers(&batch, 1)));
            }
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
            // A resource that only an identifier names is in the lake, and its row perhaps as well.
            let table = match resource_type {
                "Patient" => "person",
                "Practitioner" => "provider",
                _ => "care_site",
            };
            let key = format!("{table}_id");
            let row_of = |id: &str| omop_key(source_id, &format!("{resource_type}/{id}"), table, "");
            let named = found.iter().map(|(_, id)| survey.directory.heir(row_of(id)));
            let named = sought(named.filter(|id| !survey.absent.contains(id)));
            let mut rows: Vec<i64> = survey.directory.rows.iter().collect();
            for batch in lake.find(&TableName::new("omop", table), &key, &named, &[&key]).await? {
                rows.extend(numbers(&batch, 0));
            }
            survey.directory.rows = IdSet::new(rows);
            for (key, id) in found {
                survey.directory.identifiers.entry(key).or_insert(id);
            }
        }
        Ok(())
    }

    /// Adds whose records were merged into whose, where the input does not tell of these Patients; the heirs' rows are
    /// wanted then.
    async fn merges(&self, session: &SessionContext, survey: &mut Survey, source_id: &str) -> Result<()> {
        if !self.tables.contains(&TableName::new("fhir", "patient")) {
            return Ok(());
        }
        let known = merge::known(session, source_id).await?;
        let lacking = known.into_iter().filter(|(key, ..)| !survey.keys.contains(*key) && !self.absent.contains(key));
        survey.directory.merged.extend(lacking.map(|(_, person_id, heir)| (person_id, heir)));
        if !survey.directory.merged.is_empty() {
            let mut wanted: Vec<i64> = survey.wanted.iter().collect();
            wanted.extend(survey.directory.merged.values().map(|person_id| survey.directory.heir(*person_id)));
            survey.wanted = IdSet::new(wanted);
        }
        Ok(())
    }

    /// Looks up the last visits of the input's persons, among the visits that the input itself does not bring or take.
    async fn last_visits(&self, lake: &Lake, survey: &mut Survey) -> Result<()> {
        let visit = TableName::new("omop", "visit_occurrence");
        if !self.tables.contains(&visit) {
            return Ok(());
        }
        let columns = ["visit_occurrence_id", "person_id", "visit_start_date"];
        let directory = &mut survey.directory;
        let persons = sought(directory.rows.iter().chain(directory.merged.keys().copied()));
        for batch in lake.find(&visit, "person_id", &persons, &columns).await? {
            let visits = numbers(&batch, 0).into_iter().zip(numbers(&batch, 1)).zip(days(&batch, 2));
            for ((visit, person), day) in visits {
                let stays = !directory.rows.contains(visit) && !survey.absent.contains(&visit);
                if let Some(day) = day.filter(|_| stays) {
                    let last = directory.last_visits.entry(directory.heir(person)).or_insert(day);
                    *last = day.max(*last);
                }
            }
        }
        Ok(())
    }
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
