//! The forms in which a check is asked. Each form yields the check's own SQL, which a person can run by hand;
//! the form says how many checks can share one scan (see `answer.rs`).

use model::quality::{Category, Check};

use crate::spec::judgement;

/// A check in the form in which it is answered.
pub(crate) enum Question {
    /// About each row of a table or join: all of one `from` share a scan.
    Row(RowCheck),
    /// About each concept used in a column: all of one table share a scan of its distinct concepts.
    Concept(ConceptCheck),
    /// Anything else: its own query.
    Query(Check),
    /// Known from the catalog, without reading a row.
    Known(Check, Known),
}

/// The answer of a check that needs no query.
pub(crate) struct Known {
    pub row_count: u64,
    pub violation_count: u64,
    pub message: Option<String>,
}

/// Counts the rows of `from` (with `joins`) where `applies`, and those of them where `violates`.
pub(crate) struct RowCheck {
    pub check: Check,
    pub from: String,
    pub joins: Vec<String>,
    pub applies: String,
    pub violates: String,
}

/// Counts the rows of a table by the concept `u.concept_id` in one column, `c` being its row in the vocabulary.
pub(crate) struct ConceptCheck {
    pub check: Check,
    pub column: String,
    pub violates: String,
}

impl Question {
    /// The check itself.
    pub fn check(&self) -> &Check {
        match self {
            Question::Row(RowCheck { check, .. }) | Question::Concept(ConceptCheck { check, .. }) => check,
            Question::Query(check) | Question::Known(check, _) => check,
        }
    }
}

/// A check with its judgement from the specification tables and no SQL yet.
pub(crate) fn check(
    category: Category,
    name: &str,
    table: &str,
    column: Option<&str>,
    description: impl Into<String>,
) -> Check {
    let judgement = judgement(name, table, column);
    let place = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
    Check {
        id: format!("{name}/{place}"),
        name: name.to_owned(),
        category,
        severity: judgement.severity,
        table: table.to_owned(),
        column: column.map(str::to_owned),
        description: description.into(),
        threshold_percent: judgement.threshold_percent,
        sql: String::new(),
    }
}

/// A check over the rows `t` of the check's table.
pub(crate) fn row_check(check: Check, joins: Vec<String>, applies: &str, violates: &str) -> Question {
    let from = format!("{} as t", check.table);
    join_check(check, from, joins, applies, violates)
}

/// A check over the rows of a join.
pub(crate) fn join_check(
    mut check: Check,
    from: String,
    joins: Vec<String>,
    applies: &str,
    violates: &str,
) -> Question {
    check.sql = format!(
        "select {} as row_count, {} as violation_count\nfrom {from}{}",
        count(applies),
        count(&both(applies, violates)),
        lines(&joins)
    );
    Question::Row(RowCheck { check, from, joins, applies: applies.into(), violates: violates.into() })
}

/// A check over the concepts of one column.
pub(crate) fn concept_check(mut check: Check, column: &str, violates: &str) -> Question {
    check.sql = format!(
        "select count(*) as row_count, {} as violation_count\n\
         from (select {column} as concept_id from {} where {column} is not null) as u\n\
         left join vocabulary.concept as c on c.concept_id = u.concept_id",
        count(violates),
        check.table
    );
    Question::Concept(ConceptCheck { check, column: column.into(), violates: violates.into() })
}

/// A check with a query of its own.
pub(crate) fn query_check(mut check: Check, sql: impl Into<String>) -> Question {
    check.sql = sql.into();
    Question::Query(check)
}

/// `count(*)` of the rows that fulfil a condition.
pub(crate) fn count(condition: &str) -> String {
    if condition == "true" { "count(*)".into() } else { format!("count(*) filter (where {condition})") }
}

/// Both conditions at once.
pub(crate) fn both(first: &str, second: &str) -> String {
    if first == "true" { second.to_owned() } else { format!("({first}) and ({second})") }
}

/// Joins as lines behind a `from`.
pub(crate) fn lines(joins: &[String]) -> String {
    joins.iter().map(|join| format!("\n{join}")).collect()
}

const WITHIN: &str = "/*within ";
const WITHIN_END: &str = "*/true";

/// A condition that is true, until [`pass`] makes it select one share of the rows by a bigint expression.
/// Both sides of a join on the expression carry it, so that a very large join is answered in several small ones.
pub(crate) fn within(expression: &str) -> String {
    format!("{WITHIN}{expression}{WITHIN_END}")
}

/// [`within`] for a text column such as a logical id.
pub(crate) fn within_text(column: &str) -> String {
    within(&format!("ascii(right({column}, 1))"))
}

/// True when the query can be cut into passes.
pub(crate) fn has_passes(sql: &str) -> bool {
    sql.contains(WITHIN)
}

/// The query for one of several passes over the data.
pub(crate) fn pass(sql: &str, index: u64, of: u64) -> String {
    let mut rest = sql;
    let mut cut = String::with_capacity(sql.len());
    while let Some((before, after)) = rest.split_once(WITHIN) {
        let Some((expression, after)) = after.split_once(WITHIN_END) else { break };
        cut.push_str(before);
        cut.push_str(&format!("({expression}) % {of} = {index}"));
        rest = after;
    }
    cut + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_cut_where_it_says_so() {
        let sql = format!("select 1 from a join b on {} and {} and x", within("a.id"), within_text("b.name"));
        assert_eq!(
            pass(&sql, 2, 5),
            "select 1 from a join b on (a.id) % 5 = 2 and (ascii(right(b.name, 1))) % 5 = 2 and x"
        );
        assert_eq!(pass("select 1", 2, 5), "select 1");
        assert!(has_passes(&sql) && !has_passes("select 1"));
    }
}
