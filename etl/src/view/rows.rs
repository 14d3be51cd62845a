//! The rows that a plan makes of resources. Each column has its own builder, so a row is never put together: a value
//! is found once and written as often as there are rows inside of its select.

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use arrow::array::ArrayRef;
use model::document::Element;

use super::column::ColumnBuilder;
use super::path::{Context, Fault, Item, Path, Scope, Trail};
use super::plan::{Iteration, Node, Part, Plan};

/// Rows that one resource may make: selects beside each other multiply.
const MAX_ROWS: usize = 1 << 20;

/// Rows of one plan, as they come.
pub struct Flat {
    plan: Arc<Plan>,
    columns: Vec<ColumnBuilder>,
    faults: Vec<(Option<usize>, Fault)>,
}

impl Flat {
    /// No rows yet.
    pub fn new(plan: Arc<Plan>) -> Flat {
        let columns = plan.columns.iter().map(ColumnBuilder::new).collect();
        Flat { plan, columns, faults: Vec::new() }
    }

    /// Adds the rows that the plan makes of a resource, and tells how many.
    pub fn append(&mut self, resource: Element<'_>, scope: Scope<'_>) -> usize {
        let plan = Arc::clone(&self.plan);
        let fault = Cell::new(None);
        let context = Context { root: resource, scope, row_index: 0, fault: &fault };
        let focus = Item::Element(resource, None);
        let wanted = plan.criteria.iter().all(|criterion| criterion.holds(Some(&focus), &context));
        if let Some(fault) = fault.take() {
            self.faults.push((None, fault));
        }
        if !wanted {
            return 0;
        }
        let Flat { columns, faults, .. } = self;
        let mut filling = Filling { columns, faults, rows_left: MAX_ROWS, is_full: false };
        filling.node(&plan.root, Some(&focus), &context, &mut |filling| filling.row())
    }

    /// Hands over what went wrong since the last call, with the name of the column where it is known.
    pub fn take_faults(&mut self, mut take: impl FnMut(Option<&str>, Fault)) {
        for (column, fault) in self.faults.drain(..) {
            take(column.map(|index| self.plan.columns[index].name.as_str()), fault);
        }
    }

    /// Takes the columns and starts anew.
    pub fn finish(&mut self) -> Vec<ArrayRef> {
        self.columns.iter_mut().map(ColumnBuilder::finish).collect()
    }
}

/// The columns while one resource fills them.
struct Filling<'f> {
    columns: &'f mut [ColumnBuilder],
    faults: &'f mut Vec<(Option<usize>, Fault)>,
    rows_left: usize,
    is_full: bool,
}

/// What is repeated inside of a row, and how many rows that makes.
type Inside<'i> = &'i mut dyn FnMut(&mut Filling<'_>) -> usize;

impl Filling<'_> {
    fn row(&mut self) -> usize {
        if self.rows_left == 0 {
            if !self.is_full {
                self.faults.push((None, Fault::TooManyRows));
            }
            self.is_full = true;
            return 0;
        }
        self.rows_left -= 1;
        1
    }

    fn node<'d>(
        &mut self,
        node: &'d Node,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        inside: Inside<'_>,
    ) -> usize {
        match &node.iteration {
            Iteration::Once => self.columns_of(node, focus, context, inside),
            Iteration::Each { path, or_null } => {
                let (mut rows, mut index) = (0, 0);
                let _ = path.visit(focus, context, &mut |item| {
                    rows += self.columns_of(node, Some(&item), &context.at(index), inside);
                    index += 1;
                    if self.is_full { Break(()) } else { Continue(()) }
                });
                self.note(None, context);
                if index == 0 && *or_null {
                    rows = self.columns_of(node, None, &context.at(0), inside);
                }
                rows
            }
            Iteration::Repeat(paths) => match focus {
                Some(Item::Element(element, _)) => {
                    let mut walk = Walk { paths, seen: HashSet::new(), index: 0 };
                    self.below(node, &mut walk, *element, context, inside)
                }
                _ => 0,
            },
        }
    }

    /// The items below an element, each with those below it before the next.
    fn below<'d>(
        &mut self,
        node: &'d Node,
        walk: &mut Walk<'d>,
        above: Element<'d>,
        context: &Context<'d>,
        inside: Inside<'_>,
    ) -> usize {
        let mut rows = 0;
        for path in walk.paths {
            let _ = path.visit(Some(&Item::Element(above, None)), context, &mut |item| {
                let Item::Element(element, _) = item else {
                    context.blame(Fault::NotInside);
                    return Continue(());
                };
                if !element.is_inside(&above) {
                    context.blame(Fault::NotInside);
                } else if walk.seen.insert(element.position()) {
                    rows += self.columns_of(node, Some(&item), &context.at(walk.index), inside);
                    walk.index += 1;
                    rows += self.below(node, walk, element, context, inside);
                }
                if self.is_full { Break(()) } else { Continue(()) }
            });
            self.note(None, context);
        }
        rows
    }

    /// What is inside first, for the columns are written as often as that makes rows.
    fn columns_of<'d>(
        &mut self,
        node: &'d Node,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        inside: Inside<'_>,
    ) -> usize {
        let rows = self.parts(&node.parts, focus, context, inside);
        if rows > 0 {
            let mut trail = Trail::default();
            for (index, path) in &node.columns {
                self.column(*index, path, focus, context, rows, &mut trail);
            }
        }
        rows
    }

    fn parts<'d>(
        &mut self,
        parts: &'d [Part],
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        inside: Inside<'_>,
    ) -> usize {
        let Some((part, others)) = parts.split_first() else {
            return inside(self);
        };
        let inside = &mut |filling: &mut Filling<'_>| filling.parts(others, focus, context, inside);
        match part {
            Part::Node(node) => self.node(node, focus, context, inside),
            Part::Union(nodes) => nodes.iter().map(|node| self.node(node, focus, context, inside)).sum(),
        }
    }

    fn column<'d>(
        &mut self,
        index: usize,
        path: &'d Path,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        rows: usize,
        trail: &mut Trail<'d>,
    ) {
        match &mut self.columns[index] {
            ColumnBuilder::Plain(values) => {
                let item = path.single(focus, context, trail);
                for _ in 0..rows {
                    if !values.append(item.as_ref()) {
                        context.blame(Fault::WrongType);
                    }
                }
            }
            ColumnBuilder::List { values, offsets, .. } => {
                trail.clear();
                for _ in 0..rows {
                    let mut end = offsets.last().copied().unwrap_or_default();
                    let _ = path.visit(focus, context, &mut |item| {
                        if !values.append(Some(&item)) {
                            context.blame(Fault::WrongType);
                        }
                        end += 1;
                        Continue(())
                    });
                    offsets.push(end);
                }
            }
        }
        self.note(Some(index), context);
    }

    fn note(&mut self, column: Option<usize>, context: &Context<'_>) {
        if let Some(fault) = context.fault.take() {
            self.faults.push((column, fault));
        }
    }
}

/// A `repeat` on its way.
struct Walk<'d> {
    paths: &'d [Path],
    /// Elements that had their row: paths that meet would otherwise multiply them.
    seen: HashSet<u32>,
    index: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Directory, References};
    use crate::view::column::Rendering;
    use model::document::Tape;

    /// The rows as text, one a line, and what went wrong.
    fn run(select: &str, resource: &str) -> (Vec<String>, Vec<String>) {
        let json = format!(r#"{{"resource":"Patient","select":[{select}]}}"#);
        let plan = Plan::compile(Tape::default().parse(&json).unwrap(), Rendering::AsWritten).unwrap();
        let mut flat = Flat::new(Arc::new(plan));
        let mut tape = Tape::default();
        let directory = Directory::default();
        let references = References::new(&directory, "s", None, None);
        let count = flat.append(tape.parse(resource).unwrap(), Scope { id: "7", references: &references });
        let columns = flat.finish();
        assert!(columns.iter().all(|column| column.len() == count));
        let cell = |column: &ArrayRef, row| arrow::util::display::array_value_to_string(column, row).unwrap();
        let line = |row| columns.iter().map(|column| cell(column, row)).collect::<Vec<_>>().join("|");
        let mut faults = Vec::new();
        flat.take_faults(|column, fault| faults.push(format!("{} {}", column.unwrap_or("-"), fault.reason())));
        ((0..count).map(line).collect(), faults)
    }

    fn column(name: &str, path: &str) -> String {
        format!(r#"{{"name":"{name}","path":"{path}"}}"#)
    }

    const RESOURCE: &str = r#"{"a":[{"x":"1","b":["p","q"]},{"x":"2"},{"x":"3","b":["r"]}],"c":["u","v"],
        "item":[{"l":"1","item":[{"l":"1.1","other":{"item":{"l":"1.1.1"}}}]},{"l":"2"}]}"#;

    #[test]
    fn selects_beside_each_other_multiply() {
        let (x, c) = (column("x", "x"), column("c", "$this"));
        let select = format!(
            r#"{{"column":[{}]}},{{"forEach":"a","column":[{x}],"select":[{{"forEach":"b","column":[{}]}}]}},{{"forEach":"c","column":[{c}]}}"#,
            column("n", "a.count()"),
            column("b", "$this & %rowIndex.toString()")
        );
        let (rows, faults) = run(&select, RESOURCE);
        assert_eq!(rows, ["3|1|p0|u", "3|1|p0|v", "3|1|q1|u", "3|1|q1|v", "3|3|r0|u", "3|3|r0|v"]);
        assert!(faults.is_empty());
    }

    #[test]
    fn unions_stand_one_after_the_other_within_each_row() {
        let select = format!(
            r#"{{"forEach":"a","column":[{}],"unionAll":[{{"column":[{}]}},{{"forEachOrNull":"b","column":[{}]}}]}}"#,
            column("x", "x"),
            column("y", "'-'"),
            column("y", "$this")
        );
        assert_eq!(run(&select, RESOURCE).0, ["1|-", "1|p", "1|q", "2|-", "2|", "3|-", "3|r"]);
    }

    #[test]
    fn repeat_goes_down_before_it_goes_on_and_never_in_circles() {
        let select = |paths: &str| {
            format!(r#"{{"repeat":[{paths}],"column":[{},{}]}}"#, column("i", "%rowIndex"), column("l", "l"))
        };
        assert_eq!(run(&select(r#""item""#), RESOURCE).0, ["0|1", "1|1.1", "2|2"]);
        let all = ["0|1", "1|1.1", "2|1.1.1", "3|2"];
        assert_eq!(run(&select(r#""item","other.item""#), RESOURCE).0, all);
        assert_eq!(run(&select(r#""item","item","other.item""#), RESOURCE).0, all);
        for path in ["$this", "%context", "%context.item", "'x'"] {
            let (rows, faults) = run(&select(&format!(r#""{path}""#)), RESOURCE);
            assert_eq!(
                (rows.len() <= 2, faults.last().map(String::as_str)),
                (true, Some("- repeat_leaves_element")),
                "{path}"
            );
        }
    }

    #[test]
    fn a_column_is_the_same_whatever_stands_before_it() {
        let resource = r#"{"u":{"v":"1","w":"2"},"s":{"v":"3"},"t":["4","5"]}"#;
        let columns = [
            (r#"{"name":"sv","path":"s.v"}"#, "3"),
            (r#"{"name":"uv","path":"u.v","collection":true}"#, "[1]"),
            (r#"{"name":"uw","path":"u.w"}"#, "2"),
            (r#"{"name":"ux","path":"u.x.y"}"#, ""),
            (r#"{"name":"uxz","path":"u.x.z","collection":true}"#, "[]"),
            (r#"{"name":"sw","path":"s.w"}"#, ""),
            (r#"{"name":"t","path":"t"}"#, "4"),
            (r#"{"name":"first","path":"t.first()"}"#, "4"),
            (r#"{"name":"count","path":"t.count()"}"#, "2"),
        ];
        for (first, _) in columns.iter().enumerate() {
            for (second, _) in columns.iter().enumerate().filter(|(second, _)| *second != first) {
                for (third, _) in columns.iter().enumerate().filter(|(third, _)| ![first, second].contains(third)) {
                    let line = [first, second, third].map(|at| columns[at]);
                    let select = format!(r#"{{"column":[{}]}}"#, line.map(|(column, _)| column).join(","));
                    assert_eq!(run(&select, resource).0, [line.map(|(_, value)| value).join("|")], "{select}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_told_by_column() {
        let select = r#"{"column":[{"name":"l","path":"c","collection":true},{"name":"c","path":"c"},
            {"name":"o","path":"item[0]"},{"name":"n","path":"c.first()","type":"integer"}]}"#;
        let (rows, faults) = run(select, RESOURCE);
        assert_eq!(rows, ["[u, v]|u||"]);
        assert_eq!(faults, ["c more_than_one_value", "o wrong_type", "n wrong_type"]);
    }

    #[test]
    fn a_resource_cannot_make_rows_without_end() {
        let items = vec!["1"; 1100].join(",");
        let each = |name: &str| format!(r#"{{"forEach":"a","column":[{}]}}"#, column(name, "$this"));
        let (rows, faults) = run(&[each("x"), each("y"), each("z")].join(","), &format!(r#"{{"a":[{items}]}}"#));
        assert_eq!((rows.len(), faults), (MAX_ROWS, vec!["- too_many_rows".to_owned()]));
    }
}
