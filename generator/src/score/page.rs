//! The score as one HTML page that needs nothing else: figures, two charts, and the tables behind them.

use std::fmt::{Display, Write};

use super::{Correlation, Metric, Score};

const STYLE: &str = include_str!("page.css");

/// Where |z| is cut off in the chart.
const EDGE: f64 = 8.0;

/// Renders the page.
pub fn render(score: &Score) -> String {
    let (summary, goal) = (&score.summary, &score.goal);
    let reached = summary.reached(goal);
    let tiles = [
        ("Median |z|", figure(summary.median_z, 2), format!("goal: at most {}", goal.median_z), Some(reached[0])),
        (
            "Within |z| of 2",
            percent(summary.share_within_2),
            format!("goal: at least {}", percent(Some(goal.share_within_2))),
            Some(reached[1]),
        ),
        (
            "Mean |Δr|",
            figure(summary.mean_delta_r, 3),
            format!("goal: at most {}", goal.mean_delta_r),
            Some(reached[2]),
        ),
        ("Nine in ten |z| within", figure(summary.p90_z, 1), format!("{} metrics", summary.metrics), None),
        ("Quartile distance", figure(summary.mean_quartile_distance, 3), "mean, in interquartile ranges".into(), None),
    ];
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Realism of the population</title><style>{STYLE}</style></head><body><main>\
         <h1>Realism of the population</h1><p class=\"lead\">{} people alive on {}, against published figures of the \
         United States. z is the deviation by the published standard error, or by 2 % of the target where that is more; \
         a figure of few people also deviates by chance. Not for clinical inference.</p><dl class=\"tiles\">",
        score.living, score.reference_date
    );
    for (name, value, note, good) in tiles {
        let class = match good {
            Some(true) => "ok",
            Some(false) => "bad",
            None => "info",
        };
        let _ =
            write!(page, "<div class=\"{class}\"><dt>{name}</dt><dd>{value}</dd><dd class=\"note\">{note}</dd></div>");
    }
    page.push_str("</dl><h2>Metrics</h2><div class=\"card\">");
    page.push_str(&metric_chart(&score.metrics));
    page.push_str("</div><h2>Correlations</h2><div class=\"card\">");
    page.push_str(&correlation_chart(&score.correlations));
    page.push_str("</div><h2>All figures</h2><div class=\"card scroll\">");
    tables(score, &mut page);
    page.push_str("</div></main></body></html>\n");
    page
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or("–".into(), |value| format!("{value:.decimals$}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or("–".into(), |share| format!("{:.0} %", 100.0 * share))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// One row per metric: its z on a line from -8 to 8, with the bands within 1 and 2.
fn metric_chart(metrics: &[Metric]) -> String {
    const ROW: f64 = 17.0;
    let (left, width) = (330.0, 560.0);
    let height = ROW * metrics.len() as f64 + 34.0;
    let x = |z: f64| left + width * (z.clamp(-EDGE, EDGE) + EDGE) / (2.0 * EDGE);
    let mut svg =
        open("metrics", left + width + 50.0, height, "z of each metric", "A point per metric; bands within 1 and 2.");
    for (class, reach) in [("band wide", 2.0), ("band", 1.0)] {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{:.1}\"/>",
            x(-reach),
            x(reach) - x(-reach),
            height - 20.0
        );
    }
    ticks(&mut svg, [-8, -6, -4, -2, 0, 2, 4, 6, 8], |tick| x(f64::from(tick)), height);
    for (row, metric) in metrics.iter().enumerate() {
        let y = ROW * row as f64 + 12.0;
        row_name(&mut svg, left, y, &metric.metric);
        let (Some(z), Some(observed)) = (metric.z, metric.observed) else {
            let _ = write!(svg, "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\">nobody measured</text>", x(0.0), y + 4.0);
            continue;
        };
        let class = match z.abs() {
            z if z <= 1.0 => "good",
            z if z <= 2.0 => "fair",
            _ => "far",
        };
        let _ = write!(
            svg,
            "<g class=\"{class}\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><circle cx=\"{:.1}\" cy=\"{y:.1}\" \
             r=\"4\"><title>{}: {} instead of {} {} (z {z:.1}, {} people)</title></circle></g>",
            x(0.0),
            x(z),
            x(z),
            escaped(&metric.metric),
            number(observed),
            number(metric.target),
            escaped(&metric.unit),
            metric.people
        );
        if z.abs() > EDGE {
            let _ = write!(
                svg,
                "<text class=\"beyond\" x=\"{:.1}\" y=\"{:.1}\">{z:.0}</text>",
                left + width + 24.0,
                y + 4.0
            );
        }
    }
    svg + "</svg>"
}

/// One row per pair: the published correlation and that of the population, joined by a line.
fn correlation_chart(pairs: &[Correlation]) -> String {
    const ROW: f64 = 20.0;
    let (left, width) = (330.0, 560.0);
    let height = ROW * pairs.len() as f64 + 34.0;
    let x = |r: f64| left + width * (r + 1.0) / 2.0;
    let description = "A ring for the published correlation, a point for that of the population.";
    let mut svg = open("correlations", left + width + 50.0, height, "Correlations of pairs", description);
    ticks(&mut svg, [-1.0, -0.5, 0.0, 0.5, 1.0], x, height);
    for (row, pair) in pairs.iter().enumerate() {
        let y = ROW * row as f64 + 12.0;
        row_name(&mut svg, left, y, &pair.metric);
        let _ = write!(svg, "<circle class=\"ring\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\"/>", x(pair.target));
        let Some(observed) = pair.observed else { continue };
        let class = if (observed - pair.target).abs() <= 0.05 { "good" } else { "far" };
        let _ = write!(
            svg,
            "<g class=\"{class}\"><line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><circle cx=\"{:.1}\" cy=\"{y:.1}\" \
             r=\"4\"><title>{}: {observed:.2} instead of {:.2} ({} people)</title></circle></g>",
            x(pair.target),
            x(observed),
            x(observed),
            escaped(&pair.metric),
            pair.target,
            pair.people
        );
    }
    svg + "</svg>"
}

fn open(id: &str, width: f64, height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}\
         </title><desc id=\"{id}-d\">{description}</desc>"
    )
}

/// A line from top to bottom at each tick, with its number below.
fn ticks<T: Copy + Display>(svg: &mut String, ticks: impl IntoIterator<Item = T>, x: impl Fn(T) -> f64, height: f64) {
    for tick in ticks {
        let at = x(tick);
        let _ =
            write!(svg, "<line class=\"tick\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{:.1}\"/>", height - 20.0);
        let _ = write!(svg, "<text class=\"axis\" x=\"{at:.1}\" y=\"{:.1}\">{tick}</text>", height - 6.0);
    }
}

/// What a row is about, left of it.
fn row_name(svg: &mut String, left: f64, y: f64, name: &str) {
    let name = escaped(name);
    let _ = write!(svg, "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>", left - 10.0, y + 4.0);
}

fn tables(score: &Score, page: &mut String) {
    page.push_str(
        "<table><thead><tr><th>metric</th><th>kind</th><th>target</th><th>observed</th><th>± sampling</th><th>z</th>\
         <th>people</th><th>source</th></tr></thead><tbody>",
    );
    for metric in &score.metrics {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{} {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escaped(&metric.metric),
            metric.kind.name(),
            number(metric.target),
            escaped(&metric.unit),
            metric.observed.map_or("–".into(), number),
            metric.observed_error.map_or("–".into(), number),
            figure(metric.z, 1),
            metric.people,
            escaped(&metric.source)
        );
    }
    for pair in &score.correlations {
        let _ = write!(
            page,
            "<tr><td>{}</td><td>correlation</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td><td class=\"n\">–</td>\
             <td class=\"n\">–</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escaped(&pair.metric),
            pair.target,
            figure(pair.observed, 2),
            pair.people,
            escaped(&pair.source)
        );
    }
    page.push_str("</tbody></table>");
}

/// A figure with as many digits as it deserves.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 2.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
