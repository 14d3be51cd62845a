//! A parsed JSON record: flat nodes over its text, which the tape keeps, so that a value is a place in the tape and
//! nothing else. The content hash, the flat views and the typed structs of the mapping all read the same nodes, so a
//! record is parsed once.
//!
//! A parser of our own, because a record must not be able to hurt: nesting is limited, a duplicate key is an error,
//! decimals keep their digits, and the nodes of one record are reused for the next.

mod index;
mod member;
mod notes;
mod parse;
mod read;

use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use index::Index;
pub use member::Name;
use member::fingerprint;
pub use notes::Notes;
pub use parse::{Fault, plain};
pub use read::WrongType;

/// The nodes of one record; kept from record to record so that parsing allocates nothing.
#[derive(Default)]
pub struct Tape {
    nodes: Vec<Node>,
    /// The record, and behind it the strings that have escapes in it, without them.
    text: String,
    /// Of the outermost object.
    index: Index,
}

#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// The node behind the value; of a member's name its [`member::fingerprint`], since its value is the next node.
    next: u32,
    kind: Kind,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `false`
    False,
    /// `true`
    True,
    /// A number, as written.
    Number,
    /// A string that stands in the text as it is.
    String,
    /// A string with escapes: without them it stands behind the record.
    Escaped,
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// One resource: its type, logical id and content.
#[derive(Clone, Copy)]
pub struct Resource<'d> {
    /// `Patient`, …
    pub resource_type: &'d str,
    /// The logical id.
    pub id: &'d str,
    /// The resource itself.
    pub element: Element<'d>,
}

/// One value of a record: an object, an array, a string, a number, a boolean or null.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    tape: &'d Tape,
    index: u32,
}

impl std::fmt::Debug for Element<'_> {
    /// The kind alone: content has no business in messages.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.kind().fmt(formatter)
    }
}

impl Tape {
    /// Parses one record; what the tape held before is gone.
    ///
    /// # Errors
    /// The record is not JSON, is nested too deeply or names a member twice.
    pub fn parse(&mut self, text: &str) -> Result<Element<'_>, Fault> {
        parse::parse(text, self)?;
        Ok(Element { tape: self, index: 0 })
    }

    #[inline]
    fn text_of(&self, node: Node) -> &str {
        &self.text[node.start as usize..node.end as usize]
    }

    #[inline]
    fn bytes_of(&self, node: Node) -> &[u8] {
        &self.text.as_bytes()[node.start as usize..node.end as usize]
    }
}

impl<'d> Resource<'d> {
    /// Reads the resource as a typed struct; strings are borrowed where they hold no escapes.
    ///
    /// # Errors
    /// An element does not have the type that the struct asks for.
    pub fn read<T: Deserialize<'d>>(&self) -> Result<T, WrongType> {
        self.element.read()
    }
}

impl<'d> Element<'d> {
    /// Reads the value as a typed struct.
    ///
    /// # Errors
    /// An element does not have the type that the struct asks for.
    pub fn read<T: Deserialize<'d>>(&self) -> Result<T, WrongType> {
        T::deserialize(*self)
    }

    /// What the value is.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// The member of that name, when this is an object that has it.
    #[inline]
    pub fn get(&self, name: &str) -> Option<Element<'d>> {
        self.find(name, fingerprint(name.as_bytes()))
    }

    /// The member of that name, when this is an object that has it.
    #[inline]
    pub fn named(&self, name: &Name) -> Option<Element<'d>> {
        self.find(name, name.fingerprint())
    }

    #[inline]
    fn find(&self, name: &str, wanted: u32) -> Option<Element<'d>> {
        let node = self.node();
        if node.kind != Kind::Object {
            return None;
        }
        if self.index == 0
            && let Some(mut candidates) = self.tape.index.candidates(wanted)
        {
            let key = candidates.find(|key| self.is_named(*key, name, wanted))?;
            return Some(Element { index: key + 1, ..*self });
        }
        let mut at = self.index + 1;
        while at < node.next {
            if self.is_named(at, name, wanted) {
                return Some(Element { index: at + 1, ..*self });
            }
            at = self.tape.nodes[at as usize + 1].next;
        }
        None
    }

    /// True when the member whose name is the node `key` has that name.
    #[inline]
    fn is_named(&self, key: u32, name: &str, fingerprint: u32) -> bool {
        let key = self.tape.nodes[key as usize];
        key.next == fingerprint && self.tape.bytes_of(key) == name.as_bytes()
    }

    /// True for the same value of the same record.
    #[inline]
    pub fn is(&self, other: &Element<'_>) -> bool {
        self.index == other.index
    }

    /// True for a value that stands somewhere inside of the other, of the same record.
    #[inline]
    pub fn is_inside(&self, other: &Element<'_>) -> bool {
        other.index < self.index && self.index < other.node().next
    }

    /// Where the value stands among all of its record.
    pub fn position(&self) -> u32 {
        self.index
    }

    /// The members of an object, in the order of the text; none for anything else.
    #[inline]
    pub fn members(&self) -> Members<'d> {
        let (at, end) = if self.kind() == Kind::Object { self.inside() } else { (0, 0) };
        Members { tape: self.tape, at, end }
    }

    /// The items of an array; none for anything else.
    #[inline]
    pub fn items(&self) -> Items<'d> {
        let (at, end) = if self.kind() == Kind::Array { self.inside() } else { (0, 0) };
        Items { tape: self.tape, at, end }
    }

    /// The string, when this is one.
    #[inline]
    pub fn as_str(&self) -> Option<&'d str> {
        let node = *self.node();
        matches!(node.kind, Kind::String | Kind::Escaped).then(|| self.tape.text_of(node))
    }

    /// The number as written, when this is one.
    #[inline]
    pub fn as_number(&self) -> Option<&'d str> {
        let node = *self.node();
        (node.kind == Kind::Number).then(|| self.tape.text_of(node))
    }

    /// True or false, when this is one.
    #[inline]
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The JSON of an object, array, number, boolean or null as it was written. A string's quotes are part of it;
    /// a string with escapes has only them.
    pub fn text(&self) -> &'d str {
        let node = *self.node();
        match node.kind {
            Kind::String => &self.tape.text[node.start as usize - 1..node.end as usize + 1],
            Kind::Escaped => "\"\"",
            _ => self.tape.text_of(node),
        }
    }

    /// A hash of the content that does not depend on the order of members or on white space.
    pub fn content_hash(&self) -> u64 {
        hash(self.tape, self.index as usize)
    }

    #[inline]
    fn node(&self) -> &'d Node {
        &self.tape.nodes[self.index as usize]
    }

    #[inline]
    fn inside(&self) -> (u32, u32) {
        (self.index + 1, self.node().next)
    }
}

/// The members of an object.
pub struct Members<'d> {
    tape: &'d Tape,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Element<'d>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = Element { tape: self.tape, index: self.at };
        let value = Element { index: self.at + 1, ..key };
        self.at = value.node().next;
        Some((key.as_str().unwrap_or_default(), value))
    }
}

/// The items of an array.
#[derive(Clone)]
pub struct Items<'d> {
    tape: &'d Tape,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Items<'d> {
    type Item = Element<'d>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let item = Element { tape: self.tape, index: self.at };
        self.at = item.node().next;
        Some(item)
    }
}

const NUMBER: u64 = 1;
const STRING: u64 = 2;
const KEY: u64 = 3;
const WORD: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash(tape: &Tape, index: usize) -> u64 {
    let node = tape.nodes[index];
    match node.kind {
        Kind::Null => mix(WORD, 1),
        Kind::False => mix(WORD, 2),
        Kind::True => mix(WORD, 3),
        Kind::Number => xxh3_64_with_seed(tape.bytes_of(node), NUMBER),
        Kind::String | Kind::Escaped => xxh3_64_with_seed(tape.bytes_of(node), STRING),
        Kind::Array => {
            let (mut sum, mut at) = (mix(WORD, 4), index + 1);
            while at < node.next as usize {
                sum = mix(sum, hash(tape, at));
                at = tape.nodes[at].next as usize;
            }
            sum
        }
        Kind::Object => {
            let (mut sum, mut at) = (0_u64, index + 1);
            while at < node.next as usize {
                let name = xxh3_64_with_seed(tape.bytes_of(tape.nodes[at]), KEY);
                sum = sum.wrapping_add(mix(name, hash(tape, at + 1)));
                at = tape.nodes[at + 1].next as usize;
            }
            mix(sum, 5)
        }
    }
}

/// Joins two hashes; the order of the two counts.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ WORD) * u128::from(b.rotate_left(23) ^ 0xe703_7ed1_a0b4_28db);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_hash(text: &str) -> u64 {
        Tape::default().parse(text).unwrap().content_hash()
    }

    #[test]
    fn members_items_and_text_are_found() {
        let mut tape = Tape::default();
        let text = r#" {"a":[1, 2.50,"x\u00e9\n"],"b":{"c":true,"d":null},"e":""} "#;
        let root = tape.parse(text).unwrap();
        assert_eq!(root.members().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b", "e"]);
        let items: Vec<_> = root.get("a").unwrap().items().collect();
        assert_eq!(items[1].as_number(), Some("2.50"));
        assert_eq!(items[2].as_str(), Some("xé\n"));
        assert_eq!(root.get("b").unwrap().text(), r#"{"c":true,"d":null}"#);
        assert_eq!(root.get("b").unwrap().get("c").unwrap().as_bool(), Some(true));
        assert_eq!(root.get("e").unwrap().as_str(), Some(""));
        assert!(root.get("x").is_none());
    }

    #[test]
    fn outermost_members_are_found_however_many_there_are() {
        for count in [0, 1, 63, 64, 65, 200] {
            let members: Vec<_> = (0..count).map(|n| format!("\"{n}\":{n}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let mut tape = Tape::default();
            // What was parsed before is not found any more.
            tape.parse(r#"{"before":1}"#).unwrap();
            let root = tape.parse(&text).unwrap();
            assert!((0..count).all(|n| root.get(&n.to_string()).unwrap().as_number() == Some(&n.to_string())));
            assert!(root.get("before").is_none() && root.get(&count.to_string()).is_none(), "{count}");
        }
    }

    #[test]
    fn the_content_hash_ignores_order_and_space_and_nothing_else() {
        let base = content_hash(r#"{"a":[1,2],"b":{"c":"x"}}"#);
        assert_eq!(base, content_hash("{ \"b\" : {\"c\":\"\\u0078\"}, \"a\":[1, 2] }"));
        for other in [
            r#"{"a":[2,1],"b":{"c":"x"}}"#,
            r#"{"a":[1,2],"b":{"c":"y"}}"#,
            r#"{"a":[1,2],"c":{"b":"x"}}"#,
            r#"{"a":[1,2.0],"b":{"c":"x"}}"#,
            r#"{"a":[1,"2"],"b":{"c":"x"}}"#,
            r#"{"a":[1,2],"b":{"c":"x"},"d":null}"#,
        ] {
            assert_ne!(base, content_hash(other), "{other}");
        }
    }
}
