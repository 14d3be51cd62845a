//! Functions of one item: texts, numbers, conversions and boundaries.

use std::borrow::Cow;

use super::super::data_type::{Class, DataType};
use super::super::decimal::Decimal;
use super::super::moment::{End, Moment, boundary};
use super::{Chain, Context, Item};

/// Digits behind the point that a boundary may be asked for.
const MOST_DIGITS: i64 = 31;

/// A function of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    LowBoundary,
    HighBoundary,
    Upper,
    Lower,
    Trim,
    Length,
    StartsWith,
    EndsWith,
    Contains,
    IndexOf,
    Substring,
    Replace,
    Abs,
    Ceiling,
    Floor,
    Round,
    Truncate,
    ToText,
    ToInteger,
    ToDecimal,
    ToBoolean,
    ToDate,
    ToDateTime,
    ToTime,
    HasValue,
}

impl Function {
    /// The function of that name, and how many arguments it may have.
    pub fn named(name: &str) -> Option<(Function, &'static [usize])> {
        Some(match name {
            "lowBoundary" => (Function::LowBoundary, &[0, 1]),
            "highBoundary" => (Function::HighBoundary, &[0, 1]),
            "upper" => (Function::Upper, &[0]),
            "lower" => (Function::Lower, &[0]),
            "trim" => (Function::Trim, &[0]),
            "length" => (Function::Length, &[0]),
            "startsWith" => (Function::StartsWith, &[1]),
            "endsWith" => (Function::EndsWith, &[1]),
            "contains" => (Function::Contains, &[1]),
            "indexOf" => (Function::IndexOf, &[1]),
            "substring" => (Function::Substring, &[1, 2]),
            "replace" => (Function::Replace, &[2]),
            "abs" => (Function::Abs, &[0]),
            "ceiling" => (Function::Ceiling, &[0]),
            "floor" => (Function::Floor, &[0]),
            "round" => (Function::Round, &[0, 1]),
            "truncate" => (Function::Truncate, &[0]),
            "toString" => (Function::ToText, &[0]),
            "toInteger" => (Function::ToInteger, &[0]),
            "toDecimal" => (Function::ToDecimal, &[0]),
            "toBoolean" => (Function::ToBoolean, &[0]),
            "toDate" => (Function::ToDate, &[0]),
            "toDateTime" => (Function::ToDateTime, &[0]),
            "toTime" => (Function::ToTime, &[0]),
            "hasValue" => (Function::HasValue, &[0]),
            _ => return None,
        })
    }

    /// The type of what the function makes.
    pub fn data_type(self, hint: Option<DataType>, input: Option<DataType>) -> Option<DataType> {
        match self {
            Function::LowBoundary | Function::HighBoundary => match input.map(DataType::class) {
                Some(Class::Integer | Class::Integer64) => Some(DataType::DECIMAL),
                _ => hint.or(input),
            },
            Function::Upper
            | Function::Lower
            | Function::Trim
            | Function::Substring
            | Function::Replace
            | Function::ToText => Some(DataType::STRING),
            Function::StartsWith
            | Function::EndsWith
            | Function::Contains
            | Function::ToBoolean
            | Function::HasValue => Some(DataType::BOOLEAN),
            Function::Length
            | Function::IndexOf
            | Function::Ceiling
            | Function::Floor
            | Function::Truncate
            | Function::ToInteger => Some(DataType::INTEGER),
            Function::Abs => input.or(Some(DataType::DECIMAL)),
            Function::Round | Function::ToDecimal => Some(DataType::DECIMAL),
            Function::ToDate => Some(DataType::DATE),
            Function::ToDateTime => Some(DataType::DATE_TIME),
            Function::ToTime => Some(DataType::TIME),
        }
    }

    /// What the function makes of the item; nothing, when it is not of the kind that the function is for.
    pub fn of<'d>(
        self,
        item: Item<'d>,
        arguments: &'d [Chain],
        hint: Option<DataType>,
        focus: Option<&Item<'d>>,
        context: &Context<'d>,
    ) -> Option<Item<'d>> {
        let number = |index: usize| match arguments.get(index) {
            Some(argument) => argument.integer(focus, context).map(Some),
            None => Some(None),
        };
        let text = |index: usize| arguments.get(index)?.single(focus, context)?.into_text();
        let truth = |truth| Some(Item::Boolean(truth));
        let made = |text: String| Some(Item::Text(Cow::Owned(text), DataType::STRING));
        match self {
            Function::LowBoundary => boundary_of(&item, End::Low, hint, number(0)?),
            Function::HighBoundary => boundary_of(&item, End::High, hint, number(0)?),
            Function::Upper => made(item.as_text()?.to_uppercase()),
            Function::Lower => made(item.as_text()?.to_lowercase()),
            Function::Trim => made(item.as_text()?.trim().to_owned()),
            Function::Length => Some(Item::Integer(item.as_text()?.chars().count() as i64)),
            Function::StartsWith => truth(item.as_text()?.starts_with(&*text(0)?)),
            Function::EndsWith => truth(item.as_text()?.ends_with(&*text(0)?)),
            Function::Contains => truth(item.as_text()?.contains(&*text(0)?)),
            Function::IndexOf => {
                let whole = item.as_text()?;
                let at = whole.find(&*text(0)?).map_or(-1, |at| whole[..at].chars().count() as i64);
                Some(Item::Integer(at))
            }
            Function::Substring => {
                let whole = item.as_text()?;
                let start = usize::try_from(number(0)??).ok().filter(|start| *start < whole.chars().count())?;
                let length = number(1)?.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
                made(whole.chars().skip(start).take(length).collect())
            }
            Function::Replace => {
                let (pattern, with) = (text(0)?, text(1)?);
                let longer = with.len().saturating_mul(item.as_text()?.len() + 1) > 1 << 20;
                if longer { None } else { made(item.as_text()?.replace(&*pattern, &with)) }
            }
            Function::Abs => match item.as_integer() {
                Some(number) => number.checked_abs().map(Item::Integer),
                None => item.as_decimal().map(|number| Item::from(number.absolute())),
            },
            Function::Ceiling => item.as_decimal()?.ceiling(0)?.to_i64().map(Item::Integer),
            Function::Floor => item.as_decimal()?.floor(0)?.to_i64().map(Item::Integer),
            Function::Truncate => item.as_decimal()?.truncate()?.to_i64().map(Item::Integer),
            Function::Round => {
                let digits = i32::try_from(number(0)?.unwrap_or(0)).ok().filter(|digits| *digits >= 0)?;
                item.as_decimal()?.round(digits).map(Item::from)
            }
            Function::ToText => item.into_text().map(|text| Item::Text(text, DataType::STRING)),
            Function::ToInteger => match (item.as_integer(), item.as_bool()) {
                (Some(number), _) => Some(Item::Integer(number)),
                (None, Some(truth)) => Some(Item::Integer(truth.into())),
                (None, None) => item.as_text()?.trim_start_matches('+').parse().ok().map(Item::Integer),
            },
            Function::ToDecimal => match (item.as_decimal(), item.as_bool()) {
                (Some(number), _) => Some(Item::from(number)),
                (None, Some(truth)) => Some(Item::from(Decimal::from(i64::from(truth)))),
                (None, None) => Decimal::parse(item.as_text()?.trim_start_matches('+')).map(Item::from),
            },
            Function::ToBoolean => match item.into_text()?.to_ascii_lowercase().as_str() {
                "true" | "t" | "yes" | "y" | "1" | "1.0" => truth(true),
                "false" | "f" | "no" | "n" | "0" | "0.0" => truth(false),
                _ => None,
            },
            Function::ToDate => {
                let text = item.as_text()?.split('T').next().filter(|text| !text.contains(':'))?.to_owned();
                Moment::parse(&text).map(|_| Item::Text(Cow::Owned(text), DataType::DATE))
            }
            Function::ToDateTime | Function::ToTime => {
                let of = if self == Function::ToTime { DataType::TIME } else { DataType::DATE_TIME };
                let text = item.into_text()?;
                let is_time = text.as_bytes().get(2) == Some(&b':');
                Moment::parse(&text).filter(|_| is_time == (of == DataType::TIME)).map(|_| Item::Text(text, of))
            }
            Function::HasValue => truth(item.into_text().is_some()),
        }
    }
}

fn boundary_of<'d>(item: &Item<'d>, end: End, hint: Option<DataType>, digits: Option<i64>) -> Option<Item<'d>> {
    if let Some(number) = item.as_decimal() {
        let exact = if end == End::Low { number.low_boundary()? } else { number.high_boundary()? };
        let Some(digits) = digits else {
            return Some(Item::from(exact));
        };
        let digits = i32::try_from(digits).ok().filter(|digits| (0..=MOST_DIGITS as i32).contains(digits))?;
        return if end == End::Low { exact.floor(digits) } else { exact.ceiling(digits) }.map(Item::from);
    }
    let text = item.as_text()?;
    let own = item.data_type().filter(|of| of.is_temporal());
    let of = own.or(hint).unwrap_or(if text.as_bytes().get(2) == Some(&b':') {
        DataType::TIME
    } else {
        DataType::DATE_TIME
    });
    boundary(text, of.class(), end, digits).map(|text| Item::Text(Cow::Owned(text), of))
}
