//! What looks at all items of a path at once: the first, the last, how many, whether any.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

use super::super::data_type::DataType;
use super::evaluate::Found;
use super::function::Function;
use super::{Chain, Context, Fault, Item};

/// Items, and what is made of all of them.
#[derive(Clone, Debug)]
pub struct Fold {
    pub input: Chain,
    pub by: Folding,
}

/// What is made of all items.
#[derive(Clone, Debug)]
pub enum Folding {
    Nth(usize),
    NthBy(Chain),
    Last,
    Skip(usize),
    Take(usize),
    Single,
    Count,
    Exists(Option<Chain>),
    All(Chain),
    Empty,
    Not,
    Distinct,
    IsDistinct,
    Join(Box<str>),
    /// A function of one item; `hint` is the type that the path or the column says it has.
    Function {
        function: Function,
        arguments: Vec<Chain>,
        hint: Option<DataType>,
    },
}

impl Fold {
    pub fn visit<'d>(
        &'d self,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        found: Found<'_, 'd>,
    ) -> ControlFlow<()> {
        let input = &self.input;
        let made = match &self.by {
            Folding::Nth(index) => nth(input, *index, focus, context),
            Folding::NthBy(index) => match index.single(focus, context).and_then(|item| item.as_integer()) {
                Some(index) => usize::try_from(index).ok().and_then(|index| nth(input, index, focus, context)),
                None => None,
            },
            Folding::Last => {
                let mut last = None;
                let _ = input.visit(focus, context, &mut |item| {
                    last = Some(item);
                    Continue(())
                });
                last
            }
            Folding::Skip(count) => {
                let mut left = *count;
                return input.visit(focus, context, &mut |item| {
                    if left == 0 {
                        return found(item);
                    }
                    left -= 1;
                    Continue(())
                });
            }
            Folding::Take(count) => {
                let (mut left, mut flow) = (*count, Continue(()));
                if left > 0 {
                    let _ = input.visit(focus, context, &mut |item| {
                        left -= 1;
                        flow = found(item);
                        if left == 0 { Break(()) } else { flow }
                    });
                }
                return flow;
            }
            Folding::Single => input.single(focus, context),
            Folding::Count => {
                let mut count = 0;
                let _ = input.visit(focus, context, &mut |_| {
                    count += 1;
                    Continue(())
                });
                Some(Item::Integer(count))
            }
            Folding::Exists(criteria) => {
                let wanted = |item: &Item<'d>| match criteria {
                    Some(criteria) => criteria.truth(Some(item), context) == Some(true),
                    None => true,
                };
                let visit = &mut |item| if wanted(&item) { Break(()) } else { Continue(()) };
                Some(Item::Boolean(input.visit(focus, context, visit).is_break()))
            }
            Folding::All(criteria) => {
                let holds = |item: &Item<'d>| criteria.truth(Some(item), context) == Some(true);
                let visit = &mut |item| if holds(&item) { Continue(()) } else { Break(()) };
                Some(Item::Boolean(input.visit(focus, context, visit).is_continue()))
            }
            Folding::Empty => Some(Item::Boolean(input.visit(focus, context, &mut |_| Break(())).is_continue())),
            Folding::Not => input.truth(focus, context).map(|truth| Item::Boolean(!truth)),
            Folding::Distinct => {
                let mut seen = Vec::new();
                return input.visit(focus, context, &mut |item| {
                    if is_new(&mut seen, &item) { found(item) } else { Continue(()) }
                });
            }
            Folding::IsDistinct => {
                let mut seen = Vec::new();
                let visit = &mut |item| if is_new(&mut seen, &item) { Continue(()) } else { Break(()) };
                Some(Item::Boolean(input.visit(focus, context, visit).is_continue()))
            }
            Folding::Join(separator) => join(input, separator, focus, context),
            Folding::Function { function, arguments, hint } => match input.single(focus, context) {
                Some(item) => function.of(item, arguments, *hint, focus, context),
                None => None,
            },
        };
        made.map_or(Continue(()), found)
    }

    pub fn data_type(&self) -> Option<DataType> {
        match &self.by {
            Folding::Nth(_)
            | Folding::NthBy(_)
            | Folding::Last
            | Folding::Skip(_)
            | Folding::Take(_)
            | Folding::Single
            | Folding::Distinct => self.input.data_type(),
            Folding::Count => Some(DataType::INTEGER),
            Folding::Exists(_) | Folding::All(_) | Folding::Empty | Folding::Not | Folding::IsDistinct => {
                Some(DataType::BOOLEAN)
            }
            Folding::Join(_) => Some(DataType::STRING),
            Folding::Function { function, hint, .. } => function.data_type(*hint, self.input.data_type()),
        }
    }
}

fn nth<'d>(input: &'d Chain, index: usize, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<Item<'d>> {
    let (mut left, mut taken) = (index, None);
    let _ = input.visit(focus, context, &mut |item| {
        if left == 0 {
            taken = Some(item);
            return Break(());
        }
        left -= 1;
        Continue(())
    });
    taken
}

fn is_new<'d>(seen: &mut Vec<Item<'d>>, item: &Item<'d>) -> bool {
    let new = !seen.iter().any(|before| before.equals(item) == Some(true));
    if new {
        seen.push(item.clone());
    }
    new
}

/// One text stays where it is; more are put together; none are the empty text, as SQL on FHIR wants it.
fn join<'d>(input: &'d Chain, separator: &str, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<Item<'d>> {
    let mut joined: Option<Cow<'d, str>> = None;
    let _ = input.visit(focus, context, &mut |item| {
        match (item.into_text(), &mut joined) {
            (Some(text), None) => joined = Some(text),
            (Some(text), Some(joined)) => {
                let joined = joined.to_mut();
                joined.push_str(separator);
                joined.push_str(&text);
            }
            (None, _) => context.blame(Fault::WrongType),
        }
        Continue(())
    });
    Some(Item::Text(joined.unwrap_or_default(), DataType::STRING))
}
