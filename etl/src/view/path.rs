//! The part of FHIRPath that the built-in views use, compiled once to steps over the parsed record.
//!
//! Members, `[n]`, `.first()`, `.where(path = 'text')`, `.extension('url')`, `.ofType(T)`, `.exists()`, `.count()`,
//! `.join('text')`, `.getResourceKey()`, `.getReferenceKey(Type)`, `a | b` in parentheses and `%rowIndex`.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

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
        let mut first = None;
        let _ = self.visit(element, scope, &mut |item| {
            first = Some(item);
            Break(())
        });
        first
    }

    /// All items that the path finds.
    pub fn all<'d>(&self, element: Element<'d>, scope: Scope<'_>) -> Vec<Item<'d>> {
        let mut items = Vec::new();
        let _ = self.visit(element, scope, &mut |item| {
            items.push(item);
            Continue(())
        });
        items
    }

    /// True when the path finds `true`.
    pub fn holds(&self, element: Element<'_>, scope: Scope<'_>) -> bool {
        match self.first(element, scope) {
            Some(Item::Boolean(truth)) => truth,
            Some(Item::Element(element)) => element.as_bool().unwrap_or(false),
            _ => false,
        }
    }

    fn visit<'d>(&self, element: Element<'d>, scope: Scope<'_>, found: Found<'_, 'd>) -> ControlFlow<()> {
        match &self.start {
            Start::Here => go(&self.steps, Item::Element(element), scope, found),
            Start::RowIndex => go(&self.steps, Item::Integer(scope.row_index), scope, found),
            Start::Union(paths) => gather(&self.steps, scope, found, &mut |inner| {
                paths.iter().try_for_each(|path| path.visit(element, scope, inner))
            }),
        }
    }
}

/// Where items go; `Break` says that no more are needed.
type Found<'f, 'd> = &'f mut dyn FnMut(Item<'d>) -> ControlFlow<()>;

/// Takes one item through the steps. Nothing is collected on the way, so a path costs no memory.
fn go<'d>(steps: &[Step], item: Item<'d>, scope: Scope<'_>, found: Found<'_, 'd>) -> ControlFlow<()> {
    // A step that looks at all items at once gathers what comes out of the steps in front of it.
    if let Some(at) = steps.iter().position(Step::looks_at_all) {
        return gather(&steps[at..], scope, found, &mut |inner| one_by_one(&steps[..at], item.clone(), scope, inner));
    }
    one_by_one(steps, item, scope, found)
}

/// Runs `items` and takes what it finds through the steps, of which the first may look at all items at once.
fn gather<'d>(
    steps: &[Step],
    scope: Scope<'_>,
    found: Found<'_, 'd>,
    items: &mut dyn FnMut(Found<'_, 'd>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first().filter(|(step, _)| step.looks_at_all()) else {
        return match steps.iter().position(Step::looks_at_all) {
            None => items(&mut |item| one_by_one(steps, item, scope, found)),
            Some(at) => gather(&steps[at..], scope, found, &mut |inner| {
                items(&mut |item| one_by_one(&steps[..at], item, scope, inner))
            }),
        };
    };
    let mut count = 0;
    match step {
        Step::Index(index) => {
            let mut taken = None;
            let _ = items(&mut |item| {
                if count == *index {
                    taken = Some(item);
                    return Break(());
                }
                count += 1;
                Continue(())
            });
            taken.map_or(Continue(()), |item| go(rest, item, scope, found))
        }
        Step::Exists => {
            let mut exists = false;
            let _ = items(&mut |_| {
                exists = true;
                Break(())
            });
            go(rest, Item::Boolean(exists), scope, found)
        }
        Step::Join(separator) => {
            let mut text: Option<Cow<'d, str>> = None;
            let _ = items(&mut |item| {
                if let Item::Element(element) = item
                    && let Some(more) = element.as_str()
                {
                    match &mut text {
                        None => text = Some(Cow::Borrowed(more)),
                        Some(text) => {
                            text.to_mut().push_str(separator);
                            text.to_mut().push_str(more);
                        }
                    }
                }
                Continue(())
            });
            text.map_or(Continue(()), |text| go(rest, Item::Text(text), scope, found))
        }
        _ => {
            let _ = items(&mut |_| {
                count += 1;
                Continue(())
            });
            go(rest, Item::Integer(count as i64), scope, found)
        }
    }
}

/// Takes one item through steps that look at one item at a time.
fn one_by_one<'d>(steps: &[Step], item: Item<'d>, scope: Scope<'_>, found: Found<'_, 'd>) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first() else {
        return found(item);
    };
    if let Step::ResourceKey = step {
        return one_by_one(rest, Item::Text(Cow::Owned(scope.id.to_owned())), scope, found);
    }
    let Item::Element(element) = item else { return Continue(()) };
    match step {
        Step::Member(name) => each(element, name, &mut |item| one_by_one(rest, Item::Element(item), scope, found)),
        Step::Extension(url) => each(element, "extension", &mut |extension| {
            if extension.get("url").and_then(|found| found.as_str()) == Some(url) {
                return one_by_one(rest, Item::Element(extension), scope, found);
            }
            Continue(())
        }),
        Step::Where(path, wanted) => {
            let holds = match wanted {
                Some(wanted) => path
                    .visit(element, scope, &mut |item| match item {
                        Item::Element(found) if found.as_str() == Some(wanted) => Break(()),
                        _ => Continue(()),
                    })
                    .is_break(),
                None => path.holds(element, scope),
            };
            if holds { one_by_one(rest, item, scope, found) } else { Continue(()) }
        }
        Step::ReferenceKey(resource_type) => {
            let reference = element.get("reference").and_then(|reference| reference.as_str());
            match reference.and_then(|reference| scope.references.id(reference, resource_type.as_deref())) {
                Some(id) => one_by_one(rest, Item::Text(Cow::Owned(id)), scope, found),
                None => Continue(()),
            }
        }
        _ => Continue(()),
    }
}

/// The member's value, or each of its items.
fn each<'d>(element: Element<'d>, name: &str, take: &mut dyn FnMut(Element<'d>) -> ControlFlow<()>) -> ControlFlow<()> {
    match element.get(name) {
        Some(value) if value.kind() == Kind::Array => {
            value.items().filter(|item| item.kind() != Kind::Null).try_for_each(take)
        }
        Some(value) if value.kind() != Kind::Null => take(value),
        _ => Continue(()),
    }
}

impl Step {
    fn looks_at_all(&self) -> bool {
        matches!(self, Step::Index(_) | Step::Exists | Step::Count | Step::Join(_))
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
