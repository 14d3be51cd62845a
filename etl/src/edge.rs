//! Which resource type makes rows of which table, by which function, and how completely: the table `edge.csv`. It tells
//! people and programs what the mapping does; the mapping itself does not read it, and tests hold the two together.

use std::sync::LazyLock;

use serde::Serialize;

const EDGES: &str = include_str!("../edge.csv");

/// How much of what the resource says the table takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Completeness {
    /// Every column that R4 has an element for.
    Full,
    /// Some; the note says which.
    Partial,
}

/// One way from a resource type to a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Edge {
    /// `Condition`
    pub resource_type: String,
    /// `condition_occurrence`
    pub omop_table: String,
    /// How much of it is filled.
    pub completeness: Completeness,
    /// True when the concept's domain may lead to another table of events.
    pub by_domain: bool,
    /// The file and function of the rule.
    pub rule: String,
    /// What a reader should know.
    pub note: String,
}

/// Every way, by resource type in the order of the table.
pub fn edges() -> &'static [Edge] {
    static TABLE: LazyLock<Vec<Edge>> = LazyLock::new(read);
    &TABLE
}

fn read() -> Vec<Edge> {
    let mut reader = csv::Reader::from_reader(EDGES.as_bytes());
    // The table is compiled in; a test finds rows that cannot be read.
    let rows = reader.records().filter_map(Result::ok);
    rows.map(|row| {
        let cell = |at: usize| row.get(at).unwrap_or_default();
        Edge {
            resource_type: cell(0).to_owned(),
            omop_table: cell(1).to_owned(),
            completeness: if cell(2) == "full" { Completeness::Full } else { Completeness::Partial },
            by_domain: cell(3) == "y",
            rule: format!("{}::{}", cell(4).trim_end_matches(".rs"), cell(5)),
            note: cell(6).to_owned(),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The types that `map` knows, read where it names them.
    fn mapped_types() -> Vec<&'static str> {
        let map = include_str!("map.rs");
        let body = map.split_once("pub fn map<'d>").unwrap().1.split_once("draft.finish").unwrap().0;
        let mut types = Vec::new();
        let arms = body.lines().filter_map(|line| line.split_once("=>"));
        for (arm, _) in arms.filter(|(_, rule)| !rule.contains("Judgement::excluded")) {
            types.extend(arm.split('"').skip(1).step_by(2));
        }
        types
    }

    #[test]
    fn every_mapped_type_is_in_the_table() {
        let types = mapped_types();
        assert!(types.len() > 10);
        for resource_type in &types {
            let is_told = edges().iter().any(|edge| edge.resource_type == *resource_type);
            assert!(is_told, "add a line for {resource_type} to etl/edge.csv");
            assert!(crate::map::has_target(resource_type), "{resource_type}");
        }
        for edge in edges() {
            assert!(types.contains(&edge.resource_type.as_str()), "edge.csv: {} is not mapped", edge.resource_type);
        }
    }

    #[test]
    fn every_line_names_a_table_and_a_function() {
        let lines = EDGES.lines().count() - 1;
        assert_eq!(edges().len(), lines, "a line of edge.csv cannot be read");
        for edge in edges() {
            assert!(model::omop::table(&edge.omop_table).is_some(), "{edge:?}");
            let (file, function) = edge.rule.split_once("::").unwrap();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
            let text =
                [format!("map/{file}.rs"), format!("{file}.rs")].map(|path| std::fs::read_to_string(folder.join(path)));
            let text = text.into_iter().find_map(Result::ok).unwrap_or_else(|| panic!("no {file}.rs"));
            assert!(text.contains(&format!("fn {function}")), "no function {}", edge.rule);
            let word =
                EDGES.lines().find(|line| line.starts_with(&format!("{},{},", edge.resource_type, edge.omop_table)));
            assert!(word.is_some_and(|line| line.contains(",full,") || line.contains(",partial,")), "{edge:?}");
        }
    }
}
