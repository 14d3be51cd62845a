//! Most paths are a few names behind each other, and in most records each name leads to one value. Such a path is
//! followed here from value to value, and nothing is handed on. Where there is more than one way to go, the chain is
//! asked instead: it knows all rules. Columns beside each other mostly begin alike, as with code, system and display of
//! one coding: what they share is followed once.

use model::document::{Element, Kind};

use super::super::data_type::DataType;
use super::evaluate::{choice, key};
use super::fold::Folding;
use super::{Chain, Context, Item, Source, Step};

/// Hops that a [`Trail`] remembers.
const LONGEST: usize = 8;

/// A path of names; where there are several, the first that leads somewhere counts.
#[derive(Debug)]
pub struct Shortcut {
    ways: Vec<Vec<Hop>>,
    /// How many of its first hops are those of the path that is followed before it.
    shared: usize,
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

/// A value, and its type where its name tells it.
type Place<'d> = (Element<'d>, Option<DataType>);

/// Where the path before led to, hop by hop. Good for one row.
#[derive(Default)]
pub struct Trail<'d> {
    places: [Option<Place<'d>>; LONGEST],
    length: usize,
    /// The hop behind the last place leads nowhere.
    is_over: bool,
}

impl Trail<'_> {
    /// Forgets everything: what comes next has no path before it that left a trail.
    pub fn clear(&mut self) {
        self.length = 0;
        self.is_over = false;
    }

    /// Forgets what the next path does not share; returns how much is left.
    #[inline]
    fn keep(&mut self, shared: usize) -> usize {
        self.length = self.length.min(shared);
        self.length
    }
}

impl PartialEq for Hop {
    fn eq(&self, other: &Hop) -> bool {
        let leads_alike = match (&self.step, &other.step) {
            (Step::Member(one), Step::Member(two)) | (Step::Choice(one), Step::Choice(two)) => one == two,
            (
                Step::ChoiceOf { member, plain, of },
                Step::ChoiceOf { member: other_member, plain: other_plain, of: other_of },
            ) => (member, plain, of) == (other_member, other_plain, other_of),
            // What is made of a value ends a path.
            _ => false,
        };
        leads_alike && self.to_first == other.to_first
    }
}

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
        ways.map(|ways: Vec<_>| Shortcut { ways, shared: 0 })
    }

    /// Learns which path is followed before this one, always from the same value.
    pub fn comes_after(&mut self, before: &Shortcut) {
        if let ([own], [before]) = (self.ways.as_slice(), before.ways.as_slice()) {
            self.shared = own.iter().zip(before).take_while(|(hop, before)| hop == before).count().min(LONGEST);
        }
    }

    /// How many hops it shares with the path before.
    #[cfg(test)]
    pub fn shared(&self) -> usize {
        self.shared
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
        trail: &mut Trail<'d>,
    ) -> Result<Option<Item<'d>>, Unclear> {
        for way in &self.ways {
            if let Some(item) = follow(way, self.shared, (from, of), context, trail)? {
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
    shared: usize,
    from: Place<'d>,
    context: &Context<'d>,
    trail: &mut Trail<'d>,
) -> Result<Option<Item<'d>>, Unclear> {
    let known = trail.keep(shared);
    if known < shared && trail.is_over {
        return Ok(None);
    }
    trail.is_over = false;
    let reached = known.checked_sub(1).and_then(|last| trail.places[last]);
    let (mut element, mut of) = reached.unwrap_or(from);
    for (index, hop) in way.iter().enumerate().skip(known) {
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
        let found = match found {
            Some((value, its)) => only(value, hop.to_first)?.map(|value| (value, its)),
            None => None,
        };
        let Some(place) = found else {
            trail.is_over = true;
            return Ok(None);
        };
        (element, of) = place;
        if index < LONGEST {
            trail.places[index] = Some(place);
            trail.length = index + 1;
        }
    }
    Ok(Some(Item::Element(element, of)))
}

/// The value, or the one item that counts; `null` is none.
#[inline]
fn only(value: Element<'_>, first_counts: bool) -> Result<Option<Element<'_>>, Unclear> {
    match value.kind() {
        Kind::Null => Ok(None),
        Kind::Array => {
            let mut items = value.items().filter(|item| item.kind() != Kind::Null);
            let first = items.next();
            if !first_counts && first.is_some() && items.next().is_some() { Err(Unclear) } else { Ok(first) }
        }
        _ => Ok(Some(value)),
    }
}
