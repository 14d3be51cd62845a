//! Writes what is planned, put in, handed out and photographed.

use super::person::Person;
use crate::module::{ActiveKind, CarePlan, Id, ImagingStudy};
use crate::moment::{MINUTE, Moment};
use crate::record;

impl Person<'_> {
    pub(super) fn begin_care_plan(&mut self, cursor: usize, state: (usize, usize), plan: &CarePlan, now: Moment) {
        if let Some(active) = self.active_slot(ActiveKind::CarePlan, &[plan.onset.codes]) {
            self.remember(active, state, plan.onset.assign);
            return;
        }
        let slot = self.begin(ActiveKind::CarePlan, plan.onset.codes, state, plan.onset.assign);
        self.slots[slot as usize].record = Some(self.record.care_plans.len() as u32);
        self.active.push(slot);
        let reason = plan.reason.as_ref().and_then(|reason| self.reason_written(state.0, reason));
        let (encounter, start) = self.placed(cursor, now);
        self.record.care_plans.push(record::CarePlan {
            codes: plan.onset.codes,
            activities: plan.activities,
            reason,
            encounter,
            start,
            end: None,
        });
    }

    pub(super) fn begin_device(
        &mut self,
        cursor: usize,
        state: (usize, usize),
        codes: Id,
        assign: Option<Id>,
        now: Moment,
    ) {
        if let Some(active) = self.active_slot(ActiveKind::Device, &[codes]) {
            self.remember(active, state, assign);
            return;
        }
        let slot = self.begin(ActiveKind::Device, codes, state, assign);
        self.slots[slot as usize].record = Some(self.record.devices.len() as u32);
        self.active.push(slot);
        let (encounter, start) = self.placed(cursor, now);
        let serial = self.visit_stream(Some(cursor)).bits();
        self.record.devices.push(record::Device { codes, encounter, serial, start, end: None });
    }

    pub(super) fn supply(&mut self, cursor: usize, supplies: &[(Id, u32)], now: Moment) {
        let (encounter, time) = self.placed(cursor, now);
        let supplies = supplies.iter().map(|(codes, quantity)| record::Supply {
            codes: *codes,
            quantity: *quantity,
            encounter,
            time,
        });
        self.record.supplies.extend(supplies);
    }

    /// A study is also a procedure, of half an hour, for the reason of its visit. Where counts are left to chance, the
    /// first one is repeated.
    pub(super) fn take_pictures(&mut self, cursor: usize, module: usize, study: &ImagingStudy, now: Moment) {
        let mut series = Vec::new();
        let numbers = self.repeated(cursor, module, study.count, study.series.len());
        for one in numbers.into_iter().map(|number| &study.series[number]) {
            let instances = self.repeated(cursor, module, one.count, one.instances.len());
            let instances = instances.into_iter().map(|number| one.instances[number]).collect();
            series.push(record::Series { body_site: one.body_site, modality: one.modality, instances });
        }
        let (encounter, time) = self.placed(cursor, now);
        let reason = encounter.and_then(|encounter| self.record.encounters[encounter as usize].reason);
        let procedure = self.write_procedure(cursor, study.procedure, reason, now, 30 * MINUTE);
        let codes = study.procedure;
        self.record.imaging_studies.push(record::ImagingStudy { codes, procedure, encounter, reason, time, series });
    }

    /// Which of `given` entries to take: each once, or the first one as often as is drawn.
    fn repeated(&mut self, cursor: usize, module: usize, count: Option<(u32, u32)>, given: usize) -> Vec<usize> {
        match count {
            None => (0..given).collect(),
            Some((low, high)) => {
                let more = self.stream(cursor, module).below(u64::from(high - low) + 1);
                vec![0; low as usize + more as usize]
            }
        }
    }
}
