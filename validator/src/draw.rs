//! Charts as inline SVG. Colours are classes of the page's style sheet, so that light and dark both fit; every chart
//! has a title and a description for those who do not see it.

use std::fmt::Write;

use crate::chart::{AgeBand, ConceptCount, Coverage, EventSeries};

/// A number with thousands separators.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent that says 100 or 0 only when it is so.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    if part == whole {
        return "100 %".into();
    }
    if part == 0 {
        return "0 %".into();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        share if share < 0.01 => "< 0.01 %".into(),
        share if share > 99.99 => "> 99.99 %".into(),
        share if !(1.0..=99.0).contains(&share) => format!("{share:.2} %"),
        share => format!("{share:.1} %"),
    }
}

/// A number in few characters: 1.2k, 3.4M.
fn short(value: u64) -> String {
    match value {
        0..=9_999 => number(value),
        10_000..=999_999 => format!("{}k", value / 1_000),
        _ => format!("{:.1}M", value as f64 / 1_000_000.0),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A sentence as HTML: what stands between backticks is code.
pub(crate) fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let marked = parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) });
    marked.collect()
}

/// The text, shortened to what fits.
fn fitting(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return escaped(text);
    }
    let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", escaped(kept.trim_end()))
}

/// The end of a text, as far as it fits: what tells one URI from another.
fn ending(text: &str, characters: usize) -> String {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let surplus = text.chars().count().saturating_sub(characters);
    if surplus == 0 {
        return escaped(text);
    }
    let kept: String = text.chars().skip(surplus + 1).collect();
    format!("…{}", escaped(&kept))
}

/// The smallest round number that is not below the value and has a round half.
fn nice(value: u64) -> u64 {
    let mut power = 1;
    loop {
        for step in [2, 4, 6, 8, 10, 12, 16] {
            let candidate = step * power;
            if candidate >= value {
                return candidate;
            }
        }
        power *= 10;
    }
}

struct Svg {
    text: String,
}

impl Svg {
    fn new(id: &str, width: f64, height: f64, title: &str, description: &str) -> Svg {
        let mut text = String::new();
        let _ = write!(
            text,
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            escaped(title),
            escaped(description)
        );
        Svg { text }
    }

    fn bar(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64, title: &str) {
        let _ = write!(
            self.text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"2\"><title>{}</title></rect>",
            width.max(0.0),
            escaped(title)
        );
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.text,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// `anchor` is `start`, `middle` or `end`; the content is escaped already.
    fn label(&mut self, class: &str, anchor: &str, x: f64, y: f64, content: &str) {
        let _ = write!(
            self.text,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{content}</text>"
        );
    }

    fn end(mut self) -> String {
        self.text.push_str("</svg>");
        self.text
    }
}

/// People by age and sex, women to the left.
pub(crate) fn pyramid(bands: &[AgeBand]) -> String {
    let row = 19.0;
    let (width, top, bottom) = (560.0, 26.0, 26.0);
    let height = top + bands.len() as f64 * row + bottom;
    let largest = nice(bands.iter().flat_map(|band| [band.female, band.male]).max().unwrap_or(1));
    let (middle, gap) = (width / 2.0, 26.0);
    let scale = (middle - gap - 12.0) / largest as f64;
    let total: u64 = bands.iter().map(|band| band.female + band.male + band.other).sum();
    let women: u64 = bands.iter().map(|band| band.female).sum();
    let description = format!("{} people alive, {} of them female", number(total), number(women));
    let mut svg = Svg::new("pyramid", width, height, "Population by age and sex", &description);
    for step in [largest / 2, largest] {
        let offset = gap + step as f64 * scale;
        for (x, _) in [(middle - offset, 0), (middle + offset, 1)] {
            svg.line("grid", (x, top - 4.0), (x, height - bottom + 2.0));
            svg.label("tick", "middle", x, height - 8.0, &short(step));
        }
    }
    svg.label("legend", "end", middle - gap, 14.0, "female");
    svg.label("legend", "start", middle + gap, 14.0, "male");
    svg.label("tick", "middle", middle, 14.0, "age");
    for (index, band) in bands.iter().rev().enumerate() {
        let y = top + index as f64 * row;
        let ages = if band.age >= 95 { "95+".to_owned() } else { format!("{}–{}", band.age, band.age + 4) };
        let female = band.female as f64 * scale;
        svg.bar("a", middle - gap - female, y, female, row - 4.0, &format!("female, {ages}: {}", number(band.female)));
        svg.bar(
            "b",
            middle + gap,
            y,
            band.male as f64 * scale,
            row - 4.0,
            &format!("male, {ages}: {}", number(band.male)),
        );
        svg.label("tick", "middle", middle, y + row - 8.0, &ages);
    }
    svg.end()
}

/// The most frequent concepts, by people.
pub(crate) fn concepts(id: &str, title: &str, concepts: &[ConceptCount], class: &str) -> String {
    let bars: Vec<Bar> = concepts
        .iter()
        .map(|concept| Bar {
            label: concept.name.clone(),
            value: concept.people,
            note: number(concept.people),
            title: format!("{}: {} people, {} records", concept.name, number(concept.people), number(concept.records)),
        })
        .collect();
    bars_of(id, title, &bars, class)
}

/// Rows of each table.
pub(crate) fn rows(id: &str, title: &str, tables: &[(String, u64)], class: &str) -> String {
    let bars: Vec<Bar> = tables
        .iter()
        .map(|(table, rows)| Bar {
            label: table.clone(),
            value: *rows,
            note: number(*rows),
            title: format!("{table}: {} rows", number(*rows)),
        })
        .collect();
    bars_of(id, title, &bars, class)
}

struct Bar {
    label: String,
    value: u64,
    note: String,
    title: String,
}

fn bars_of(id: &str, title: &str, bars: &[Bar], class: &str) -> String {
    let (width, row, left, right) = (560.0, 24.0, 224.0, 64.0);
    let height = bars.len() as f64 * row + 4.0;
    let largest = bars.iter().map(|bar| bar.value).max().unwrap_or(1).max(1) as f64;
    let first = bars.first().map(|bar| bar.title.as_str()).unwrap_or_default();
    let mut svg = Svg::new(id, width, height, title, &format!("{} bars; the longest is {first}", bars.len()));
    for (index, bar) in bars.iter().enumerate() {
        let y = index as f64 * row + 2.0;
        let length = (bar.value as f64 / largest * (width - left - right)).max(if bar.value > 0 { 1.5 } else { 0.0 });
        svg.label("label", "end", left - 8.0, y + 15.0, &fitting(&bar.label, 29));
        svg.bar("track", left, y + 2.0, width - left - right, row - 7.0, &bar.title);
        svg.bar(class, left, y + 2.0, length, row - 7.0, &bar.title);
        svg.label("value", "end", width - 4.0, y + 15.0, &bar.note);
    }
    svg.end()
}

/// Shares of codes with a standard concept.
pub(crate) fn coverage(coverage: &[Coverage]) -> String {
    let (width, row, left, right) = (560.0, 36.0, 224.0, 76.0);
    let height = coverage.len() as f64 * row + 4.0;
    let (mapped, all) = coverage.iter().fold((0, 0), |sum, line| (sum.0 + line.mapped_records, sum.1 + line.records));
    let description = format!("{} of all coded records have a standard concept", percent(mapped, all));
    let mut svg = Svg::new("coverage", width, height, "Codes with a standard concept", &description);
    for (index, line) in coverage.iter().enumerate() {
        let y = index as f64 * row + 2.0;
        let length = line.mapped_records as f64 / line.records.max(1) as f64 * (width - left - right);
        let system = if line.code_system.is_empty() { "no code system" } else { &line.code_system };
        let title = format!(
            "{} in {system}: {} of {} records, {} of {} codes",
            line.element,
            number(line.mapped_records),
            number(line.records),
            number(line.mapped_codes),
            number(line.codes)
        );
        svg.label("label", "end", left - 8.0, y + 13.0, &fitting(&line.element, 29));
        svg.label("tick", "end", left - 8.0, y + 27.0, &ending(system, 34));
        svg.bar("miss", left, y + 5.0, width - left - right, 14.0, &title);
        svg.bar("good", left, y + 5.0, length, 14.0, &title);
        svg.label("value", "end", width - 4.0, y + 16.0, &percent(line.mapped_records, line.records));
        let records = format!("{} records", short(line.records));
        svg.label("tick", "start", left, y + 31.0, &records);
    }
    svg.end()
}

/// One small area chart.
pub(crate) fn events(series: &EventSeries) -> String {
    let (width, height, left, right, top, bottom) = (360.0, 130.0, 40.0, 8.0, 10.0, 22.0);
    let total: u64 = series.points.iter().map(|(_, count)| count).sum();
    let largest = nice(series.points.iter().map(|(_, count)| *count).max().unwrap_or(1));
    let (inner, floor) = (width - left - right, height - bottom);
    let x = |index: usize| left + inner * index as f64 / (series.points.len().max(2) - 1) as f64;
    let y = |count: u64| floor - (floor - top) * count as f64 / largest as f64;
    let id = format!("events-{}", series.table);
    let title = format!("Events in {} over time", series.table);
    let mut svg = Svg::new(&id, width, height, &title, &format!("{} events", number(total)));
    for step in [0, largest / 2, largest] {
        svg.line("grid", (left, y(step)), (width - right, y(step)));
        svg.label("tick", "end", left - 5.0, y(step) + 4.0, &short(step));
    }
    let line: String = series
        .points
        .iter()
        .enumerate()
        .map(|(index, (_, count))| format!("{:.1},{:.1} ", x(index), y(*count)))
        .collect();
    let last = series.points.len().saturating_sub(1);
    let _ = write!(
        svg.text,
        "<polygon class=\"area\" points=\"{left:.1},{floor:.1} {line}{:.1},{floor:.1}\"/><polyline class=\"curve\" points=\"{line}\"/>",
        x(last)
    );
    for (index, anchor) in [(0, "start"), (last / 2, "middle"), (last, "end")] {
        if let Some((date, _)) = series.points.get(index) {
            svg.label("tick", anchor, x(index), height - 6.0, &date.format("%b %Y").to_string());
        }
    }
    svg.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([number(0), number(999), number(1234567)], ["0", "999", "1,234,567"]);
        assert_eq!([percent(1, 0), percent(0, 5), percent(5, 5)], ["–", "0 %", "100 %"]);
        assert_eq!([percent(999_999, 1_000_000), percent(1, 1_000_000)], ["> 99.99 %", "< 0.01 %"]);
        assert_eq!([percent(1, 3), percent(996, 1000)], ["33.3 %", "99.60 %"]);
        assert_eq!([nice(0), nice(3), nice(11), nice(21), nice(161), nice(4100)], [2, 4, 12, 40, 200, 6000]);
    }

    #[test]
    fn labels_are_escaped_and_shortened() {
        assert_eq!(prose("`a<b>` is > 1"), "<code>a&lt;b&gt;</code> is &gt; 1");
        assert_eq!(fitting("a < b", 10), "a &lt; b");
        assert_eq!(fitting("0123456789", 5), "0123…");
        let bar = ConceptCount { concept_id: 1, name: "<script>".into(), people: 1, records: 1 };
        assert!(!concepts("x", "t", &[bar], "a").contains("<script>"));
    }
}
