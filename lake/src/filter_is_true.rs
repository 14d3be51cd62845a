//! A correction of the query engine, for every session over the lake and for whoever plans without one.

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// Makes `filter (where p)` of an aggregate mean `p is true`, as SQL has it: DataFusion 53 counts a row in whose `p` is null
/// (apache/datafusion#22067).
#[derive(Debug)]
pub struct FilterIsTrue;

impl AnalyzerRule for FilterIsTrue {
    fn name(&self) -> &str {
        "filter_is_true"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|node| {
            let names = NamePreserver::new(&node);
            node.map_expressions(|made| {
                let name = names.save(&made);
                Ok(made.transform_up(strict_filter)?.update_data(|made| name.restore(made)))
            })
        })?;
        Ok(rewritten.data)
    }
}

fn strict_filter(made: Expr) -> Result<Transformed<Expr>> {
    let strict = |filter: Option<Box<Expr>>| match filter {
        Some(filter) if !matches!(*filter, Expr::IsTrue(_)) => (Some(Box::new(Expr::IsTrue(filter))), true),
        filter => (filter, false),
    };
    Ok(match made {
        Expr::AggregateFunction(mut function) => {
            let changed;
            (function.params.filter, changed) = strict(function.params.filter);
            Transformed::new_transformed(Expr::AggregateFunction(function), changed)
        }
        Expr::WindowFunction(mut function) => {
            let changed;
            (function.params.filter, changed) = strict(function.params.filter);
            Transformed::new_transformed(Expr::WindowFunction(function), changed)
        }
        other => Transformed::no(other),
    })
}

#[cfg(test)]
mod tests {
    use crate::{AsOf, Config, Lake};

    #[tokio::test]
    async fn a_session_lets_no_row_through_a_filter_that_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(&Config::folder(folder.path())).await.unwrap();
        let session = lake.session(&AsOf::Latest).await.unwrap();
        let sql =
            "select g, count(*) filter (where x < 7) as few from (values (1, 3), (1, null)) as v (g, x) group by g";
        let rows = session.sql(sql).await.unwrap().collect().await.unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        assert!(text.contains("| 1 | 1   |"), "{text}");
    }
}
