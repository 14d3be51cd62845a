//! From a definition to a plan: which columns there are, which paths fill them, and for what they are repeated.

use model::document::Element;

use super::column::{Column, Rendering, ValueType};
use super::data_type::{Class, DataType};
use super::definition::{ColumnDefinition, Select, Tag, ViewDefinition, is_plain_name};
use super::path::{Literal, Names, Path};

/// A compiled view.
#[derive(Debug)]
pub struct Plan {
    /// The resource type that the rows come from.
    pub resource_type: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// What resources must meet.
    pub criteria: Vec<Path>,
    /// What fills the columns.
    pub root: Node,
}

/// Columns that are repeated together.
#[derive(Debug)]
pub struct Node {
    /// For what they are repeated.
    pub iteration: Iteration,
    /// The place of each column and the path that fills it.
    pub columns: Vec<(usize, Path)>,
    /// What is repeated inside; the rows of all parts are combined with each other.
    pub parts: Vec<Part>,
}

/// For what columns are repeated.
#[derive(Debug)]
pub enum Iteration {
    /// For nothing: once.
    Once,
    /// For each item of a path; once without an item too, when there is none and `or_null`.
    Each {
        /// The path.
        path: Path,
        /// `forEachOrNull`
        or_null: bool,
    },
    /// For each item of the paths, each item of the paths from there, and so on.
    Repeat(Vec<Path>),
}

/// Rows inside of a row.
#[derive(Debug)]
pub enum Part {
    /// The rows of one select.
    Node(Node),
    /// The rows of one after the other; all fill the same columns.
    Union(Vec<Node>),
}

impl Plan {
    /// Compiles a definition.
    ///
    /// # Errors
    /// What is wrong with the definition, and where.
    pub fn compile(definition: Element<'_>, rendering: Rendering) -> Result<Plan, String> {
        let (definition, constants) = ViewDefinition::read(definition)?;
        let resource_type = definition.resource.ok_or("expected a `resource`, the type that rows come from")?;
        if !is_plain_name(&resource_type) || !resource_type.starts_with(|c: char| c.is_ascii_uppercase()) {
            return Err(format!("`resource`: expected the name of a resource type, found `{resource_type}`"));
        }
        if let Some(name) = definition.name.as_ref().filter(|name| !is_plain_name(name)) {
            return Err(format!("`name`: expected letters, digits and `_`, found `{name}`"));
        }
        if definition.select.is_empty() {
            return Err("expected a `select`".into());
        }
        let compiler = Compiler { resource_type: &resource_type, constants: &constants, rendering };
        let mut columns = Vec::new();
        let mut root = Node { iteration: Iteration::Once, columns: Vec::new(), parts: Vec::new() };
        for (index, select) in definition.select.iter().enumerate() {
            root.add(compiler.select(select, &format!("select[{index}]"), 0, &mut columns)?);
        }
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|before: &Column| before.name == column.name) {
                return Err(format!("column `{}` is named twice", column.name));
            }
        }
        root.put_in_line();
        let mut criteria = Vec::new();
        for (index, criterion) in definition.criteria.iter().enumerate() {
            let path =
                compiler.path(&criterion.path, None).map_err(|problem| format!("`where[{index}]`: {problem}"))?;
            if let Some(of) = path.data_type().filter(|of| of.class() != Class::Boolean) {
                let path = &criterion.path;
                return Err(format!("`where[{index}]`: expected a condition, found `{path}` of type `{}`", of.name()));
            }
            criteria.push(path);
        }
        Ok(Plan { resource_type, columns, criteria, root })
    }
}

impl Node {
    /// Adds what is repeated inside; what is not repeated at all becomes a part of this.
    fn add(&mut self, node: Node) {
        match node.iteration {
            Iteration::Once => {
                self.columns.extend(node.columns);
                self.parts.extend(node.parts);
            }
            _ => self.parts.push(Part::Node(node)),
        }
    }

    /// Lets the paths of each row know which one is asked before.
    fn put_in_line(&mut self) {
        for at in 1..self.columns.len() {
            let (before, behind) = self.columns.split_at_mut(at);
            behind[0].1.comes_after(&before[at - 1].1);
        }
        for part in &mut self.parts {
            match part {
                Part::Node(node) => node.put_in_line(),
                Part::Union(nodes) => nodes.iter_mut().for_each(Node::put_in_line),
            }
        }
    }
}

struct Compiler<'c> {
    resource_type: &'c str,
    constants: &'c [(String, Literal)],
    rendering: Rendering,
}

impl Compiler<'_> {
    /// Compiles a select whose columns stand behind `base` others.
    fn select(&self, select: &Select, place: &str, base: usize, columns: &mut Vec<Column>) -> Result<Node, String> {
        let before = columns.len();
        let iteration = self.iteration(select).map_err(|problem| format!("`{place}`: {problem}"))?;
        let mut node = Node { iteration, columns: Vec::new(), parts: Vec::new() };
        for definition in &select.column {
            let told = |problem| format!("column `{}`: {problem}", definition.name);
            let (column, path) = self.column(definition).map_err(told)?;
            node.columns.push((base + columns.len(), path));
            columns.push(column);
        }
        for (index, inner) in select.select.iter().enumerate() {
            node.add(self.select(inner, &format!("{place}.select[{index}]"), base, columns)?);
        }
        if let Some((first, others)) = select.union_all.split_first() {
            let place = format!("{place}.unionAll");
            let start = columns.len();
            let mut branches = vec![self.select(first, &format!("{place}[0]"), base, columns)?];
            for (index, other) in others.iter().enumerate() {
                let place = format!("{place}[{}]", index + 1);
                let mut own = Vec::new();
                branches.push(self.select(other, &place, base + start, &mut own)?);
                unite(&mut columns[start..], &own).map_err(|problem| format!("`{place}`: {problem}"))?;
            }
            node.parts.push(Part::Union(branches));
        }
        if columns.len() == before {
            return Err(format!("`{place}` has no column"));
        }
        Ok(node)
    }

    fn iteration(&self, select: &Select) -> Result<Iteration, String> {
        let each = |path: &str, or_null| self.path(path, None).map(|path| Iteration::Each { path, or_null });
        match (&select.for_each, &select.for_each_or_null, &select.repeat) {
            (None, None, None) => Ok(Iteration::Once),
            (Some(path), None, None) => each(path, false).map_err(|problem| format!("`forEach`: {problem}")),
            (None, Some(path), None) => each(path, true).map_err(|problem| format!("`forEachOrNull`: {problem}")),
            (None, None, Some(paths)) if paths.is_empty() => Err("`repeat`: expected at least one path".into()),
            (None, None, Some(paths)) => {
                let paths = paths.iter().map(|path| self.path(path, None)).collect::<Result<_, _>>();
                Ok(Iteration::Repeat(paths.map_err(|problem| format!("`repeat`: {problem}"))?))
            }
            _ => Err("expected one of `forEach`, `forEachOrNull` and `repeat`".into()),
        }
    }

    fn column(&self, definition: &ColumnDefinition) -> Result<(Column, Path), String> {
        if !is_plain_name(&definition.name) {
            return Err("expected a name of letters, digits and `_`, a letter first".into());
        }
        let declared = match &definition.data_type {
            Some(name) => Some(DataType::named(name).filter(|of| of.class() != Class::Complex).ok_or_else(|| {
                format!("type `{name}` cannot be a column, expected a primitive type of FHIR such as `string`")
            })?),
            None => None,
        };
        let path = self.path(&definition.path, declared)?;
        let tagged = ansi_type(&definition.tag)?;
        let value_type = match (tagged, declared.or(path.data_type())) {
            (Some(tagged), _) => tagged,
            (None, Some(of)) => ValueType::of(of, self.rendering),
            (None, None) => ValueType::Text,
        };
        let is_declared = declared.is_some() || tagged.is_some();
        let column =
            Column { name: definition.name.clone(), value_type, collection: definition.collection, is_declared };
        Ok((column, path))
    }

    fn path(&self, text: &str, expected: Option<DataType>) -> Result<Path, String> {
        let names = Names { resource_type: self.resource_type, constants: self.constants, expected };
        Path::compile(text, names).map_err(|problem| format!("path {problem}"))
    }
}

/// Checks that a branch has the columns of the first, and takes types from it that the first does not say.
fn unite(columns: &mut [Column], others: &[Column]) -> Result<(), String> {
    let names =
        |columns: &[Column]| columns.iter().map(|column| format!("`{}`", column.name)).collect::<Vec<_>>().join(", ");
    if columns.len() != others.len() || columns.iter().zip(others).any(|(column, other)| column.name != other.name) {
        return Err(format!("expected the columns {} in this order, found {}", names(columns), names(others)));
    }
    for (column, other) in columns.iter_mut().zip(others) {
        let name = &column.name;
        if column.collection != other.collection {
            return Err(format!("column `{name}` is a collection in one branch only"));
        }
        match (column.is_declared, other.is_declared) {
            _ if column.value_type == other.value_type => {}
            (true, true) => return Err(format!("column `{name}` has another type than in the first branch")),
            (true, false) => {}
            (false, true) => column.value_type = other.value_type,
            (false, false) => column.value_type = ValueType::Text,
        }
        column.is_declared |= other.is_declared;
    }
    Ok(())
}

/// The type that the tag `ansi/type` asks for.
fn ansi_type(tags: &[Tag]) -> Result<Option<ValueType>, String> {
    let Some(tag) = tags.iter().find(|tag| tag.name == "ansi/type") else {
        return Ok(None);
    };
    let name = tag.value.to_ascii_uppercase();
    let name = name.split('(').next().unwrap_or_default().trim();
    Ok(Some(match name {
        "CHARACTER VARYING"
        | "CHARACTER"
        | "CHAR VARYING"
        | "CHAR"
        | "VARCHAR"
        | "STRING"
        | "TEXT"
        | "CHARACTER LARGE OBJECT"
        | "CLOB"
        | "TIME" => ValueType::Text,
        "BOOLEAN" => ValueType::Boolean,
        "INTEGER" | "INT" | "SMALLINT" => ValueType::Integer,
        "BIGINT" => ValueType::Integer64,
        "DECIMAL" | "NUMERIC" | "DEC" | "FLOAT" | "REAL" | "DOUBLE PRECISION" => ValueType::Decimal,
        "DATE" => ValueType::Date,
        "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" | "TIMESTAMP WITH TIME ZONE" => ValueType::DateTime,
        _ => {
            let value = &tag.value;
            return Err(format!("tag `ansi/type` is `{value}`, expected a type such as `VARCHAR` or `BIGINT`"));
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::document::Tape;

    fn compile(rest: &str) -> Result<Plan, String> {
        let json = format!(r#"{{"resource":"Patient",{rest}}}"#);
        Plan::compile(Tape::default().parse(&json).unwrap(), Rendering::Typed)
    }

    fn types(columns: &str) -> Vec<(ValueType, bool)> {
        let plan = compile(&format!(r#""select":[{{"column":[{columns}]}}]"#)).unwrap();
        plan.columns.iter().map(|column| (column.value_type, column.collection)).collect()
    }

    #[test]
    fn a_column_has_the_type_of_its_tag_its_definition_or_its_path() {
        let found = types(
            r#"{"name":"a","path":"x","type":"positiveInt"},{"name":"b","path":"birthDate"},{"name":"c","path":"x"},
            {"name":"d","path":"x.exists()"},{"name":"e","path":"x","type":"instant","tag":[{"name":"ansi/type","value":"varchar(30)"}]},
            {"name":"f","path":"x","type":"decimal","collection":true},{"name":"g","path":"x","type":"integer64"},
            {"name":"h","path":"x","type":"http://hl7.org/fhirpath/System.Boolean","tag":[{"name":"other","value":"y"}]}"#,
        );
        let expected = [
            (ValueType::Integer, false),
            (ValueType::Date, false),
            (ValueType::Text, false),
            (ValueType::Boolean, false),
            (ValueType::Text, false),
            (ValueType::Decimal, true),
            (ValueType::Integer64, false),
            (ValueType::Boolean, false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn branches_take_types_from_each_other() {
        let union = |a: &str, b: &str| {
            let branch = |of: &str| format!(r#"{{"column":[{{"name":"a","path":"x"{of}}}]}}"#);
            compile(&format!(r#""select":[{{"unionAll":[{},{}]}}]"#, branch(a), branch(b)))
        };
        let found = |a: &str, b: &str| union(a, b).unwrap().columns[0].value_type;
        assert_eq!(found("", r#","type":"date""#), ValueType::Date);
        assert_eq!(found(r#","type":"date""#, ""), ValueType::Date);
        assert_eq!(found("", ""), ValueType::Text);
        let problem = union(r#","type":"date""#, r#","type":"boolean""#).unwrap_err();
        assert_eq!(problem, "`select[0].unionAll[1]`: column `a` has another type than in the first branch");
        let problem = union("", r#","collection":true"#).unwrap_err();
        assert_eq!(problem, "`select[0].unionAll[1]`: column `a` is a collection in one branch only");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let column = |path: &str| format!(r#""select":[{{"column":[{{"name":"a","path":"{path}"}}]}}]"#);
        let constant = |constant: &str| format!(r#"{},"constant":[{constant}]"#, column("id"));
        for (rest, problem) in [
            (r#""x":1"#.to_owned(), "expected a `select`"),
            (r#""select":[{}]"#.into(), "`select[0]` has no column"),
            (r#""select":[{"forEach":1}]"#.into(), "`select[0].forEach`: expected a string, found a number"),
            (r#""select":[{"forEach":"@@"}]"#.into(), "`select[0]`: `forEach`: path expected a date or time behind `@` at 0 of `@@`"),
            (r#""select":[{"repeat":[]}]"#.into(), "`select[0]`: `repeat`: expected at least one path"),
            (
                r#""select":[{"forEach":"a","repeat":["b"]}]"#.into(),
                "`select[0]`: expected one of `forEach`, `forEachOrNull` and `repeat`",
            ),
            (column("a + "), "column `a`: path `a + ` ends too early"),
            (column("%no"), "column `a`: path there is no constant `%no` at 0 of `%no`"),
            (r#""select":[{"column":[{"name":"a b","path":"x"}]}]"#.into(), "column `a b`: expected a name of letters, digits and `_`, a letter first"),
            (
                r#""select":[{"column":[{"name":"a","path":"x","type":"Quantity"}]}]"#.into(),
                "column `a`: type `Quantity` cannot be a column, expected a primitive type of FHIR such as `string`",
            ),
            (
                r#""select":[{"column":[{"name":"a","path":"x","tag":[{"name":"ansi/type","value":"BLOB"}]}]}]"#.into(),
                "column `a`: tag `ansi/type` is `BLOB`, expected a type such as `VARCHAR` or `BIGINT`",
            ),
            (
                r#""select":[{"select":[{"column":[{"name":"a","path":"x"}]}]},{"column":[{"name":"a","path":"x"}]}]"#.into(),
                "column `a` is named twice",
            ),
            (
                r#""select":[{"unionAll":[{"column":[{"name":"a","path":"x"}]},{"column":[{"name":"b","path":"x"}]}]}]"#.into(),
                "`select[0].unionAll[1]`: expected the columns `a` in this order, found `b`",
            ),
            (
                format!(r#"{},"where":[{{"path":"id.count()"}}]"#, column("id")),
                "`where[0]`: expected a condition, found `id.count()` of type `integer`",
            ),
            (constant(r#"{"name":"c"}"#), "constant `c` has no value"),
            (constant(r#"{"name":"c","valueCode":"a","valueId":"b"}"#), "constant `c` has more than one value"),
            (constant(r#"{"name":"c","valueQuantity":{}}"#), "constant `c`: `valueQuantity` is no primitive type"),
            (constant(r#"{"name":"c","valueDate":"x"}"#), "constant `c`: expected a value of type `date`"),
            (constant(r#"{"name":"rowIndex","valueCode":"x"}"#), "constant `rowIndex`: the name is taken"),
            (constant(r#"{"valueCode":"x"}"#), "`constant`: expected a `name`"),
            (format!(r#""name":"a-b",{}"#, column("id")), "`name`: expected letters, digits and `_`, found `a-b`"),
            (format!(r#""resourceType":"Patient",{}"#, column("id")), "`resourceType`: expected `ViewDefinition`"),
        ] {
            assert_eq!(compile(&rest).unwrap_err(), problem);
        }
    }
}
