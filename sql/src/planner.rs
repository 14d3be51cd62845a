//! A DataFusion session that knows exactly the tables it was told of, for type checks without data and for runs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::datasource::TableProvider;
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::TableReference;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast;
use futures::FutureExt;
use lake::FilterIsTrue;

const CATALOG: &str = "lake";

/// Plans queries over the tables registered with it, and no others.
pub(crate) struct Planner {
    context: SessionContext,
    catalog: Arc<MemoryCatalogProvider>,
}

/// A parsed model: one query and the tables that it names.
pub(crate) struct Query {
    statement: Statement,
    /// Each table as the SQL writes it, without the names of common table expressions.
    pub(crate) references: Vec<TableReference>,
}

impl Planner {
    /// A planner with DataFusion's own settings.
    pub(crate) fn new() -> Planner {
        let config = SessionConfig::new().with_default_catalog_and_schema(CATALOG, "public");
        Planner::with_state(SessionStateBuilder::new().with_config(config).with_default_features().build())
    }

    /// A planner that runs with the memory, settings and functions of another session.
    pub(crate) fn with_state(state: SessionState) -> Planner {
        let mut config = state.config().clone();
        config.options_mut().catalog.default_catalog = CATALOG.to_owned();
        config.options_mut().catalog.create_default_catalog_and_schema = false;
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        let state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_analyzer_rule(Arc::new(FilterIsTrue))
            .build();
        let context = SessionContext::new_with_state(state);
        let catalog = Arc::new(MemoryCatalogProvider::new());
        context.register_catalog(CATALOG, catalog.clone());
        Planner { context, catalog }
    }

    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Makes a table known.
    pub(crate) fn register(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let (namespace, table) = name.split_once('.').unwrap_or(("public", name));
        if self.catalog.schema(namespace).is_none() {
            self.catalog.register_schema(namespace, Arc::new(MemorySchemaProvider::new()))?;
        }
        let reference = TableReference::partial(namespace, table);
        self.context.register_table(reference, provider)?;
        Ok(())
    }

    /// Makes a table known that has columns but no rows.
    pub(crate) fn register_empty(&self, name: &str, schema: SchemaRef) -> Result<()> {
        self.register(name, Arc::new(EmptyTable::new(schema)))
    }

    /// Parses one query; the message says what else was found.
    pub(crate) fn parse(&self, sql: &str) -> Result<Query> {
        let mut statements = DFParser::parse_sql(sql)?;
        let plan_error = |message: String| Err(DataFusionError::Plan(message));
        if statements.len() != 1 {
            return plan_error(format!("a model is one `select`, here are {} statements", statements.len()));
        }
        let statement = statements.pop_front().expect("one statement");
        match &statement {
            Statement::Statement(inner) if matches!(inner.as_ref(), ast::Statement::Query(_)) => {}
            other => {
                let text = other.to_string();
                let word = text.split_whitespace().next().unwrap_or_default().to_lowercase();
                return plan_error(format!("a model is one `select`, here is a statement `{word}`"));
            }
        }
        let references = self.context.state_ref().read().resolve_table_references(&statement)?;
        Ok(Query { statement, references })
    }

    /// Plans a query and coerces its types, without optimising it.
    pub(crate) async fn plan(&self, query: &Query) -> Result<LogicalPlan> {
        let state = self.context.state();
        let plan = state.statement_to_plan(query.statement.clone()).await?;
        state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})
    }

    /// Plans over tables in memory, which never waits.
    pub(crate) fn plan_now(&self, query: &Query) -> Result<LogicalPlan> {
        self.plan(query).now_or_never().expect("tables in memory are there at once")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_filter_that_is_null_lets_no_row_through() {
        let planner = Planner::new();
        let sql = "select g, count(*) filter (where x < 7) as few, sum(x) filter (where x > 1 or y) as total \
                   from (values (1, 3, false), (1, null, null), (1, null, false)) as v (g, x, y) group by g";
        let plan = planner.plan(&planner.parse(sql).unwrap()).await.unwrap();
        let rows = planner.context().execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        assert!(text.contains("| 1 | 1   | 3     |"), "{text}");
    }
}
