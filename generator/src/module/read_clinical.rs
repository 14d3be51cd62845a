//! Reads what belongs to clinical states: encounters, allergies, orders, observations, plans, pictures, supplies.

use super::Id;
use super::bind::Binder;
use super::distribution::{Distribution, Duration, Kind as DistributionKind, Unit};
use super::field::Fields;
use super::limit;
use super::logic::{ConstantValue, Operator};
use super::state::*;
use crate::Error;

impl Binder<'_> {
    pub(super) fn read_encounter(&mut self, fields: &Fields<'_>) -> Result<Encounter, Error> {
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
                _ => {
                    let message = format!(
                        "`{class}` is no encounter class, expected ambulatory, wellness, outpatient, urgentcare, emergency, \
                         inpatient, virtual, home, hospice or snf"
                    );
                    return Err(fields.error("encounter_class", message));
                }
            },
        };
        let class = match fields.text("telemedicine_possibility")? {
            None | Some("none" | "possible") => class,
            Some("always") => EncounterClass::Virtual,
            Some(other) => {
                let message = format!("`{other}` is no possibility, expected none, possible or always");
                return Err(fields.error("telemedicine_possibility", message));
            }
        };
        let wellness = fields.flag("wellness")? || class == EncounterClass::Wellness;
        let codes = self.codes(fields, "codes")?;
        if !wellness && codes.is_none() {
            return Err(fields.error("codes", "is missing"));
        }
        Ok(Encounter { wellness, class, codes, reason: self.reason(fields)? })
    }

    pub(super) fn read_allergy(&mut self, fields: &Fields<'_>) -> Result<Allergy, Error> {
        let intolerance = match fields.text("allergy_type")? {
            None | Some("allergy") => false,
            Some("intolerance") => true,
            Some(other) => {
                let message = format!("`{other}` is no type, expected allergy or intolerance");
                return Err(fields.error("allergy_type", message));
            }
        };
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
                let level = severity.need("level", severity.text("level")?)?.to_lowercase();
                if !["none", "mild", "moderate", "severe"].contains(&level.as_str()) {
                    let message = format!("`{level}` is no severity, expected none, mild, moderate or severe");
                    return Err(severity.error("level", message));
                }
                severities.push((level, severity.need("value", severity.probability("value")?)?));
                severity.finish()?;
            }
            reaction.finish()?;
            reactions.push((code, severities));
        }
        Ok(Allergy { intolerance, category: category.into(), reactions })
    }

    pub(super) fn read_legacy_duration(&mut self, fields: &Fields<'_>) -> Result<Duration, Error> {
        let number = |field: &str| fields.need(field, fields.number(field)?);
        let (low, high) = (number("low")?, number("high")?);
        let unit = Unit::read(fields, "unit", fields.need("unit", fields.text("unit")?)?)?;
        fields.finish()?;
        let kind = DistributionKind::Uniform(low, high);
        Ok(Duration { distribution: Distribution { kind, round: false, legacy: true }, unit })
    }

    pub(super) fn read_medication_order(&mut self, fields: &Fields<'_>) -> Result<MedicationOrder, Error> {
        Ok(MedicationOrder {
            codes: self.need_codes(fields)?,
            chronic: fields.flag("chronic")?,
            administration: fields.flag("administration")?,
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
            prescription.frequency = dosage.count("frequency", f64::from(u16::MAX))?;
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
        prescription.refills = fields.count("refills", f64::from(u16::MAX))?;
        prescription.instructions = fields
            .objects("instructions")?
            .iter()
            .map(|instruction| self.code(instruction))
            .collect::<Result<_, _>>()?;
        fields.finish()?;
        Ok(prescription)
    }

    pub(super) fn read_observations(&mut self, fields: &Fields<'_>) -> Result<Vec<Observation>, Error> {
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

    pub(super) fn read_observation(&mut self, fields: &Fields<'_>) -> Result<Observation, Error> {
        self.refuse_expression(fields)?;
        let codes = self.need_codes(fields)?;
        let category = fields.text("category")?.unwrap_or("exam").to_owned();
        let unit = fields.filled("unit")?.map(str::to_owned);
        let constant = self.constant(fields)?;
        let value = if let Some(name) = fields.text("vital_sign")? {
            ObservationValue::VitalSign(self.vital_sign(name))
        } else if let Some(name) = fields.text("attribute")? {
            ObservationValue::Attribute(self.read_attribute(name))
        } else if let Some(text) = read_exact_text(fields)? {
            ObservationValue::Text(text.into())
        } else if let Some(name) = ["sampled_data", "attachment"].into_iter().find(|name| fields.has(name)) {
            fields.raw(name);
            fields.note(name, "is not written: no record holds it");
            ObservationValue::Unsupported
        } else if let Some((distribution, _)) = Distribution::read(fields)? {
            ObservationValue::Drawn(distribution)
        } else {
            match constant {
                Some(ConstantValue::Code(code)) => ObservationValue::Code(code),
                Some(ConstantValue::Text(text)) => ObservationValue::Text(text.to_string()),
                _ => {
                    let message = "is missing, expected one of `distribution`, `range`, `exact`, `value_code`, `vital_sign`, \
                                   `attribute`, `sampled_data`, `attachment`";
                    return Err(fields.error("value", message));
                }
            }
        };
        Ok(Observation { codes, category, unit, value })
    }

    pub(super) fn read_imaging_study(&mut self, fields: &Fields<'_>) -> Result<ImagingStudy, Error> {
        let procedure = self.need_code(fields, "procedure_code")?;
        let count = read_count(fields, "min_number_series", "max_number_series")?;
        let mut series = Vec::new();
        for one in fields.objects("series")? {
            let instances = one.objects("instances")?;
            let mut classes = Vec::with_capacity(instances.len());
            for instance in instances {
                instance.text("title")?;
                classes.push(self.need_code(&instance, "sop_class")?);
                instance.finish()?;
            }
            if classes.is_empty() {
                return Err(one.error("instances", "is empty, expected at least one"));
            }
            series.push(Series {
                body_site: self.need_code(&one, "body_site")?,
                modality: self.need_code(&one, "modality")?,
                instances: classes,
                count: read_count(&one, "min_number_instances", "max_number_instances")?,
            });
            one.finish()?;
        }
        if series.is_empty() {
            return Err(fields.error("series", "is empty, expected at least one"));
        }
        let study = ImagingStudy { procedure, series, count };
        let most = study.most_images();
        if most as f64 > limit::IMAGES {
            let message = format!("asks for up to {most} images, expected no more than {}", limit::IMAGES);
            return Err(fields.error("series", message));
        }
        Ok(study)
    }

    pub(super) fn read_supplies(&mut self, fields: &Fields<'_>) -> Result<Vec<(Id, u32)>, Error> {
        let mut supplies = Vec::new();
        for supply in fields.objects("supplies")? {
            let quantity = supply.need("quantity", supply.count("quantity", f64::from(u32::MAX))?)?;
            supplies.push((self.need_code(&supply, "code")?, quantity));
            supply.finish()?;
        }
        if supplies.is_empty() {
            Err(fields.error("supplies", "is empty, expected at least one"))
        } else {
            Ok(supplies)
        }
    }

    pub(super) fn read_care_plan(&mut self, fields: &Fields<'_>) -> Result<CarePlan, Error> {
        for goal in fields.objects("goals")? {
            goal.text("text")?;
            goal.raw("addresses");
            if let Some(aim) = goal.object("observation")? {
                self.codes(&aim, "codes")?;
                Operator::read(&aim)?;
                self.constant(&aim)?;
                aim.finish()?;
            }
            goal.finish()?;
        }
        Ok(CarePlan {
            activities: self.codes(fields, "activities")?,
            reason: self.reason(fields)?,
            onset: self.read_onset(fields)?,
        })
    }

    /// Reads what somebody dies of; codes go before the condition, and it before an attribute.
    pub(super) fn read_cause(&mut self, fields: &Fields<'_>) -> Result<Option<Cause>, Error> {
        let codes = self.codes(fields, "codes")?.map(Cause::Codes);
        let state = match fields.text("condition_onset")? {
            Some(name) => Some(Cause::State(self.target(fields, "condition_onset", name)?)),
            None => None,
        };
        let attribute = fields.text("referenced_by_attribute")?.map(|name| Cause::Attribute(self.read_attribute(name)));
        Ok(codes.or(state).or(attribute))
    }

    /// The list of the one code of a field.
    pub(super) fn need_code(&mut self, fields: &Fields<'_>, field: &str) -> Result<Id, Error> {
        let code = fields.need(field, fields.object(field)?)?;
        let code = self.code(&code)?;
        Ok(self.library.codes.intern_list(vec![code]))
    }

    pub(super) fn read_onset(&mut self, fields: &Fields<'_>) -> Result<Onset, Error> {
        let target = match fields.text("target_encounter")? {
            Some(name) => {
                self.needs.states.push((self.state.clone(), "target_encounter".into(), name.into()));
                Some(self.library.encounter_states.intern(name))
            }
            None => None,
        };
        Ok(Onset { codes: self.need_codes(fields)?, target, assign: self.assign(fields)? })
    }
}

fn read_count(fields: &Fields<'_>, least: &str, most: &str) -> Result<Option<(u32, u32)>, Error> {
    let (low, high) = (fields.count(least, limit::IMAGES)?, fields.count(most, limit::IMAGES)?);
    match (low, high) {
        (Some(low), Some(high)) if low > high => Err(fields.error(least, format!("is above `{most}`"))),
        (Some(low), Some(high)) => Ok(Some((low, high))),
        (None, None) => Ok(None),
        _ => Err(fields.error(least, format!("stands without `{most}` or the other way round, expected both"))),
    }
}

/// The text of an `exact` that is no number.
fn read_exact_text<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Error> {
    if !fields.peek("exact").and_then(|exact| exact.get("quantity")).is_some_and(serde_json::Value::is_string) {
        return Ok(None);
    }
    let Some(exact) = fields.object("exact")? else { return Ok(None) };
    let text = exact.text("quantity")?;
    exact.text("unit")?;
    exact.finish()?;
    Ok(text)
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
