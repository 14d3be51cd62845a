//! A chain over a record: each item goes through all steps before the next one is looked for.

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};

use model::document::{Element, Kind, Name};

use super::super::data_type::{Class, DataType};
use super::shortcut::Trail;
use super::{Chain, Context, Fault, Item, Path, Source, Step};

/// Where items go; `Break` says that no more are needed.
pub type Found<'f, 'd> = &'f mut dyn FnMut(Item<'d>) -> ControlFlow<()>;

impl Path {
    /// Hands over the items that the path finds. Without a focus there is nothing to find, except for what does not
    /// depend on it.
    pub fn visit<'d>(
        &'d self,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        found: Found<'_, 'd>,
    ) -> ControlFlow<()> {
        self.chain.visit(focus, context, found)
    }

    /// The item that the path finds; the first, and a fault, when there are more. The trail is that of the path
    /// [before](Self::comes_after), asked of the same focus.
    pub fn single<'d>(
        &'d self,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        trail: &mut Trail<'d>,
    ) -> Option<Item<'d>> {
        if let (Some(shortcut), Some(Item::Element(element, of))) = (&self.shortcut, focus)
            && let Ok(item) = shortcut.follow(*element, *of, context, trail)
        {
            return item;
        }
        self.chain.single(focus, context)
    }

    /// True when the path finds `true`; a fault when it finds something that is no truth.
    pub fn holds<'d>(&'d self, focus: Option<&Item<'d>>, context: &Context<'d>) -> bool {
        match self.chain.single(focus, context).map(|item| item.as_bool()) {
            Some(Some(truth)) => truth,
            Some(None) => {
                context.blame(Fault::NotBoolean);
                false
            }
            None => false,
        }
    }
}

impl Chain {
    pub(super) fn visit<'d>(
        &'d self,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
        found: Found<'_, 'd>,
    ) -> ControlFlow<()> {
        match &self.source {
            Source::This => match focus {
                Some(Item::Element(element, of)) => walk(&self.steps, *element, *of, context, found),
                Some(item) => walk_made(&self.steps, item.clone(), context, found),
                None => Continue(()),
            },
            Source::Root => walk(&self.steps, context.root, None, context, found),
            Source::RowIndex => walk_made(&self.steps, Item::Integer(context.row_index), context, found),
            Source::Nothing => Continue(()),
            Source::Literal(literal) => walk_made(&self.steps, literal.item(), context, found),
            Source::Operation(operation) => match operation.evaluate(focus, context) {
                Some(item) => walk_item(&self.steps, item, context, found),
                None => Continue(()),
            },
            Source::Fold(fold) => fold.visit(focus, context, &mut |item| walk_item(&self.steps, item, context, found)),
            Source::Union(parts) => {
                let mut seen: Vec<Item<'d>> = Vec::new();
                parts.iter().try_for_each(|part| {
                    part.visit(focus, context, &mut |item| {
                        if seen.iter().any(|before| before.equals(&item) == Some(true)) {
                            return Continue(());
                        }
                        // Kept only when somebody asks for the next one.
                        walk_item(&self.steps, item.clone(), context, found)?;
                        seen.push(item);
                        Continue(())
                    })
                })
            }
        }
    }

    pub(super) fn single<'d>(&'d self, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<Item<'d>> {
        let mut single = None;
        let more = self.visit(focus, context, &mut |item| match single {
            None => {
                single = Some(item);
                Continue(())
            }
            Some(_) => Break(()),
        });
        if more.is_break() {
            context.blame(Fault::MoreThanOne);
        }
        single
    }

    /// The truth that the chain finds; a single item that is no truth counts as true, as FHIRPath wants it.
    pub(super) fn truth<'d>(&'d self, focus: Option<&Item<'d>>, context: &Context<'d>) -> Option<bool> {
        self.single(focus, context).map(|item| item.as_bool().unwrap_or(true))
    }
}

/// Takes an item through the steps.
pub fn walk_item<'d>(
    steps: &'d [Step],
    item: Item<'d>,
    context: &Context<'d>,
    found: Found<'_, 'd>,
) -> ControlFlow<()> {
    match item {
        Item::Element(element, of) => walk(steps, element, of, context, found),
        item => walk_made(steps, item, context, found),
    }
}

/// Takes a value of the record through the steps.
fn walk<'d>(
    steps: &'d [Step],
    element: Element<'d>,
    of: Option<DataType>,
    context: &Context<'d>,
    found: Found<'_, 'd>,
) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first() else {
        return found(Item::Element(element, of));
    };
    match step {
        Step::Member(name) => match element.named(name) {
            Some(value) => each(rest, value, None, context, found),
            None => Continue(()),
        },
        Step::ChoiceOf { member, plain, of } => match element.named(member) {
            Some(value) => each(rest, value, Some(*of), context, found),
            None => match plain.as_ref().and_then(|plain| element.named(plain)) {
                Some(value) if value.kind() == Kind::Array => value
                    .items()
                    .filter(|item| may_be(*item, *of))
                    .try_for_each(|item| walk(rest, item, Some(*of), context, found)),
                Some(value) if may_be(value, *of) => walk(rest, value, Some(*of), context, found),
                _ => Continue(()),
            },
        },
        Step::Choice(name) => match choice(element, name) {
            Some((value, of)) => each(rest, value, of, context, found),
            None => Continue(()),
        },
        Step::Extension(url) => {
            let Some(extensions) = element.get("extension") else { return Continue(()) };
            let wanted = |extension: &Element<'d>| extension.get("url").and_then(|url| url.as_str()) == Some(&**url);
            extensions.items().filter(wanted).try_for_each(|item| walk(rest, item, None, context, found))
        }
        Step::OfType(wanted) => match of {
            Some(of) if of != *wanted => Continue(()),
            Some(_) => walk(rest, element, of, context, found),
            None if may_be(element, *wanted) => walk(rest, element, Some(*wanted), context, found),
            None => Continue(()),
        },
        Step::OfResource(name) => {
            if element.get("resourceType").and_then(|name| name.as_str()) == Some(&**name) {
                return walk(rest, element, of, context, found);
            }
            Continue(())
        }
        Step::ResourceKey | Step::ReferenceKey(_) => match key(step, element, context) {
            Some(item) => walk_made(rest, item, context, found),
            None => Continue(()),
        },
        Step::Where(_) | Step::Select(_) => walk_asking(step, rest, Item::Element(element, of), context, found),
    }
}

/// Takes a value that was made through the steps: it has no members.
fn walk_made<'d>(steps: &'d [Step], item: Item<'d>, context: &Context<'d>, found: Found<'_, 'd>) -> ControlFlow<()> {
    let Some((step, rest)) = steps.split_first() else {
        return found(item);
    };
    match step {
        Step::OfType(wanted) if item.data_type().is_some_and(|of| of.class() == wanted.class()) => {
            walk_made(rest, item, context, found)
        }
        Step::Where(_) | Step::Select(_) => walk_asking(step, rest, item, context, found),
        _ => Continue(()),
    }
}

/// Steps with a path of their own, asked of the item.
fn walk_asking<'d>(
    step: &'d Step,
    rest: &'d [Step],
    item: Item<'d>,
    context: &Context<'d>,
    found: Found<'_, 'd>,
) -> ControlFlow<()> {
    match step {
        Step::Where(criteria) if criteria.truth(Some(&item), context) == Some(true) => {
            walk_item(rest, item, context, found)
        }
        Step::Select(projection) => {
            projection.visit(Some(&item), context, &mut |item| walk_item(rest, item, context, found))
        }
        _ => Continue(()),
    }
}

/// The value, or each of its items.
fn each<'d>(
    steps: &'d [Step],
    value: Element<'d>,
    of: Option<DataType>,
    context: &Context<'d>,
    found: Found<'_, 'd>,
) -> ControlFlow<()> {
    match value.kind() {
        Kind::Null => Continue(()),
        Kind::Array => value
            .items()
            .filter(|item| item.kind() != Kind::Null)
            .try_for_each(|item| walk(steps, item, of, context, found)),
        _ => walk(steps, value, of, context, found),
    }
}

/// The key of the resource, or the one that a reference names.
pub fn key<'d>(step: &'d Step, element: Element<'d>, context: &Context<'d>) -> Option<Item<'d>> {
    let id = match step {
        Step::ReferenceKey(of) => {
            let reference = element.get("reference")?.as_str()?;
            context.scope.references.id(reference, of.as_deref())?
        }
        _ if element.is(&context.root) && !context.scope.id.is_empty() => Cow::Borrowed(context.scope.id),
        _ => return None,
    };
    Some(Item::Text(id, DataType::STRING))
}

/// The member of that name, or else of a name that is longer by a type.
pub fn choice<'d>(element: Element<'d>, name: &Name) -> Option<(Element<'d>, Option<DataType>)> {
    if let Some(value) = element.named(name) {
        return Some((value, None));
    }
    element.members().find_map(|(key, value)| {
        let of = DataType::of_ending(key.strip_prefix(&**name)?)?;
        Some((value, Some(of)))
    })
}

/// True when the JSON of the value can be of that type.
fn may_be(element: Element<'_>, of: DataType) -> bool {
    match of.class() {
        Class::Boolean => matches!(element.kind(), Kind::True | Kind::False),
        Class::Integer | Class::Integer64 | Class::Decimal => element.kind() == Kind::Number,
        Class::Complex => element.kind() == Kind::Object,
        Class::Date | Class::DateTime | Class::Time | Class::Text => {
            matches!(element.kind(), Kind::String | Kind::Escaped)
        }
    }
}

impl Item<'_> {
    /// True or false, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Item::Boolean(truth) => Some(*truth),
            Item::Element(element, _) => element.as_bool(),
            _ => None,
        }
    }

    /// The type, as far as it is known.
    pub fn data_type(&self) -> Option<DataType> {
        match self {
            Item::Element(_, of) => *of,
            Item::Text(_, of) => Some(*of),
            Item::Integer(_) => Some(DataType::INTEGER),
            Item::Decimal(_) => Some(DataType::DECIMAL),
            Item::Boolean(_) => Some(DataType::BOOLEAN),
        }
    }
}
