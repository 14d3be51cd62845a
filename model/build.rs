//! Writes one row struct and one Arrow builder per OMOP CDM table from `omop/table.csv` and
//! `omop/column.csv`, so that the specification stands in one place and a row is checked by the compiler.

#![allow(clippy::unwrap_used, reason = "writing to a String cannot fail")]

use std::fmt::Write;
use std::{env, fs, path::Path};

#[path = "build/data.rs"]
mod data;

struct Column {
    name: String,
    kind: String,
    required: bool,
    primary_key: bool,
    references: String,
    domain: String,
}

struct Table {
    name: String,
    schema: String,
    columns: Vec<Column>,
}

fn main() {
    println!("cargo::rerun-if-changed=omop");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=vocabulary");
    println!("cargo::rerun-if-changed=constraint");
    let tables = read_tables();
    let mut code = String::new();
    write_specification(&mut code, &tables);
    for table in &tables {
        write_row(&mut code, table);
        write_builder(&mut code, table);
    }
    write_row_enum(&mut code, &tables);
    write_builders(&mut code, &tables);
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("cdm.rs"), code).expect("OUT_DIR is writable");
    fs::write(Path::new(&out).join("vocabulary.rs"), data::vocabulary()).expect("OUT_DIR is writable");
    fs::write(Path::new(&out).join("metadata.rs"), data::metadata()).expect("OUT_DIR is writable");
    fs::write(Path::new(&out).join("constraint.rs"), data::constraint()).expect("OUT_DIR is writable");
}

fn read_tables() -> Vec<Table> {
    let tables = fs::read_to_string("omop/table.csv").expect("omop/table.csv is readable");
    let columns = fs::read_to_string("omop/column.csv").expect("omop/column.csv is readable");
    tables
        .lines()
        .skip(1)
        .map(|line| {
            let (name, schema) = line.split_once(',').expect("table,schema");
            let columns = columns
                .lines()
                .skip(1)
                .map(|line| line.split(',').collect::<Vec<_>>())
                .filter(|cell| cell[0] == name)
                .map(|cell| Column {
                    name: cell[1].into(),
                    kind: cell[2].into(),
                    required: cell[3] == "y",
                    primary_key: cell[4] == "y",
                    references: cell[5].into(),
                    domain: cell[6].into(),
                })
                .collect();
            Table { name: name.into(), schema: schema.into(), columns }
        })
        .collect()
}

impl Column {
    fn is_text(&self) -> bool {
        self.kind == "text" || self.kind.starts_with("varchar")
    }

    fn data_type(&self) -> String {
        match self.kind.as_str() {
            "integer" => "ColumnType::Integer".into(),
            "key" => "ColumnType::Key".into(),
            "float" => "ColumnType::Float".into(),
            "date" => "ColumnType::Date".into(),
            "datetime" => "ColumnType::Datetime".into(),
            "text" => "ColumnType::Text".into(),
            varchar => {
                let length = varchar.trim_start_matches("varchar(").trim_end_matches(')');
                format!("ColumnType::Varchar({length})")
            }
        }
    }

    fn rust_type(&self) -> &'static str {
        match self.kind.as_str() {
            "integer" => "i32",
            "key" => "i64",
            "float" => "f64",
            "date" => "NaiveDate",
            "datetime" => "NaiveDateTime",
            _ => "Cow<'a, str>",
        }
    }

    fn builder(&self) -> &'static str {
        match self.kind.as_str() {
            "integer" => "Int32Builder",
            "key" => "Int64Builder",
            "float" => "Float64Builder",
            "date" => "Date32Builder",
            "datetime" => "TimestampMicrosecondBuilder",
            _ => "StringBuilder",
        }
    }

    fn append(&self) -> String {
        let name = &self.name;
        let (value, optional) = match self.kind.as_str() {
            "date" => (format!("days(row.{name})"), format!("row.{name}.map(days)")),
            "datetime" => (format!("micros(row.{name})"), format!("row.{name}.map(micros)")),
            "integer" | "key" | "float" => (format!("row.{name}"), format!("row.{name}")),
            _ => (format!("&row.{name}"), format!("row.{name}.as_deref()")),
        };
        if self.required {
            format!("self.{name}.append_value({value});")
        } else {
            format!("self.{name}.append_option({optional});")
        }
    }
}

impl Table {
    fn struct_name(&self) -> String {
        self.name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
    }

    fn generics(&self) -> &'static str {
        if self.columns.iter().any(Column::is_text) { "<'a>" } else { "" }
    }

    fn elided(&self) -> &'static str {
        if self.columns.iter().any(Column::is_text) { "<'_>" } else { "" }
    }

    /// Single-column primary keys that are surrogate ids; the vocabulary's are codes or concept ids.
    fn key(&self) -> Option<&Column> {
        self.columns.iter().find(|column| column.primary_key && column.kind == "key")
    }
}

fn write_specification(code: &mut String, tables: &[Table]) {
    writeln!(code, "static TABLES: [Table; {}] = [", tables.len()).unwrap();
    for table in tables {
        writeln!(code, "Table {{ name: {:?}, schema: {:?}, columns: &[", table.name, table.schema).unwrap();
        for column in &table.columns {
            let text = |value: &str| if value.is_empty() { "None".into() } else { format!("Some({value:?})") };
            writeln!(
                code,
                "Column {{ name: {:?}, data_type: {}, required: {}, primary_key: {}, references: {}, domain: {} }},",
                column.name,
                column.data_type(),
                column.required,
                column.primary_key,
                text(&column.references),
                text(&column.domain)
            )
            .unwrap();
        }
        writeln!(code, "] }},").unwrap();
    }
    writeln!(code, "];").unwrap();
}

fn write_row(code: &mut String, table: &Table) {
    writeln!(code, "/// One row of `{}`.", table.name).unwrap();
    writeln!(code, "#[derive(Clone, Debug, Default, PartialEq)]").unwrap();
    writeln!(code, "pub struct {}{} {{", table.struct_name(), table.generics()).unwrap();
    for column in &table.columns {
        let required = if column.required { "required" } else { "nullable" };
        writeln!(code, "/// `{}`, {}, {required}.", column.name, column.kind).unwrap();
        let rust = column.rust_type();
        if column.required {
            writeln!(code, "pub {}: {rust},", column.name).unwrap();
        } else {
            writeln!(code, "pub {}: Option<{rust}>,", column.name).unwrap();
        }
    }
    writeln!(code, "}}").unwrap();
}

fn write_builder(code: &mut String, table: &Table) {
    let name = table.struct_name();
    writeln!(code, "/// Collects rows of `{}` as Arrow columns.", table.name).unwrap();
    writeln!(code, "#[derive(Debug, Default)]\npub struct {name}Builder {{").unwrap();
    for column in &table.columns {
        writeln!(code, "{}: {},", column.name, column.builder()).unwrap();
    }
    writeln!(code, "}}\nimpl {name}Builder {{").unwrap();
    writeln!(code, "/// Adds one row.\npub fn append(&mut self, row: &{name}{}) {{", table.elided()).unwrap();
    for column in &table.columns {
        writeln!(code, "{}", column.append()).unwrap();
    }
    writeln!(code, "}}").unwrap();
    let first = &table.columns[0].name;
    writeln!(code, "/// Rows held.\npub fn len(&self) -> usize {{ self.{first}.len() }}").unwrap();
    writeln!(code, "/// True when no row is held.\npub fn is_empty(&self) -> bool {{ self.len() == 0 }}").unwrap();
    writeln!(code, "/// Takes the columns, in the order of the specification, and starts anew.").unwrap();
    writeln!(code, "pub fn finish(&mut self) -> Vec<ArrayRef> {{ vec![").unwrap();
    for column in &table.columns {
        writeln!(code, "Arc::new(self.{}.finish()),", column.name).unwrap();
    }
    writeln!(code, "] }}\n}}").unwrap();
}

fn write_row_enum(code: &mut String, tables: &[Table]) {
    writeln!(code, "/// One row of any table.\n#[derive(Clone, Debug, PartialEq)]").unwrap();
    writeln!(
        code,
        "#[allow(clippy::large_enum_variant, reason = \"rows are short-lived and go straight into a builder\")]"
    )
    .unwrap();
    writeln!(code, "pub enum Row<'a> {{").unwrap();
    for table in tables {
        writeln!(code, "/// A row of `{}`.", table.name).unwrap();
        writeln!(code, "{0}({0}{1}),", table.struct_name(), table.generics()).unwrap();
    }
    writeln!(code, "}}\nimpl Row<'_> {{").unwrap();

    writeln!(code, "/// The table that the row belongs to, as an index into [`tables`].").unwrap();
    writeln!(code, "pub fn table_index(&self) -> usize {{ match self {{").unwrap();
    for (index, table) in tables.iter().enumerate() {
        writeln!(code, "Row::{}(_) => {index},", table.struct_name()).unwrap();
    }
    writeln!(code, "}} }}").unwrap();

    writeln!(code, "/// The table that the row belongs to.").unwrap();
    writeln!(code, "pub fn table(&self) -> &'static Table {{ &TABLES[self.table_index()] }}").unwrap();

    writeln!(code, "/// The surrogate key of the row; `None` for tables without one.").unwrap();
    writeln!(code, "pub fn key(&self) -> Option<i64> {{ match self {{").unwrap();
    for table in tables {
        let name = table.struct_name();
        match table.key() {
            Some(key) => writeln!(code, "Row::{name}(row) => Some(row.{}),", key.name).unwrap(),
            None => writeln!(code, "Row::{name}(_) => None,").unwrap(),
        }
    }
    writeln!(code, "}} }}").unwrap();

    writeln!(code, "/// The person that the row is about; `None` where the table has no such column.").unwrap();
    writeln!(code, "pub fn person_id(&self) -> Option<i64> {{ match self {{").unwrap();
    for table in tables {
        let name = table.struct_name();
        match table.columns.iter().find(|column| column.name == "person_id") {
            Some(column) if column.required => writeln!(code, "Row::{name}(row) => Some(row.person_id),").unwrap(),
            Some(_) => writeln!(code, "Row::{name}(row) => row.person_id,").unwrap(),
            None => writeln!(code, "Row::{name}(_) => None,").unwrap(),
        }
    }
    writeln!(code, "}} }}\n}}").unwrap();

    for table in tables {
        let (name, generics) = (table.struct_name(), table.generics());
        writeln!(code, "impl<'a> From<{name}{generics}> for Row<'a> {{").unwrap();
        writeln!(code, "fn from(row: {name}{generics}) -> Self {{ Row::{name}(row) }}\n}}").unwrap();
    }
}

fn write_builders(code: &mut String, tables: &[Table]) {
    writeln!(code, "/// One builder per table.\n#[derive(Debug, Default)]\npub struct Builders {{").unwrap();
    for table in tables {
        writeln!(code, "/// Rows of `{0}`.\npub {0}: {1}Builder,", table.name, table.struct_name()).unwrap();
    }
    writeln!(code, "}}\nimpl Builders {{").unwrap();
    writeln!(code, "/// Adds the row to the builder of its table.").unwrap();
    writeln!(code, "pub fn append(&mut self, row: &Row<'_>) {{ match row {{").unwrap();
    for table in tables {
        writeln!(code, "Row::{}(row) => self.{}.append(row),", table.struct_name(), table.name).unwrap();
    }
    writeln!(code, "}} }}").unwrap();
    writeln!(code, "/// Takes what is held: for each table with rows, its columns without lineage.").unwrap();
    writeln!(code, "pub fn finish(&mut self) -> Vec<(&'static Table, Vec<ArrayRef>)> {{").unwrap();
    writeln!(code, "let mut held = Vec::new();").unwrap();
    for (index, table) in tables.iter().enumerate() {
        writeln!(code, "if !self.{0}.is_empty() {{ held.push((&TABLES[{index}], self.{0}.finish())); }}", table.name)
            .unwrap();
    }
    writeln!(code, "held\n}}\n}}").unwrap();
}
