//! The first pass: which resources there are, which of several versions counts, and which rows references can lead to.
//! What is broken is passed over here; the second pass judges it.

pub mod definition;

use std::collections::{HashMap, HashSet};

use chrono::{NaiveDate, NaiveTime};
use model::fhir::DateTime;
use model::omop::Row;
use model::omop::key::omop_key;
use xxhash_rust::xxh3::xxh3_64;

use crate::document::{Resource, Tape};
use crate::error::{Error, Result};
use crate::extract::Block;
use crate::extract::bundle::Head;
use crate::extract::record::{Item, Position, Record, for_each};
use crate::extract::source::Sources;
use crate::id_set::IdSet;
use crate::map::{self, Judgement};
use crate::pass::{self, Meter};
use crate::policy::Policy;
use crate::preceding::Preceding;
use crate::reference::{Directory, References, conditional, identifier_key, name_key};
use crate::spill::Spill;
use crate::view::column;

use definition::Definition;

/// Why a version of a resource does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loser {
    /// The same content stands elsewhere in the input.
    Duplicate,
    /// The input has a newer version.
    Superseded,
}

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

/// One version of a resource in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    name: u64,
    last_updated: i64,
    version: u64,
    position: Position,
    text_hash: u64,
    /// False when the version takes the resource's rows away.
    has_rows: bool,
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

/// An Encounter that is part of another: ids of the visit that it would be, of its detail and of the visit around it.
struct Part {
    visit_id: i64,
    detail_id: i64,
    whole_id: i64,
    candidate: Candidate,
}

#[derive(Default)]
struct Part1 {
    tape: Tape,
    versions: Spill<6>,
    failure: Option<Error>,
    persons: Vec<Candidate>,
    others: Vec<Candidate>,
    /// Person, start, id and name of the resource.
    visits: Spill<4>,
    parts: Vec<Part>,
    last_visits: HashMap<i64, NaiveDate>,
    identifiers: Vec<(u64, Box<str>)>,
    practitioners: Vec<(u64, Box<str>)>,
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
    let workers = (0..threads).map(|_| Part1::default()).collect();
    let parts = pass::over(sources, meter, workers, |part: &mut Part1, block: &Block| {
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

impl Part1 {
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
            Some("Patient" | "Practitioner" | "Organization" | "Location" | "Encounter" | "Coverage") => {
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
        };
        self.failure = self.versions.push(version.words()).err().or(self.failure.take());
        if lake_holds_something {
            self.keys.push(omop_key(policy.source_id, &name, "fhir", ""));
            self.want(record, policy.source_id);
        }
    }

    /// Maps a resource that others refer to, believing that what it refers to itself exists.
    fn target(&mut self, record: &Record<'_>, head: Head<'_>, name: &str, policy: &Policy<'_>) -> bool {
        let Part1 {
            tape, persons, others, visits, parts, identifiers, last_visits, births, definitions, failure, ..
        } = self;
        let Ok(text) = std::str::from_utf8(record.text) else { return true };
        let Ok(element) = tape.parse(text) else { return true };
        let (Some(resource_type), Some(id)) = (head.resource_type, head.id) else { return true };
        let references = References::credulous(policy.source_id, record.bundle, record.full_url);
        let mapped = map::map(&Resource { resource_type, id, element }, &policy.context(&references));
        if matches!(mapped.judgement, Judgement::Excluded { .. }) {
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
                Row::Provider(row) => others.push(candidate(row.provider_id, 0)),
                Row::CareSite(row) => others.push(candidate(row.care_site_id, 0)),
                Row::VisitOccurrence(row) => {
                    let start = row.visit_start_datetime.unwrap_or(row.visit_start_date.and_time(NaiveTime::MIN));
                    let start = start.and_utc().timestamp_micros();
                    let entry = [row.person_id as u64, start as u64, row.visit_occurrence_id as u64, name];
                    *failure = visits.push(entry).err().or(failure.take());
                    let last = last_visits.entry(row.person_id).or_insert(row.visit_start_date);
                    *last = row.visit_start_date.max(*last);
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
        if !matches!(resource_type, "Encounter" | "Coverage") {
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
        true
    }

    fn absent(&mut self, name: &str, policy: &Policy<'_>) {
        let tables: &[&str] = match name.split('/').next().unwrap_or_default() {
            "Patient" => &["person"],
            "Practitioner" | "PractitionerRole" => &["provider"],
            "Organization" | "Location" => &["care_site"],
            "Encounter" => &["visit_occurrence", "visit_detail"],
            "Coverage" => &["payer_plan_period"],
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

fn join(parts: Vec<Part1>, lake_holds_something: bool) -> Result<Survey> {
    let mut all = Part1::default();
    let (mut versions, mut visits) = (Vec::new(), Vec::new());
    for mut part in parts {
        versions.push(std::mem::take(&mut part.versions));
        visits.push(std::mem::take(&mut part.visits));
        all.persons.append(&mut part.persons);
        all.others.append(&mut part.others);
        all.parts.append(&mut part.parts);
        all.identifiers.append(&mut part.identifiers);
        all.practitioners.append(&mut part.practitioners);
        all.definitions.append(&mut part.definitions);
        all.births.append(&mut part.births);
        all.keys.append(&mut part.keys);
        all.wanted.append(&mut part.wanted);
        all.wanted_identifiers.extend(part.wanted_identifiers);
        all.wanted_definitions.extend(part.wanted_definitions);
        for (person, date) in part.last_visits {
            let last = all.last_visits.entry(person).or_insert(date);
            *last = date.max(*last);
        }
    }
    let (losers, winners) = judge(versions)?;
    let counts = |candidate: &Candidate| candidate.present && winners.get(&candidate.name).is_none_or(|rows| *rows);
    let persons = all.persons.iter().filter(|candidate| counts(candidate)).map(|candidate| candidate.id);
    let persons = IdSet::new(persons.collect());
    let has_person = |candidate: &Candidate| candidate.person_id == 0 || persons.contains(candidate.person_id);
    let exists = |candidate: &Candidate| counts(candidate) && has_person(candidate);
    let mut rows: Vec<_> =
        all.others.iter().filter(|candidate| exists(candidate)).map(|candidate| candidate.id).collect();
    let (mut unsure, mut preceding) = (Vec::new(), Preceding::default());
    if lake_holds_something {
        let others = all.others.iter().filter(|candidate| counts(candidate) && !has_person(candidate));
        unsure.extend(others.map(|candidate| (candidate.id, candidate.person_id)));
    }
    Spill::grouped(visits, |visits| {
        let counts = |name: u64| winners.get(&name).is_none_or(|rows| *rows);
        let person_id = visits[0][0] as i64;
        let visits = visits.iter().filter(|visit| counts(visit[3]));
        if persons.contains(person_id) {
            rows.extend(visits.clone().map(|visit| visit[2] as i64));
            if !lake_holds_something {
                preceding.add_person(visits.map(|visit| (visit[1] as i64, visit[2] as i64)).collect());
            }
        } else if lake_holds_something {
            unsure.extend(visits.map(|visit| (visit[2] as i64, person_id)));
        }
    })?;
    preceding.finish();
    rows.extend(persons.iter());
    let absent = all.others.iter().filter(|candidate| !candidate.present);
    let absent = absent.filter(|candidate| winners.get(&candidate.name).is_none_or(|rows| !rows));
    let absent = absent.map(|candidate| candidate.id).collect();
    all.parts.retain(|part| counts(&part.candidate) && (lake_holds_something || has_person(&part.candidate)));
    let definitions = definition::settle(all.definitions, &losers, &winners);
    all.births.retain(|(_, _, position)| !losers.contains_key(position));
    Ok(Survey {
        directory: Directory {
            rows: IdSet::new(rows),
            visit_of_detail: HashMap::new(),
            last_visits: all.last_visits,
            identifiers: all.identifiers.into_iter().collect(),
            practitioner_of_role: all.practitioners.into_iter().collect(),
            births: all.births.into_iter().map(|(person_id, birth, _)| (person_id, birth)).collect(),
            definitions,
        },
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

impl Version {
    fn words(self) -> [u64; 6] {
        let Position { file, line, entry } = self.position;
        let order = (self.last_updated as u64) ^ (1 << 63);
        let version = (self.version.min(u64::MAX >> 1) << 1) | u64::from(self.has_rows);
        [self.name, order, version, (u64::from(file) << 32) | u64::from(entry), line, self.text_hash]
    }

    fn from_words([name, order, version, place, line, text_hash]: [u64; 6]) -> Version {
        Version {
            name,
            last_updated: (order ^ (1 << 63)) as i64,
            version: version >> 1,
            position: Position { file: (place >> 32) as u32, line, entry: place as u32 },
            text_hash,
            has_rows: version & 1 == 1,
        }
    }
}

/// Versions that do not count, and for each resource with several whether the one that counts has rows.
type Judged = (HashMap<Position, Loser>, HashMap<u64, bool>);

fn judge(versions: Vec<Spill<6>>) -> Result<Judged> {
    let (mut losers, mut winners) = (HashMap::new(), HashMap::new());
    Spill::shared(versions, |same| {
        let mut same: Vec<_> = same.iter().map(|words| Version::from_words(*words)).collect();
        same.sort_unstable();
        let Some((winner, others)) = same.split_last() else { return };
        winners.insert(winner.name, winner.has_rows);
        for version in others {
            let loser = if version.text_hash == winner.text_hash { Loser::Duplicate } else { Loser::Superseded };
            losers.insert(version.position, loser);
        }
    })?;
    Ok((losers, winners))
}

/// A part of a visit is a detail of the outermost visit that exists; a part of nothing is a visit of its own.
fn place_parts(parts: &[Part], rows: &mut Vec<i64>) -> HashMap<i64, i64> {
    let visits = IdSet::new(rows.clone());
    let whole_of: HashMap<i64, i64> = parts.iter().map(|part| (part.visit_id, part.whole_id)).collect();
    let mut visit_of_detail = HashMap::new();
    for part in parts {
        let mut chain = vec![part.visit_id];
        let mut at = part.whole_id;
        while let Some(whole) = whole_of.get(&at).filter(|_| chain.len() < 64) {
            chain.push(at);
            at = *whole;
        }
        // What an earlier run took for a visit of its own may be a part by now: only what is no part counts.
        let exists = visits.contains(at) && !whole_of.contains_key(&at);
        let around = match chain.pop() {
            _ if exists => Some(at),
            top if !whole_of.contains_key(&at) => top.filter(|top| *top != part.visit_id),
            _ => None,
        };
        match around {
            Some(visit) => {
                visit_of_detail.insert(part.detail_id, visit);
                rows.push(part.detail_id);
            }
            None => rows.push(part.visit_id),
        }
    }
    visit_of_detail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(last_updated: i64, version: u64, line: u64, text_hash: u64) -> Version {
        let position = Position { file: 0, line, entry: 0 };
        Version { name: 1, last_updated, version, position, text_hash, has_rows: true }
    }

    fn loser(versions: &[Version]) -> Vec<(u64, Loser)> {
        let mut spill = Spill::default();
        versions.iter().for_each(|version| spill.push(version.words()).unwrap());
        let mut losers: Vec<_> =
            judge(vec![spill]).unwrap().0.into_iter().map(|(at, loser)| (at.line, loser)).collect();
        losers.sort_by_key(|(line, _)| *line);
        losers
    }

    #[test]
    fn the_newest_version_counts() {
        assert_eq!(loser(&[version(1, 0, 1, 1)]), []);
        assert_eq!(loser(&[version(2, 1, 1, 1), version(1, 9, 2, 2)]), [(2, Loser::Superseded)]);
        assert_eq!(loser(&[version(1, 2, 1, 1), version(1, 1, 2, 2)]), [(2, Loser::Superseded)]);
        assert_eq!(loser(&[version(1, 1, 1, 1), version(1, 1, 2, 2)]), [(1, Loser::Superseded)]);
        assert_eq!(loser(&[version(1, 1, 1, 7), version(1, 1, 2, 7)]), [(1, Loser::Duplicate)]);
    }

    fn part(visit_id: i64, whole_id: i64) -> Part {
        let candidate = Candidate { id: visit_id + 100, name: 0, person_id: 0, present: true };
        Part { visit_id, detail_id: visit_id + 100, whole_id, candidate }
    }

    #[test]
    fn a_part_belongs_to_the_outermost_visit_there_is() {
        let mut rows = vec![1];
        let details = place_parts(&[part(2, 1), part(3, 2), part(5, 4), part(6, 5), part(7, 7)], &mut rows);
        assert_eq!(details, HashMap::from([(102, 1), (103, 1), (106, 5)]));
        rows.sort_unstable();
        assert_eq!(rows, [1, 5, 7, 102, 103, 106]);
        let mut rows = vec![7];
        assert_eq!(place_parts(&[part(7, 7)], &mut rows), HashMap::new());
    }
}
