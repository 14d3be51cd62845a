//! QuestionnaireResponse.

use serde::Deserialize;

use super::{Attachment, Coding, DateTime, Decimal, Extension, Meta, Quantity, Reference, Str};

/// The answers to a questionnaire.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct QuestionnaireResponse<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `in-progress`, `completed`, `amended`, `entered-in-error`, `stopped`.
    pub status: Option<Str<'a>>,
    /// Whom the answers are about.
    pub subject: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// When it was answered.
    pub authored: Option<DateTime>,
    /// Who wrote the answers down.
    pub author: Option<Reference<'a>>,
    /// Who answered.
    pub source: Option<Reference<'a>>,
    /// Questions and groups of questions.
    #[serde(default)]
    pub item: Vec<ResponseItem<'a>>,
}

/// A question with its answers, or a group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct ResponseItem<'a> {
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// Which question of the questionnaire.
    pub link_id: Option<Str<'a>>,
    /// Where the question is defined.
    pub definition: Option<Str<'a>>,
    /// The answers.
    #[serde(default)]
    pub answer: Vec<Answer<'a>>,
    /// Questions within the group.
    #[serde(default)]
    pub item: Vec<ResponseItem<'a>>,
}

/// One answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Answer<'a> {
    /// `valueBoolean`
    pub value_boolean: Option<bool>,
    /// `valueDecimal`
    pub value_decimal: Option<Decimal<'a>>,
    /// `valueInteger`
    pub value_integer: Option<i64>,
    /// `valueDate`
    pub value_date: Option<Str<'a>>,
    /// `valueDateTime`
    pub value_date_time: Option<Str<'a>>,
    /// `valueTime`
    pub value_time: Option<Str<'a>>,
    /// `valueString`
    pub value_string: Option<Str<'a>>,
    /// `valueUri`
    pub value_uri: Option<Str<'a>>,
    /// `valueCoding`
    pub value_coding: Option<Coding<'a>>,
    /// `valueQuantity`
    pub value_quantity: Option<Quantity<'a>>,
    /// `valueReference`
    pub value_reference: Option<Reference<'a>>,
    /// `valueAttachment`
    pub value_attachment: Option<Attachment<'a>>,
    /// Questions that the answer leads to.
    #[serde(default)]
    pub item: Vec<ResponseItem<'a>>,
}
