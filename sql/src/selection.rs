//! Selectors, as dbt users write them: `model`, `+m`, `m+`, `2+m+1`, `@m`, `tag:x`, `path:marts`, `source:omop.person`,
//! and `*` in any of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result, nearest};
use crate::project::{Model, Project};

/// Which models are meant; no selector means all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A model is meant when one of these matches.
    pub select: Vec<String>,
    /// A model is not meant when one of these matches.
    pub exclude: Vec<String>,
}

/// How many steps to go along the graph: none, so many, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Steps(usize);

const ALL: Steps = Steps(usize::MAX);

#[derive(Debug, PartialEq, Eq)]
struct Selector<'a> {
    subject: &'a str,
    up: Steps,
    down: Steps,
    with_parents_of_children: bool,
}

impl Project {
    /// The names of the models that are meant, each after the ones it reads.
    pub fn select(&self, selection: &Selection) -> Result<Vec<&str>> {
        let mut chosen = BTreeSet::new();
        if selection.select.is_empty() {
            chosen.extend(self.order.iter().map(String::as_str));
        }
        for selector in &selection.select {
            chosen.extend(self.matches(selector)?);
        }
        for selector in &selection.exclude {
            for name in self.matches(selector)? {
                chosen.remove(name);
            }
        }
        Ok(self.order.iter().map(String::as_str).filter(|name| chosen.contains(name)).collect())
    }

    fn matches(&self, text: &str) -> Result<BTreeSet<&str>> {
        let selector = parse(text)?;
        let subjects = self.models().filter(|model| is_subject(model, selector.subject));
        let found = subjects.map(|model| model.name.as_str()).collect::<BTreeSet<_>>();
        if found.is_empty() {
            let names = self.models().flat_map(|model| [model.name.as_str(), model.table()]);
            let near = nearest(selector.subject, names).map(str::to_owned);
            return Err(Error::NoMatch { selector: text.to_owned(), nearest: near });
        }
        let parents = self.models().map(|model| (model.name.as_str(), self.parents(model))).collect::<BTreeMap<_, _>>();
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, parents) in &parents {
            for parent in parents {
                children.entry(parent).or_default().push(name);
            }
        }
        let mut chosen = walk(&found, &parents, selector.up);
        let below = walk(&found, &children, selector.down);
        if selector.with_parents_of_children {
            chosen.extend(walk(&below, &parents, ALL));
        }
        chosen.extend(below);
        Ok(chosen)
    }

    /// The models that a model reads.
    pub(crate) fn parents<'a>(&'a self, model: &'a Model) -> Vec<&'a str> {
        model.reads.iter().map(String::as_str).filter(|read| self.models.contains_key(*read)).collect()
    }
}

fn is_subject(model: &Model, subject: &str) -> bool {
    match subject.split_once(':') {
        Some(("tag", tag)) => model.definition.tags.iter().any(|own| is_like(own, tag)),
        Some(("path", path)) => {
            let path = path.trim_end_matches('/');
            model.file == path || model.file.starts_with(&format!("{path}/")) || is_like(&model.file, path)
        }
        Some(("source", source)) => model.reads.iter().any(|read| is_like(read, source)),
        _ => is_like(&model.name, subject) || is_like(model.table(), subject),
    }
}

fn parse(text: &str) -> Result<Selector<'_>> {
    let bad = |reason: &str| Error::BadSelector { selector: text.to_owned(), reason: reason.to_owned() };
    let steps = |digits: &str| match digits {
        "" => Ok(ALL),
        digits => digits.parse().map(Steps).map_err(|_| bad("before or after `+` stands a number or nothing")),
    };
    let (with_parents_of_children, rest) = match text.strip_prefix('@') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (up, rest) = match rest.split_once('+') {
        Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => (steps(digits)?, rest),
        _ => (Steps(0), rest),
    };
    let (subject, down) = match rest.split_once('+') {
        Some((subject, digits)) => (subject, steps(digits)?),
        None => (rest, Steps(0)),
    };
    if subject.is_empty() {
        return Err(bad("it names no model"));
    }
    if let Some((method, _)) = subject.split_once(':')
        && !["tag", "path", "source"].contains(&method)
    {
        return Err(bad("before `:` stands tag, path or source"));
    }
    let down = if with_parents_of_children { ALL } else { down };
    Ok(Selector { subject, up, down, with_parents_of_children })
}

fn walk<'a>(from: &BTreeSet<&'a str>, edges: &BTreeMap<&'a str, Vec<&'a str>>, steps: Steps) -> BTreeSet<&'a str> {
    let mut found = from.clone();
    let mut edge = from.clone();
    for _ in 0..steps.0 {
        edge = edge
            .iter()
            .filter_map(|name| edges.get(name))
            .flatten()
            .copied()
            .filter(|name| found.insert(name))
            .collect();
        if edge.is_empty() {
            break;
        }
    }
    found
}

/// Matches text against a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| is_like(&text[at..], rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::project;

    /// a -> b -> c, a -> d -> e, x -> e
    fn selected(select: &[&str], exclude: &[&str]) -> String {
        let project = project(&[
            ("staging/a", "select id from omop.t"),
            ("staging/x", "select id from omop.t"),
            ("marts/b", "select id from staging.a"),
            ("marts/c", "select id from marts.b"),
            ("marts/d", "select id from staging.a"),
            ("metrics/e", "select d.id from marts.d as d inner join marts.f as f on d.id = f.id"),
            ("marts/f", "select id from staging.x"),
        ])
        .unwrap();
        let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect();
        let selection = Selection { select: words(select), exclude: words(exclude) };
        match project.select(&selection) {
            Ok(names) => {
                let mut tables = names.iter().map(|name| name.split_once('.').unwrap().1).collect::<Vec<_>>();
                tables.sort();
                tables.concat()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn selectors_walk_the_graph() {
        for (select, exclude, expected) in [
            (&[][..], &[][..], "abcdefx"),
            (&["b"], &[], "b"),
            (&["marts.b"], &[], "b"),
            (&["+c"], &[], "abc"),
            (&["1+c"], &[], "bc"),
            (&["a+"], &[], "abcde"),
            (&["a+1"], &[], "abd"),
            (&["1+d+1"], &[], "ade"),
            (&["@d"], &[], "adefx"),
            (&["path:marts"], &[], "bcdf"),
            (&["path:marts/b.sql"], &[], "b"),
            (&["tag:fast"], &[], "abcdefx"),
            (&["source:omop.*+"], &["e"], "abcdfx"),
            (&["staging.*"], &[], "ax"),
            (&["b", "x"], &[], "bx"),
            (&["a+"], &["b+"], "ade"),
        ] {
            assert_eq!(selected(select, exclude), expected, "{select:?} without {exclude:?}");
        }
    }

    #[test]
    fn a_selector_that_means_nothing_is_refused() {
        assert_eq!(
            selected(&["marts.bb"], &[]),
            "selector `marts.bb` matches no model\n  hint: did you mean `marts.b`?"
        );
        assert!(selected(&["+"], &[]).contains("names no model"));
        assert!(selected(&["b+x"], &[]).contains("a number or nothing"));
        assert!(selected(&["state:modified"], &[]).contains("tag, path or source"));
        assert!(selected(&["a"], &["zzz"]).contains("matches no model"));
    }
}
