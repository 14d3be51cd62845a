//! The elements of a resource as a tree: what stands in what, and which of it is there for a row. An object whose
//! columns are all empty is left out, and its constants with it.

use csv::StringRecord;

use super::cell::{Bad, Leaf, string};

/// The deepest path that a mapping may write.
const MAX_DEPTH: usize = 16;

/// An element.
#[derive(Debug)]
pub enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Leaf(Leaf),
}

/// What was written of an element.
#[derive(Clone, Copy, Default)]
struct Told {
    /// A column has a say in it.
    is_variable: bool,
    /// And that column holds something.
    has_value: bool,
    /// Something was written.
    is_written: bool,
}

impl Node {
    /// An object without members.
    pub fn object() -> Node {
        Node::Object(Vec::new())
    }

    /// Puts a leaf at a path such as `code.coding[0].system`. Paths come in order.
    pub fn insert(&mut self, path: &str, leaf: Leaf) -> Result<(), String> {
        let mut node = self;
        let mut leaf = Some(leaf);
        let steps: Vec<&str> = path.split('.').collect();
        if steps.len() > MAX_DEPTH {
            return Err(format!("`{path}` is deeper than {MAX_DEPTH}"));
        }
        for (at, step) in steps.iter().enumerate() {
            let is_last = at + 1 == steps.len();
            let (name, index) = step_of(step).ok_or_else(|| format!("`{path}` is no path of elements"))?;
            let taken = || format!("`{path}` stands in or around another element");
            let Node::Object(members) = node else { return Err(taken()) };
            let known = members.iter().position(|(known, _)| known == name);
            let mut end = if is_last { leaf.take().map(Node::Leaf) } else { None };
            if let (Some(known), true, None) = (known, is_last, index) {
                return Err(format!("`{}` stands there already", members[known].0));
            }
            let place = match known {
                Some(known) => known,
                None => {
                    let new = match index {
                        Some(_) => Node::Array(Vec::new()),
                        None => end.take().unwrap_or_else(Node::object),
                    };
                    members.push((name.to_owned(), new));
                    members.len() - 1
                }
            };
            node = &mut members[place].1;
            if let Some(index) = index {
                let Node::Array(items) = node else { return Err(taken()) };
                if index > items.len() {
                    return Err(format!("`{path}`: item {index} stands without those before it"));
                }
                if index == items.len() {
                    items.push(end.take().unwrap_or_else(Node::object));
                }
                node = &mut items[index];
            }
            if end.is_some() {
                return Err(taken());
            }
        }
        Ok(())
    }

    /// Writes the members of the outermost object, each with a comma in front.
    pub fn write_members(&self, row: &StringRecord, out: &mut Vec<u8>) -> Result<(), Bad> {
        if let Node::Object(members) = self {
            for (name, node) in members {
                member(name, node, b",", row, out)?;
            }
        }
        Ok(())
    }

    fn write(&self, row: &StringRecord, out: &mut Vec<u8>) -> Result<Told, Bad> {
        let start = out.len();
        let mut sum = Told::default();
        match self {
            Node::Leaf(leaf) => {
                let is_written = leaf.write(row, out)?;
                let is_variable = !leaf.is_constant();
                return Ok(Told { is_variable, has_value: is_variable && is_written, is_written });
            }
            Node::Object(members) => {
                out.push(b'{');
                for (name, node) in members {
                    let comma: &[u8] = if sum.is_written { b"," } else { b"" };
                    sum.add(member(name, node, comma, row, out)?);
                }
                out.push(b'}');
            }
            Node::Array(items) => {
                out.push(b'[');
                for item in items {
                    let before = out.len();
                    if sum.is_written {
                        out.push(b',');
                    }
                    let told = item.write(row, out)?;
                    if !told.is_written {
                        out.truncate(before);
                    }
                    sum.add(told);
                }
                out.push(b']');
            }
        }
        if !sum.is_written || sum.is_variable && !sum.has_value {
            out.truncate(start);
            sum.is_written = false;
        }
        Ok(sum)
    }
}

impl Told {
    fn add(&mut self, other: Told) {
        self.is_variable |= other.is_variable;
        self.has_value |= other.has_value;
        self.is_written |= other.is_written;
    }
}

fn member(name: &str, node: &Node, comma: &[u8], row: &StringRecord, out: &mut Vec<u8>) -> Result<Told, Bad> {
    let before = out.len();
    out.extend_from_slice(comma);
    string(name, out);
    out.push(b':');
    let told = node.write(row, out)?;
    if !told.is_written {
        out.truncate(before);
    }
    Ok(told)
}

/// The name and index of `name` or `name[0]`.
fn step_of(step: &str) -> Option<(&str, Option<usize>)> {
    let (name, index) = match step.strip_suffix(']') {
        Some(open) => {
            let (name, index) = open.split_once('[')?;
            (name, Some(index.parse().ok()?))
        }
        None => (step, None),
    };
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_name.then_some((name, index))
}

/// A path whose numbers sort as numbers.
pub fn numbers_padded(path: &str) -> String {
    let parts = path.split('[').map(|part| match part.split_once(']') {
        Some((number, rest)) => format!("{number:0>6}]{rest}"),
        None => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("[")
}
