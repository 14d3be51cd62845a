#![doc = include_str!("../README.md")]

pub mod constraint;
pub mod document;
pub mod fhir;
pub mod omop;
pub mod quality;
pub mod vocabulary;
