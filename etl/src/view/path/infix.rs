//! What may stand between two operands, and how strongly it binds.

use super::operation::Operator;

/// What stands between two operands.
pub enum Infix {
    Operator(Operator),
    Union,
    Is,
    As,
}

impl Infix {
    /// The operator and how strongly it binds.
    pub fn named(symbol: &str) -> Option<(Infix, u8)> {
        let operator = |operator, strength| Some((Infix::Operator(operator), strength));
        match symbol {
            "*" => operator(Operator::Times, 10),
            "/" => operator(Operator::Divide, 10),
            "div" => operator(Operator::WholeQuotient, 10),
            "mod" => operator(Operator::Remainder, 10),
            "+" => operator(Operator::Plus, 9),
            "-" => operator(Operator::Minus, 9),
            "&" => operator(Operator::Concatenate, 9),
            "is" => Some((Infix::Is, 8)),
            "as" => Some((Infix::As, 8)),
            "|" => Some((Infix::Union, 7)),
            "<" => operator(Operator::Less, 6),
            "<=" => operator(Operator::LessOrEqual, 6),
            ">" => operator(Operator::Greater, 6),
            ">=" => operator(Operator::GreaterOrEqual, 6),
            "=" => operator(Operator::Equal, 5),
            "!=" => operator(Operator::NotEqual, 5),
            "~" => operator(Operator::Equivalent, 5),
            "!~" => operator(Operator::NotEquivalent, 5),
            "in" => operator(Operator::In, 4),
            "contains" => operator(Operator::Contains, 4),
            "and" => operator(Operator::And, 3),
            "or" => operator(Operator::Or, 2),
            "xor" => operator(Operator::Xor, 2),
            "implies" => operator(Operator::Implies, 1),
            _ => None,
        }
    }
}
