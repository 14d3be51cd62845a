//! Functions by name: which there are, and what they take.

use super::super::data_type::DataType;
use super::fold::{Fold, Folding};
use super::function::Function;
use super::{Chain, Literal, Source, Step};

impl Chain {
    /// Calls a function with this chain for its input; `expected` is the type that the column is declared with.
    pub(super) fn call(self, name: &str, arguments: Vec<Chain>, expected: Option<DataType>) -> Result<Chain, String> {
        let input = self;
        let count = arguments.len();
        let mut given = arguments.into_iter();
        let folding = match (name, given.next(), given.next()) {
            ("getResourceKey", None, _) => return Ok(input.then(Step::ResourceKey)),
            ("extension", Some(url), None) => match url.literal() {
                Some(Literal::Text(url, _)) => return Ok(input.then(Step::Extension(url.clone()))),
                _ => return Err("expected a text in `extension`".into()),
            },
            ("where", Some(criteria), None) => return Ok(input.then(Step::Where(criteria))),
            ("select", Some(projection), None) => return Ok(input.then(Step::Select(projection))),
            ("exists", criteria, None) => Folding::Exists(criteria),
            ("all", Some(criteria), None) => Folding::All(criteria),
            ("empty", None, _) => Folding::Empty,
            ("not", None, _) => Folding::Not,
            ("first", None, _) => Folding::Nth(0),
            ("last", None, _) => Folding::Last,
            ("tail", None, _) => Folding::Skip(1),
            ("single", None, _) => Folding::Single,
            ("count", None, _) => Folding::Count,
            ("distinct", None, _) => Folding::Distinct,
            ("isDistinct", None, _) => Folding::IsDistinct,
            ("skip" | "take", Some(number), None) => match number.literal() {
                Some(Literal::Integer(number)) => {
                    let number = usize::try_from(*number).unwrap_or(0);
                    if name == "skip" { Folding::Skip(number) } else { Folding::Take(number) }
                }
                _ => return Err(format!("expected a whole number in `{name}`")),
            },
            ("join", separator, None) => match separator.as_ref().map(Chain::literal) {
                None => Folding::Join("".into()),
                Some(Some(Literal::Text(separator, _))) => Folding::Join(separator.clone()),
                Some(_) => return Err("expected a text in `join`".into()),
            },
            ("union", Some(other), None) => return Ok(Source::Union(vec![input, other]).into()),
            (name, first, second) => {
                let (function, arguments) = Function::named(name).ok_or_else(|| unknown(name))?;
                if !arguments.contains(&count) {
                    return Err(expected_arguments(name, arguments));
                }
                let hint = input.data_type().or(expected).filter(|of| of.is_temporal());
                Folding::Function { function, arguments: first.into_iter().chain(second).chain(given).collect(), hint }
            }
        };
        Ok(Fold { input, by: folding }.into())
    }
}

/// Functions without a row of their own in [`Function`], with the arguments that they take.
const FOLDS: [(&str, &str); 18] = [
    ("getResourceKey", "no argument"),
    ("extension", "1 argument"),
    ("where", "1 argument"),
    ("select", "1 argument"),
    ("exists", "at most 1 argument"),
    ("all", "1 argument"),
    ("empty", "no argument"),
    ("not", "no argument"),
    ("first", "no argument"),
    ("last", "no argument"),
    ("tail", "no argument"),
    ("single", "no argument"),
    ("count", "no argument"),
    ("distinct", "no argument"),
    ("isDistinct", "no argument"),
    ("skip", "1 argument"),
    ("take", "1 argument"),
    ("join", "at most 1 argument"),
];

fn unknown(name: &str) -> String {
    match FOLDS.iter().find(|(known, _)| *known == name) {
        Some((_, arguments)) => format!("`{name}` takes {arguments}"),
        None => format!("function `{name}` is not known"),
    }
}

fn expected_arguments(name: &str, arguments: &[usize]) -> String {
    match arguments {
        [0] => format!("`{name}` takes no argument"),
        arguments => {
            let counts: Vec<_> = arguments.iter().map(usize::to_string).collect();
            format!("`{name}` takes {} arguments", counts.join(" or "))
        }
    }
}
