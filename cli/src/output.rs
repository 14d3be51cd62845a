//! What the program prints: results to stdout, errors to stderr.

use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes text to stdout. A closed pipe, as in `| head`, is the reader's choice and no error.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// Writes one JSON document to stdout.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string_pretty(value).context("the result is not JSON")? + "\n"))
}

/// Writes an error with its causes to stderr; a cause that repeats what was said is left out.
pub fn print_error(error: &anyhow::Error) {
    let mut text = format!("error: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text += &format!("\n  because: {cause}");
        }
        said = cause;
    }
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes a warning to stderr.
pub fn print_warning(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "warning: {text}");
}

/// Lays names and numbers out in columns: the first left-aligned, the others right-aligned.
pub fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    align(header, rows, 1)
}

/// Lays words out in columns, all left-aligned.
pub fn listing(header: &[&str], rows: &[Vec<String>]) -> String {
    align(header, rows, header.len())
}

fn align(header: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::from(" ");
        for (index, (cell, width)) in cells.zip(&widths).enumerate() {
            let gap = if index == 0 { " " } else { "  " };
            text += &if index < left { format!("{gap}{cell:<width$}") } else { format!("{gap}{cell:>width$}") };
        }
        text.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

/// A whole number with thousands separators.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 12, 999, 1000, 45_123, 1_234_567].map(number).join(" "), "0 12 999 1,000 45,123 1,234,567");
    }

    #[test]
    fn columns_align() {
        let text = columns(&["table", "rows"], &[vec!["omop.person".into(), "1,000".into()]]);
        assert_eq!(text, "  table         rows\n  omop.person  1,000\n");
    }
}
