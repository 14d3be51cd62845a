//! Decimal numbers with the digits that were written: 1.0 is not 1.00 when a boundary is asked for.

use std::cmp::Ordering;
use std::fmt;

/// Digits behind the point that a quotient has at most.
const QUOTIENT_DIGITS: i32 = 18;

/// A decimal number: `mantissa` × 10^-`scale`. The scale is negative for `1e3`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    mantissa: i128,
    scale: i32,
}

impl Decimal {
    /// Within what can be negated and written out.
    fn within(mantissa: i128, scale: i32) -> Option<Decimal> {
        (mantissa != i128::MIN && scale.abs() <= 1 << 16).then_some(Decimal { mantissa, scale })
    }

    /// Reads a number as JSON writes it; `None` for more digits than 128 bits hold.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (negative, whole) = match whole.strip_prefix('-') {
            Some(whole) => (true, whole),
            None => (false, whole),
        };
        if whole.len() + fraction.len() == 0 {
            return None;
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent).filter(|scale| scale.abs() <= 999)?;
        Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, scale })
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number, when it is one.
    pub fn to_i64(self) -> Option<i64> {
        let trimmed = self.trimmed();
        if trimmed.scale > 0 {
            return None;
        }
        i64::try_from(trimmed.mantissa.checked_mul(power(-trimmed.scale)?)?).ok()
    }

    /// The sum.
    pub fn plus(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = aligned(self, other)?;
        Self::within(a.checked_add(b)?, scale)
    }

    /// The difference.
    pub fn minus(self, other: Decimal) -> Option<Decimal> {
        self.plus(other.negated())
    }

    /// The product.
    pub fn times(self, other: Decimal) -> Option<Decimal> {
        Self::within(self.mantissa.checked_mul(other.mantissa)?, self.scale + other.scale)
    }

    /// The quotient; `None` when divided by zero.
    pub fn divided_by(self, other: Decimal) -> Option<Decimal> {
        if other.mantissa == 0 {
            return None;
        }
        // As many digits as 128 bits hold, up to the limit.
        let most = QUOTIENT_DIGITS - (self.scale - other.scale);
        (0..=most.max(0)).rev().find_map(|digits| {
            let dividend = self.mantissa.checked_mul(power(digits)?)?;
            Self::within(dividend / other.mantissa, self.scale - other.scale + digits).map(Decimal::trimmed)
        })
    }

    /// The whole part of the quotient, towards zero.
    pub fn whole_quotient(self, other: Decimal) -> Option<Decimal> {
        let (a, b, _) = aligned(self, other)?;
        Some(Decimal { mantissa: a.checked_div(b)?, scale: 0 })
    }

    /// What a whole quotient leaves over.
    pub fn remainder(self, other: Decimal) -> Option<Decimal> {
        let (a, b, scale) = aligned(self, other)?;
        Some(Decimal { mantissa: a.checked_rem(b)?, scale }.trimmed())
    }

    /// The number with the other sign.
    pub fn negated(self) -> Decimal {
        Decimal { mantissa: -self.mantissa, ..self }
    }

    /// The number without its sign.
    pub fn absolute(self) -> Decimal {
        Decimal { mantissa: self.mantissa.abs(), ..self }
    }

    /// The greatest number of so many digits that is not above.
    pub fn floor(self, digits: i32) -> Option<Decimal> {
        self.cut(digits, |mantissa, unit| mantissa.div_euclid(unit))
    }

    /// The least number of so many digits that is not below.
    pub fn ceiling(self, digits: i32) -> Option<Decimal> {
        self.negated().floor(digits).map(Decimal::negated)
    }

    /// The nearest number of so many digits; halves go up.
    pub fn round(self, digits: i32) -> Option<Decimal> {
        let up = |mantissa: i128, unit: i128| i128::from(mantissa.rem_euclid(unit) >= unit / 2);
        self.cut(digits, |mantissa, unit| mantissa.div_euclid(unit) + up(mantissa, unit))
    }

    /// The number without what is behind the point.
    pub fn truncate(self) -> Option<Decimal> {
        self.cut(0, |mantissa, unit| mantissa / unit)
    }

    /// The least number that is written like this one when rounded.
    pub fn low_boundary(self) -> Option<Decimal> {
        self.boundary(-5)
    }

    /// The number up to which others are written like this one when rounded.
    pub fn high_boundary(self) -> Option<Decimal> {
        self.boundary(5)
    }

    fn boundary(self, half: i128) -> Option<Decimal> {
        let mantissa = self.mantissa.checked_mul(10)?.checked_add(half)?;
        Self::within(mantissa, self.scale + 1)
    }

    fn cut(self, digits: i32, divide: impl Fn(i128, i128) -> i128) -> Option<Decimal> {
        if self.scale <= digits {
            return Some(self);
        }
        let unit = power(self.scale - digits)?;
        Some(Decimal { mantissa: divide(self.mantissa, unit), scale: digits })
    }

    fn trimmed(mut self) -> Decimal {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }
}

impl From<i64> for Decimal {
    fn from(whole: i64) -> Self {
        Decimal { mantissa: whole.into(), scale: 0 }
    }
}

impl PartialEq for Decimal {
    /// By value: 1.0 is 1.00.
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        match aligned(*self, *other) {
            Some((a, b, _)) => a.cmp(&b),
            // One of them is so much larger that it cannot be written with the digits of the other.
            None => self.mantissa.signum().cmp(&other.mantissa.signum()).then_with(|| {
                let size = |number: &Decimal| number.mantissa.unsigned_abs().ilog10() as i32 - number.scale;
                let larger = size(self).cmp(&size(other));
                if self.mantissa < 0 { larger.reverse() } else { larger }
            }),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        if self.scale <= 0 {
            let zeros = if self.mantissa == 0 { 0 } else { self.scale.unsigned_abs() as usize };
            return write!(formatter, "{sign}{digits}{:0<zeros$}", "");
        }
        let scale = self.scale as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(formatter, "{sign}{whole}.{fraction}")
    }
}

fn power(exponent: i32) -> Option<i128> {
    10_i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// Both mantissas at the scale of the finer one.
fn aligned(a: Decimal, b: Decimal) -> Option<(i128, i128, i32)> {
    let scale = a.scale.max(b.scale);
    let at = |number: Decimal| match number.mantissa {
        0 => Some(0),
        mantissa => mantissa.checked_mul(power(scale - number.scale)?),
    };
    Some((at(a)?, at(b)?, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn digits_are_kept_and_values_compared() {
        for text in ["0", "1.0", "-1.50", "0.001", "123456789012345678.9", "-0.5"] {
            assert_eq!(number(text).to_string(), text);
        }
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("1.5E-3").to_string(), "0.0015");
        assert_eq!(number("1.0"), number("1"));
        assert_eq!(number("1e3"), number("1000.000"));
        assert!(number("1e900") > number("1e-900"));
        assert!(number("-1e900") < number("1e-900"));
        assert!(number("-1e900") < number("-1e-900"));
        for text in ["", "-", "x", "1x", "1e99999", "9".repeat(60).as_str()] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn arithmetic_is_exact() {
        let told = |result: Option<Decimal>| result.map(|number| number.to_string());
        let (a, b) = (number("0.1"), number("0.2"));
        assert_eq!(told(a.plus(b)).as_deref(), Some("0.3"));
        assert_eq!(told(a.minus(b)).as_deref(), Some("-0.1"));
        assert_eq!(told(a.times(b)).as_deref(), Some("0.02"));
        assert_eq!(told(number("3").divided_by(number("2"))).as_deref(), Some("1.5"));
        assert_eq!(told(number("1").divided_by(number("3"))).as_deref(), Some("0.333333333333333333"));
        assert_eq!(told(number("7").whole_quotient(number("-2"))).as_deref(), Some("-3"));
        assert_eq!(told(number("7.5").remainder(number("2"))).as_deref(), Some("1.5"));
        assert!(number("1").divided_by(number("0.0")).is_none());
        assert!(number("1").remainder(number("0")).is_none());
        assert_eq!(number("10.00").to_i64(), Some(10));
        assert_eq!(number("10.5").to_i64(), None);
    }

    #[test]
    fn boundaries_and_rounding_follow_the_digits_written() {
        assert_eq!(number("1.0").low_boundary().unwrap().to_string(), "0.95");
        assert_eq!(number("1.0").high_boundary().unwrap().to_string(), "1.05");
        assert_eq!(number("1").high_boundary().unwrap().to_string(), "1.5");
        assert_eq!(number("1e3").low_boundary().unwrap().to_string(), "500");
        assert_eq!(number("-1.587").low_boundary().unwrap().to_string(), "-1.5875");
        assert_eq!(number("-1.5875").floor(2).unwrap().to_string(), "-1.59");
        assert_eq!(number("-1.5865").ceiling(2).unwrap().to_string(), "-1.58");
        assert_eq!(number("2.5").round(0).unwrap().to_string(), "3");
        assert_eq!(number("-2.7").truncate().unwrap().to_string(), "-2");
    }
}
