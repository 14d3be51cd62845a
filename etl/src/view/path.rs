//! FHIRPath, as far as views need it: compiled once to steps over the parsed record.
//!
//! A path is a chain: something to start from, then steps that look at one item at a time. What looks at all items at
//! once (`first()`, `count()`, an operator) is the start of the chain behind it. Items are handed on one by one, so
//! that a path collects nothing and stops as soon as nobody wants more.

mod call;
mod evaluate;
mod fold;
mod function;
mod infix;
mod operation;
mod parse;
mod shortcut;
mod token;

use std::borrow::Cow;
use std::cell::Cell;

use model::document::{Element, Name};

use super::data_type::DataType;
use super::decimal::Decimal;
use crate::reference::References;

use fold::Fold;
use operation::Operation;
pub use parse::Names;
use shortcut::Shortcut;
pub use shortcut::Trail;

/// A compiled path.
#[derive(Debug)]
pub struct Path {
    chain: Chain,
    shortcut: Option<Shortcut>,
}

/// Something to start from, and the steps from there.
#[derive(Clone, Debug)]
struct Chain {
    source: Source,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Source {
    /// What the path is asked of.
    This,
    /// The resource.
    Root,
    /// `%rowIndex`
    RowIndex,
    /// `{}`
    Nothing,
    Literal(Literal),
    Fold(Box<Fold>),
    Operation(Box<Operation>),
    Union(Vec<Chain>),
}

#[derive(Clone, Debug)]
enum Step {
    /// The member of that name.
    Member(Name),
    /// The member whose name begins so and ends with a type.
    Choice(Name),
    /// The member of that full name; without it, in elements that may not be a choice, the plain one.
    ChoiceOf {
        member: Name,
        plain: Option<Name>,
        of: DataType,
    },
    Extension(Box<str>),
    Where(Chain),
    Select(Chain),
    OfType(DataType),
    /// Resources of that type.
    OfResource(Box<str>),
    ResourceKey,
    ReferenceKey(Option<Box<str>>),
}

/// A value that stands in the path, or a constant of the view.
#[derive(Clone, Debug)]
pub enum Literal {
    /// Text, or a date or time.
    Text(Box<str>, DataType),
    /// A whole number.
    Integer(i64),
    /// A decimal number.
    Decimal(Decimal),
    /// True or false.
    Boolean(bool),
}

/// One item of what a path finds.
#[derive(Clone, Debug)]
pub enum Item<'d> {
    /// A value of the record, with its type where the name or the path said it.
    Element(Element<'d>, Option<DataType>),
    /// A text that was made.
    Text(Cow<'d, str>, DataType),
    /// A number that was made.
    Integer(i64),
    /// A number that was made; apart, since it is rare and large.
    Decimal(Box<Decimal>),
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
}

impl Literal {
    fn item(&self) -> Item<'_> {
        match self {
            Literal::Text(text, of) => Item::Text(Cow::Borrowed(text), *of),
            Literal::Integer(number) => Item::Integer(*number),
            Literal::Decimal(number) => Item::from(*number),
            Literal::Boolean(truth) => Item::Boolean(*truth),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Literal::Text(_, of) => *of,
            Literal::Integer(_) => DataType::INTEGER,
            Literal::Decimal(_) => DataType::DECIMAL,
            Literal::Boolean(_) => DataType::BOOLEAN,
        }
    }
}

impl From<Decimal> for Item<'_> {
    fn from(number: Decimal) -> Self {
        Item::Decimal(Box::new(number))
    }
}

impl Path {
    /// The type of what the path finds, as far as the path alone tells it.
    pub fn data_type(&self) -> Option<DataType> {
        self.chain.data_type()
    }

    /// Learns which path is asked before this one, always of the same focus and with one trail.
    pub fn comes_after(&mut self, before: &Path) {
        if let (Some(shortcut), Some(before)) = (&mut self.shortcut, &before.shortcut) {
            shortcut.comes_after(before);
        }
    }
}

impl Chain {
    fn then(mut self, step: Step) -> Chain {
        self.steps.push(step);
        self
    }

    /// The literal, when the chain is nothing else.
    fn literal(&self) -> Option<&Literal> {
        match &self.source {
            Source::Literal(literal) if self.steps.is_empty() => Some(literal),
            _ => None,
        }
    }

    fn data_type(&self) -> Option<DataType> {
        for step in self.steps.iter().rev() {
            return match step {
                Step::Where(_) => continue,
                Step::Member(name) => DataType::of_element(name),
                Step::ChoiceOf { of, .. } | Step::OfType(of) => Some(*of),
                Step::ResourceKey | Step::ReferenceKey(_) => Some(DataType::STRING),
                Step::Select(chain) => chain.data_type(),
                Step::Choice(_) | Step::Extension(_) | Step::OfResource(_) => None,
            };
        }
        match &self.source {
            Source::This | Source::Root | Source::Nothing => None,
            Source::RowIndex => Some(DataType::INTEGER),
            Source::Literal(literal) => Some(literal.data_type()),
            Source::Fold(fold) => fold.data_type(),
            Source::Operation(operation) => operation.data_type(),
            Source::Union(parts) => {
                let mut types = parts.iter().map(Chain::data_type);
                let first = types.next()??;
                types.all(|of| of == Some(first)).then_some(first)
            }
        }
    }
}

impl From<Source> for Chain {
    fn from(source: Source) -> Self {
        Chain { source, steps: Vec::new() }
    }
}

impl From<Literal> for Chain {
    fn from(literal: Literal) -> Self {
        Source::Literal(literal).into()
    }
}

impl From<Fold> for Chain {
    fn from(fold: Fold) -> Self {
        Source::Fold(Box::new(fold)).into()
    }
}

impl From<Operation> for Chain {
    fn from(operation: Operation) -> Self {
        Source::Operation(Box::new(operation)).into()
    }
}

/// Why a value is not what the definition says it is. The record is to blame, or the definition; nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// More than one item where one is expected.
    MoreThanOne,
    /// A condition that is neither true nor false.
    NotBoolean,
    /// A value that its column cannot take.
    WrongType,
    /// `repeat` finds something that is not inside of what it started from.
    NotInside,
    /// More rows from one resource than a view may make.
    TooManyRows,
}

impl Fault {
    /// The word for it in the account.
    pub fn reason(self) -> &'static str {
        match self {
            Fault::MoreThanOne => "more_than_one_value",
            Fault::NotBoolean => "not_boolean",
            Fault::WrongType => "wrong_type",
            Fault::NotInside => "repeat_leaves_element",
            Fault::TooManyRows => "too_many_rows",
        }
    }
}

/// Where a path is asked: the same for all paths of a row.
#[derive(Clone, Copy)]
pub struct Context<'d> {
    /// The resource.
    pub root: Element<'d>,
    /// What is known beside it.
    pub scope: Scope<'d>,
    /// Which item of the enclosing iteration this is.
    pub row_index: i64,
    /// The first thing that went wrong.
    pub fault: &'d Cell<Option<Fault>>,
}

impl Context<'_> {
    /// The same for another item of an iteration.
    pub fn at(&self, row_index: i64) -> Self {
        Context { row_index, ..*self }
    }

    /// Notes what went wrong, unless something did before.
    pub fn blame(&self, fault: Fault) {
        self.fault.set(self.fault.get().or(Some(fault)));
    }
}

#[cfg(test)]
mod tests;
