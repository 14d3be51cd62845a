//! From tokens to a chain: precedence as in FHIRPath, names and arguments checked, constants put in their places.

use model::document::Name;

use super::super::data_type::{DataType, is_choice};
use super::super::decimal::Decimal;
use super::fold::{Fold, Folding};
use super::infix::Infix;
use super::operation::Operation;
use super::shortcut::Shortcut;
use super::token::{Token, tokens};
use super::{Chain, Literal, Path, Source, Step};

/// Brackets and arguments may stand this deep inside each other.
const MAX_DEPTH: usize = 40;
/// Operators and functions that a path may have.
const MAX_OPERATIONS: usize = 200;

/// What names in a path mean.
#[derive(Clone, Copy, Default)]
pub struct Names<'n> {
    /// The type of the resource that the path starts from.
    pub resource_type: &'n str,
    /// The view's constants.
    pub constants: &'n [(String, Literal)],
    /// The type that the column is declared with.
    pub expected: Option<DataType>,
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// What is not understood, and where.
    pub fn compile(text: &str, names: Names<'_>) -> Result<Path, String> {
        let told = |(problem, at): Problem| match text[at.min(text.len())..].trim_start() {
            "" if problem == UNEXPECTED => format!("`{text}` ends too early"),
            rest if problem == UNEXPECTED => {
                let found = rest.chars().next().unwrap_or_default();
                format!("unexpected `{found}` at {at} of `{text}`")
            }
            _ => format!("{problem} at {at} of `{text}`"),
        };
        let tokens = tokens(text).map_err(told)?;
        let mut parser = Parser { tokens, next: 0, names, depth: 0, operations: 0 };
        let chain = parser.path().map_err(told)?;
        Ok(Path { shortcut: Shortcut::of(&chain), chain })
    }
}

type Problem = (String, usize);
type Parsed<T> = Result<T, Problem>;

const UNEXPECTED: &str = "unexpected";

struct Parser<'n> {
    tokens: Vec<(Token, usize)>,
    next: usize,
    names: Names<'n>,
    depth: usize,
    operations: usize,
}

impl Parser<'_> {
    fn path(&mut self) -> Parsed<Chain> {
        let chain = self.expression(0)?;
        if *self.peek() == Token::End { Ok(chain) } else { self.unexpected() }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].0
    }

    fn at(&self) -> usize {
        self.tokens[self.next].1
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.next += 1;
        }
        token
    }

    fn unexpected<T>(&self) -> Parsed<T> {
        Err((UNEXPECTED.to_owned(), self.at()))
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.eat(symbol) { Ok(()) } else { self.unexpected() }
    }

    fn count_operation(&mut self) -> Parsed<()> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS {
            return Err((format!("more than {MAX_OPERATIONS} operators and functions"), self.at()));
        }
        Ok(())
    }

    /// Operators that bind at least so strongly.
    fn expression(&mut self, least: u8) -> Parsed<Chain> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((format!("nested deeper than {MAX_DEPTH} levels"), self.at()));
        }
        let mut left = self.prefixed()?;
        loop {
            let operator = match self.peek() {
                Token::Symbol(symbol) => *symbol,
                Token::Word(word) => word.as_str(),
                _ => "",
            };
            let Some((infix, strength)) = Infix::named(operator).filter(|(_, strength)| *strength >= least) else {
                break;
            };
            self.count_operation()?;
            self.next += 1;
            left = match infix {
                Infix::Is => self.is_of_type_named(left)?,
                Infix::As => self.of_type_named(left)?,
                Infix::Union => {
                    let right = self.expression(strength + 1)?;
                    match left {
                        Chain { source: Source::Union(mut parts), steps } if steps.is_empty() => {
                            parts.push(right);
                            Source::Union(parts).into()
                        }
                        left => Source::Union(vec![left, right]).into(),
                    }
                }
                Infix::Operator(operator) => {
                    let right = self.expression(strength + 1)?;
                    Operation::Binary(operator, left, right).into()
                }
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn prefixed(&mut self) -> Parsed<Chain> {
        if self.eat("+") {
            return self.prefixed_operand();
        }
        if !self.eat("-") {
            return self.postfixed();
        }
        self.count_operation()?;
        let operand = self.prefixed_operand()?;
        Ok(match operand {
            Chain { source: Source::Literal(Literal::Integer(number)), steps } if steps.is_empty() => {
                Literal::Integer(-number).into()
            }
            Chain { source: Source::Literal(Literal::Decimal(number)), steps } if steps.is_empty() => {
                Literal::Decimal(number.negated()).into()
            }
            operand => Operation::Negate(operand).into(),
        })
    }

    fn prefixed_operand(&mut self) -> Parsed<Chain> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((format!("nested deeper than {MAX_DEPTH} levels"), self.at()));
        }
        let operand = self.prefixed();
        self.depth -= 1;
        operand
    }

    fn postfixed(&mut self) -> Parsed<Chain> {
        let mut chain = self.term()?;
        loop {
            if self.eat(".") {
                chain = self.invocation(chain)?;
            } else if self.eat("[") {
                self.count_operation()?;
                let at = self.at();
                let index = self.expression(0)?;
                self.expect("]")?;
                let by = match index.literal() {
                    Some(Literal::Integer(index)) => Folding::Nth(usize::try_from(*index).unwrap_or(usize::MAX)),
                    Some(_) => return Err(("expected a whole number in brackets".into(), at)),
                    None => Folding::NthBy(index),
                };
                chain = Fold { input: chain, by }.into();
            } else {
                return Ok(chain);
            }
        }
    }

    fn term(&mut self) -> Parsed<Chain> {
        let at = self.at();
        match self.take() {
            Token::Symbol("(") => {
                let chain = self.expression(0)?;
                self.expect(")")?;
                Ok(chain)
            }
            Token::Symbol("{") => {
                self.expect("}")?;
                Ok(Source::Nothing.into())
            }
            Token::Text(text) => Ok(Literal::Text(text.into(), DataType::STRING).into()),
            Token::Moment(text, of) => Ok(Literal::Text(text.into(), of).into()),
            Token::Number(text) => {
                if matches!(self.peek(), Token::Text(_)) || self.is_unit() {
                    return Err(("a quantity is not supported here".into(), at));
                }
                let whole = text.parse().ok().map(Literal::Integer);
                let literal = whole.or_else(|| Decimal::parse(&text).map(Literal::Decimal));
                literal.map(Into::into).ok_or_else(|| ("a number has too many digits".into(), at))
            }
            Token::Variable(name) => self.variable(&name).map_err(|problem| (problem, at)),
            Token::Word(word) => match word.as_str() {
                "true" => Ok(Literal::Boolean(true).into()),
                "false" => Ok(Literal::Boolean(false).into()),
                "$this" => Ok(Source::This.into()),
                _ if word.starts_with('$') => Err((format!("`{word}` is not supported"), at)),
                "iif" if matches!(self.peek(), Token::Symbol("(")) => self.choice_of_two(),
                _ if word == self.names.resource_type && !matches!(self.peek(), Token::Symbol("(")) => {
                    Ok(Source::This.into())
                }
                _ => {
                    self.next -= 1;
                    self.invocation(Source::This.into())
                }
            },
            Token::Name(_) => {
                self.next -= 1;
                self.invocation(Source::This.into())
            }
            _ => Err((UNEXPECTED.to_owned(), at)),
        }
    }

    fn is_unit(&self) -> bool {
        const UNITS: [&str; 8] = ["year", "month", "week", "day", "hour", "minute", "second", "millisecond"];
        matches!(self.peek(), Token::Word(word) if UNITS.contains(&word.trim_end_matches('s')))
    }

    fn variable(&self, name: &str) -> Result<Chain, String> {
        match name {
            "rowIndex" => return Ok(Source::RowIndex.into()),
            "context" | "resource" | "rootResource" => return Ok(Source::Root.into()),
            "ucum" => return Ok(Literal::Text("http://unitsofmeasure.org".into(), DataType::STRING).into()),
            "sct" => return Ok(Literal::Text("http://snomed.info/sct".into(), DataType::STRING).into()),
            "loinc" => return Ok(Literal::Text("http://loinc.org".into(), DataType::STRING).into()),
            _ => {}
        }
        match self.names.constants.iter().find(|(known, _)| known == name) {
            Some((_, literal)) => Ok(literal.clone().into()),
            None => Err(format!("there is no constant `%{name}`")),
        }
    }

    /// A member or a function behind a point, or at the start of a path.
    fn invocation(&mut self, input: Chain) -> Parsed<Chain> {
        let at = self.at();
        let name = match self.take() {
            Token::Word(word) if word == "$this" => return Ok(input),
            Token::Word(word) if !word.starts_with('$') => word,
            Token::Name(name) => name,
            _ => return Err((UNEXPECTED.to_owned(), at)),
        };
        if !self.eat("(") {
            let member = Name::from(name.as_str());
            return Ok(input.then(if is_choice(&name) { Step::Choice(member) } else { Step::Member(member) }));
        }
        self.count_operation()?;
        let chain = match name.as_str() {
            "ofType" | "as" => self.of_type_named(input)?,
            "is" => self.is_of_type_named(input)?,
            "getReferenceKey" => {
                let of = if matches!(self.peek(), Token::Symbol(")")) { None } else { Some(self.type_name()?.into()) };
                input.then(Step::ReferenceKey(of))
            }
            _ => {
                let arguments = self.arguments()?;
                let chain = input.call(&name, arguments, self.names.expected).map_err(|problem| (problem, at))?;
                return Ok(chain);
            }
        };
        self.expect(")")?;
        Ok(chain)
    }

    fn arguments(&mut self) -> Parsed<Vec<Chain>> {
        let mut arguments = Vec::new();
        if self.eat(")") {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if self.eat(")") {
                return Ok(arguments);
            }
            self.expect(",")?;
        }
    }

    fn choice_of_two(&mut self) -> Parsed<Chain> {
        let at = self.at();
        self.count_operation()?;
        self.expect("(")?;
        let mut arguments = self.arguments()?.into_iter();
        match (arguments.next(), arguments.next(), arguments.next(), arguments.next()) {
            (Some(condition), Some(then), otherwise, None) => {
                Ok(Operation::If(condition, then, otherwise.unwrap_or(Source::Nothing.into())).into())
            }
            _ => Err(("`iif` takes 2 or 3 arguments".into(), at)),
        }
    }

    /// `Quantity`, `FHIR.Quantity`, `Patient`
    fn type_name(&mut self) -> Parsed<String> {
        let at = self.at();
        let (Token::Word(mut name) | Token::Name(mut name)) = self.take() else {
            return Err(("expected the name of a type".into(), at));
        };
        if matches!(name.as_str(), "FHIR" | "System") && self.eat(".") {
            match self.take() {
                Token::Word(word) | Token::Name(word) => name = word,
                _ => return Err(("expected the name of a type".into(), at)),
            }
        }
        Ok(name)
    }

    /// The same chain, of the items that have the type whose name comes next.
    fn of_type_named(&mut self, mut chain: Chain) -> Parsed<Chain> {
        let (_, typed) = self.type_step(&mut chain)?;
        Ok(chain.then(typed))
    }

    /// Whether the chain finds something of the type whose name comes next.
    fn is_of_type_named(&mut self, mut chain: Chain) -> Parsed<Chain> {
        let (last, typed) = self.type_step(&mut chain)?;
        Ok(Operation::Is(chain, last, typed).into())
    }

    /// The step to the items of the type whose name comes next; the last step of the chain is taken off where it is in
    /// the place of that one.
    fn type_step(&mut self, chain: &mut Chain) -> Parsed<(Option<Step>, Step)> {
        let at = self.at();
        let name = self.type_name()?;
        let Some(of) = DataType::named(&name) else {
            if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
                return Err((format!("there is no type `{name}`"), at));
            }
            return Ok((None, Step::OfResource(name.into())));
        };
        let member = |element: &Name| of.ending(element).as_str().into();
        let typed = match chain.steps.last() {
            Some(Step::Choice(element)) => Step::ChoiceOf { member: member(element), plain: None, of },
            Some(Step::Member(element)) => Step::ChoiceOf { member: member(element), plain: Some(element.clone()), of },
            _ => return Ok((None, Step::OfType(of))),
        };
        Ok((chain.steps.pop(), typed))
    }
}
