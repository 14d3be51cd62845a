//! Where the columns of a model come from, read off its analysed plan.
//!
//! The walk goes from the scans up and keeps, for each output position, the source columns that flow into it. Columns are
//! resolved by qualifier and position, never by bare name. A node that the walk does not know ends it: a model has
//! the lineage of all its columns or, with a note, of none.

mod input;

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Subquery, WindowFunctionDefinition};

pub use input::{Input, Kind, Lineage};
use input::{Inputs, flowing, steering};

/// What is known of one plan node.
#[derive(Clone, Default, PartialEq)]
struct Node {
    columns: Vec<Inputs>,
    rows: Inputs,
}

#[derive(Clone, Default)]
struct Scope {
    /// The rows around a correlated subquery, outermost first.
    outer: Vec<(DFSchema, Vec<Inputs>)>,
    /// The rows so far of recursive queries, by name.
    recursive: BTreeMap<String, Vec<Inputs>>,
}

type Walk<T> = Result<T, String>;

/// The lineage of a plan whose columns are those of `schema`, in order.
pub(crate) fn of(plan: &LogicalPlan, schema: &Schema) -> Lineage {
    match node(plan, &Scope::default()) {
        Ok(found) => {
            let names = schema.fields().iter().map(|field| field.name().clone());
            Lineage { columns: names.zip(found.columns).collect(), rows: found.rows, note: None }
        }
        Err(note) => Lineage { note: Some(note), ..Lineage::default() },
    }
}

fn node(plan: &LogicalPlan, scope: &Scope) -> Walk<Node> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.table_name.to_string();
            if let Some(columns) = scope.recursive.get(&table) {
                return Ok(Node { columns: columns.clone(), rows: Inputs::new() });
            }
            let input = |column: &String| Input { table: table.clone(), column: column.clone(), kind: Kind::Identity };
            let columns = scan.projected_schema.fields().iter().map(|field| Inputs::from([input(field.name())]));
            Ok(Node { columns: columns.collect(), rows: Inputs::new() })
        }
        LogicalPlan::Projection(projection) => {
            let below = node(&projection.input, scope)?;
            over(below, &projection.input, &projection.expr, scope, false)
        }
        LogicalPlan::Window(window) => {
            let below = node(&window.input, scope)?;
            over(below, &window.input, &window.window_expr, scope, true)
        }
        LogicalPlan::Filter(filter) => {
            let mut below = node(&filter.input, scope)?;
            let steers = expression(&filter.predicate, filter.input.schema(), &below.columns, scope)?;
            below.rows.extend(steering(steers, Kind::Filter));
            Ok(below)
        }
        LogicalPlan::Sort(sort) => {
            let mut below = node(&sort.input, scope)?;
            for key in &sort.expr {
                let steers = expression(&key.expr, sort.input.schema(), &below.columns, scope)?;
                below.rows.extend(steering(steers, Kind::Sort));
            }
            Ok(below)
        }
        LogicalPlan::Aggregate(_) => aggregate(plan, scope),
        LogicalPlan::Join(_) => join(plan, scope),
        LogicalPlan::Union(union) => {
            let mut inputs = union.inputs.iter();
            let mut sum = node(inputs.next().ok_or("a union of nothing")?, scope)?;
            for input in inputs {
                merge(&mut sum, node(input, scope)?)?;
            }
            Ok(sum)
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => {
            let below = node(&distinct.input, scope)?;
            let keys = distinct.on_expr.iter().map(|key| (key, Kind::GroupBy));
            let orders = distinct.sort_expr.iter().flatten().map(|key| (&key.expr, Kind::Sort));
            let mut steers = Inputs::new();
            for (key, kind) in keys.chain(orders) {
                steers.extend(steering(expression(key, distinct.input.schema(), &below.columns, scope)?, kind));
            }
            let mut found = over(below, &distinct.input, &distinct.select_expr, scope, false)?;
            found.rows.extend(steers);
            Ok(found)
        }
        LogicalPlan::Unnest(unnest) => {
            let below = node(&unnest.input, scope)?;
            let opened = |index: &usize| {
                unnest.list_type_columns.iter().any(|(column, _)| column == index)
                    || unnest.struct_type_columns.contains(index)
            };
            let columns = unnest.dependency_indices.iter().map(|index| {
                let inputs = below.columns.get(*index).cloned().ok_or("unnest of an unknown column")?;
                Ok(if opened(index) { flowing(inputs, Kind::Transformation) } else { inputs })
            });
            Ok(Node { columns: columns.collect::<Walk<_>>()?, rows: below.rows })
        }
        LogicalPlan::RecursiveQuery(query) => {
            let mut sum = node(&query.static_term, scope)?;
            loop {
                let mut inner = scope.clone();
                inner.recursive.insert(query.name.clone(), sum.columns.clone());
                let mut next = sum.clone();
                merge(&mut next, node(&query.recursive_term, &inner)?)?;
                if next == sum {
                    return Ok(sum);
                }
                sum = next;
            }
        }
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_) => node(plan.inputs().first().ok_or("a node without input")?, scope),
        LogicalPlan::Subquery(subquery) => node(&subquery.subquery, scope),
        LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
            Ok(Node { columns: vec![Inputs::new(); plan.schema().fields().len()], rows: Inputs::new() })
        }
        other => Err(format!("the plan node {} is not followed", other.display())),
    }
}

/// Expressions over a node: in the place of its columns or behind them.
fn over(below: Node, input: &LogicalPlan, expressions: &[Expr], scope: &Scope, keep: bool) -> Walk<Node> {
    let made = expressions
        .iter()
        .map(|made| expression(made, input.schema(), &below.columns, scope))
        .collect::<Walk<Vec<_>>>()?;
    let mut columns = if keep { below.columns } else { Vec::new() };
    columns.extend(made);
    Ok(Node { columns, rows: below.rows })
}

fn aggregate(plan: &LogicalPlan, scope: &Scope) -> Walk<Node> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return Err("not an aggregate".into()) };
    let below = node(&aggregate.input, scope)?;
    let schema = aggregate.input.schema();
    let keys = grouping_set_to_exprlist(&aggregate.group_expr).map_err(|error| error.to_string())?;
    let mut columns = Vec::new();
    let mut groups = Inputs::new();
    for key in &keys {
        let inputs = expression(key, schema, &below.columns, scope)?;
        groups.extend(steering(inputs.clone(), Kind::GroupBy));
        columns.push(inputs);
    }
    // Grouping sets add a column that numbers the set.
    let expected = keys.len() + aggregate.aggr_expr.len();
    columns.extend((expected..aggregate.schema.fields().len()).map(|_| groups.clone()));
    for made in &aggregate.aggr_expr {
        columns.push(expression(made, schema, &below.columns, scope)?);
    }
    let mut rows = below.rows;
    rows.extend(groups);
    Ok(Node { columns, rows })
}

fn join(plan: &LogicalPlan, scope: &Scope) -> Walk<Node> {
    let LogicalPlan::Join(join) = plan else { return Err("not a join".into()) };
    let left = node(&join.left, scope)?;
    let mut lateral = scope.clone();
    lateral.outer.push((join.left.schema().as_ref().clone(), left.columns.clone()));
    let right = node(&join.right, &lateral)?;

    let mut rows = left.rows;
    rows.extend(right.rows);
    for (a, b) in &join.on {
        rows.extend(steering(expression(a, join.left.schema(), &left.columns, scope)?, Kind::Join));
        rows.extend(steering(expression(b, join.right.schema(), &right.columns, scope)?, Kind::Join));
    }
    let mut both = left.columns.clone();
    both.extend(right.columns.iter().cloned());
    if let Some(filter) = &join.filter {
        let schema = join.left.schema().join(join.right.schema()).map_err(|error| error.to_string())?;
        rows.extend(steering(expression(filter, &schema, &both, scope)?, Kind::Join));
    }
    let columns = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => both,
        JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
        JoinType::RightSemi | JoinType::RightAnti => right.columns,
        JoinType::LeftMark => [left.columns, vec![rows.clone()]].concat(),
        JoinType::RightMark => [right.columns, vec![rows.clone()]].concat(),
    };
    Ok(Node { columns, rows })
}

fn expression(made: &Expr, schema: &DFSchema, columns: &[Inputs], scope: &Scope) -> Walk<Inputs> {
    let inner = |made: &Expr| expression(made, schema, columns, scope);
    match made {
        Expr::Column(column) => at(column, schema, columns),
        Expr::OuterReferenceColumn(_, column) => {
            let found = scope.outer.iter().rev().find_map(|(schema, columns)| at(column, schema, columns).ok());
            found.ok_or_else(|| format!("the outer column {column} is not found"))
        }
        Expr::Alias(alias) => inner(&alias.expr),
        Expr::Literal(..) | Expr::ScalarVariable(..) | Expr::Placeholder(_) => Ok(Inputs::new()),
        Expr::AggregateFunction(function) => {
            let mut inputs = flowing(all(&function.params.args, inner)?, Kind::Aggregation);
            if let Some(filter) = &function.params.filter {
                inputs.extend(steering(inner(filter)?, Kind::Conditional));
            }
            for key in &function.params.order_by {
                inputs.extend(steering(inner(&key.expr)?, Kind::Sort));
            }
            Ok(inputs)
        }
        Expr::WindowFunction(function) => {
            let kind = match function.fun {
                WindowFunctionDefinition::AggregateUDF(_) => Kind::Aggregation,
                WindowFunctionDefinition::WindowUDF(_) => Kind::Transformation,
            };
            let mut inputs = flowing(all(&function.params.args, inner)?, kind);
            inputs.extend(steering(all(&function.params.partition_by, inner)?, Kind::Window));
            for key in &function.params.order_by {
                inputs.extend(steering(inner(&key.expr)?, Kind::Window));
            }
            if let Some(filter) = &function.params.filter {
                inputs.extend(steering(inner(filter)?, Kind::Conditional));
            }
            Ok(inputs)
        }
        Expr::Case(case) => {
            let mut inputs = Inputs::new();
            if let Some(subject) = &case.expr {
                inputs.extend(steering(inner(subject)?, Kind::Conditional));
            }
            for (when, then) in &case.when_then_expr {
                inputs.extend(steering(inner(when)?, Kind::Conditional));
                inputs.extend(flowing(inner(then)?, Kind::Transformation));
            }
            if let Some(otherwise) = &case.else_expr {
                inputs.extend(flowing(inner(otherwise)?, Kind::Transformation));
            }
            Ok(inputs)
        }
        Expr::ScalarSubquery(query) => {
            let found = subquery(query, schema, columns, scope)?;
            let mut inputs = flowing(found.columns.into_iter().flatten().collect(), Kind::Transformation);
            inputs.extend(found.rows);
            Ok(inputs)
        }
        Expr::Exists(exists) => Ok(subquery(&exists.subquery, schema, columns, scope)?.rows),
        Expr::InSubquery(test) => membership(&test.expr, &test.subquery, schema, columns, scope),
        Expr::SetComparison(test) => membership(&test.expr, &test.subquery, schema, columns, scope),
        _ => {
            let mut inputs = Inputs::new();
            let mut failed = None;
            made.apply_children(|child| match inner(child) {
                Ok(found) => {
                    inputs.extend(flowing(found, Kind::Transformation));
                    Ok(TreeNodeRecursion::Continue)
                }
                Err(note) => {
                    failed = Some(note);
                    Ok(TreeNodeRecursion::Stop)
                }
            })
            .map_err(|error| error.to_string())?;
            failed.map_or(Ok(inputs), Err)
        }
    }
}

fn all(expressions: &[Expr], one: impl Fn(&Expr) -> Walk<Inputs>) -> Walk<Inputs> {
    Ok(expressions.iter().map(one).collect::<Walk<Vec<_>>>()?.into_iter().flatten().collect())
}

fn membership(tested: &Expr, query: &Subquery, schema: &DFSchema, columns: &[Inputs], scope: &Scope) -> Walk<Inputs> {
    let found = subquery(query, schema, columns, scope)?;
    let mut inputs = flowing(expression(tested, schema, columns, scope)?, Kind::Transformation);
    inputs.extend(steering(found.columns.into_iter().flatten().collect(), Kind::Filter));
    inputs.extend(found.rows);
    Ok(inputs)
}

fn subquery(query: &Subquery, schema: &DFSchema, columns: &[Inputs], scope: &Scope) -> Walk<Node> {
    let mut inner = scope.clone();
    inner.outer.push((schema.clone(), columns.to_vec()));
    node(&query.subquery, &inner)
}

fn at(column: &Column, schema: &DFSchema, columns: &[Inputs]) -> Walk<Inputs> {
    let index = schema.maybe_index_of_column(column).ok_or_else(|| format!("the column {column} is not found"))?;
    columns.get(index).cloned().ok_or_else(|| format!("the column {column} has no position"))
}

fn merge(sum: &mut Node, other: Node) -> Walk<()> {
    if sum.columns.len() != other.columns.len() {
        return Err("the sides of a union have different widths".into());
    }
    for (column, inputs) in sum.columns.iter_mut().zip(other.columns) {
        column.extend(inputs);
    }
    sum.rows.extend(other.rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Fields};

    use super::*;
    use crate::planner::Planner;

    /// `column < inputs; ...` with rows after a bar: `v < a.t.x identity | a.t.y filter`.
    fn lineage(sql: &str) -> String {
        let planner = Planner::new();
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
        let record = DataType::Struct(Fields::from(vec![Field::new("inner", DataType::Int64, true)]));
        let fields = [
            ("x", DataType::Int64),
            ("y", DataType::Int64),
            ("z", DataType::Int64),
            ("list", list),
            ("record", record),
        ];
        let fields = fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec();
        for table in ["a.t", "a.u"] {
            planner.register_empty(table, Arc::new(Schema::new(fields.clone()))).unwrap();
        }
        let plan = planner.plan_now(&planner.parse(sql).unwrap()).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let schema = plan.schema().as_arrow().clone();
        let found = of(&plan, &schema);
        if let Some(note) = found.note {
            return format!("? {note}");
        }
        let told = |inputs: &Inputs| {
            let word = |kind: Kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
            let one = |input: &Input| format!("{}.{} {}", &input.table[2..], input.column, word(input.kind));
            inputs.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let columns =
            schema.fields().iter().map(|field| format!("{} < {}", field.name(), told(&found.columns[field.name()])));
        let columns = columns.collect::<Vec<_>>().join("; ");
        if found.rows.is_empty() { columns } else { format!("{columns} | {}", told(&found.rows)) }
    }

    #[test]
    fn every_construct_keeps_its_columns_apart() {
        for (sql, expected) in [
            ("select x as v, y + 1 as w, 1 as one from a.t", "v < t.x identity; w < t.y transformation; one < "),
            (
                "with c as (select x as k, y from a.t) select y as k, k as y from c",
                "k < t.y identity; y < t.x identity",
            ),
            (
                "select l.x as lx, r.x as rx from a.t as l inner join a.t as r on l.y = r.z",
                "lx < t.x identity; rx < t.x identity | t.y join, t.z join",
            ),
            (
                "select t.x as v from a.t as t left join a.u as u on t.x = u.x and u.y > 3",
                "v < t.x identity | t.x join, u.x join, u.y join",
            ),
            ("select x as v from a.t where y > 0 order by z", "v < t.x identity | t.y filter, t.z sort"),
            (
                "select x as v from a.t where exists (select 1 from a.u where u.y = t.y)",
                "v < t.x identity | t.y filter, u.y filter",
            ),
            (
                "select x as v from a.t where x in (select y from a.u where z = 1)",
                "v < t.x identity | t.x filter, u.y filter, u.z filter",
            ),
            (
                "select (select max(u.y) from a.u as u where u.x = t.x) as v from a.t as t",
                "v < t.x filter, u.x filter, u.y aggregation",
            ),
            (
                "select x as v, y as w from a.t union all select z, x from a.u",
                "v < t.x identity, u.z identity; w < t.y identity, u.x identity",
            ),
            ("select x as v from a.t union select y from a.u", "v < t.x identity, u.y identity"),
            (
                "select sum(x) over (partition by y order by z) as v from a.t",
                "v < t.x aggregation, t.y window, t.z window",
            ),
            (
                "select lag(x) over (order by z) as v, row_number() over (order by y) as n from a.t",
                "v < t.x transformation, t.z window; n < t.y window",
            ),
            (
                "select y as g, count(*) as n, sum(x) filter (where z > 1) as s from a.t group by y",
                "g < t.y identity; n < ; s < t.x aggregation, t.z conditional | t.y group_by",
            ),
            (
                "select x as v, y as w, sum(z) as s from a.t group by grouping sets ((x), (y))",
                "v < t.x identity; w < t.y identity; s < t.z aggregation | t.x group_by, t.y group_by",
            ),
            (
                "select case when x > 1 then y else z end as v from a.t",
                "v < t.x conditional, t.y transformation, t.z transformation",
            ),
            (
                "select coalesce(x, y) as v, cast(z as varchar) as w from a.t",
                "v < t.x transformation, t.y transformation; w < t.z transformation",
            ),
            ("select distinct x as v, y as w from a.t", "v < t.x identity; w < t.y identity"),
            (
                "select distinct on (x) y as v from a.t order by x, z",
                "v < t.y identity | t.x group_by, t.x sort, t.z sort",
            ),
            ("select unnest(list) as v, x as w from a.t", "v < t.list transformation; w < t.x identity"),
            (
                "select list[1] as v, record['inner'] as w from a.t",
                "v < t.list transformation; w < t.record transformation",
            ),
            (
                "with recursive c as (select x as v, y as w from a.t union all select v + 1, z from c inner join a.u on c.w = u.x) \
                 select v, w from c",
                "v < t.x identity, t.x transformation; w < t.y identity, u.z identity | t.y join, u.x join, u.z join",
            ),
            (
                "select t.x as v, l.s as w from a.t as t cross join lateral (select sum(u.y) as s from a.u as u where u.x = t.x) as l",
                "v < t.x identity; w < u.y aggregation | t.x filter, u.x filter",
            ),
            ("select v.n as n, x from (values (1), (2)) as v (n) cross join a.t", "n < ; x < t.x identity"),
            ("select x as v from a.t limit 3", "v < t.x identity"),
        ] {
            assert_eq!(lineage(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_flows_through_two_models_of_a_chain_is_followed() {
        let project = crate::testing::embedded();
        let origins = project.origins("metrics.hba1c_control", "mean_hba1c");
        assert!(origins.contains("omop.measurement.value_as_number"), "{origins:?}");
        assert!(origins.contains("staging.seed_lab_unit.factor"), "{origins:?}");
        let shown = project.show("patient_timeline").unwrap();
        let of = |name: &str| shown.columns.iter().find(|column| column.name == name).unwrap().origins.clone();
        assert_eq!(of("concept_name"), BTreeSet::from(["vocabulary.concept.concept_name".to_owned()]));
        assert_eq!(of("value_as_number").len(), 2);
    }
}
