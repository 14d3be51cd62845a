//! Questions of modules that have no answer. The format's own engine gives the patient up over them; here they count as
//! false, and are counted.

use super::person::Person;
use crate::module::Library;

/// What a state of a module asked for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanswered {
    /// The module.
    pub module: usize,
    /// Its state.
    pub state: usize,
    /// What it asked for.
    pub question: Question,
}

/// A question without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The value of an observation that was never made.
    Observation,
    /// Whether values of different kinds are equal, or which is the larger.
    Comparison,
    /// A row of a lookup table by an attribute that is not set.
    LookupKey,
}

impl Unanswered {
    /// Says which state asked for what.
    pub fn describe(&self, library: &Library) -> String {
        let module = &library.modules[self.module];
        let question = match self.question {
            Question::Observation => "asks for an observation that was never made",
            Question::Comparison => "compares values of different kinds",
            Question::LookupKey => "looks up an attribute that is not set",
        };
        format!("module `{}`, state `{}` {question}", module.path, module.states[self.state].name)
    }
}

impl Person<'_> {
    /// Counts a question that has no answer.
    pub(super) fn leave_unanswered(&self, cursor: usize, question: Question) {
        let Some(frame) = self.cursors[cursor].frames.last() else { return };
        let key = Unanswered { module: frame.module, state: frame.state, question };
        *self.unanswered.borrow_mut().entry(key).or_default() += 1;
    }
}
