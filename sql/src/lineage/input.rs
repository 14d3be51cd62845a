//! The source columns of an output, and how each bears on it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// How a source column bears on an output: the first three flow into the value, the others steer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The value as it is.
    Identity,
    /// Part of an expression.
    Transformation,
    /// Part of an aggregate.
    Aggregation,
    /// Decides a branch.
    Conditional,
    /// Decides which rows meet.
    Join,
    /// Decides which rows stay.
    Filter,
    /// Decides which rows are taken together.
    GroupBy,
    /// Decides which rows come first.
    Sort,
    /// Decides which rows a window function sees.
    Window,
}

impl Kind {
    /// True when the value itself flows.
    pub fn is_direct(self) -> bool {
        self <= Kind::Aggregation
    }
}

/// A source column and how it bears on an output.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Input {
    /// `namespace.table`.
    pub table: String,
    /// Its column.
    pub column: String,
    /// How it bears on the output.
    pub kind: Kind,
}

/// Where the columns of a model come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lineage {
    /// Of each output column, what it is made of; empty when it is not known.
    pub columns: BTreeMap<String, BTreeSet<Input>>,
    /// What decides which rows there are.
    pub rows: BTreeSet<Input>,
    /// Why the lineage is not known.
    pub note: Option<String>,
}

pub(crate) type Inputs = BTreeSet<Input>;

/// What flows on through an expression; what steers goes on steering.
pub(crate) fn flowing(inputs: Inputs, kind: Kind) -> Inputs {
    let through = |input: Input| match input.kind.is_direct() {
        true => Input { kind: input.kind.max(kind), ..input },
        false => input,
    };
    inputs.into_iter().map(through).collect()
}

/// What no longer flows, but steers.
pub(crate) fn steering(inputs: Inputs, kind: Kind) -> Inputs {
    inputs.into_iter().map(|input| if input.kind.is_direct() { Input { kind, ..input } } else { input }).collect()
}
