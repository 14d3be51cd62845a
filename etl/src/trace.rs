//! From resources to their OMOP rows and back, by the crosswalk, for what an earlier run left in the lake.

use std::collections::{BTreeMap, HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use lake::{Lake, TableName};
use model::omop;
use model::quality::CROSSWALK;

use crate::error::Result;
use crate::existing::Existing;
use crate::load::{cdm_tables, key_column};
use crate::query::{numbers, sought};

/// The table that knows which resource made which row.
pub fn crosswalk() -> TableName {
    TableName::new("quality", CROSSWALK.name)
}

impl Existing {
    /// Finds the OMOP rows of resources, by table.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn rows_of(&self, lake: &Lake, resources: &HashSet<i64>) -> Result<BTreeMap<String, HashSet<i64>>> {
        let mut rows: BTreeMap<String, HashSet<i64>> = BTreeMap::new();
        if resources.is_empty() || !self.tables.contains(&crosswalk()) {
            return Ok(rows);
        }
        let keys = sought(resources.iter().copied());
        for batch in lake.find(&crosswalk(), "resource_key", &keys, &["omop_table", "omop_id"]).await? {
            for_each_row(&batch, |table, id| match rows.get_mut(table) {
                Some(ids) => {
                    ids.insert(id);
                }
                None => {
                    rows.insert(table.to_owned(), HashSet::from([id]));
                }
            });
        }
        Ok(rows)
    }

    /// Finds the resources whose OMOP rows belong to some persons.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn resources_of(&self, lake: &Lake, persons: &HashSet<i64>) -> Result<HashSet<i64>> {
        let (mut resources, mut rows) = (HashSet::new(), HashMap::new());
        if !self.tables.contains(&crosswalk()) {
            return Ok(resources);
        }
        let theirs = sought(persons.iter().copied());
        for table in cdm_tables().filter(|table| table.column("person_id").is_some()) {
            let name = TableName::new("omop", table.name);
            if self.tables.contains(&name) {
                let found = lake.find(&name, "person_id", &theirs, &[key_column(table)]).await?;
                let ids: HashSet<i64> = found.iter().flat_map(|batch| numbers(batch, 0)).collect();
                rows.insert(table.name, ids);
            }
        }
        let keys = sought(rows.values().flatten().copied());
        let columns = ["omop_table", "omop_id", "resource_key"];
        for batch in lake.find(&crosswalk(), "omop_id", &keys, &columns).await? {
            let mut of_rows = numbers(&batch, 2).into_iter();
            for_each_row(&batch, |table, id| {
                let resource = of_rows.next().filter(|_| rows.get(table).is_some_and(|ids| ids.contains(&id)));
                resources.extend(resource);
            });
        }
        Ok(resources)
    }

    /// Finds the persons of OMOP rows.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn persons_of(&self, lake: &Lake, rows: &BTreeMap<String, HashSet<i64>>) -> Result<HashSet<i64>> {
        let mut persons = HashSet::new();
        for (name, ids) in rows {
            let Some(table) = omop::table(name).filter(|table| table.column("person_id").is_some()) else { continue };
            let keys = sought(ids.iter().copied());
            let found = lake.find(&TableName::new("omop", name), key_column(table), &keys, &["person_id"]).await?;
            persons.extend(found.iter().flat_map(|batch| numbers(batch, 0)));
        }
        Ok(persons)
    }
}

/// Hands over table and id of each row of the crosswalk.
fn for_each_row(batch: &RecordBatch, mut take: impl FnMut(&str, i64)) {
    let Some(tables) = batch.column(0).as_string_opt::<i32>() else { return };
    tables.iter().zip(numbers(batch, 1)).for_each(|(table, id)| take(table.unwrap_or_default(), id));
}
