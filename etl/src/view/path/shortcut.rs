//! Most paths are a few names behind each other, and in most records each name leads to one value. Such a path is
//! followed here from value to value, and nothing is handed on. Where there is more than one way to go, the chain is
//! asked instead: it knows all rules.

use super::super::data_type::DataType;
use super::evaluate::{choice, key};
use super::fold::Folding;
use super::{Chain, Context, Item, Source, Step};
use crate::document::{Element, Kind};

/// A path of names; where there are several, the first that leads somewhere counts.
#[derive(Debug)]
pub struct Shortcut {
    ways: Vec<Vec<Hop>>,
}

/// One name.
#[derive(Debug)]
struct Hop {
    step: Step,
    /// True when of several items the first counts.
    to_first: bool,
}

/// There is more than one way to go.
pub struct Unclear;

impl Shortcut {
    /// The shortcut for a chain, where there is one.
    pub fn of(chain: &Chain) -> Option<Shortcut> {
        let ways = match &chain.source {
            Source::Fold(fold) if chain.steps.is_empty() && matches!(fold.by, Folding::Nth(0)) => match &fold.input {
                Chain { source: Source::Union(ways), steps } if steps.is_empty() => ways.iter().map(way).collect(),
                _ => way(chain).map(|way| vec![way]),
            },
            _ => way(chain).map(|way| vec![way]),
        };
        ways.map(|ways: Vec<_>| Shortcut { ways })
    }

    /// The item that the path finds.
    ///
    /// # Errors
    /// There is more than one way to go.
    pub fn follow<'d>(
        &'d self,
        from: Element<'d>,
        of: Option<DataType>,
        context: &Context<'d>,
    ) -> Result<Option<Item<'d>>, Unclear> {
        for way in &self.ways {
            if let Some(item) = follow(way, from, of, context)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}

/// The hops of a chain from the focus; none when the chain does something else, too.
fn way(chain: &Chain) -> Option<Vec<Hop>> {
    let mut hops = match &chain.source {
        Source::This => Vec::new(),
        Source::Fold(fold) if matches!(fold.by, Folding::Nth(0)) => {
            let mut hops = way(&fold.input)?;
            hops.last_mut()?.to_first = true;
            hops
        }
        _ => return None,
    };
    for step in &chain.steps {
        let is_name = matches!(
            step,
            Step::Member(_) | Step::Choice(_) | Step::ChoiceOf { .. } | Step::ResourceKey | Step::ReferenceKey(_)
        );
        if !is_name {
            return None;
        }
        hops.push(Hop { step: step.clone(), to_first: false });
    }
    Some(hops)
}

fn follow<'d>(
    way: &'d [Hop],
    mut element: Element<'d>,
    mut of: Option<DataType>,
    context: &Context<'d>,
) -> Result<Option<Item<'d>>, Unclear> {
    for (index, hop) in way.iter().enumerate() {
        let found = match &hop.step {
            Step::Member(name) => element.named(name).map(|value| (value, None)),
            Step::Choice(name) => choice(element, name),
            Step::ChoiceOf { member, plain, of } => match (element.named(member), plain) {
                (Some(value), _) => Some((value, Some(*of))),
                (None, Some(plain)) if element.named(plain).is_some() => return Err(Unclear),
                (None, _) => None,
            },
            // What is made of a value has no members.
            _ if index + 1 < way.len() => return Err(Unclear),
            step => return Ok(key(step, element, context)),
        };
        let Some((value, its)) = found else { return Ok(None) };
        of = its;
        element = match value.kind() {
            Kind::Null => return Ok(None),
            Kind::Array => {
                let mut items = value.items().filter(|item| item.kind() != Kind::Null);
                let Some(first) = items.next() else { return Ok(None) };
                if !hop.to_first && items.next().is_some() {
                    return Err(Unclear);
                }
                first
            }
            _ => value,
        };
    }
    Ok(Some(Item::Element(element, of)))
}
