//! DocumentReference, Composition and the attachments of any resource.

use serde::Deserialize;

use super::{CodeableConcept, DateTime, Extension, Meta, Period, Reference, Str};

/// A document kept somewhere.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DocumentReference<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `current`, `superseded`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// `preliminary`, `final`, `amended`, `entered-in-error`.
    pub doc_status: Option<Str<'a>>,
    /// What kind of document.
    #[serde(rename = "type", default)]
    pub document_type: CodeableConcept<'a>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// When it was filed.
    pub date: Option<DateTime>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Vec<Reference<'a>>,
    /// The document, in one or more formats.
    #[serde(default)]
    pub content: Vec<DocumentContent<'a>>,
    /// When and where it was written.
    pub context: Option<DocumentContext<'a>>,
}

/// A document in one format.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DocumentContent<'a> {
    /// The document.
    pub attachment: Option<Attachment<'a>>,
}

/// When and where a document was written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct DocumentContext<'a> {
    /// The encounters.
    #[serde(default)]
    pub encounter: Vec<Reference<'a>>,
    /// What time it is about.
    pub period: Option<Period>,
}

/// The head of a document made of resources.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Composition<'a> {
    /// The logical id.
    pub id: Option<Str<'a>>,
    /// Version and time of change.
    pub meta: Option<Meta<'a>>,
    /// Rules that a reader must know to understand the resource.
    pub implicit_rules: Option<Str<'a>>,
    /// Extensions that change the meaning.
    #[serde(default)]
    pub modifier_extension: Vec<Extension<'a>>,
    /// `preliminary`, `final`, `amended`, `entered-in-error`.
    pub status: Option<Str<'a>>,
    /// What kind of document.
    #[serde(rename = "type", default)]
    pub document_type: CodeableConcept<'a>,
    /// The patient.
    pub subject: Option<Reference<'a>>,
    /// During which encounter.
    pub encounter: Option<Reference<'a>>,
    /// When it was written.
    pub date: Option<DateTime>,
    /// Who wrote it.
    #[serde(default)]
    pub author: Vec<Reference<'a>>,
    /// The language.
    pub language: Option<Str<'a>>,
    /// Its sections.
    #[serde(default)]
    pub section: Vec<Section<'a>>,
}

/// A part of a document.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Section<'a> {
    /// Its title.
    pub title: Option<Str<'a>>,
    /// Its text.
    pub text: Option<Narrative<'a>>,
    /// Sections within.
    #[serde(default)]
    pub section: Vec<Section<'a>>,
}

/// Text for people.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Narrative<'a> {
    /// The text, as XHTML.
    pub div: Option<Str<'a>>,
}

/// A file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"), expecting = "an object")]
pub struct Attachment<'a> {
    /// Its media type.
    pub content_type: Option<Str<'a>>,
    /// Its language.
    pub language: Option<Str<'a>>,
    /// Its content in base64.
    pub data: Option<Str<'a>>,
    /// Where it is kept.
    pub url: Option<Str<'a>>,
}
