//! Random quantities in both styles of the format, and the spans of time that they become.

use super::json::{Json, field, flag, need, need_number, need_text, number, text};
use crate::moment::{DAY, HOUR, MINUTE, Moment, SECOND};
use crate::random::Stream;

/// One draw of a state's `distribution`, `exact` or `range`, the first of them that it has.
pub fn draw(state: &Json, stream: &mut Stream) -> Option<f64> {
    if let Some(distribution) = field(state, "distribution") {
        let value = draw_new(distribution, stream);
        return Some(if flag(distribution, "round") { value.round() } else { value });
    }
    if let Some(exact) = field(state, "exact") {
        return Some(need_number(exact, "quantity"));
    }
    let range = field(state, "range")?;
    Some(stream.between(need_number(range, "low"), need_number(range, "high")))
}

fn draw_new(distribution: &Json, stream: &mut Stream) -> f64 {
    let parameters = need(distribution, "parameters");
    let of = |name: &str| need_number(parameters, name);
    match need_text(distribution, "kind") {
        "EXACT" => of("value"),
        "UNIFORM" => stream.between(of("low"), of("high")),
        "GAUSSIAN" => {
            let value = of("mean") + of("standardDeviation") * stream.normal();
            let value = number(parameters, "min").map_or(value, |min| value.max(min));
            number(parameters, "max").map_or(value, |max| value.min(max))
        }
        "EXPONENTIAL" => 1.0 + stream.exponential(of("mean")),
        "TRIANGULAR" => {
            let (min, mode, max, unit) = (of("min"), of("mode"), of("max"), stream.unit());
            match unit * (max - min) < mode - min {
                true => min + (unit * (max - min) * (mode - min)).sqrt(),
                false => max - ((1.0 - unit) * (max - min) * (max - mode)).sqrt(),
            }
        }
        other => panic!("`{other}` is no distribution"),
    }
}

/// The width of a state's distribution, which says how exactly a drawn value is written; none for a single value.
pub fn width(state: &Json) -> Option<f64> {
    let Some(distribution) = field(state, "distribution") else {
        let range = field(state, "range").filter(|_| field(state, "exact").is_none())?;
        return Some(need_number(range, "high") - need_number(range, "low"));
    };
    let parameters = need(distribution, "parameters");
    let of = |name: &str| need_number(parameters, name);
    match need_text(distribution, "kind") {
        "UNIFORM" => Some(of("high") - of("low")),
        "GAUSSIAN" => Some(of("standardDeviation") * 4.0),
        "EXPONENTIAL" => Some(of("mean")),
        "TRIANGULAR" => Some(of("max") - of("min")),
        _ => None,
    }
}

/// The span of a Delay: a `distribution` counts whole units, the older styles have fractions.
pub fn draw_delay(state: &Json, stream: &mut Stream) -> Moment {
    let unit = unit_of(state);
    let count = draw(state, stream).unwrap_or_else(|| panic!("a delay without length: {state}"));
    let span = match field(state, "distribution") {
        Some(_) => whole(count as i64, unit),
        None => fractional(count, unit),
    };
    span.max(0)
}

/// The span of a Procedure or of a Death's delay, with its fraction in every style.
pub fn draw_span(state: &Json, stream: &mut Stream) -> Option<Moment> {
    let count = draw(state, stream)?;
    Some(fractional(count, unit_of(state)).max(0))
}

/// The span of a Procedure, whose older style is a `duration` with its bounds.
pub fn draw_duration(state: &Json, stream: &mut Stream) -> Option<Moment> {
    match field(state, "duration") {
        Some(bounds) => {
            let count = stream.between(need_number(bounds, "low"), need_number(bounds, "high"));
            Some(fractional(count, need_text(bounds, "unit")).max(0))
        }
        None => draw_span(state, stream),
    }
}

/// The unit stands beside a `distribution`, and inside of `exact` and `range`.
fn unit_of(state: &Json) -> &str {
    let inside = match field(state, "distribution") {
        Some(_) => None,
        None => field(state, "exact").or(field(state, "range")).and_then(|inner| text(inner, "unit")),
    };
    inside.unwrap_or_else(|| need_text(state, "unit"))
}

/// A whole number of units; a year has 365 days.
fn whole(count: i64, unit: &str) -> Moment {
    let one = match unit {
        "years" => 365 * DAY,
        "months" => 30 * DAY,
        "weeks" => 7 * DAY,
        "days" => DAY,
        "hours" => HOUR,
        "minutes" => MINUTE,
        _ => SECOND,
    };
    bounded(count.saturating_mul(one))
}

/// A number of units with its fraction, truncated to days, hours, minutes, seconds or milliseconds; a year has 365.25
/// days.
pub fn fractional(count: f64, unit: &str) -> Moment {
    let (finer, span) = match unit {
        "years" => (365.25, DAY),
        "months" => (30.0, DAY),
        "weeks" => (7.0, DAY),
        "days" => (24.0, HOUR),
        "hours" => (60.0, MINUTE),
        "minutes" => (60.0, SECOND),
        _ => (1000.0, 1),
    };
    bounded(((count * finer) as i64).saturating_mul(span))
}

/// Nothing lasts longer than a thousand years of 365.25 days.
fn bounded(span: Moment) -> Moment {
    span.clamp(-365_250 * DAY, 365_250 * DAY)
}
