//! The words of the field: FHIR R4 resources as the mapping reads them, the OMOP CDM 5.4 tables as data, and the
//! vocabulary of data quality. No I/O, no async, no knowledge of lakes.

pub mod constraint;
pub mod fhir;
pub mod omop;
pub mod quality;
pub mod vocabulary;
