//! Reads states and transitions.

use super::bind::Binder;
use super::distribution::{Distribution, Duration};
use super::field::Fields;
use super::logic::Condition;
use super::state::*;
use crate::Error;

/// The types of the format.
const STATE_TYPES: [&str; 31] = [
    "AllergyEnd",
    "AllergyOnset",
    "CallSubmodule",
    "CarePlanEnd",
    "CarePlanStart",
    "ConditionEnd",
    "ConditionOnset",
    "Counter",
    "Death",
    "Delay",
    "Device",
    "DeviceEnd",
    "DiagnosticReport",
    "Encounter",
    "EncounterEnd",
    "Guard",
    "ImagingStudy",
    "Initial",
    "MedicationEnd",
    "MedicationOrder",
    "MultiObservation",
    "Observation",
    "Physiology",
    "Procedure",
    "SetAttribute",
    "Simple",
    "SupplyList",
    "Symptom",
    "Terminal",
    "Vaccine",
    "VitalSign",
];

impl Binder<'_> {
    /// Reads one state.
    pub(super) fn read_state(&mut self, name: &str, fields: &Fields<'_>) -> Result<State, Error> {
        self.state = name.into();
        let kind = self.read_kind(fields)?;
        let transition = match fields.text("alt_direct_transition")? {
            Some(name) => {
                if let Some(simulated) = fields.text("direct_transition")? {
                    self.target(fields, "direct_transition", simulated)?;
                }
                Transition::Direct(self.target(fields, "alt_direct_transition", name)?)
            }
            None => self.read_transition(fields)?,
        };
        if matches!(transition, Transition::None) && !matches!(kind, Kind::Terminal) {
            return Err(fields.error("direct_transition", "is missing, and so is every other transition"));
        }
        fields.finish()?;
        Ok(State { name: name.into(), tracked: None, kind, transition })
    }

    fn read_kind(&mut self, fields: &Fields<'_>) -> Result<Kind, Error> {
        let kind = fields.need("type", fields.text("type")?)?;
        let text = |field: &str| fields.need(field, fields.text(field)?);
        Ok(match kind {
            "Initial" => Kind::Initial,
            "Terminal" => Kind::Terminal,
            "Simple" => Kind::Simple,
            "Delay" => Kind::Delay(fields.need("distribution", Duration::read(fields)?)?),
            "Guard" => {
                let allow = fields.need("allow", fields.object("allow")?)?;
                Kind::Guard(Condition::read(&allow, self)?)
            }
            "SetAttribute" => self.read_set_attribute(fields)?,
            "Counter" => {
                let attribute = self.write_attribute(text("attribute")?);
                let amount = fields.number("amount")?.unwrap_or(1.0);
                match text("action")? {
                    "increment" => Kind::Counter(attribute, amount),
                    "decrement" => Kind::Counter(attribute, -amount),
                    other => {
                        let message = format!("`{other}` is no action, expected increment or decrement");
                        return Err(fields.error("action", message));
                    }
                }
            }
            "CallSubmodule" => {
                let path = text("submodule")?;
                self.needs.submodules.insert(path.into());
                match self.modules.get(path) {
                    Some(module) => Kind::CallSubmodule(*module),
                    None => {
                        let message =
                            format!("there is no module `{path}`, expected a path like `medication/antibiotic`");
                        return Err(fields.error("submodule", message));
                    }
                }
            }
            "Encounter" => Kind::Encounter(self.read_encounter(fields)?),
            "EncounterEnd" => {
                let discharge = fields.object("discharge_disposition")?;
                Kind::EncounterEnd(discharge.map(|code| self.code(&code)).transpose()?)
            }
            "ConditionOnset" => Kind::ConditionOnset(self.read_onset(fields)?),
            "ConditionEnd" => Kind::ConditionEnd(self.by(fields, Some("condition_onset"))?),
            "AllergyOnset" => Kind::AllergyOnset(self.read_onset(fields)?, self.read_allergy(fields)?),
            "AllergyEnd" => Kind::AllergyEnd(self.by(fields, Some("allergy_onset"))?),
            "MedicationOrder" => Kind::MedicationOrder(self.read_medication_order(fields)?),
            "MedicationEnd" => Kind::MedicationEnd(self.by(fields, Some("medication_order"))?),
            "CarePlanStart" => Kind::CarePlanStart(self.read_care_plan(fields)?),
            "CarePlanEnd" => Kind::CarePlanEnd(self.by(fields, Some("careplan"))?),
            "Procedure" => {
                let duration = match fields.object("duration")? {
                    None => Duration::read(fields)?,
                    Some(legacy) => Some(self.read_legacy_duration(&legacy)?),
                };
                Kind::Procedure {
                    codes: self.need_codes(fields)?,
                    duration,
                    reason: self.reason(fields)?,
                    assign: self.assign(fields)?,
                }
            }
            "Observation" => Kind::Observation(self.read_observation(fields)?),
            "MultiObservation" => {
                fields.number("number_of_observations")?;
                Kind::MultiObservation {
                    codes: self.need_codes(fields)?,
                    category: text("category")?.into(),
                    components: self.read_observations(fields)?,
                }
            }
            "DiagnosticReport" => {
                fields.number("number_of_observations")?;
                Kind::DiagnosticReport {
                    codes: self.need_codes(fields)?,
                    observations: self.read_observations(fields)?,
                }
            }
            "Vaccine" => {
                fields.number("series")?;
                Kind::Vaccine(self.need_codes(fields)?)
            }
            "Symptom" => {
                let cause = fields.filled("cause")?.map(|cause| self.library.causes.intern(cause));
                let strength = fields.need("distribution", Distribution::read(fields)?)?.0;
                let probability = fields.probability("probability")?.unwrap_or(1.0);
                Kind::Symptom { symptom: self.symptom(text("symptom")?), cause, probability, strength }
            }
            "VitalSign" => {
                self.refuse_expression(fields)?;
                fields.text("unit")?;
                let value = fields.need("distribution", Distribution::read(fields)?)?.0;
                let sign = self.library.vital_signs.intern(text("vital_sign")?);
                self.needs.vital_signs_set.insert(sign);
                Kind::VitalSign(sign, value)
            }
            "Death" => {
                let cause = self.read_cause(fields)?;
                Kind::Death(Duration::read(fields)?, cause)
            }
            "ImagingStudy" => Kind::ImagingStudy(self.read_imaging_study(fields)?),
            "Device" => {
                fields.text("manufacturer")?;
                fields.text("model")?;
                Kind::Device { codes: self.need_code(fields, "code")?, assign: self.assign(fields)? }
            }
            "DeviceEnd" => Kind::DeviceEnd(self.by(fields, Some("device"))?),
            "SupplyList" => Kind::SupplyList(self.read_supplies(fields)?),
            "Physiology" => self.read_physiology(fields)?,
            other => {
                let message = format!("`{other}` is no state type, expected one of {}", STATE_TYPES.join(", "));
                return Err(fields.error("type", message));
            }
        })
    }

    /// The format's engines skip a simulation unless they are told otherwise, and take the way beside it.
    fn read_physiology(&mut self, fields: &Fields<'_>) -> Result<Kind, Error> {
        if !fields.has("alt_direct_transition") {
            let message =
                "SBML models are not simulated, expected an `alt_direct_transition` that leads past this state";
            return Err(fields.error("model", message));
        }
        fields.note("model", "is not simulated: `alt_direct_transition` is taken");
        for unused in ["model", "solver", "step_size", "sim_duration", "lead_time", "inputs", "outputs"] {
            fields.raw(unused);
        }
        Ok(Kind::Simple)
    }

    pub(super) fn refuse_expression(&self, fields: &Fields<'_>) -> Result<(), Error> {
        if fields.has("expression") {
            let message = "CQL expressions are not supported, expected a value, a distribution or another attribute";
            return Err(fields.error("expression", message));
        }
        if fields.has("series_data") {
            return Err(fields.error("series_data", "series of values are not supported, expected a single value"));
        }
        Ok(())
    }

    fn read_set_attribute(&mut self, fields: &Fields<'_>) -> Result<Kind, Error> {
        let attribute = fields.need("attribute", fields.text("attribute")?)?;
        let attribute = self.write_attribute(attribute);
        self.refuse_expression(fields)?;
        let constant = self.constant(fields)?;
        let source = match Distribution::read(fields)? {
            Some((distribution, _)) => Some(ValueSource::Drawn(distribution)),
            None => match (constant, fields.text("value_attribute")?) {
                (Some(value), _) => Some(ValueSource::Constant(value)),
                (None, Some(name)) => Some(ValueSource::Attribute(self.read_attribute(name))),
                (None, None) => None,
            },
        };
        Ok(Kind::SetAttribute(attribute, source))
    }
}
