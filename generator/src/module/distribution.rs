//! Random quantities of a module, in the new style (`distribution`) and the legacy one (`exact`, `range`), and how
//! they become spans of time.

use super::field::Fields;
use super::limit;
use crate::Error;
use crate::moment::{DAY, HOUR, MINUTE, Moment, SECOND};
use crate::random::Stream;

/// The shape of a random quantity.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Always the same value.
    Exact(f64),
    /// Every value between two bounds.
    Uniform(f64, f64),
    /// Normal, clamped to the bounds given.
    Gaussian {
        /// Mean before clamping.
        mean: f64,
        /// Standard deviation before clamping.
        deviation: f64,
        /// Smallest value.
        min: Option<f64>,
        /// Largest value.
        max: Option<f64>,
    },
    /// One plus an exponential quantity of that mean.
    Exponential(f64),
    /// Triangular between two bounds.
    Triangular {
        /// Smallest value.
        min: f64,
        /// Most likely value.
        mode: f64,
        /// Largest value.
        max: f64,
    },
}

/// A random quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Its shape.
    pub kind: Kind,
    /// Rounded to the nearest whole number, last of all.
    pub round: bool,
    /// Given in the legacy style.
    pub legacy: bool,
}

impl Distribution {
    /// One draw.
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        let value = match self.kind {
            Kind::Exact(value) => value,
            Kind::Uniform(low, high) => stream.between(low, high),
            Kind::Gaussian { mean, deviation, min, max } => {
                let value = mean + deviation * stream.normal();
                let value = min.map_or(value, |min| value.max(min));
                max.map_or(value, |max| value.min(max))
            }
            Kind::Exponential(mean) => 1.0 + stream.exponential(mean),
            Kind::Triangular { min, mode, max } => {
                let unit = stream.unit();
                if unit * (max - min) < mode - min {
                    min + (unit * (max - min) * (mode - min)).sqrt()
                } else {
                    max - ((1.0 - unit) * (max - min) * (max - mode)).sqrt()
                }
            }
        };
        if self.round { value.round() } else { value }
    }

    /// Reads `distribution`, `exact` or `range` of a state; the new style wins. The unit found inside comes along.
    pub(super) fn read<'a>(fields: &Fields<'a>) -> Result<Option<(Distribution, Option<&'a str>)>, Error> {
        let exact = fields.object("exact")?;
        let range = fields.object("range")?;
        if let Some(object) = fields.object("distribution")? {
            return Ok(Some((Distribution::read_new(&object)?, None)));
        }
        if let Some(exact) = exact {
            let value = exact.need("quantity", exact.number("quantity")?)?;
            let unit = exact.text("unit")?;
            exact.finish()?;
            return Ok(Some((Distribution { kind: Kind::Exact(value), round: false, legacy: true }, unit)));
        }
        let Some(range) = range else { return Ok(None) };
        let low = range.need("low", range.number("low")?)?;
        let high = range.need("high", range.number("high")?)?;
        if low > high {
            range.note("low", format!("{low} is above `high`, {high}: values lie between the two"));
        }
        let unit = range.text("unit")?;
        range.number("decimals")?;
        range.finish()?;
        Ok(Some((Distribution { kind: Kind::Uniform(low, high), round: false, legacy: true }, unit)))
    }

    fn read_new(object: &Fields<'_>) -> Result<Distribution, Error> {
        let name = object.need("kind", object.text("kind")?)?;
        let parameters = object.need("parameters", object.object("parameters")?)?;
        let need = |field: &str| parameters.need(field, parameters.number(field)?);
        let kind = match name {
            "EXACT" => Kind::Exact(need("value")?),
            "UNIFORM" => Kind::Uniform(need("low")?, need("high")?),
            "GAUSSIAN" => Kind::Gaussian {
                mean: need("mean")?,
                deviation: need("standardDeviation")?,
                min: parameters.number("min")?,
                max: parameters.number("max")?,
            },
            "EXPONENTIAL" => Kind::Exponential(need("mean")?),
            "TRIANGULAR" => Kind::Triangular { min: need("min")?, mode: need("mode")?, max: need("max")? },
            other => {
                let message = format!(
                    "`{other}` is no distribution, expected EXACT, UNIFORM, GAUSSIAN, EXPONENTIAL or TRIANGULAR"
                );
                return Err(object.error("kind", message));
            }
        };
        match kind {
            Kind::Uniform(low, high) if low > high => {
                parameters.note("low", format!("{low} is above `high`, {high}: values lie between the two"));
            }
            Kind::Triangular { min, mode, max } if !(min <= mode && mode <= max) => {
                return Err(parameters.error("mode", "does not lie between `min` and `max`"));
            }
            Kind::Gaussian { min: Some(min), max: Some(max), .. } if min > max => {
                return Err(parameters.error("min", "is above `max`"));
            }
            _ => {}
        }
        let round = object.flag("round")?;
        parameters.flag("round")?;
        parameters.finish()?;
        object.finish()?;
        Ok(Distribution { kind, round, legacy: false })
    }
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unit {
    /// 365 days as a whole number, 365.25 with a fraction.
    Years,
    /// 30 days.
    Months,
    /// 7 days.
    Weeks,
    /// 24 hours.
    Days,
    /// 60 minutes.
    Hours,
    /// 60 seconds.
    Minutes,
    /// 1000 milliseconds.
    Seconds,
}

impl Unit {
    pub(super) fn read(fields: &Fields<'_>, field: &str, text: &str) -> Result<Unit, Error> {
        Ok(match text {
            "years" => Unit::Years,
            "months" => Unit::Months,
            "weeks" => Unit::Weeks,
            "days" => Unit::Days,
            "hours" => Unit::Hours,
            "minutes" => Unit::Minutes,
            "seconds" => Unit::Seconds,
            other => {
                let message =
                    format!("`{other}` is no unit, expected years, months, weeks, days, hours, minutes or seconds");
                return Err(fields.error(field, message));
            }
        })
    }

    /// The span of a whole number of units; a thousand years at most.
    pub fn whole(self, count: i64) -> Moment {
        let unit = match self {
            Unit::Years => 365 * DAY,
            Unit::Months => 30 * DAY,
            Unit::Weeks => 7 * DAY,
            Unit::Days => DAY,
            Unit::Hours => HOUR,
            Unit::Minutes => MINUTE,
            Unit::Seconds => SECOND,
        };
        within_bounds(count.saturating_mul(unit))
    }

    /// The span of a fractional number of units, truncated to the next finer unit; a thousand years at most.
    pub fn fractional(self, count: f64) -> Moment {
        let (finer, unit) = match self {
            Unit::Years => (365.25, DAY),
            Unit::Months => (30.0, DAY),
            Unit::Weeks => (7.0, DAY),
            Unit::Days => (24.0, HOUR),
            Unit::Hours => (60.0, MINUTE),
            Unit::Minutes => (60.0, SECOND),
            Unit::Seconds => (1000.0, 1),
        };
        within_bounds(((count * finer) as i64).saturating_mul(unit))
    }
}

fn within_bounds(span: Moment) -> Moment {
    span.clamp(-limit::SPAN_DAYS * DAY, limit::SPAN_DAYS * DAY)
}

/// A random span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Duration {
    /// How many units.
    pub distribution: Distribution,
    /// Which unit.
    pub unit: Unit,
}

impl Duration {
    /// A span as a Delay means it: whole units in the new style. Never negative.
    pub fn draw_delay(&self, stream: &mut Stream) -> Moment {
        let count = self.distribution.draw(stream);
        let span = if self.distribution.legacy { self.unit.fractional(count) } else { self.unit.whole(count as i64) };
        span.max(0)
    }

    /// A span as a Procedure or Death means it: the fraction counts in both styles. Never negative.
    pub fn draw_span(&self, stream: &mut Stream) -> Moment {
        self.unit.fractional(self.distribution.draw(stream)).max(0)
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Option<Duration>, Error> {
        let outer = fields.text("unit")?;
        let Some((distribution, inner)) = Distribution::read(fields)? else { return Ok(None) };
        let text = fields.need("unit", inner.or(outer))?;
        Ok(Some(Duration { distribution, unit: Unit::read(fields, "unit", text)? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, legacy: bool) -> Distribution {
        Distribution { kind, round: false, legacy }
    }

    fn moments(distribution: &Distribution) -> (f64, f64, f64) {
        let mut stream = Stream::new(5, 5, "distribution");
        let draws: Vec<f64> = (0..50_000).map(|_| distribution.draw(&mut stream)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let low = draws.iter().copied().fold(f64::INFINITY, f64::min);
        let high = draws.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (mean, low, high)
    }

    #[test]
    fn shapes_have_their_moments() {
        let (mean, low, high) = moments(&of(Kind::Uniform(2.0, 6.0), false));
        assert!((mean - 4.0).abs() < 0.03 && low >= 2.0 && high < 6.0);
        let gaussian = Kind::Gaussian { mean: 10.0, deviation: 2.0, min: Some(7.0), max: Some(13.0) };
        let (mean, low, high) = moments(&of(gaussian, false));
        assert!((mean - 10.0).abs() < 0.05);
        assert_eq!((low, high), (7.0, 13.0));
        let (mean, low, _) = moments(&of(Kind::Exponential(3.0), false));
        assert!((mean - 4.0).abs() < 0.08 && low >= 1.0);
        let (mean, low, high) = moments(&of(Kind::Triangular { min: 0.0, mode: 3.0, max: 6.0 }, false));
        assert!((mean - 3.0).abs() < 0.03 && low >= 0.0 && high <= 6.0);
    }

    #[test]
    fn spans_truncate_as_their_style_says() {
        let mut stream = Stream::new(1, 1, "span");
        let mut span = |value, legacy, unit| {
            Duration { distribution: of(Kind::Exact(value), legacy), unit }.draw_delay(&mut stream)
        };
        assert_eq!(span(1.9, false, Unit::Years), 365 * DAY);
        assert_eq!(span(1.9, true, Unit::Years), 693 * DAY);
        assert_eq!(span(1.5, true, Unit::Days), 36 * HOUR);
        assert_eq!(span(1.5, false, Unit::Days), DAY);
        assert_eq!(span(2.0, true, Unit::Months), 60 * DAY);
        assert_eq!(span(-3.0, true, Unit::Days), 0);
        assert_eq!(span(1e15, true, Unit::Years), limit::SPAN_DAYS * DAY);
        assert_eq!(span(1e15, false, Unit::Years), limit::SPAN_DAYS * DAY);
    }
}
