//! One table of a transaction: the state that it is based on, and what is to become of it.

use std::sync::Arc;

use iceberg::spec::TableMetadata;

use crate::lake::Lake;
use crate::live::LiveFile;
use crate::plan::{Change, Plan};
use crate::snapshot::{Base, Evolution, evolved};
use crate::{Error, Result, TableName, TableSpec, schema};

/// One table of a transaction.
pub(crate) struct Staged {
    pub spec: Option<TableSpec>,
    pub free_schema: bool,
    pub base: Base,
    pub evolution: Option<Evolution>,
    /// The base with the evolution, without a snapshot of its own.
    pub current: Arc<TableMetadata>,
    pub changes: Vec<Change>,
    pub plan: Plan,
}

impl Staged {
    /// Bases a table on a state of it; without one it is made by its spec.
    pub fn open(
        lake: &Lake,
        table: &TableName,
        base: Option<Base>,
        spec: Option<TableSpec>,
        free_schema: bool,
    ) -> Result<Staged> {
        let base = match (base, &spec) {
            (Some(base), _) => base,
            (None, Some(spec)) => {
                let location = lake.inner.location_of(table);
                Base { location: None, metadata: Arc::new(schema::create(spec, location)?) }
            }
            (None, None) => return Err(Error::NoSuchTable(table.clone())),
        };
        let current = base.metadata.clone();
        let (changes, plan) = (Vec::new(), Plan::default());
        let mut staged = Staged { spec, free_schema, base, evolution: None, current, changes, plan };
        staged.fit()?;
        Ok(staged)
    }

    /// Finds the columns that have to come with the commit.
    pub fn fit(&mut self) -> Result<()> {
        let Some(spec) = &self.spec else { return Ok(()) };
        // A second writer's spec builds on the first one's columns.
        if let Some(schema) = schema::evolve(spec, &self.current, self.free_schema)? {
            let sort_order = if self.free_schema { Some(schema::sort_order(spec, &schema)?) } else { None };
            let evolution = Evolution { schema, sort_order };
            let made = evolved(&self.base, Some(&evolution)).map_err(Error::metadata(&spec.name, "made"))?;
            self.current = Arc::new(made);
            self.evolution = Some(evolution);
        }
        Ok(())
    }

    /// Says whether the commit leaves the table as it is.
    pub fn is_still(&self) -> bool {
        self.plan.is_empty() && self.evolution.is_none() && self.base.location.is_some()
    }

    /// The files of the table as it will be after the commit.
    pub async fn live_files(&self, lake: &Lake, table: &TableName) -> Result<Vec<LiveFile>> {
        let base = &self.base.metadata;
        let live = lake.inner.live_files(table, base, base.current_snapshot().map(AsRef::as_ref)).await?;
        let mut files: Vec<LiveFile> = live.iter().filter(|live| !self.plan.removes(&live.file)).cloned().collect();
        let partition_spec_id = self.current.default_partition_spec_id();
        let added = self.plan.add.iter().cloned();
        files.extend(added.map(|file| LiveFile { file, partition_spec_id, deleted: Arc::default() }));
        if let Some(deletes) = &self.plan.deletes {
            for live in &mut files {
                live.deleted =
                    deletes.get(live.file.file_path()).map(|rows| rows.positions.clone()).unwrap_or_default();
            }
        }
        Ok(files)
    }

    /// Says whether files written for another state of the table mean the same in this one.
    pub fn holds_files_of(&self, old: &Staged) -> bool {
        let (now, then) = (self.current.current_schema(), old.current.current_schema());
        let columns = then.as_struct().fields().iter().all(|field| {
            now.field_by_id(field.id).is_some_and(|now| now.name == field.name && now.field_type == field.field_type)
        });
        let required = now.as_struct().fields().iter().filter(|field| field.required);
        columns
            && required.into_iter().all(|field| then.field_by_id(field.id).is_some_and(|then| then.required))
            && self.current.default_partition_spec() == old.current.default_partition_spec()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};

    use crate::testing::{append, lake, query, rows, show, spec, stamp, write};
    use crate::{AsOf, Error, TableSpec};

    #[tokio::test]
    async fn columns_are_added_and_old_rows_have_null_in_them() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..3)).await;
        let mut wider = spec("a");
        let mut fields = vec![Arc::new(Field::new("born", DataType::Date32, false))];
        fields.extend(wider.schema.fields().iter().cloned());
        wider.schema = Arc::new(Schema::new(fields));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Date32Array::from(vec![365]))];
        columns.extend(rows(7..8).columns().iter().cloned());
        append(&lake, "2", &wider, RecordBatch::try_new(wider.schema.clone(), columns).unwrap()).await;
        assert_eq!(query(&lake, "select id, born from t.a order by id").await, "0\n1\n2\n7 1971-01-01");
        assert_eq!(query(&lake, "select id from t.a where born is null and id > 0 order by id").await, "1\n2");
        assert_eq!(query(&lake, "select id from t.a where born > date '1970-06-01'").await, "7");
        // Rows of the old shape still fit.
        append(&lake, "3", &spec("a"), rows(8..9)).await;
        assert_eq!(query(&lake, "select count(*), count(born) from t.a").await, "5 1");
    }

    #[tokio::test]
    async fn a_type_changes_only_when_allowed_and_the_table_is_replaced_whole() {
        let (_folder, lake) = lake().await;
        append(&lake, "1", &spec("a"), rows(0..3)).await;
        let changed = TableSpec {
            schema: Arc::new(Schema::new(vec![
                Field::new("value", DataType::Int64, true),
                Field::new("id", DataType::Int64, false),
            ])),
            ..spec("a")
        };
        let column: ArrayRef = Arc::new(Int64Array::from(vec![41, 42]));
        let batch = RecordBatch::try_new(changed.schema.clone(), vec![column.clone(), column]).unwrap();
        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        assert!(matches!(transaction.writer(&changed).await, Err(Error::TypeChange { .. })));
        drop(transaction);

        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        transaction.allow_schema_change(&changed.name);
        let files = write(&mut transaction, &changed, std::slice::from_ref(&batch)).await;
        transaction.append(&changed.name, files);
        assert!(matches!(transaction.commit().await, Err(Error::PartialSchemaChange(_))));

        let mut transaction = lake.begin(stamp("2")).await.unwrap();
        transaction.allow_schema_change(&changed.name);
        let files = write(&mut transaction, &changed, &[batch]).await;
        transaction.replace(&changed.name, files);
        transaction.commit().await.unwrap();
        assert_eq!(query(&lake, "select * from t.a order by id").await, "41 41\n42 42");
        let then = lake.session(&AsOf::Run("1".to_string())).await.unwrap();
        assert_eq!(show(&then, "select * from t.a where id = 2").await, "2 n2 1.0");
    }
}
