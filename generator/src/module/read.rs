//! Reads states and transitions.

use super::bind::Binder;
use super::distribution::{Distribution, Duration, Kind as DistributionKind, Unit};
use super::field::Fields;
use super::logic::{Condition, ConstantValue};
use super::state::*;
use crate::Error;

impl Binder<'_> {
    /// Reads one state.
    pub(super) fn read_state(&mut self, name: &str, fields: &Fields<'_>) -> Result<State, Error> {
        self.state = name.into();
        let kind = self.read_kind(fields)?;
        let transition = self.read_transition(fields)?;
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
                let attribute = self.attribute(text("attribute")?);
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
                match self.modules.get(path) {
                    Some(module) => Kind::CallSubmodule(*module),
                    None => return Err(fields.error("submodule", format!("there is no module `{path}`"))),
                }
            }
            "Encounter" => Kind::Encounter(self.read_encounter(fields)?),
            "EncounterEnd" => {
                let discharge = fields.object("discharge_disposition")?;
                Kind::EncounterEnd(discharge.map(|code| self.code(&code)).transpose()?)
            }
            "ConditionOnset" => Kind::ConditionOnset(self.onset(fields)?),
            "ConditionEnd" => Kind::ConditionEnd(self.by(fields, Some("condition_onset"))?),
            "AllergyOnset" => Kind::AllergyOnset(self.onset(fields)?, self.read_allergy(fields)?),
            "AllergyEnd" => Kind::AllergyEnd(self.by(fields, Some("allergy_onset"))?),
            "MedicationOrder" => Kind::MedicationOrder(self.read_medication_order(fields)?),
            "MedicationEnd" => Kind::MedicationEnd(self.by(fields, Some("medication_order"))?),
            "CarePlanStart" => {
                self.reason(fields)?;
                self.codes(fields, "activities")?;
                Kind::CarePlanStart(self.onset(fields)?)
            }
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
                fields.text("cause")?;
                let strength = fields.need("distribution", Distribution::read(fields)?)?.0;
                let probability = fields.number("probability")?.unwrap_or(1.0);
                Kind::Symptom { symptom: self.symptom(text("symptom")?), probability, strength }
            }
            "VitalSign" => {
                fields.text("unit")?;
                let value = fields.need("distribution", Distribution::read(fields)?)?.0;
                Kind::VitalSign(self.library.vital_signs.intern(text("vital_sign")?), value)
            }
            "Death" => {
                self.codes(fields, "codes")?;
                fields.text("referenced_by_attribute")?;
                fields.text("condition_onset")?;
                Kind::Death(Duration::read(fields)?)
            }
            "Device" | "DeviceEnd" | "ImagingStudy" | "SupplyList" | "Physiology" => {
                return Err(fields.error("type", format!("state type `{kind}` is not supported yet")));
            }
            other => return Err(fields.error("type", format!("`{other}` is no state type"))),
        })
    }

    fn read_set_attribute(&mut self, fields: &Fields<'_>) -> Result<Kind, Error> {
        let attribute = fields.need("attribute", fields.text("attribute")?)?;
        let attribute = self.attribute(attribute);
        if fields.has("expression") {
            return Err(fields.error("expression", "CQL expressions are not supported"));
        }
        let constant = self.constant(fields)?;
        let source = match Distribution::read(fields)? {
            Some((distribution, _)) => Some(ValueSource::Drawn(distribution)),
            None => match (constant, fields.text("value_attribute")?) {
                (Some(value), _) => Some(ValueSource::Constant(value)),
                (None, Some(name)) => Some(ValueSource::Attribute(self.attribute(name))),
                (None, None) => None,
            },
        };
        Ok(Kind::SetAttribute(attribute, source))
    }

    fn read_encounter(&mut self, fields: &Fields<'_>) -> Result<Encounter, Error> {
        let class = match fields.text("encounter_class")? {
            None => EncounterClass::Ambulatory,
            Some(class) => match class.to_lowercase().as_str() {
                "ambulatory" => EncounterClass::Ambulatory,
                "wellness" => EncounterClass::Wellness,
                "outpatient" => EncounterClass::Outpatient,
                "urgentcare" => EncounterClass::UrgentCare,
                "emergency" => EncounterClass::Emergency,
                "inpatient" => EncounterClass::Inpatient,
                "virtual" => EncounterClass::Virtual,
                "home" => EncounterClass::Home,
                "hospice" => EncounterClass::Hospice,
                "snf" => EncounterClass::SkilledNursing,
                other => return Err(fields.error("encounter_class", format!("`{other}` is no encounter class"))),
            },
        };
        let wellness = fields.flag("wellness")? || class == EncounterClass::Wellness;
        let codes = self.codes(fields, "codes")?;
        if !wellness && codes.is_none() {
            return Err(fields.error("codes", "is missing"));
        }
        Ok(Encounter { wellness, class, codes, reason: self.reason(fields)? })
    }

    fn read_allergy(&mut self, fields: &Fields<'_>) -> Result<Allergy, Error> {
        let intolerance = fields.text("allergy_type")? == Some("intolerance");
        let category = fields.need("category", fields.text("category")?)?;
        if !["food", "medication", "environment", "biologic"].contains(&category) {
            let message = format!("`{category}` is no category, expected food, medication, environment or biologic");
            return Err(fields.error("category", message));
        }
        let mut reactions = Vec::new();
        for reaction in fields.objects("reactions")? {
            let code = reaction.need("reaction", reaction.object("reaction")?)?;
            let code = self.code(&code)?;
            let code = self.library.codes.intern_list(vec![code]);
            let mut severities = Vec::new();
            for severity in reaction.objects("possible_severities")? {
                let level = severity.need("severity", severity.text("severity")?)?.to_lowercase();
                severities.push((level, severity.need("value", severity.number("value")?)?));
                severity.finish()?;
            }
            reaction.finish()?;
            reactions.push((code, severities));
        }
        Ok(Allergy { intolerance, category: category.into(), reactions })
    }

    fn read_legacy_duration(&mut self, fields: &Fields<'_>) -> Result<Duration, Error> {
        let number = |field: &str| fields.need(field, fields.number(field)?);
        let (low, high) = (number("low")?, number("high")?);
        let unit = Unit::read(fields, "unit", fields.need("unit", fields.text("unit")?)?)?;
        fields.finish()?;
        let kind = DistributionKind::Uniform(low, high);
        Ok(Duration { distribution: Distribution { kind, round: false, legacy: true }, unit })
    }

    fn read_medication_order(&mut self, fields: &Fields<'_>) -> Result<MedicationOrder, Error> {
        fields.flag("administration")?;
        Ok(MedicationOrder {
            codes: self.need_codes(fields)?,
            chronic: fields.flag("chronic")?,
            reason: self.reason(fields)?,
            assign: self.assign(fields)?,
            prescription: match fields.object("prescription")? {
                Some(prescription) => self.read_prescription(&prescription)?,
                None => Prescription::default(),
            },
        })
    }

    fn read_prescription(&mut self, fields: &Fields<'_>) -> Result<Prescription, Error> {
        let mut prescription = Prescription { as_needed: fields.flag("as_needed")?, ..Prescription::default() };
        if let Some(dosage) = fields.object("dosage")? {
            prescription.dose = dosage.number("amount")?;
            prescription.frequency = dosage.number("frequency")?.map(|frequency| frequency as u32);
            let unit = dosage.text("unit")?;
            prescription.period = match (dosage.number("period")?, unit) {
                (Some(period), Some(unit)) => {
                    Some((period, ucum_of_time(unit).ok_or_else(|| dosage.error("unit", "is no unit of time"))?))
                }
                _ => None,
            };
            dosage.finish()?;
        }
        if let Some(duration) = fields.object("duration")? {
            let quantity = duration.need("quantity", duration.number("quantity")?)?;
            let unit = Unit::read(&duration, "unit", duration.need("unit", duration.text("unit")?)?)?;
            let days = unit.fractional(quantity) as f64 / crate::moment::DAY as f64;
            prescription.supply_days = Some((days.ceil() as u32).max(1));
            duration.finish()?;
        }
        prescription.refills = fields.number("refills")?.map(|refills| refills as u32);
        prescription.instructions = fields
            .objects("instructions")?
            .iter()
            .map(|instruction| self.code(instruction))
            .collect::<Result<_, _>>()?;
        fields.finish()?;
        Ok(prescription)
    }

    fn read_observations(&mut self, fields: &Fields<'_>) -> Result<Vec<Observation>, Error> {
        fields
            .objects("observations")?
            .iter()
            .map(|inner| {
                let observation = self.read_observation(inner)?;
                inner.finish()?;
                Ok(observation)
            })
            .collect()
    }

    fn read_observation(&mut self, fields: &Fields<'_>) -> Result<Observation, Error> {
        for unsupported in ["expression", "sampled_data", "attachment"] {
            if fields.has(unsupported) {
                return Err(fields.error(unsupported, "is not supported yet"));
            }
        }
        let codes = self.need_codes(fields)?;
        let category = fields.text("category")?.unwrap_or("exam").to_owned();
        let unit = fields.text("unit")?.map(str::to_owned);
        let constant = self.constant(fields)?;
        let value = if let Some(name) = fields.text("vital_sign")? {
            ObservationValue::VitalSign(self.vital_sign(name))
        } else if let Some(name) = fields.text("attribute")? {
            ObservationValue::Attribute(self.attribute(name))
        } else if let Some((distribution, _)) = Distribution::read(fields)? {
            ObservationValue::Drawn(distribution)
        } else {
            match constant {
                Some(ConstantValue::Code(code)) => ObservationValue::Code(code),
                Some(ConstantValue::Text(text)) => ObservationValue::Text(text.to_string()),
                _ => {
                    let message =
                        "expected one of `distribution`, `range`, `exact`, `value_code`, `vital_sign`, `attribute`";
                    return Err(fields.error("value", message));
                }
            }
        };
        Ok(Observation { codes, category, unit, value })
    }

    fn read_transition(&mut self, fields: &Fields<'_>) -> Result<Transition, Error> {
        for unsupported in ["lookup_table_transition", "type_of_care_transition"] {
            if fields.has(unsupported) {
                return Err(fields.error(unsupported, "is not supported yet"));
            }
        }
        if let Some(name) = fields.text("direct_transition")? {
            return Ok(Transition::Direct(self.target(fields, "direct_transition", name)?));
        }
        if fields.has("distributed_transition") {
            let options = fields.objects("distributed_transition")?;
            return Ok(Transition::Distributed(self.read_shares(fields, options)?));
        }
        if fields.has("conditional_transition") {
            let options = fields.objects("conditional_transition")?;
            let mut branches = Vec::with_capacity(options.len());
            for option in options {
                let condition = option.object("condition")?;
                let condition = condition.map(|condition| Condition::read(&condition, self)).transpose()?;
                let name = option.need("transition", option.text("transition")?)?;
                branches.push((condition, self.target(&option, "transition", name)?));
                option.finish()?;
            }
            return self.non_empty(fields, branches.is_empty(), Transition::Conditional(branches));
        }
        if fields.has("complex_transition") {
            let options = fields.objects("complex_transition")?;
            let mut branches = Vec::with_capacity(options.len());
            for option in options {
                let condition = option.object("condition")?;
                let condition = condition.map(|condition| Condition::read(&condition, self)).transpose()?;
                let shares = match option.text("transition")? {
                    Some(name) => vec![(Share::Fixed(1.0), self.target(&option, "transition", name)?)],
                    None => {
                        let shares = option.objects("distributions")?;
                        self.read_shares(&option, shares)?
                    }
                };
                branches.push((condition, shares));
                option.finish()?;
            }
            return self.non_empty(fields, branches.is_empty(), Transition::Complex(branches));
        }
        Ok(Transition::None)
    }

    fn non_empty(&self, fields: &Fields<'_>, empty: bool, transition: Transition) -> Result<Transition, Error> {
        if empty { Err(fields.error("transition", "has no option")) } else { Ok(transition) }
    }

    fn read_shares(&mut self, parent: &Fields<'_>, options: Vec<Fields<'_>>) -> Result<Vec<(Share, usize)>, Error> {
        if options.is_empty() {
            return Err(parent.error("distributions", "expected at least one option"));
        }
        let mut shares = Vec::with_capacity(options.len());
        for option in options {
            let share = match option.raw("distribution") {
                Some(serde_json::Value::Number(_)) => {
                    Share::Fixed(option.need("distribution", option.number("distribution")?)?)
                }
                _ => {
                    let named = option.need("distribution", option.object("distribution")?)?;
                    let attribute = self.attribute(named.need("attribute", named.text("attribute")?)?);
                    let default = named.number("default")?.unwrap_or(0.0);
                    named.finish()?;
                    Share::Named(attribute, default)
                }
            };
            let name = option.need("transition", option.text("transition")?)?;
            shares.push((share, self.target(&option, "transition", name)?));
            option.finish()?;
        }
        Ok(shares)
    }

    fn onset(&mut self, fields: &Fields<'_>) -> Result<Onset, Error> {
        let target = match fields.text("target_encounter")? {
            Some(name) => Some(self.target(fields, "target_encounter", name)?),
            None => None,
        };
        Ok(Onset { codes: self.need_codes(fields)?, target, assign: self.assign(fields)? })
    }
}

fn ucum_of_time(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "years" => "a",
        "months" => "mo",
        "weeks" => "wk",
        "days" => "d",
        "hours" => "h",
        "minutes" => "min",
        "seconds" => "s",
        _ => return None,
    })
}
