//! Joins that outgrow the memory of a lake. A hash join holds one side in memory and cannot spill it, so a query over a
//! large lake would end where one over a small lake does not; a sort-merge join spills.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;

/// Bytes of a text whose length nobody knows.
const TEXT_BYTES: usize = 32;
/// Bytes that the hash table needs for a row beside the row itself.
const HASH_BYTES: usize = 24;

/// Turns a hash join into a sort-merge join when the side that it would hold in memory is estimated to be larger than
/// `build_limit_bytes`. To run right after the sides have been chosen, before distribution and order are enforced.
#[derive(Debug)]
pub struct LargeJoin {
    /// What one join may hold, in bytes.
    pub build_limit_bytes: usize,
}

impl PhysicalOptimizerRule for LargeJoin {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let batches_rows = config.execution.batch_size.saturating_mul(config.execution.target_partitions);
        plan.transform_up(|node| match node.as_any().downcast_ref::<HashJoinExec>() {
            Some(join)
                if can_merge(join) && counted_bytes(join.left.as_ref(), batches_rows) > self.build_limit_bytes =>
            {
                Ok(Transformed::yes(sort_merge(join)?))
            }
            _ => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "large_join"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Says whether the join means the same as a sort-merge join. `not in` over nulls is known to hash joins only. A
/// condition beside the equalities cannot stay in a sort-merge join: DataFusion 53 moves projections below it and leaves
/// the condition's columns where they were. Of an inner join it can stand above.
fn can_merge(join: &HashJoinExec) -> bool {
    !join.null_aware && (join.filter.is_none() || join.join_type == JoinType::Inner)
}

fn sort_merge(join: &HashJoinExec) -> Result<Arc<dyn ExecutionPlan>> {
    let mut merge: Arc<dyn ExecutionPlan> = Arc::new(SortMergeJoinExec::try_new(
        join.left.clone(),
        join.right.clone(),
        join.on.clone(),
        None,
        join.join_type,
        vec![SortOptions::default(); join.on.len()],
        join.null_equality,
    )?);
    if let Some(filter) = &join.filter {
        merge = Arc::new(FilterExec::try_new(above(filter, join.left.schema().fields().len())?, merge)?);
    }
    let Some(kept) = &join.projection else {
        return Ok(merge);
    };
    let schema = merge.schema();
    let column = |index: &usize| {
        let name = schema.field(*index).name();
        ProjectionExpr { expr: Arc::new(Column::new(name, *index)), alias: name.clone() }
    };
    Ok(Arc::new(ProjectionExec::try_new(kept.iter().map(column), merge)?))
}

/// The condition of a join, over the join's columns: those of the left side, then those of the right.
fn above(filter: &JoinFilter, left_columns: usize) -> Result<Arc<dyn PhysicalExpr>> {
    let condition = filter.expression().clone().transform_up(|node| {
        let Some(column) = node.as_any().downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
        let of = &filter.column_indices()[column.index()];
        let index = if of.side == JoinSide::Right { left_columns + of.index } else { of.index };
        Ok(Transformed::yes(Arc::new(Column::new(column.name(), index)) as Arc<dyn PhysicalExpr>))
    });
    condition.data()
}

/// What a join counts for the rows of a plan, as far as statistics tell. An aggregation gives its rows as slices of one
/// batch, and the whole batch is counted for each of them. `batches_rows` are those of one batch in each partition.
fn counted_bytes(plan: &dyn ExecutionPlan, batches_rows: usize) -> usize {
    let rows = row_count(plan);
    let slices = if comes_in_slices(plan) { (rows / batches_rows).max(1) } else { 1 };
    rows.saturating_mul(row_bytes(&plan.schema()).saturating_mul(slices) + HASH_BYTES)
}

fn comes_in_slices(plan: &dyn ExecutionPlan) -> bool {
    match plan.as_any().downcast_ref::<ProjectionExec>() {
        Some(projection) => comes_in_slices(projection.input().as_ref()),
        None => plan.as_any().is::<AggregateExec>(),
    }
}

/// Rows of a plan: what is known, or else its estimate, but not less than half of its largest input. Estimates behind
/// filters are guesses, a fifth for each condition, and a guess too low ends the query.
fn row_count(plan: &dyn ExecutionPlan) -> usize {
    match known_rows(plan) {
        Precision::Exact(rows) => rows,
        estimate => estimate.get_value().copied().unwrap_or(0).max(largest_input(plan) / 2),
    }
}

/// Rows of the largest table that the plan reads.
fn largest_input(plan: &dyn ExecutionPlan) -> usize {
    let inputs = plan.children();
    if inputs.is_empty() {
        return known_rows(plan).get_value().copied().unwrap_or(0);
    }
    inputs.iter().map(|input| largest_input(input.as_ref())).max().unwrap_or(0)
}

fn known_rows(plan: &dyn ExecutionPlan) -> Precision<usize> {
    plan.partition_statistics(None).map_or(Precision::Absent, |known| known.num_rows)
}

fn row_bytes(schema: &Schema) -> usize {
    let bytes = |data_type: &DataType| data_type.primitive_width().unwrap_or(TEXT_BYTES);
    schema.fields().iter().map(|field| bytes(field.data_type())).sum()
}

#[cfg(test)]
mod tests {
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::physical_plan::displayable;
    use tempfile::TempDir;

    use crate::testing::{config, rows};
    use crate::{AsOf, Config, Lake};

    /// The rows of a query over many rows, as text, without a limit and with one, and the joins that it must get.
    async fn found(sql: &str, limit: usize, joins: [&str; 2]) -> Vec<String> {
        let mut found = Vec::new();
        for (limit, join) in [None, Some(limit)].into_iter().zip(joins) {
            let folder = TempDir::new().unwrap();
            let lake = Lake::open(&Config { memory_limit_bytes: limit, ..config(&folder) }).await.unwrap();
            let session = lake.session(&AsOf::Latest).await.unwrap();
            session.register_batch("big", rows(0..60_000)).unwrap();
            let plan = session.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            let shown = displayable(plan.as_ref()).indent(false).to_string();
            assert!(shown.contains(join), "{shown}");
            let ordered = session.sql(&format!("{sql} order by id")).await.unwrap().collect().await.unwrap();
            found.push(pretty_format_batches(&ordered).unwrap().to_string());
        }
        found
    }

    #[tokio::test]
    async fn a_join_that_outgrows_the_memory_is_merged_and_finds_the_same_rows() {
        let sql = "select a.id, b.name from big as a left join \
                   (select distinct id, name from big where value > 17 and name <> 'n3' and id % 2 = 0) as b \
                   on a.id = b.id + 1 where a.id not in (select id from big where id > 40000)";
        let found = found(sql, 12 << 20, ["HashJoinExec", "SortMergeJoinExec"]).await;
        assert!(found[0].lines().count() > 40_000);
        assert!(found[0] == found[1]);
    }

    #[tokio::test]
    async fn slices_of_an_aggregation_count_as_often_as_they_come() {
        let sql = "select b.id, a.name from (select distinct id from big) as b join big as a on a.id = b.id";
        for (limit, join) in [(40 << 20, "HashJoinExec"), (20 << 20, "SortMergeJoinExec")] {
            let found = found(sql, limit, ["HashJoinExec", join]).await;
            assert!(found[0] == found[1]);
        }
    }

    #[tokio::test]
    async fn a_condition_beside_the_equalities_keeps_its_columns() {
        let sql = |kind: &str| {
            format!(
                "select a.id from big as a {kind} join big as b on a.name = b.name and a.id = b.id and a.value + 20000 > b.id"
            )
        };
        for (kind, merged) in [("inner", "SortMergeJoinExec"), ("left", "HashJoinExec"), ("left anti", "HashJoinExec")]
        {
            let found = found(&sql(kind), 12 << 20, ["HashJoinExec", merged]).await;
            assert!(found[0] == found[1], "{kind}");
        }
    }
}
