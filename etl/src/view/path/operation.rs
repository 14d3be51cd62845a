//! Operators: comparison, arithmetic, and logic of three values, where nothing is the third.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::ControlFlow::Continue;

use model::document::{Element, Kind};

use super::super::data_type::DataType;
use super::super::decimal::Decimal;
use super::super::moment::Moment;
use super::evaluate::walk_item;
use super::{Chain, Context, Fault, Item, Step};

/// An operator with its operands.
#[derive(Clone, Debug)]
pub enum Operation {
    Binary(Operator, Chain, Chain),
    Negate(Chain),
    /// What is asked, without its last step where the type decides that one; that step; and the one of the wanted type.
    Is(Chain, Option<Step>, Step),
    If(Chain, Chain, Chain),
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Times,
    Divide,
    WholeQuotient,
    Remainder,
    Plus,
    Minus,
    Concatenate,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operation {
    pub fn evaluate<'d>(&'d self, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<Item<'d>> {
        match self {
            Operation::Binary(operator, left, right) => binary(*operator, left, right, focus, context),
            Operation::Negate(operand) => match operand.single(focus, context)? {
                item if item.as_integer().is_some() => item.as_integer()?.checked_neg().map(Item::Integer),
                item => item.as_decimal().map(|number| Item::from(number.negated())),
            },
            Operation::Is(operand, last, typed) => is_of_type(operand, last.as_slice(), typed, focus, context),
            Operation::If(condition, then, otherwise) => {
                let chosen = if condition.truth(focus, context) == Some(true) { then } else { otherwise };
                chosen.single(focus, context)
            }
        }
    }

    pub fn data_type(&self) -> Option<DataType> {
        match self {
            Operation::Is(..) => Some(DataType::BOOLEAN),
            Operation::Negate(operand) => operand.data_type().or(Some(DataType::DECIMAL)),
            Operation::If(_, then, otherwise) => then.data_type().or(otherwise.data_type()),
            Operation::Binary(operator, left, right) => match operator {
                Operator::Concatenate => Some(DataType::STRING),
                Operator::Divide => Some(DataType::DECIMAL),
                Operator::WholeQuotient => Some(DataType::INTEGER),
                // Each operand is asked once: chains of operators are as deep as they are long.
                Operator::Plus | Operator::Minus | Operator::Times | Operator::Remainder => {
                    match (left.data_type(), right.data_type()) {
                        (Some(left), Some(right)) if left == right => Some(left),
                        (Some(_), Some(_)) => Some(DataType::DECIMAL),
                        // Numbers or texts: nobody knows before the record is there.
                        (left, right) if *operator == Operator::Plus => {
                            left.or(right).filter(|of| *of == DataType::STRING)
                        }
                        _ => Some(DataType::DECIMAL),
                    }
                }
                _ => Some(DataType::BOOLEAN),
            },
        }
    }
}

/// Whether what the operand and its last step find has the wanted type; none where they find nothing. The operand is asked
/// once, however many of these stand behind each other.
fn is_of_type<'d>(
    operand: &'d Chain,
    last: &'d [Step],
    typed: &'d Step,
    focus: Option<&Item<'d>>,
    context: &Context<'d>,
) -> Option<Item<'d>> {
    let (mut found, mut of_type) = (0, 0);
    let _ = operand.visit(focus, context, &mut |item| {
        let _ = walk_item(last, item.clone(), context, &mut |_| {
            found += 1;
            Continue(())
        });
        let _ = walk_item(std::slice::from_ref(typed), item, context, &mut |_| {
            of_type += 1;
            Continue(())
        });
        Continue(())
    });
    if found > 1 || of_type > 1 {
        context.blame(Fault::MoreThanOne);
    }
    (found > 0).then_some(Item::Boolean(of_type > 0))
}

fn binary<'d>(
    operator: Operator,
    left: &'d Chain,
    right: &'d Chain,
    focus: Option<&Item<'d>>,
    context: &Context<'d>,
) -> Option<Item<'d>> {
    let truth = match operator {
        Operator::Equal => equal(left, right, focus, context)?,
        Operator::NotEqual => !equal(left, right, focus, context)?,
        Operator::Equivalent => equivalent(left, right, focus, context),
        Operator::NotEquivalent => !equivalent(left, right, focus, context),
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            let (left, right) = (left.single(focus, context)?, right.single(focus, context)?);
            let order = left.compare(&right)?;
            match operator {
                Operator::Less => order.is_lt(),
                Operator::LessOrEqual => order.is_le(),
                Operator::Greater => order.is_gt(),
                _ => order.is_ge(),
            }
        }
        Operator::In => is_in(left, right, focus, context)?,
        Operator::Contains => is_in(right, left, focus, context)?,
        Operator::And => match left.truth(focus, context) {
            Some(false) => false,
            left => match (left, right.truth(focus, context)) {
                (_, Some(false)) => false,
                (Some(true), Some(true)) => true,
                _ => return None,
            },
        },
        Operator::Or => match left.truth(focus, context) {
            Some(true) => true,
            left => match (left, right.truth(focus, context)) {
                (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
        },
        Operator::Xor => left.truth(focus, context)? != right.truth(focus, context)?,
        Operator::Implies => match left.truth(focus, context) {
            Some(false) => true,
            left => match (left, right.truth(focus, context)) {
                (_, Some(true)) => true,
                (Some(true), Some(false)) => false,
                _ => return None,
            },
        },
        Operator::Concatenate => {
            let text = |chain: &'d Chain| chain.single(focus, context).and_then(Item::into_text).unwrap_or_default();
            let joined = text(left).into_owned() + &text(right);
            return Some(Item::Text(Cow::Owned(joined), DataType::STRING));
        }
        _ => return arithmetic(operator, left.single(focus, context)?, right.single(focus, context)?),
    };
    Some(Item::Boolean(truth))
}

fn arithmetic<'d>(operator: Operator, left: Item<'d>, right: Item<'d>) -> Option<Item<'d>> {
    if let (Some(a), Some(b)) = (left.as_integer(), right.as_integer()) {
        return match operator {
            Operator::Plus => a.checked_add(b).map(Item::Integer),
            Operator::Minus => a.checked_sub(b).map(Item::Integer),
            Operator::Times => a.checked_mul(b).map(Item::Integer),
            Operator::WholeQuotient => a.checked_div(b).map(Item::Integer),
            Operator::Remainder => a.checked_rem(b).map(Item::Integer),
            _ => Decimal::from(a).divided_by(b.into()).map(Item::from),
        };
    }
    if let (Some(a), Some(b)) = (left.as_decimal(), right.as_decimal()) {
        return match operator {
            Operator::Plus => a.plus(b).map(Item::from),
            Operator::Minus => a.minus(b).map(Item::from),
            Operator::Times => a.times(b).map(Item::from),
            Operator::WholeQuotient => a.whole_quotient(b)?.to_i64().map(Item::Integer),
            Operator::Remainder => a.remainder(b).map(Item::from),
            _ => a.divided_by(b).map(Item::from),
        };
    }
    if operator != Operator::Plus {
        return None;
    }
    let joined = left.as_text()?.to_owned() + right.as_text()?;
    Some(Item::Text(Cow::Owned(joined), DataType::STRING))
}

fn all<'d>(chain: &'d Chain, focus: Option<&Item<'d>>, context: &Context<'d>) -> Vec<Item<'d>> {
    let mut items = Vec::new();
    let _ = chain.visit(focus, context, &mut |item| {
        items.push(item);
        Continue(())
    });
    items
}

/// Item by item; `None` when one side has none, or when an item is not written in enough detail.
fn equal<'d>(left: &'d Chain, right: &'d Chain, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<bool> {
    // Each side is asked once: asked twice at every level, a path would take as long as 2 to its depth.
    let (left, right) = (all(left, focus, context), all(right, focus, context));
    if left.is_empty() || right.is_empty() {
        return None;
    }
    if left.len() != right.len() {
        return Some(false);
    }
    let mut equal = Some(true);
    for (a, b) in left.iter().zip(&right) {
        match a.equals(b) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => equal = None,
        }
    }
    equal
}

/// The same items in any order; two empty sides are equivalent.
fn equivalent<'d>(left: &'d Chain, right: &'d Chain, focus: Option<&Item<'d>>, context: &Context<'d>) -> bool {
    let (left, mut right) = (all(left, focus, context), all(right, focus, context));
    left.len() == right.len()
        && left.iter().all(|item| {
            let found = right.iter().position(|other| item.is_like(other));
            found.map(|found| right.swap_remove(found)).is_some()
        })
}

fn is_in<'d>(item: &'d Chain, items: &'d Chain, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<bool> {
    let item = item.single(focus, context)?;
    let found = items.visit(focus, context, &mut |other| {
        if item.equals(&other) == Some(true) { std::ops::ControlFlow::Break(()) } else { Continue(()) }
    });
    Some(found.is_break())
}

impl<'d> Item<'d> {
    /// The whole number, when it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Item::Integer(number) => Some(*number),
            Item::Element(element, _) => element.as_number()?.parse().ok(),
            _ => None,
        }
    }

    /// The number, when it is one.
    pub fn as_decimal(&self) -> Option<Decimal> {
        match self {
            Item::Integer(number) => Some((*number).into()),
            Item::Decimal(number) => Some(**number),
            Item::Element(element, _) => Decimal::parse(element.as_number()?),
            _ => None,
        }
    }

    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Item::Text(text, _) => Some(text),
            Item::Element(element, _) => element.as_str(),
            _ => None,
        }
    }

    /// The value as text; none for what has members.
    pub fn into_text(self) -> Option<Cow<'d, str>> {
        Some(match self {
            Item::Text(text, _) => text,
            Item::Element(element, _) => Cow::Borrowed(match element.kind() {
                Kind::True => "true",
                Kind::False => "false",
                _ => element.as_str().or_else(|| element.as_number())?,
            }),
            Item::Integer(number) => Cow::Owned(number.to_string()),
            Item::Decimal(number) => Cow::Owned(number.to_string()),
            Item::Boolean(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
        })
    }

    fn as_moment(&self) -> Option<Moment> {
        Moment::parse(self.as_text()?)
    }

    fn is_temporal(&self) -> bool {
        self.data_type().is_some_and(DataType::is_temporal)
    }

    /// Whether both are the same value; `None` when the detail of a date or time does not decide it.
    pub fn equals(&self, other: &Item<'_>) -> Option<bool> {
        if let (Some(a), Some(b)) = (self.as_text(), other.as_text()) {
            if a == b {
                return Some(true);
            }
            return match (self.is_temporal() || other.is_temporal()).then(|| (self.as_moment(), other.as_moment())) {
                Some((Some(a), Some(b))) => a.compare(&b).map(Ordering::is_eq),
                _ => Some(false),
            };
        }
        if let (Some(a), Some(b)) = (self.as_bool(), other.as_bool()) {
            return Some(a == b);
        }
        if let (Some(a), Some(b)) = (self.as_decimal(), other.as_decimal()) {
            return Some(a == b);
        }
        match (self, other) {
            (Item::Element(a, _), Item::Element(b, _)) => Some(same_content(*a, *b)),
            _ => Some(false),
        }
    }

    fn is_like(&self, other: &Item<'_>) -> bool {
        match (self.as_text(), other.as_text()) {
            (Some(a), Some(b)) => {
                let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                plain(a) == plain(b) || self.equals(other) == Some(true)
            }
            _ => self.equals(other) == Some(true),
        }
    }

    /// How the two follow on each other; `None` when they are of different kinds.
    fn compare(&self, other: &Item<'_>) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.as_decimal(), other.as_decimal()) {
            return Some(a.cmp(&b));
        }
        let (a, b) = (self.as_text()?, other.as_text()?);
        // Whether the text of a record is a date is known only when both look like one.
        match (self.as_moment(), other.as_moment()) {
            (Some(a), Some(b)) => a.compare(&b),
            _ if self.is_temporal() && other.is_temporal() => None,
            _ => Some(a.cmp(b)),
        }
    }
}

fn same_content(a: Element<'_>, b: Element<'_>) -> bool {
    a.kind() == b.kind() && a.content_hash() == b.content_hash()
}

impl Chain {
    /// One whole number from the path, for arguments.
    pub(super) fn integer<'d>(&'d self, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<i64> {
        let item = self.single(focus, context)?;
        let number = item.as_integer();
        if number.is_none() {
            context.blame(Fault::WrongType);
        }
        number
    }
}
