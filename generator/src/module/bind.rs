//! Turns the names of one module file into numbers of the library.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::field::Fields;
use super::logic::{By, ConstantValue, Operand, Operator};
use super::state::Reason;
use super::{Code, Id, Library};
use crate::Error;

/// What a module needs from others, and what it gives them.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Attributes that it reads.
    pub read: BTreeSet<Id>,
    /// Reasons that are no state of its own: attributes, or states of another module.
    pub reasons: BTreeSet<Id>,
    /// Of the attributes, named probabilities: a default stands beside them.
    pub with_default: BTreeSet<Id>,
    /// Attributes that it sets.
    pub written: BTreeSet<Id>,
    /// Vital signs that it reads, with a state that does.
    pub vital_signs: BTreeMap<Id, String>,
    /// Vital signs that it sets.
    pub vital_signs_set: BTreeSet<Id>,
    /// Lookup tables.
    pub lookup_tables: BTreeSet<String>,
    /// Submodules.
    pub submodules: BTreeSet<String>,
    /// (state, field, name) of states that are named and may stand in another module.
    pub states: Vec<(String, String, String)>,
}

/// Turns names of one module into numbers of the library.
pub struct Binder<'a> {
    /// The library that grows.
    pub library: &'a mut Library,
    /// Its states by name.
    pub states: &'a HashMap<String, usize>,
    /// Module paths.
    pub modules: &'a HashMap<String, usize>,
    /// Lookup tables by file name.
    pub lookup_tables: &'a BTreeMap<String, Vec<u8>>,
    /// What the module turns out to need.
    pub needs: Needs,
    /// The state being read.
    pub state: String,
}

impl Binder<'_> {
    pub(super) fn read_attribute(&mut self, name: &str) -> Id {
        let id = self.library.attributes.intern(name);
        self.needs.read.insert(id);
        id
    }

    pub(super) fn write_attribute(&mut self, name: &str) -> Id {
        let id = self.library.attributes.intern(name);
        self.needs.written.insert(id);
        id
    }

    pub(super) fn symptom(&mut self, name: &str) -> Id {
        self.library.symptoms.intern(name)
    }

    pub(super) fn vital_sign(&mut self, name: &str) -> Id {
        let id = self.library.vital_signs.intern(name);
        self.needs.vital_signs.entry(id).or_insert_with(|| self.state.clone());
        id
    }

    pub(super) fn track(&mut self, field: &str, name: &str) -> Id {
        self.needs.states.push((self.state.clone(), field.into(), name.into()));
        self.library.tracked.intern(name)
    }

    pub(super) fn target(&self, fields: &Fields<'_>, field: &str, name: &str) -> Result<usize, Error> {
        self.states
            .get(name)
            .copied()
            .ok_or_else(|| fields.error(field, format!("there is no state `{name}`, expected a state of this module")))
    }

    pub(super) fn code(&mut self, fields: &Fields<'_>) -> Result<Id, Error> {
        let need = |field: &str| fields.need(field, fields.text(field)?);
        let system = need("system")?;
        let value_set = fields.text("value_set")?;
        let code = match (fields.raw("code"), value_set) {
            (Some(serde_json::Value::Number(number)), _) => number.to_string(),
            (None, Some(value_set)) => {
                let message =
                    format!("is missing, and the value set `{value_set}` is not expanded: expected a code beside it");
                return Err(fields.error("code", message));
            }
            _ => need("code")?.to_owned(),
        };
        let display = need("display")?.to_owned();
        fields.text("version")?;
        fields.finish()?;
        Ok(self.library.codes.intern(Code { system: system_uri(system).into(), code, display }))
    }

    pub(super) fn codes(&mut self, fields: &Fields<'_>, field: &str) -> Result<Option<Id>, Error> {
        let codes = fields.objects(field)?.iter().map(|code| self.code(code)).collect::<Result<Vec<_>, _>>()?;
        Ok(if codes.is_empty() { None } else { Some(self.library.codes.intern_list(codes)) })
    }

    pub(super) fn need_codes(&mut self, fields: &Fields<'_>) -> Result<Id, Error> {
        let codes = self.codes(fields, "codes")?;
        fields.need("codes", codes)
    }

    /// Reads which entry is meant: by the state named in `state_field`, by attribute, or by codes.
    pub(super) fn by(&mut self, fields: &Fields<'_>, state_field: Option<&str>) -> Result<By, Error> {
        if let Some(field) = state_field
            && let Some(name) = fields.text(field)?
        {
            return Ok(match self.states.get(name) {
                Some(state) => By::State(*state),
                None => {
                    self.needs.states.push((self.state.clone(), field.into(), name.into()));
                    By::StateElsewhere(name.into())
                }
            });
        }
        if let Some(attribute) = fields.text("referenced_by_attribute")? {
            return Ok(By::Attribute(self.read_attribute(attribute)));
        }
        let codes = fields.objects("codes")?.iter().map(|code| self.code(code)).collect::<Result<Vec<_>, _>>()?;
        if codes.is_empty() {
            return Err(fields.error("codes", "expected codes, `referenced_by_attribute` or the state that began it"));
        }
        Ok(By::Codes(codes.into_iter().map(|code| self.library.codes.intern_list(vec![code])).collect()))
    }

    pub(super) fn operand(&mut self, fields: &Fields<'_>, operator: Operator) -> Result<Operand, Error> {
        if matches!(operator, Operator::IsNil | Operator::IsNotNil) {
            return Ok(None);
        }
        match self.constant(fields)? {
            Some(value) => Ok(Some(value)),
            None => Err(fields.error("value", "is missing, and so is `value_code`")),
        }
    }

    pub(super) fn constant(&mut self, fields: &Fields<'_>) -> Result<Option<ConstantValue>, Error> {
        if let Some(code) = fields.object("value_code")? {
            return Ok(Some(ConstantValue::Code(self.code(&code)?)));
        }
        Ok(match fields.raw("value") {
            None => None,
            Some(serde_json::Value::Bool(value)) => Some(ConstantValue::Bool(*value)),
            Some(serde_json::Value::Number(_)) => fields.number("value")?.map(ConstantValue::Number),
            Some(serde_json::Value::String(value)) => Some(ConstantValue::Text(value.as_str().into())),
            Some(_) => return Err(fields.error("value", "expected a text, a number or a boolean")),
        })
    }

    pub(super) fn reason(&mut self, fields: &Fields<'_>) -> Result<Option<Reason>, Error> {
        let Some(name) = fields.filled("reason")? else { return Ok(None) };
        let state = self.states.get(name).copied();
        let attribute = self.library.attributes.intern(name);
        let elsewhere = if state.is_none() { Some(name.into()) } else { None };
        if elsewhere.is_some() {
            self.needs.reasons.insert(attribute);
        }
        Ok(Some(Reason { attribute, state, elsewhere }))
    }

    pub(super) fn assign(&mut self, fields: &Fields<'_>) -> Result<Option<Id>, Error> {
        Ok(fields.filled("assign_to_attribute")?.map(|name| self.write_attribute(name)))
    }
}

/// The URI of a code system as modules abbreviate it; URIs stay as they are.
pub(crate) fn system_uri(name: &str) -> &str {
    match name {
        "SNOMED-CT" | "SNOMED" => "http://snomed.info/sct",
        "LOINC" => "http://loinc.org",
        "RxNorm" => "http://www.nlm.nih.gov/research/umls/rxnorm",
        "CVX" => "http://hl7.org/fhir/sid/cvx",
        "ICD10-CM" | "ICD-10-CM" => "http://hl7.org/fhir/sid/icd-10-cm",
        "CPT" => "http://www.ama-assn.org/go/cpt",
        "NUBC" => "http://www.nubc.org/patient-discharge",
        "DICOM-DCM" => "http://dicom.nema.org/resources/ontology/DCM",
        "DICOM-SOP" => "urn:ietf:rfc:3986",
        other => other,
    }
}
