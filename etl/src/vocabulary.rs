//! Concepts, their maps to standard concepts, and the import of a vocabulary download.

/// The concepts in memory, ready for look-up.
pub struct Vocabulary;
