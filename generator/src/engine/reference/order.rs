//! What is ordered, done, given and handed out, and how the record is settled at the end.

use super::draw::fractional;
use super::json::{Json, code, codes, field, flag, list, need, need_number, need_text, number, text};
use super::{Entry, Interpreter};
use crate::host::coverages;
use crate::module::{ActiveKind, Code, Id, Prescription};
use crate::moment::{DAY, MINUTE, Moment, date};
use crate::record;

impl<'w> Interpreter<'w> {
    /// What is given on the spot is no order, unless it is chronic.
    pub fn order_medication(&mut self, module: usize, state: &'w Json, time: Moment) {
        let own = codes(state, "codes");
        let Some(entry) = self.begin(module, ActiveKind::Medication, own.clone(), state) else { return };
        if !self.is_allowed(&own, time) {
            return;
        }
        let codes = self.files.list_number(&own);
        let chronic = flag(state, "chronic");
        let prescription = self.prescription(state);
        let reason = self.reason_written(module, state);
        let (encounter, start) = self.placed(module, time);
        if flag(state, "administration") {
            let dose = prescription.dose;
            self.record.administrations.push(record::Administration { codes, encounter, reason, time: start, dose });
        }
        if flag(state, "administration") && !chronic {
            return;
        }
        self.entries[entry].chronic = chronic;
        self.activate(entry, self.record.medications.len());
        let order = record::Medication { codes, encounter, reason, start, end: None, prescription };
        self.record.medications.push(order);
    }

    /// Once in each wellness encounter, chronic medication ends and is ordered again.
    pub fn renew_chronic_medication(&mut self, module: usize, encounter: u32, time: Moment) {
        if self.renewed.replace(encounter) == Some(encounter) {
            return;
        }
        let (encounter, start) = self.placed(module, time);
        for entry in self.active.clone() {
            let Entry { chronic: true, written: Some(place), .. } = self.entries[entry] else { continue };
            let orders = &mut self.record.medications;
            self.entries[entry].written = Some(orders.len());
            orders[place].end = Some(start.max(orders[place].start));
            orders.push(record::Medication { encounter, start, end: None, ..orders[place].clone() });
        }
    }

    fn prescription(&self, state: &Json) -> Prescription {
        let Some(json) = field(state, "prescription") else { return Prescription::default() };
        let mut prescription = Prescription {
            as_needed: flag(json, "as_needed"),
            refills: number(json, "refills").map(|count| count as u32),
            instructions: codes(json, "instructions").iter().map(|code| self.files.number(code)).collect(),
            ..Prescription::default()
        };
        if let Some(dosage) = field(json, "dosage") {
            prescription.dose = number(dosage, "amount");
            prescription.frequency = number(dosage, "frequency").map(|count| count as u32);
            prescription.period = number(dosage, "period").zip(text(dosage, "unit").map(ucum));
        }
        if let Some(duration) = field(json, "duration") {
            let span = fractional(need_number(duration, "quantity"), need_text(duration, "unit"));
            prescription.supply_days = Some(((span as f64 / DAY as f64).ceil() as u32).max(1));
        }
        prescription
    }

    /// Begins a care plan, unless it is active.
    pub fn begin_care_plan(&mut self, module: usize, state: &'w Json, time: Moment) {
        let own = codes(state, "codes");
        let Some(entry) = self.begin(module, ActiveKind::CarePlan, own.clone(), state) else { return };
        self.activate(entry, self.record.care_plans.len());
        let activities = Some(codes(state, "activities")).filter(|activities| !activities.is_empty());
        let (encounter, start) = self.placed(module, time);
        self.record.care_plans.push(record::CarePlan {
            codes: self.files.list_number(&own),
            activities: activities.map(|activities| self.files.list_number(&activities)),
            reason: self.reason_written(module, state),
            encounter,
            start,
            end: None,
        });
    }

    /// Begins the use of a device, unless it is active.
    pub fn begin_device(&mut self, module: usize, state: &'w Json, time: Moment) {
        let own = vec![code(need(state, "code"))];
        let codes = self.files.list_number(&own);
        let Some(entry) = self.begin(module, ActiveKind::Device, own, state) else { return };
        self.activate(entry, self.record.devices.len());
        let (encounter, start) = self.placed(module, time);
        let serial = self.encounter_stream(Some(module)).bits();
        self.record.devices.push(record::Device { codes, encounter, serial, start, end: None });
    }

    /// Hands out supplies.
    pub fn hand_out(&mut self, module: usize, state: &'w Json, time: Moment) {
        let (encounter, time) = self.placed(module, time);
        for supply in list(state, "supplies") {
            let codes = self.one_code(supply, "code");
            let quantity = need_number(supply, "quantity") as u32;
            self.record.supplies.push(record::Supply { codes, quantity, encounter, time });
        }
    }

    /// Writes a procedure, if it is allowed, and returns its place in the record.
    pub fn write_procedure(
        &mut self,
        module: usize,
        codes: &[Code],
        reason: Option<&[Code]>,
        time: Moment,
        span: Moment,
    ) -> Option<u32> {
        if !self.is_allowed(codes, time) {
            return None;
        }
        let codes = self.files.list_number(codes);
        let reason = reason.map(|codes| self.files.list_number(codes));
        let (encounter, start) = self.placed(module, time);
        let end = if span > 0 { Some(start + span) } else { None };
        self.record.procedures.push(record::Procedure { codes, encounter, reason, start, end });
        Some(self.record.procedures.len() as u32 - 1)
    }

    /// A study is a procedure of half an hour besides, for the reason of its encounter.
    pub fn take_pictures(&mut self, module: usize, state: &'w Json, time: Moment) {
        let bounds = ["min_number_series", "max_number_series"];
        let mut series = Vec::new();
        for json in self.repeated(module, state, bounds, "series") {
            let bounds = ["min_number_instances", "max_number_instances"];
            let instances = self.repeated(module, json, bounds, "instances");
            series.push(record::Series {
                body_site: self.one_code(json, "body_site"),
                modality: self.one_code(json, "modality"),
                instances: instances.into_iter().map(|json| self.one_code(json, "sop_class")).collect(),
            });
        }
        let own = [code(need(state, "procedure_code"))];
        let (encounter, start) = self.placed(module, time);
        let reason = encounter.and_then(|encounter| self.record.encounters[encounter as usize].reason);
        let procedure = self.write_procedure(module, &own, None, time, 30 * MINUTE);
        if let Some(procedure) = procedure {
            self.record.procedures[procedure as usize].reason = reason;
        }
        let codes = self.files.list_number(&own);
        self.record.imaging_studies.push(record::ImagingStudy {
            codes,
            procedure,
            encounter,
            reason,
            time: start,
            series,
        });
    }

    /// The values of an array; where there are bounds of a count, the first one as often as is drawn.
    fn repeated(&mut self, module: usize, json: &'w Json, bounds: [&str; 2], name: &str) -> Vec<&'w Json> {
        let all = list(json, name);
        match bounds.map(|bound| number(json, bound)) {
            [Some(least), Some(most)] => {
                let more = self.own_stream(module).below((most - least) as u64 + 1);
                vec![&all[0]; least as usize + more as usize]
            }
            _ => all.iter().collect(),
        }
    }

    /// Gives a vaccine of a lot of two letters and four digits.
    pub fn vaccinate(&mut self, module: usize, state: &'w Json, time: Moment) {
        let own = codes(state, "codes");
        if !self.is_allowed(&own, time) {
            return;
        }
        let codes = self.files.list_number(&own);
        let (encounter, time) = self.placed(module, time);
        let stream = self.encounter_stream(Some(module));
        let (letters, digits) = (stream.below(676), stream.below(10_000));
        let letter = |place: u64| char::from(b'A' + (place % 26) as u8);
        let lot = format!("{}{}{digits:04}", letter(letters), letter(letters / 26));
        self.record.immunizations.push(record::Immunization { codes, encounter, time, lot });
    }

    /// The number of the one code that a field has.
    fn one_code(&self, json: &Json, name: &str) -> Id {
        self.files.list_number(&[code(need(json, name))])
    }

    /// Puts moments in order, up to the last one; what lasted for long was a problem.
    pub fn settle(&mut self, last: Moment) {
        self.record.put_in_order(last);
        for condition in &mut self.record.conditions {
            let lasts = condition.abatement.is_none_or(|end| end - condition.onset > 90 * DAY);
            condition.problem = condition.problem || lasts;
        }
        if self.world.options.claims {
            self.record.coverages = coverages(&self.circumstances, self.patient.birth, date(last));
        }
    }
}

/// The UCUM code of a unit of time.
fn ucum(unit: &str) -> &'static str {
    match unit {
        "years" => "a",
        "months" => "mo",
        "weeks" => "wk",
        "days" => "d",
        "hours" => "h",
        "minutes" => "min",
        "seconds" => "s",
        other => panic!("`{other}` is no unit of time"),
    }
}
