//! How strictly each check is judged and which bounds hold: the project's own small tables in `validator/spec/`.
//! Which column is required, a key, a reference or of which domain comes from `model::omop::tables()`.

use model::quality::Severity;

const JUDGEMENT: &str = include_str!("../spec/judgement.csv");
const PLAUSIBLE_VALUE: &str = include_str!("../spec/plausible_value.csv");

/// Where a check starts to fail, and what that means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub threshold_percent: f64,
    pub severity: Severity,
}

/// The most specific line for a check: its own column, then its table, then any.
pub(crate) fn judgement(check: &str, table: &str, column: Option<&str>) -> Judgement {
    let table = table.rsplit('.').next().unwrap_or(table);
    let mut best: Option<(usize, Judgement)> = None;
    for cells in lines(JUDGEMENT) {
        let fits = |cell: &str, value: Option<&str>| cell == "*" || Some(cell) == value;
        if cells[0] != check || !fits(cells[1], Some(table)) || !fits(cells[2], column) {
            continue;
        }
        let rank = usize::from(cells[1] != "*") + 2 * usize::from(cells[2] != "*");
        let severity = if cells[4] == "required" { Severity::Required } else { Severity::Advisory };
        let threshold_percent = cells[3].parse().expect("threshold_percent is a number");
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, Judgement { threshold_percent, severity }));
        }
    }
    best.map_or(Judgement { threshold_percent: 0.0, severity: Severity::Required }, |(_, judgement)| judgement)
}

/// Bounds of a numeric column that hold whatever the concept.
pub(crate) struct PlausibleValue {
    pub table: &'static str,
    pub column: &'static str,
    pub low: Option<&'static str>,
    pub high: Option<&'static str>,
}

/// All bounds.
pub(crate) fn plausible_values() -> Vec<PlausibleValue> {
    let some = |cell: &'static str| Some(cell).filter(|cell| !cell.is_empty());
    lines(PLAUSIBLE_VALUE)
        .map(|cells| PlausibleValue { table: cells[0], column: cells[1], low: some(cells[2]), high: some(cells[3]) })
        .collect()
}

fn lines(csv: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    csv.lines().skip(1).filter(|line| !line.is_empty()).map(|line| line.split(',').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_line_decides() {
        let any = judgement("measurePersonCompleteness", "omop.measurement", None);
        assert_eq!(any, Judgement { threshold_percent: 95.0, severity: Severity::Advisory });
        assert_eq!(judgement("measurePersonCompleteness", "omop.death", None).threshold_percent, 100.0);
        assert_eq!(judgement("unheardOf", "omop.death", None).severity, Severity::Required);
    }

    #[test]
    fn every_line_is_whole_and_names_real_columns() {
        for cells in lines(JUDGEMENT) {
            assert_eq!(cells.len(), 5, "{cells:?}");
            assert!(matches!(cells[4], "required" | "advisory"), "{cells:?}");
            assert!(cells[3].parse::<f64>().is_ok(), "{cells:?}");
            assert!(cells[1] == "*" || model::omop::table(cells[1]).is_some(), "{cells:?}");
        }
        for bound in plausible_values() {
            let table = model::omop::table(bound.table).unwrap();
            assert!(table.column(bound.column).is_some(), "{}.{}", bound.table, bound.column);
        }
    }
}
