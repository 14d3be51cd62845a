//! The forms in which a check is asked. Each form yields the check's own SQL, which a person can run by hand;
//! the form says how many checks can share one scan (see `answer.rs`).

use model::quality::{Category, Check};

use crate::spec::judgement;

/// A check in the form in which it is answered.
pub(crate) enum Question {
    /// Sums over the rows of a table or join: all of one `from` share a scan.
    Row(RowCheck),
    /// True when sums over a table equal known ones; otherwise its own query says how far it is not.
    Digest(DigestCheck),
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

/// Two aggregates over the rows of `from` with `joins`: rows looked at, and rows violating.
pub(crate) struct RowCheck {
    pub check: Check,
    pub from: String,
    pub joins: Vec<String>,
    pub rows: String,
    pub violations: String,
    /// True when an empty table leaves nothing to ask.
    pub only_with_rows: bool,
}

/// No row violates when each of the aggregates over `from` has its known value.
pub(crate) struct DigestCheck {
    pub check: Check,
    pub from: String,
    pub rows: String,
    pub known: Vec<(String, u64)>,
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
            Question::Digest(DigestCheck { check, .. }) | Question::Query(check) | Question::Known(check, _) => check,
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
    let (rows, violations) = (count(applies), count(&both(applies, violates)));
    check.sql = format!("select {rows} as row_count, {violations} as violation_count\nfrom {from}{}", lines(&joins));
    Question::Row(RowCheck { check, from, joins, rows, violations, only_with_rows: true })
}

/// A check about people: an aggregate over their rows `t`, joined with `person`.
pub(crate) fn people_check(mut check: Check, person: String, people: u64, sql: String) -> Question {
    check.sql = sql;
    let from = format!("{} as t", check.table);
    let violations = format!("{people} - count(distinct case when person.person_id is not null then t.person_id end)");
    Question::Row(RowCheck {
        check,
        from,
        joins: vec![person],
        rows: format!("max({people})"),
        violations,
        only_with_rows: false,
    })
}

/// A check that came with its own query: where its form allows, it shares the scan of others.
pub(crate) fn own_check(check: Check) -> Question {
    let parts = check.sql.trim().strip_prefix("select ").and_then(|sql| {
        let (rows, rest) = sql.split_once(" as row_count, ")?;
        let (violations, from) = rest.split_once(" as violation_count from ")?;
        let plain = |part: &str| !part.contains(" from ") && !part.contains(';');
        let shared = plain(rows) && plain(violations) && !from.to_lowercase().contains("group by");
        shared.then(|| (rows.to_owned(), violations.to_owned(), from.to_owned()))
    });
    match parts {
        Some((rows, violations, from)) => {
            Question::Row(RowCheck { check, from, joins: Vec::new(), rows, violations, only_with_rows: false })
        }
        None => Question::Query(check),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_queries_share_a_scan_where_their_form_allows() {
        let mut own = check(Category::Conformance, "not_null", "marts.x", None, "");
        own.sql = "select count(*) as row_count, sum(case when t.a is null then 1 else 0 end) as violation_count from marts.x as t".into();
        assert!(matches!(own_check(own.clone()), Question::Row(RowCheck { from, .. }) if from == "marts.x as t"));
        own.sql = "select sum(n) as row_count, sum(n - 1) as violation_count from (select count(*) as n from x group by a) as g".into();
        assert!(matches!(own_check(own), Question::Query(_)));
    }
}
