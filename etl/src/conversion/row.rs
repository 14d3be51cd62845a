//! A row to its resources, by a mapping that fits its file.

use std::ops::Range;

use csv::StringRecord;
use xxhash_rust::xxh3::Xxh3Default;

use super::cell::{Bad, Template, string};
use super::tree::Node;

/// A mapping fitted to one file.
#[derive(Debug)]
pub struct Conversion {
    pub(super) resources: Vec<Bound>,
    pub(super) names: Vec<String>,
}

impl Conversion {
    /// Writes the resources of a row behind each other, and tells where each stands, or why it is none.
    pub fn convert(&self, row: &StringRecord, out: &mut Vec<u8>, mut each: impl FnMut(Result<Range<usize>, Fault>)) {
        let first = self.resources.first().map(|resource| resource.resource_type.as_str()).unwrap_or_default();
        if row.len() != self.names.len() {
            let detail = format!("expected {} columns, found {}", self.names.len(), row.len());
            return each(Err(self.fault(first, None, "wrong_column_count", detail)));
        }
        let mut taken = false;
        for resource in &self.resources {
            let fits = |(column, values): &(usize, Vec<String>)| {
                values.iter().any(|value| value == row.get(*column).unwrap_or_default().trim())
            };
            if !resource.only.iter().all(fits) || resource.except.iter().any(fits) {
                continue;
            }
            taken = true;
            let start = out.len();
            match self.write(resource, row, out) {
                Ok(()) => each(Ok(start..out.len())),
                Err(fault) => {
                    out.truncate(start);
                    each(Err(fault));
                }
            }
        }
        if !taken {
            let column = self.resources.first().and_then(|resource| resource.only.first()).map(|(column, _)| *column);
            let detail = "expected one of the values that the mapping names".to_owned();
            each(Err(self.fault(first, column, "unknown_value", detail)));
        }
    }

    fn write(&self, resource: &Bound, row: &StringRecord, out: &mut Vec<u8>) -> Result<(), Fault> {
        let fault = |bad: Bad| self.fault(&resource.resource_type, Some(bad.column), bad.reason, bad.detail);
        out.extend_from_slice(b"{\"resourceType\":");
        string(&resource.resource_type, out);
        out.extend_from_slice(b",\"id\":");
        match &resource.id {
            BoundId::Template(template) => string(&template.required(row).map_err(fault)?, out),
            BoundId::Hash(columns) => {
                let mut hash = Xxh3Default::new();
                for column in columns {
                    hash.update(row.get(*column).unwrap_or_default().trim().as_bytes());
                    hash.update(&[0]);
                }
                string(&format!("{:032x}", hash.digest128()), out);
            }
        }
        resource.root.write_members(row, out).map_err(fault)?;
        out.push(b'}');
        Ok(())
    }

    fn fault(&self, resource_type: &str, column: Option<usize>, reason: &'static str, detail: String) -> Fault {
        let column = column.and_then(|column| self.names.get(column).cloned());
        Fault { resource_type: resource_type.to_owned(), column, reason, detail }
    }

    /// The type of the first resource that rows of the file become.
    pub fn resource_type(&self) -> &str {
        self.resources.first().map(|resource| resource.resource_type.as_str()).unwrap_or_default()
    }
}

/// Why a row did not become a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The type that it would have become.
    pub resource_type: String,
    /// The column.
    pub column: Option<String>,
    /// A stable word.
    pub reason: &'static str,
    /// What was expected, without the content.
    pub detail: String,
}

/// One kind of resource, its columns found in the header.
#[derive(Debug)]
pub struct Bound {
    pub resource_type: String,
    pub id: BoundId,
    pub only: Vec<(usize, Vec<String>)>,
    pub except: Vec<(usize, Vec<String>)>,
    pub root: Node,
}

/// Where its logical id comes from.
#[derive(Debug)]
pub enum BoundId {
    Template(Template),
    Hash(Vec<usize>),
}
