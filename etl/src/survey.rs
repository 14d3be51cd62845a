//! The first pass: which resources there are, which of several versions counts, and which rows references can lead to.
//! What is broken is passed over here; the second pass judges it.

pub mod definition;
mod part;
mod version;

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, NaiveTime};
use model::document::{Element, Resource, Tape};
use model::fhir::DateTime;
use model::omop::Row;
use model::omop::key::omop_key;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result};
use crate::extract::Block;
use crate::extract::bundle::Head;
use crate::extract::record::{Item, Position, Record, for_each};
use crate::extract::source::Sources;
use crate::id_set::IdSet;
use crate::map::{self, Judgement, REPLACED};
use crate::pass::{self, Meter};
use crate::policy::Policy;
use crate::preceding::Preceding;
use crate::reference::{Directory, References, conditional, identifier_key, name_key};
use crate::spill::Spill;
use crate::view::column;

use definition::Definition;
use part::{Part, place_parts};
pub use version::Loser;
use version::{Version, judge, position_of, words_of};

/// What the first pass found.
#[derive(Default)]
pub struct Survey {
    /// What references can lead to.
    pub directory: Directory,
    /// Versions that do not count.
    pub losers: HashMap<Position, Loser>,
    /// Keys of all resources of the input; only when the lake holds something.
    pub keys: IdSet,
    /// Rows that references ask for and that the input does not make; only when the lake holds something.
    pub wanted: IdSet,
    /// Visits and coverages of the input and their persons, where these are not in the input; only when the lake holds
    /// something.
    pub unsure: Vec<(i64, i64)>,
    /// Identifiers that references ask for; only when the lake holds something.
    pub wanted_identifiers: HashSet<u64>,
    /// Resources of which references ask what they are, by resource key; only when the lake holds something.
    pub wanted_definitions: HashSet<i64>,
    parts: Vec<Part>,
    /// The visit before each visit; only when the lake holds nothing.
    pub preceding: Preceding,
    /// Rows that the input takes away; only when the lake holds something.
    pub absent: HashSet<i64>,
}

impl Survey {
    /// Decides which Encounters are details of others; to be called when all visits are known.
    pub fn place_parts(&mut self) {
        if !self.parts.is_empty() {
            let mut rows = self.directory.rows.iter().collect();
            self.directory.visit_of_detail.extend(place_parts(&self.parts, &mut rows));
            self.directory.rows = IdSet::new(rows);
        }
    }
}

/// A row that references may lead to.
#[derive(Clone, Copy)]
struct Candidate {
    id: i64,
    name: u64,
    /// The person that must exist for it; 0 when none must.
    person_id: i64,
    present: bool,
}

/// What one thread found.
#[derive(Default)]
struct Portion {
    tape: Tape,
    versions: Spill<6>,
    failure: Option<Error>,
    persons: Vec<Candidate>,
    others: Vec<Candidate>,
    /// Person, start, id, name of the resource, day, and where it stands.
    visits: Spill<7>,
    parts: Vec<Part>,
    identifiers: Vec<(u64, Box<str>)>,
    practitioners: Vec<(u64, Box<str>)>,
    /// Persons whose records were merged into others', these, and where it stands.
    merges: Vec<(i64, i64, Position)>,
    definitions: Vec<Definition>,
    births: Vec<(i64, NaiveDate, Position)>,
    keys: Vec<i64>,
    wanted: Vec<i64>,
    wanted_limit: usize,
    wanted_identifiers: HashSet<u64>,
    wanted_definitions: HashSet<i64>,
}

/// Goes over the input once.
///
/// # Errors
/// The input cannot be read.
pub fn survey(
    sources: &Sources,
    meter: &Meter<'_>,
    policy: &Policy<'_>,
    lake_holds_something: bool,
    threads: usize,
) -> Result<Survey> {
    let workers = (0..threads).map(|_| Portion::default()).collect();
    let parts = pass::over(sources, meter, workers, |part: &mut Portion, block: &Block| {
        for_each(block, &mut |item| {
            if let Item::Record(record) = item {
                part.record(&record, policy, lake_holds_something);
            }
        });
        meter.advance(0);
        part.failure.take().map_or(Ok(()), Err)
    })?;
    join(parts, lake_holds_something)
}

impl Portion {
    fn record(&mut self, record: &Record<'_>, policy: &Policy<'_>, lake_holds_something: bool) {
        let head = record.head();
        let name = match (record.deletes, head.resource_type, head.id) {
            (Some(name), _, _) => name.to_owned(),
            (None, Some(resource_type), Some(id)) => [resource_type, "/", id].concat(),
            _ => return,
        };
        let key = name_key(&name);
        let has_rows = match head.resource_type {
            _ if record.deletes.is_some() => {
                self.absent(&name, policy);
                false
            }
            Some("Patient" | "Practitioner" | "Organization" | "Location" | "Encounter" | "Coverage" | "Claim") => {
                self.target(record, head, &name, policy)
            }
            Some("PractitionerRole" | "Medication" | "Device") => {
                self.bystander(record, head, &name, policy);
                true
            }
            _ => true,
        };
        let updated = head.last_updated.or(record.last_modified);
        let moment = updated.and_then(|text| DateTime::parse(text).ok());
        let version = Version {
            name: key,
            last_updated: moment.map_or(i64::MIN, column::micros),
            version: head.version_id.and_then(|text| text.parse().ok()).unwrap_or(0),
            position: record.position,
            text_hash: xxh3_64(record.text),
            has_rows,
            is_undated_deletion: record.deletes.is_some() && moment.is_none(),
        };
        self.failure = self.versions.push(version.words()).err().or(self.failure.take());
        if lake_holds_something {
            self.keys.push(omop_key(policy.source_id, &name, "fhir", ""));
            self.want(record, policy.source_id);
        }
    }

    /// Maps a resource that others refer to, believing that what it refers to itself exists.
    fn target(&mut self, record: &Record<'_>, head: Head<'_>, name: &str, policy: &Policy<'_>) -> bool {
        let Portion { tape, persons, others, visits, parts, identifiers, births, merges, definitions, failure, .. } =
            self;
        let Ok(text) = std::str::from_utf8(record.text) else { return true };
        let Ok(element) = tape.parse(text) else { return true };
        let (Some(resource_type), Some(id)) = (head.resource_type, head.id) else { return true };
        let references = References::credulous(policy.source_id, record.bundle, record.full_url);
        let mapped = map::map(&Resource { resource_type, id, element }, &policy.context(&references));
        if let Judgement::Excluded { reason, .. } = mapped.judgement {
            if reason == REPLACED {
                let merge = merge(element, &references, name);
                merges.extend(merge.map(|(person_id, heir)| (person_id, heir, record.position)));
                identify(element, resource_type, id, identifiers);
            }
            self.absent(name, policy);
            return false;
        }
        let name = name_key(name);
        for mapped in &mapped.rows {
            let candidate = |id: i64, person_id: i64| Candidate { id, name, person_id, present: true };
            match &mapped.row {
                Row::Person(row) => {
                    persons.push(candidate(row.person_id, 0));
                    let (month, day) = (row.month_of_birth.unwrap_or(1), row.day_of_birth.unwrap_or(1));
                    let birth = NaiveDate::from_ymd_opt(row.year_of_birth, month as u32, day as u32);
                    births.extend(birth.map(|birth| (row.person_id, birth, record.position)));
                }
                Row::PayerPlanPeriod(row) => others.push(candidate(row.payer_plan_period_id, row.person_id)),
                Row::Cost(row) => {
                    let patient = element.get("patient").and_then(|patient| patient.get("reference")?.as_str());
                    let person = patient.and_then(|patient| references.person(patient));
                    others.push(candidate(row.cost_id, person.unwrap_or(0)));
                }
                Row::Provider(row) => others.push(candidate(row.provider_id, 0)),
                Row::CareSite(row) => others.push(candidate(row.care_site_id, 0)),
                Row::VisitOccurrence(row) => {
                    let start = row.visit_start_datetime.unwrap_or(row.visit_start_date.and_time(NaiveTime::MIN));
                    let start = start.and_utc().timestamp_micros();
                    let (person_id, visit_id) = (row.person_id as u64, row.visit_occurrence_id as u64);
                    let day = i64::from(row.visit_start_date.to_epoch_days()) as u64;
                    let [place, line] = words_of(record.position);
                    let entry = [person_id, start as u64, visit_id, name, day, place, line];
                    *failure = visits.push(entry).err().or(failure.take());
                }
                Row::VisitDetail(row) => parts.push(Part {
                    visit_id: omop_key(policy.source_id, &format!("Encounter/{id}"), "visit_occurrence", ""),
                    detail_id: row.visit_detail_id,
                    whole_id: row.visit_occurrence_id,
                    candidate: candidate(row.visit_detail_id, row.person_id),
                }),
                _ => {}
            }
        }
        Definition::diagnoses(element, &references, name, record.position, definitions);
        if !matches!(resource_type, "Encounter" | "Coverage" | "Claim") {
            identify(element, resource_type, id, identifiers);
        }
        true
    }

    fn absent(&mut self, name: &str, policy: &Policy<'_>) {
        let tables: &[&str] = match name.split('/').next().unwrap_or_default() {
            "Patient" => &["person"],
            "Practitioner" | "PractitionerRole" => &["provider"],
            "Organization" | "Location" => &["care_site"],
            "Encounter" => &["visit_occurrence", "visit_detail"],
            "Coverage" => &["payer_plan_period"],
            "Claim" => &["cost"],
            _ => &[],
        };
        for table in tables {
            let id = omop_key(policy.source_id, name, table, "");
            self.others.push(Candidate { id, name: name_key(name), person_id: 0, present: false });
        }
    }

    /// Keeps what others need of a resource beside its rows.
    fn bystander(&mut self, record: &Record<'_>, head: Head<'_>, name: &str, policy: &Policy<'_>) {
        let Ok(text) = std::str::from_utf8(record.text) else { return };
        let Ok(element) = self.tape.parse(text) else { return };
        let own = name_key(name);
        match head.resource_type {
            Some("PractitionerRole") => {
                let is_inactive = element.get("active").and_then(|active| active.as_bool()) == Some(false);
                let reference =
                    element.get("practitioner").and_then(|practitioner| practitioner.get("reference")?.as_str());
                if let Some(reference) = reference {
                    let references = References::credulous(policy.source_id, record.bundle, record.full_url);
                    let id = references.id(reference, Some("Practitioner"));
                    let practitioner = id.map_or_else(|| reference.to_owned(), |id| format!("Practitioner/{id}"));
                    if !is_inactive {
                        self.definitions.push(Definition::role(element, &practitioner, own, record.position));
                    }
                    self.practitioners.push((own, practitioner.into()));
                }
                let id = omop_key(policy.source_id, name, "provider", "");
                self.others.push(Candidate { id, name: own, person_id: 0, present: !is_inactive });
            }
            Some("Medication") => self.definitions.extend(Definition::medication(element, own, record.position)),
            _ => self.definitions.push(Definition::device(element, own, record.position)),
        }
    }

    /// Notes what the record's references ask for.
    fn want(&mut self, record: &Record<'_>, source_id: &str) {
        let references = References::credulous(source_id, record.bundle, record.full_url);
        for at in memchr::memmem::find_iter(record.text, b"\"reference\"") {
            let text = record.text;
            let colon = crate::skim::space(text, at + b"\"reference\"".len());
            let start = crate::skim::space(text, colon + 1);
            let Some(end) = crate::skim::value(text, start) else { continue };
            let Some(reference) = crate::skim::plain_string(text, start..end) else { continue };
            if let Some((resource_type, system, value)) = conditional(reference) {
                self.wanted_identifiers.insert(identifier_key(resource_type, system.unwrap_or_default(), value));
                continue;
            }
            self.wanted.extend(references.person(reference));
            self.wanted.extend(references.provider(reference));
            self.wanted.extend(references.care_site(reference));
            self.wanted.extend(references.visit_occurrence(reference));
            self.wanted.extend(references.visit_detail(reference));
            self.wanted.extend(references.payer_plan_period(reference));
            self.wanted.extend(references.cost(reference));
            self.wanted_definitions.extend(references.described(reference));
        }
        // Thousands of events name the same few rows.
        if self.wanted.len() > self.wanted_limit {
            self.wanted.sort_unstable();
            self.wanted.dedup();
            self.wanted_limit = (self.wanted.len() * 2).max(1 << 20);
        }
    }
}

/// Notes under which identifiers others may name a resource.
fn identify(element: Element<'_>, resource_type: &str, id: &str, identifiers: &mut Vec<(u64, Box<str>)>) {
    for identifier in element.get("identifier").into_iter().flat_map(|identifiers| identifiers.items()) {
        let system = identifier.get("system").and_then(|system| system.as_str()).unwrap_or_default();
        if let Some(value) = identifier.get("value").and_then(|value| value.as_str()) {
            identifiers.push((identifier_key(resource_type, system, value), id.into()));
            if !system.is_empty() {
                identifiers.push((identifier_key(resource_type, "", value), id.into()));
            }
        }
    }
}

/// The person that a Patient would be, and the one into whose record his was merged.
fn merge(patient: Element<'_>, references: &References<'_>, name: &str) -> Option<(i64, i64)> {
    let mut links = patient.get("link")?.items();
    let replaced = links.find(|link| link.get("type").and_then(|kind| kind.as_str()) == Some("replaced-by"))?;
    let heir = references.person(replaced.get("other")?.get("reference")?.as_str()?)?;
    references.person(name).map(|person_id| (person_id, heir))
}

fn join(parts: Vec<Portion>, lake_holds_something: bool) -> Result<Survey> {
    let mut all = Portion::default();
    let (mut versions, mut visits) = (Vec::new(), Vec::new());
    for mut part in parts {
        versions.push(std::mem::take(&mut part.versions));
        visits.push(std::mem::take(&mut part.visits));
        all.persons.append(&mut part.persons);
        all.others.append(&mut part.others);
        all.parts.append(&mut part.parts);
        all.identifiers.append(&mut part.identifiers);
        all.practitioners.append(&mut part.practitioners);
        all.merges.append(&mut part.merges);
        all.definitions.append(&mut part.definitions);
        all.births.append(&mut part.births);
        all.keys.append(&mut part.keys);
        all.wanted.append(&mut part.wanted);
        all.wanted_identifiers.extend(part.wanted_identifiers);
        all.wanted_definitions.extend(part.wanted_definitions);
    }
    let (losers, winners) = judge(versions)?;
    let counts = |candidate: &Candidate| candidate.present && winners.get(&candidate.name).is_none_or(|rows| *rows);
    let persons = all.persons.iter().filter(|candidate| counts(candidate)).map(|candidate| candidate.id);
    let persons = IdSet::new(persons.collect());
    let merges = all.merges.iter().filter(|(_, _, position)| !losers.contains_key(position));
    let merged = merges.map(|(person_id, heir, _)| (*person_id, *heir)).collect();
    let mut directory = Directory { merged, ..Directory::default() };
    let heir = |person_id: i64| directory.heir(person_id);
    let has_person = |candidate: &Candidate| candidate.person_id == 0 || persons.contains(heir(candidate.person_id));
    let exists = |candidate: &Candidate| counts(candidate) && has_person(candidate);
    let mut rows: Vec<_> =
        all.others.iter().filter(|candidate| exists(candidate)).map(|candidate| candidate.id).collect();
    let (mut unsure, mut preceding) = (Vec::new(), Preceding::default());
    let mut last_visits = HashMap::new();
    if lake_holds_something {
        let others = all.others.iter().filter(|candidate| counts(candidate) && !has_person(candidate));
        unsure.extend(others.map(|candidate| (candidate.id, heir(candidate.person_id))));
    }
    let mut take = |person_id: i64, visits: &[[u64; 7]]| {
        let counts = |name: u64| winners.get(&name).is_none_or(|rows| *rows);
        let is_lost = |visit: &[u64; 7]| losers.contains_key(&position_of([visit[5], visit[6]]));
        let visits = visits.iter().filter(|visit| counts(visit[3]) && !is_lost(visit));
        if let Some(last) = visits.clone().map(|visit| visit[4] as i64).max() {
            last_visits.insert(person_id, NaiveDate::from_epoch_days(last as i32).unwrap_or_default());
        }
        if persons.contains(person_id) {
            rows.extend(visits.clone().map(|visit| visit[2] as i64));
            if !lake_holds_something {
                preceding.add_person(visits.map(|visit| (visit[1] as i64, visit[2] as i64)).collect());
            }
        } else if lake_holds_something {
            unsure.extend(visits.map(|visit| (visit[2] as i64, person_id)));
        }
    };
    // The visits of those who were merged come together before they are taken.
    let heirs: HashSet<i64> = directory.merged.values().map(|person_id| heir(*person_id)).collect();
    let mut together: HashMap<i64, Vec<[u64; 7]>> = HashMap::new();
    Spill::grouped(visits, |visits| {
        let person_id = heir(visits[0][0] as i64);
        match heirs.contains(&person_id) {
            true => together.entry(person_id).or_default().extend(visits),
            false => take(person_id, visits),
        }
    })?;
    together.iter().for_each(|(person_id, visits)| take(*person_id, visits));
    preceding.finish();
    rows.extend(persons.iter());
    let absent = all.others.iter().filter(|candidate| !candidate.present);
    let absent = absent.filter(|candidate| winners.get(&candidate.name).is_none_or(|rows| !rows));
    let absent = absent.map(|candidate| candidate.id).collect();
    all.parts.retain(|part| counts(&part.candidate) && (lake_holds_something || has_person(&part.candidate)));
    let definitions = definition::settle(all.definitions, &losers, &winners);
    all.births.retain(|(_, _, position)| !losers.contains_key(position));
    directory.rows = IdSet::new(rows);
    directory.last_visits = last_visits;
    directory.identifiers = all.identifiers.into_iter().collect();
    directory.practitioner_of_role = all.practitioners.into_iter().collect();
    directory.births = all.births.into_iter().map(|(person_id, birth, _)| (person_id, birth)).collect();
    directory.definitions = definitions;
    Ok(Survey {
        directory,
        losers,
        keys: IdSet::new(all.keys),
        wanted: IdSet::new(all.wanted),
        unsure,
        preceding,
        parts: all.parts,
        wanted_identifiers: all.wanted_identifiers,
        wanted_definitions: all.wanted_definitions,
        absent,
    })
}
