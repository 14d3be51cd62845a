//! A table as DataFusion sees it. Files come from the manifests, are left out by their bounds, and are cut at row
//! groups so that every core reads its share. Deleted rows are left out by position.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema as ArrowSchema, SchemaRef as ArrowSchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result as QueryResult, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use iceberg::spec::{DataFile, Schema};
use object_store::ObjectMeta;
use parquet::file::metadata::ParquetMetaData;

use crate::field_id::ByFieldId;
use crate::live::LiveFile;
use crate::position_delete::kept_rows;
use crate::schema::{file_schema, query_schema};
use crate::statistics::{may_match, of_file, of_scan};
use crate::store::{Store, shown};
use crate::{Error, Result, TableName};

/// Less than this is not worth another partition.
const PARTITION_BYTES: u64 = 512 << 10;
const BYTES_OF_FOOTER: usize = 64 << 10;

/// What is read of files that have deleted rows, by their place in the list.
type Access = HashMap<usize, Arc<ParquetAccessPlan>>;

/// One table at one snapshot.
#[derive(Debug)]
pub(crate) struct LakeTable {
    store: Store,
    schema: ArrowSchemaRef,
    files: Arc<Vec<LiveFile>>,
    statistics: Vec<Arc<Statistics>>,
    by_field_id: Arc<ByFieldId>,
}

impl LakeTable {
    pub fn new(store: &Store, table: &TableName, schema: &Schema, files: Arc<Vec<LiveFile>>) -> Result<LakeTable> {
        let with_ids: Arc<ArrowSchema> = file_schema(table, schema)?;
        let statistics = files.iter().map(|file| Arc::new(of_file(&file.file, schema))).collect();
        let by_field_id = Arc::new(ByFieldId::new(&with_ids));
        Ok(LakeTable { store: store.clone(), schema: query_schema(&with_ids), files, statistics, by_field_id })
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> ArrowSchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(of_scan(&self.statistics, self.deleted_rows(0..self.files.len()), &self.schema))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> QueryResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> QueryResult<Arc<dyn ExecutionPlan>> {
        let predicate = match conjunction(filters.to_vec()) {
            Some(filter) => Some(session.create_physical_expr(filter, &DFSchema::try_from(self.schema.clone())?)?),
            None => None,
        };
        let keep = match &predicate {
            Some(predicate) => may_match(predicate, &self.statistics, &self.schema),
            None => vec![true; self.files.len()],
        };
        let kept: Vec<usize> = (0..self.files.len()).filter(|index| keep[*index]).collect();
        if kept.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => self.schema.clone(),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let kept_statistics: Vec<_> = kept.iter().map(|index| self.statistics[*index].clone()).collect();

        let store_url = self.store.url();
        let runtime = session.runtime_env();
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let store = runtime.object_store(&store_url)?;
        let mut access = Access::new();
        for index in kept.iter().filter(|index| !self.files[**index].deleted.is_empty()) {
            let meta = self.object_meta(*index)?;
            let footer = DFParquetMetadata::new(store.as_ref(), &meta)
                .with_metadata_size_hint(Some(BYTES_OF_FOOTER))
                .with_file_metadata_cache(Some(footers.clone()));
            let footer = footer.fetch_metadata().await?;
            access.insert(*index, Arc::new(access_plan(&self.files[*index].deleted, &footer)));
        }
        let groups = self.groups(&kept, session.config().target_partitions(), &access)?;
        let reader = CachedParquetFileReaderFactory::new(store, footers);
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(session.default_table_options().parquet)
            .with_metadata_size_hint(BYTES_OF_FOOTER)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let config = FileScanConfigBuilder::new(store_url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(of_scan(&kept_statistics, self.deleted_rows(kept.iter().copied()), &self.schema))
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            // Otherwise a limit is met by row groups taken whole, deleted rows included.
            .with_preserve_order(!access.is_empty())
            .with_expr_adapter(Some(self.by_field_id.clone()))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Row groups of one file that lie together.
struct Piece {
    file: usize,
    start: u64,
    end: u64,
}

impl LakeTable {
    fn deleted_rows(&self, files: impl Iterator<Item = usize>) -> usize {
        files.map(|index| self.files[index].deleted.len()).sum()
    }

    /// Deals the row groups out to partitions of about the same size.
    fn groups(&self, kept: &[usize], target: usize, access: &Access) -> QueryResult<Vec<FileGroup>> {
        let pieces: Vec<Piece> = kept.iter().flat_map(|index| pieces(*index, &self.files[*index].file)).collect();
        let total: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
        let count = usize::try_from(total / PARTITION_BYTES).unwrap_or(target).clamp(1, target.max(1)) as u64;
        let mut groups: Vec<Vec<Piece>> = (0..count).map(|_| Vec::new()).collect();
        let mut before = 0;
        for piece in pieces {
            let size = piece.end - piece.start;
            // The partition in which the middle of the piece falls.
            let place = (before + size / 2).saturating_mul(count) / total.max(1);
            let group = &mut groups[usize::try_from(place.min(count - 1)).unwrap_or(0)];
            before += size;
            match group.last_mut() {
                Some(last) if last.file == piece.file && last.end == piece.start => last.end = piece.end,
                _ => group.push(piece),
            }
        }
        groups
            .into_iter()
            .filter(|group| !group.is_empty())
            .map(|group| {
                let parts = group.iter().map(|piece| self.part(piece, access.get(&piece.file)));
                Ok(FileGroup::new(parts.collect::<Result<_>>()?))
            })
            .collect()
    }

    /// A file as the store names it.
    fn object_meta(&self, file: usize) -> Result<ObjectMeta> {
        let file = &self.files[file].file;
        let location = self.store.path(file.file_path()).map_err(Error::file(shown(file.file_path()), "read"))?;
        // Data files never change, so that their age says nothing.
        let size = file.file_size_in_bytes();
        Ok(ObjectMeta { location, last_modified: Default::default(), size, e_tag: None, version: None })
    }

    fn part(&self, piece: &Piece, access: Option<&Arc<ParquetAccessPlan>>) -> Result<PartitionedFile> {
        let meta = self.object_meta(piece.file)?;
        let whole = piece.start == 0 && piece.end == meta.size;
        let mut part = PartitionedFile::new_from_meta(meta).with_statistics(self.statistics[piece.file].clone());
        if let Some(access) = access {
            part = part.with_extensions(access.clone());
        }
        Ok(if whole { part } else { part.with_range(piece.start.cast_signed(), piece.end.cast_signed()) })
    }
}

/// Leaves out the deleted rows of each row group.
fn access_plan(deleted: &[u64], footer: &ParquetMetaData) -> ParquetAccessPlan {
    let groups = || footer.row_groups().iter().map(|group| usize::try_from(group.num_rows()).unwrap_or_default());
    let mut rest = kept_rows(deleted, groups().sum());
    let access = groups().map(|rows| {
        let kept = rest.split_off(rows);
        match kept.row_count() {
            0 => RowGroupAccess::Skip,
            count if count == rows => RowGroupAccess::Scan,
            _ => RowGroupAccess::Selection(kept),
        }
    });
    ParquetAccessPlan::new(access.collect())
}

/// Cuts a file where its row groups begin.
fn pieces(index: usize, file: &DataFile) -> Vec<Piece> {
    let size = file.file_size_in_bytes();
    let mut cuts: Vec<u64> = match file.split_offsets() {
        Some(offsets) => offsets.iter().skip(1).map(|offset| offset.unsigned_abs()).collect(),
        None => Vec::new(),
    };
    if !cuts.is_sorted() || cuts.iter().any(|cut| *cut == 0 || *cut >= size) {
        cuts.clear();
    }
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain(std::iter::once(size));
    starts.zip(ends).map(|(start, end)| Piece { file: index, start, end }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use arrow::compute::concat_batches;
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::displayable;

    use crate::testing::{append, lake, query, rows, show, spec, stamp, write};
    use crate::{AsOf, Lake};

    async fn large() -> (tempfile::TempDir, Lake, RecordBatch) {
        let (folder, lake) = lake().await;
        let mut transaction = lake.begin(stamp("1")).await.unwrap();
        // Scattered ids, so that nothing compresses away.
        let batches: Vec<RecordBatch> = (0..60)
            .map(|part| rows((0..10_000).map(move |row: i64| (part * 10_000 + row) * 7_919 % 1_000_003)))
            .collect();
        let files = write(&mut transaction, &spec("a"), &batches).await;
        assert_eq!(files.files.len(), 1);
        transaction.append(&spec("a").name, files);
        transaction.commit().await.unwrap();
        append(&lake, "2", &spec("a"), rows(2_000_000..2_000_100)).await;
        let mut all = batches;
        all.push(rows(2_000_000..2_000_100));
        (folder, lake, concat_batches(&spec("a").schema, &all).unwrap())
    }

    #[tokio::test]
    async fn a_scan_has_a_partition_per_core_and_the_rows_of_a_plain_read() {
        let (_folder, lake, all) = large().await;
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let plan = session.sql("select id, value from t.a").await.unwrap().create_physical_plan().await.unwrap();
        use datafusion::physical_plan::ExecutionPlanProperties;
        assert_eq!(plan.output_partitioning().partition_count(), 2, "{}", displayable(plan.as_ref()).indent(true));
        let memory = MemTable::try_new(spec("a").schema, vec![vec![all]]).unwrap();
        session.register_table("plain", Arc::new(memory)).unwrap();
        for query in [
            "select count(*), sum(id), min(value), max(value), min(name), max(name), count(name) from {}",
            "select name, count(*), sum(value) from {} where id % 3 = 0 group by name order by name",
            "select id, value from {} where id between 1000 and 1050 order by id",
            "select count(*) from {} where name = 'n3' and value > 1000.5",
            "select max(id) from {} where name is null",
            "select value from {} where id >= 2000050 order by value limit 5",
            "select distinct name from {} where name like '%4'",
        ] {
            let ours = show(&session, &query.replace("{}", "t.a")).await;
            let plain = show(&session, &query.replace("{}", "plain")).await;
            assert_eq!(ours, plain, "{query}");
        }
    }

    #[tokio::test]
    async fn files_whose_bounds_exclude_a_filter_are_not_read() {
        let (_folder, lake, _) = large().await;
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let files = async |sql: &str| {
            let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            displayable(plan.as_ref()).indent(true).to_string().matches(".parquet").count()
        };
        assert!(files("select id from t.a").await >= 2);
        assert_eq!(files("select id from t.a where id > 1900000").await, 1);
        assert_eq!(files("select id from t.a where id < -5").await, 0);
        // The planner knows the count without a scan.
        assert_eq!(files("select count(*), max(id) from t.a").await, 0);
        assert_eq!(query(&lake, "select count(*), max(id) from t.a").await, "600100 2000099");
    }

    #[tokio::test]
    async fn a_limit_and_a_column_less_scan_work() {
        let (_folder, lake, _) = large().await;
        assert_eq!(query(&lake, "select count(*) from (select 1 from t.a limit 10)").await, "10");
        assert_eq!(query(&lake, "select count(*) from t.a a join t.a b on a.id = b.id where a.id < 100").await, "60");
    }
}
