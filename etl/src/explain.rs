//! Which resource, which rule and which concept path made an OMOP row; and the other way, what became of a resource.
//!
//! Nothing is stored for it: the crosswalk leads to the resource, `raw` or the flat table has its content, and its codes
//! go once more through the vocabulary and the rules of today.

mod code;
mod reader;
mod story;

use lake::Lake;

pub use code::{CodeStory, Target, TriedCoding};
pub use story::{Explanation, MadeRow, Refusal, Story};

use crate::error::{Error, Result};
use crate::map::MedicationRequestPolicy;
use crate::vocabulary::Vocabulary;
use reader::Reader;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A row of an OMOP table, by its key.
    Row {
        /// The table, without namespace.
        table: String,
        /// The key.
        id: i64,
    },
    /// A resource.
    Resource {
        /// `Condition`
        resource_type: String,
        /// Its logical id.
        id: String,
    },
}

impl Question {
    /// Reads `Condition/123`, or a table and a key.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(what: &str, id: Option<&str>) -> Result<Question> {
        let wrong = |problem: String| Error::Question { problem };
        let Some(id) = id else {
            return match what.split_once('/') {
                Some((resource_type, id)) if !resource_type.is_empty() && !id.is_empty() => {
                    Ok(Question::Resource { resource_type: resource_type.to_owned(), id: id.to_owned() })
                }
                _ => Err(wrong(format!("`{what}` is neither a resource nor a table with an id"))),
            };
        };
        let name = what.strip_prefix("omop.").unwrap_or(what);
        let known: Vec<_> = crate::load::cdm_tables().map(|table| table.name).collect();
        if !known.contains(&name) {
            return Err(wrong(format!("there is no OMOP table `{name}`, expected one of {}", known.join(", "))));
        }
        let id = id.parse().map_err(|_| wrong(format!("`{id}` is not the key of a row, expected a whole number")))?;
        Ok(Question::Row { table: name.to_owned(), id })
    }
}

/// Explains a row or a resource.
///
/// # Errors
/// The lake cannot be read, or knows nothing of what is asked.
pub async fn explain(lake: &Lake, question: &Question, policy: MedicationRequestPolicy) -> Result<Explanation> {
    let reader = Reader::open(lake).await?;
    let vocabulary = Vocabulary::load(lake).await?;
    let (names, only) = match question {
        Question::Row { table, id } => (reader.resource_of(table, *id).await?, Some((table.as_str(), *id))),
        Question::Resource { resource_type, id } => (reader.sources_of(resource_type, id).await?, None),
    };
    let mut explanation = Explanation { vocabulary_version: vocabulary.version().to_owned(), ..Explanation::default() };
    for (source_id, resource_type, id) in names {
        let mut story = reader.story(&source_id, &resource_type, &id, only).await?;
        let content = reader.content(&mut story, &resource_type, &id).await?;
        story.codes = code::stories(&vocabulary, &source_id, &content, policy);
        if only.is_some() {
            story.keep_codes_of_rows();
        }
        explanation.resources.push(story);
    }
    reader.name_concepts(&mut explanation).await?;
    Ok(explanation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_row_or_a_resource() {
        let row = Question::Row { table: "measurement".into(), id: 5 };
        assert_eq!(Question::parse("omop.measurement", Some("5")).unwrap(), row);
        let resource = Question::Resource { resource_type: "Condition".into(), id: "a-1".into() };
        assert_eq!(Question::parse("Condition/a-1", None).unwrap(), resource);
        for (what, id, expected) in [
            ("measurement", None, "neither a resource nor a table"),
            ("Condition/", None, "neither a resource nor a table"),
            ("measurements", Some("1"), "there is no OMOP table `measurements`"),
            ("concept", Some("1"), "there is no OMOP table `concept`"),
            ("measurement", Some("x"), "`x` is not the key of a row"),
        ] {
            let message = Question::parse(what, id).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
