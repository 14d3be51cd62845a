//! The part of FHIRPath that the built-in views use, compiled once to steps over the parsed record.
//!
//! Members, `[n]`, `.first()`, `.where(path = 'text')`, `.extension('url')`, `.ofType(T)`, `.exists()`, `.count()`,
//! `.join('text')`, `.getResourceKey()`, `.getReferenceKey(Type)`, `a | b` in parentheses and `%rowIndex`.

use std::borrow::Cow;

use crate::document::{Element, Kind};
use crate::reference::References;

/// A compiled path.
#[derive(Debug)]
pub struct Path {
    start: Start,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Start {
    Here,
    RowIndex,
    Union(Vec<Path>),
}

#[derive(Debug)]
enum Step {
    Member(String),
    Index(usize),
    Where(Path, Option<String>),
    Extension(String),
    ReferenceKey(Option<String>),
    ResourceKey,
    Exists,
    Count,
    Join(String),
}

/// One item of what a path finds.
#[derive(Clone, Debug)]
pub enum Item<'d> {
    /// A value of the record.
    Element(Element<'d>),
    /// A text that was made.
    Text(Cow<'d, str>),
    /// A number that was made.
    Integer(i64),
    /// A truth that was found.
    Boolean(bool),
}

/// What a path may ask beside the record.
#[derive(Clone, Copy)]
pub struct Scope<'s> {
    /// The resource's logical id.
    pub id: &'s str,
    /// What its references name.
    pub references: &'s References<'s>,
    /// Which item of a `forEach` this is.
    pub row_index: i64,
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// Says what is not understood.
    pub fn compile(text: &str) -> Result<Path, String> {
        let mut parser = Parser { text, at: 0 };
        let path = parser.path()?;
        parser.space();
        if parser.at < text.len() { Err(parser.unexpected()) } else { Ok(path) }
    }

    /// The first item that the path finds.
    pub fn first<'d>(&self, element: Element<'d>, scope: Scope<'_>) -> Option<Item<'d>> {
        self.all(element, scope).into_iter().next()
    }

    /// All items that the path finds.
    pub fn all<'d>(&self, element: Element<'d>, scope: Scope<'_>) -> Vec<Item<'d>> {
        let mut items = match &self.start {
            Start::Here => vec![Item::Element(element)],
            Start::RowIndex => vec![Item::Integer(scope.row_index)],
            Start::Union(paths) => paths.iter().flat_map(|path| path.all(element, scope)).collect(),
        };
        for step in &self.steps {
            items = step.take(items, scope);
        }
        items
    }

    /// True when the path finds `true`, or finds anything where a text is compared.
    pub fn holds(&self, element: Element<'_>, scope: Scope<'_>) -> bool {
        match self.first(element, scope) {
            Some(Item::Boolean(truth)) => truth,
            Some(Item::Element(element)) => element.as_bool().unwrap_or(false),
            _ => false,
        }
    }
}

impl Step {
    fn take<'d>(&self, items: Vec<Item<'d>>, scope: Scope<'_>) -> Vec<Item<'d>> {
        let elements = |items: Vec<Item<'d>>| {
            items.into_iter().filter_map(|item| match item {
                Item::Element(element) => Some(element),
                _ => None,
            })
        };
        match self {
            Step::Member(name) => {
                let mut found = Vec::new();
                for element in elements(items) {
                    push_member(&mut found, element, name);
                }
                found
            }
            Step::Index(index) => items.into_iter().skip(*index).take(1).collect(),
            Step::Where(path, wanted) => elements(items)
                .filter(|element| match wanted {
                    Some(wanted) => path
                        .all(*element, scope)
                        .iter()
                        .any(|item| matches!(item, Item::Element(found) if found.as_str() == Some(wanted))),
                    None => path.holds(*element, scope),
                })
                .map(Item::Element)
                .collect(),
            Step::Extension(url) => {
                let mut found = Vec::new();
                for element in elements(items) {
                    push_member(&mut found, element, "extension");
                }
                found.retain(|item| {
                    matches!(item, Item::Element(extension)
                        if extension.get("url").and_then(|found| found.as_str()) == Some(url))
                });
                found
            }
            Step::ReferenceKey(resource_type) => elements(items)
                .filter_map(|element| {
                    let reference = element.get("reference")?.as_str()?;
                    let id = scope.references.id(reference, resource_type.as_deref())?;
                    Some(Item::Text(Cow::Owned(id)))
                })
                .collect(),
            Step::ResourceKey => vec![Item::Text(Cow::Owned(scope.id.to_owned()))],
            Step::Exists => vec![Item::Boolean(!items.is_empty())],
            Step::Count => vec![Item::Integer(items.len() as i64)],
            Step::Join(separator) => {
                let texts: Vec<_> = elements(items).filter_map(|element| element.as_str()).collect();
                match texts.as_slice() {
                    [] => Vec::new(),
                    [one] => vec![Item::Text(Cow::Borrowed(*one))],
                    many => vec![Item::Text(Cow::Owned(many.join(separator)))],
                }
            }
        }
    }
}

fn push_member<'d>(found: &mut Vec<Item<'d>>, element: Element<'d>, name: &str) {
    if let Some(value) = element.get(name) {
        match value.kind() {
            Kind::Null => {}
            Kind::Array => {
                found.extend(value.items().filter(|item| item.kind() != Kind::Null).map(Item::Element));
            }
            _ => found.push(Item::Element(value)),
        }
    }
}

struct Parser<'p> {
    text: &'p str,
    at: usize,
}

impl<'p> Parser<'p> {
    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn unexpected(&self) -> String {
        match self.rest().chars().next() {
            Some(found) => format!("unexpected `{found}` at {} of `{}`", self.at, self.text),
            None => format!("`{}` ends too early", self.text),
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<&'p str, String> {
        self.space();
        let length = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.unexpected());
        }
        self.at += length;
        Ok(&self.text[self.at - length..self.at])
    }

    fn literal(&mut self) -> Result<String, String> {
        self.expect("'")?;
        let Some(length) = self.rest().find('\'') else {
            return Err(self.unexpected());
        };
        self.at += length + 1;
        Ok(self.text[self.at - length - 1..self.at - 1].to_owned())
    }

    fn path(&mut self) -> Result<Path, String> {
        let mut steps = Vec::new();
        let start = if self.eat("%rowIndex") {
            Start::RowIndex
        } else if self.eat("(") {
            let mut paths = vec![self.path()?];
            while self.eat("|") {
                paths.push(self.path()?);
            }
            self.expect(")")?;
            Start::Union(paths)
        } else {
            self.step(&mut steps)?;
            Start::Here
        };
        loop {
            if self.eat(".") {
                self.step(&mut steps)?;
            } else if self.eat("[") {
                let digits = self.name()?;
                steps.push(Step::Index(digits.parse().map_err(|_| format!("`{digits}` is no index"))?));
                self.expect("]")?;
            } else {
                return Ok(Path { start, steps });
            }
        }
    }

    fn step(&mut self, steps: &mut Vec<Step>) -> Result<(), String> {
        let name = self.name()?;
        if !self.eat("(") {
            steps.push(Step::Member(name.to_owned()));
            return Ok(());
        }
        let step = match name {
            "first" => Step::Index(0),
            "exists" => Step::Exists,
            "count" => Step::Count,
            "getResourceKey" => Step::ResourceKey,
            "extension" => Step::Extension(self.literal()?),
            "join" => Step::Join(self.literal()?),
            "getReferenceKey" if self.eat(")") => {
                steps.push(Step::ReferenceKey(None));
                return Ok(());
            }
            "getReferenceKey" => Step::ReferenceKey(Some(self.name()?.to_owned())),
            "where" => {
                let path = self.path()?;
                let wanted = if self.eat("=") { Some(self.literal()?) } else { None };
                Step::Where(path, wanted)
            }
            // A choice element has its type in its name: `value.ofType(Quantity)` is the member `valueQuantity`.
            "ofType" => {
                let of = self.name()?;
                let (Some(Step::Member(member)), true) = (steps.pop(), of.is_ascii()) else {
                    return Err("`ofType` must follow the name of a choice element".into());
                };
                Step::Member(format!("{member}{}{}", of[..1].to_ascii_uppercase(), &of[1..]))
            }
            other => return Err(format!("function `{other}` is not known")),
        };
        self.expect(")")?;
        steps.push(step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Tape;
    use crate::reference::Directory;

    const RESOURCE: &str = r#"{"id":"7","name":[{"use":"old","given":["A"]},{"use":"usual","given":["B","C"]}],
        "subject":{"reference":"http://s/Patient/p1/_history/2"},"valueQuantity":{"value":1.50},"onsetPeriod":{"start":"2024"},
        "extension":[{"url":"u","extension":[{"url":"v","valueCoding":{"code":"x"}}]}],"active":true}"#;

    fn eval(path: &str) -> String {
        let mut tape = Tape::default();
        let element = tape.parse(RESOURCE).unwrap();
        let directory = Directory::default();
        let references = References::new(&directory, "s", None, None);
        let scope = Scope { id: "7", references: &references, row_index: 4 };
        let items = Path::compile(path).unwrap().all(element, scope);
        let told: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Element(element) => element.as_str().map_or_else(|| element.text().to_owned(), str::to_owned),
                Item::Text(text) => text.to_string(),
                Item::Integer(number) => number.to_string(),
                Item::Boolean(truth) => truth.to_string(),
            })
            .collect();
        told.join(",")
    }

    #[test]
    fn paths_find_what_they_name() {
        for (path, found) in [
            ("id", "7"),
            ("name.given", "A,B,C"),
            ("name.first().given", "A"),
            ("name[1].given[1]", "C"),
            ("name.where(use = 'usual').given.join(' ')", "B C"),
            ("name.given.count()", "3"),
            ("name.exists()", "true"),
            ("missing.exists()", "false"),
            ("missing.count()", "0"),
            ("subject.getReferenceKey(Patient)", "p1"),
            ("subject.getReferenceKey(Group)", ""),
            ("subject.getReferenceKey()", "p1"),
            ("getResourceKey()", "7"),
            ("value.ofType(Quantity).value", "1.50"),
            ("(onset.ofType(dateTime) | onset.ofType(Period).start).first()", "2024"),
            ("extension('u').extension('v').value.ofType(Coding).first().code", "x"),
            ("extension('w').value.ofType(Coding).code", ""),
            ("%rowIndex", "4"),
            ("missing.thing", ""),
            ("id.thing", ""),
        ] {
            assert_eq!(eval(path), found, "{path}");
        }
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (path, message) in [
            ("", "`` ends too early"),
            ("name.", "`name.` ends too early"),
            ("name.given]", "unexpected `]` at 10 of `name.given]`"),
            ("name.upper()", "function `upper` is not known"),
            ("name[x]", "`x` is no index"),
            ("ofType(Quantity)", "`ofType` must follow the name of a choice element"),
        ] {
            assert_eq!(Path::compile(path).unwrap_err(), message);
        }
    }
}
