//! The second pass: each record is parsed once, judged, and written to the flat tables, to OMOP and to the account.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::sync::{Mutex, PoisonError};

use model::document::{Element, Fault, Kind, Resource, Tape, mix};
use model::omop::Row;
use model::omop::key::omop_key;
use model::quality::{self, Exclusion, Reject, UNREADABLE};

use crate::account::Account;
use crate::derive::Spans;
use crate::error::Result;
use crate::existing::Existing;
use crate::extract::Block;
use crate::extract::bundle::identity;
use crate::extract::record::{Item, Record, for_each};
use crate::extract::source::Sources;
use crate::load::{RawVersion, Sink};
use crate::map::{self, Judgement, Mapped};
use crate::policy::Policy;
use crate::reference::{Recent, References};
use crate::spill::Spill;
use crate::survey::{Loser, Survey};
use crate::view::path::Scope;
use crate::view::{Version, column};

/// What all workers share.
pub struct Shared<'s> {
    /// The files, for their names.
    pub sources: &'s Sources,
    /// What decides rows beside the resources themselves.
    pub policy: Policy<'s>,
    /// What the first pass found.
    pub survey: &'s Survey,
    /// What the lake holds; none when it holds nothing.
    pub existing: Option<&'s Existing>,
    /// Locations written so far: many resources share one.
    pub locations: &'s Mutex<HashSet<i64, RandomState>>,
    /// A hash of everything beside the content and its references that decides rows.
    pub rules: u64,
    /// Writes also what is as an earlier run left it.
    pub remap: bool,
}

/// One thread of the second pass.
pub struct Worker {
    /// What it made so far.
    pub output: Output,
    tape: Tape,
    recent: Recent,
}

/// What one thread of the second pass makes.
pub struct Output {
    /// Where rows go.
    pub sink: Sink,
    /// What became of the records.
    pub account: Account,
    /// The dates seen.
    pub spans: Spans,
    /// Persons that got rows.
    pub persons: HashSet<i64>,
    /// Keys written, by table, to find collisions.
    pub keys: Spill<2>,
    /// Resources of the lake whose rows must go.
    pub changed: HashSet<i64>,
    failure: Option<crate::Error>,
}

/// A record that is a resource: what the worker needs to write of it.
struct Sound<'r> {
    resource: Resource<'r>,
    line: quality::Origin<'r>,
    version: Version<'r>,
    text: &'r str,
}

impl Worker {
    /// Begins with nothing.
    pub fn new(sink: Sink) -> Worker {
        let output = Output {
            sink,
            account: Account::default(),
            spans: Spans::default(),
            persons: HashSet::new(),
            keys: Spill::default(),
            changed: HashSet::new(),
            failure: None,
        };
        Worker { output, tape: Tape::default(), recent: Recent::default() }
    }

    /// Takes the records of a block; returns how many resources there were.
    ///
    /// # Errors
    /// Rows cannot be written.
    pub fn take(&mut self, block: &Block, shared: &Shared<'_>) -> Result<u64> {
        let mut count = 0;
        for_each(block, &mut |item| {
            if self.output.failure.is_none() {
                count += 1;
                self.item(item, block, shared);
                let flushed = self.output.sink.flush(false);
                self.output.failure = self.output.failure.take().or(flushed.err());
            }
        });
        self.output.failure.take().map_or(Ok(count), Err)
    }

    fn item(&mut self, item: Item<'_>, block: &Block, shared: &Shared<'_>) {
        let file = shared.sources.files.get(block.file as usize).map_or("", |file| file.name.as_str());
        let origin = |line: u64| quality::Origin { file, line };
        match item {
            Item::Unreadable(what) => {
                self.output.unreadable(origin(what.line), &what.resource_type, what.field, what.reason, what.detail);
            }
            Item::Bundle { line, id, entry_count } => {
                self.output.account.accounting.of("Bundle").read += 1;
                let detail = format!("{entry_count} entries, each taken as a record");
                self.output.exclude(origin(line), "Bundle", id, "bundle_opened", detail);
            }
            Item::Record(record) => match record.deletes {
                Some(name) => self.output.delete(&record, name, origin(record.line), shared),
                None => self.record(&record, origin(record.line), shared),
            },
        }
    }

    fn record(&mut self, record: &Record<'_>, origin: quality::Origin<'_>, shared: &Shared<'_>) {
        let Worker { output, tape, recent } = self;
        let head_type = || record.head().resource_type.unwrap_or_default();
        let text = match std::str::from_utf8(record.text) {
            Ok(text) => text,
            Err(error) => {
                let detail = format!("expected valid UTF-8 at byte {}", error.valid_up_to());
                return output.unreadable(origin, head_type(), None, "invalid_utf8", detail);
            }
        };
        let element = match tape.parse(text) {
            Ok(element) => element,
            Err(fault) => {
                let (reason, field) = match &fault {
                    Fault::Syntax { .. } => ("invalid_json", None),
                    Fault::TooDeep { .. } => ("nested_too_deep", None),
                    Fault::DuplicateMember { name, .. } => ("duplicate_member", Some(name.clone())),
                };
                return output.unreadable(origin, head_type(), field, reason, fault.to_string());
            }
        };
        let Some(resource_type) = resource_type(element) else {
            let (field, detail) = match element.kind() {
                Kind::Object => (Some("resourceType".into()), "expected the name of a FHIR resource type"),
                _ => (None, "expected an object with a `resourceType`"),
            };
            return output.unreadable(origin, "", field, "missing_resource_type", detail.into());
        };
        output.account.accounting.of(resource_type).read += 1;
        let own_id = element.get("id").map(|id| id.as_str().filter(|id| is_id(id)));
        let id = match own_id {
            Some(None) => {
                let detail = "expected a string of 1 to 256 characters without `/`".into();
                return output.reject(
                    origin,
                    resource_type,
                    None,
                    Some(format!("{resource_type}.id")),
                    "invalid_id",
                    detail,
                );
            }
            Some(Some(id)) => Some(id),
            None => record.full_url.and_then(identity).filter(|id| is_id(id)),
        };
        let Some(id) = id else {
            if !map::has_target(resource_type) && !output.sink.has_view(resource_type) {
                return output.exclude(origin, resource_type, None, "no_omop_target", resource_type.into());
            }
            let field = Some(format!("{resource_type}.id"));
            return output.reject(
                origin,
                resource_type,
                None,
                field,
                "missing_element",
                "expected a logical id".into(),
            );
        };
        if let Some(loser) = shared.survey.losers.get(&record.position) {
            let reason = match loser {
                Loser::Duplicate => "duplicate",
                Loser::Superseded => "superseded_version",
            };
            return output.exclude(origin, resource_type, Some(id), reason, "another version counts".into());
        }
        let resource_key = omop_key(shared.policy.source_id, &[resource_type, "/", id].concat(), "fhir", "");
        let version = Version::told(element, resource_key);
        if shared.existing.is_some_and(|existing| existing.is_newer(resource_key, version.last_updated)) {
            let detail = "the lake has a newer version".into();
            return output.exclude(origin, resource_type, Some(id), "superseded_version", detail);
        }
        let references =
            References::new(&shared.survey.directory, shared.policy.source_id, record.bundle, record.full_url)
                .remembering(recent);
        let resource = Resource { resource_type, id, element };
        let mapped = if shared.policy.no_omop && map::has_target(resource_type) {
            let judgement = Judgement::Excluded { reason: "omop_off", detail: resource_type.to_owned() };
            Mapped { judgement, ..Mapped::default() }
        } else {
            map::map(&resource, &shared.policy.context(&references))
        };
        let content_hash = element.content_hash();
        let version = Version {
            content_hash: content_hash as i64,
            mapping_hash: mix(mix(content_hash, shared.rules), references.answers()) as i64,
            ..version
        };
        let scope = Scope { id, references: &references };
        let sound = Sound { resource, line: origin, version, text: text.trim() };
        output.write(sound, mapped, scope, shared);
    }
}

impl Output {
    fn write(&mut self, sound: Sound<'_>, mapped: Mapped<'_>, scope: Scope<'_>, shared: &Shared<'_>) {
        let Sound { resource, line, version, text } = sound;
        let Resource { resource_type, id, .. } = resource;
        let key = version.resource_key;
        match mapped.judgement {
            Judgement::Rejected { field, reason, detail } => {
                return self.reject(line, resource_type, Some(id), field, reason, detail);
            }
            Judgement::Excluded { reason, detail } => self.exclude(line, resource_type, Some(id), reason, detail),
            Judgement::Mapped => self.account.accounting.of(resource_type).mapped += 1,
        }
        self.account.lose(&mapped.losses);
        mapped.coverage.iter().for_each(|coverage| self.account.cover(coverage));
        self.keep(
            &RawVersion {
                origin: line,
                resource_type,
                resource_id: id,
                version_id: version.version_id,
                last_updated: version.last_updated,
                content_hash: version.content_hash,
                op: "put",
                json: Some(text),
            },
            key,
            shared,
        );
        match shared.existing.and_then(|existing| existing.mapping_hashes.get(&key)) {
            Some(hash) if *hash == version.mapping_hash && !shared.remap => {
                self.account.unchanged += 1;
                return;
            }
            Some(_) => {
                self.changed.insert(key);
            }
            None => {}
        }
        self.sink.flat_rows(&resource, scope, &version, &mut self.account);
        for mut mapped in mapped.rows {
            if let Row::VisitOccurrence(visit) = &mut mapped.row {
                visit.preceding_visit_occurrence_id = shared.survey.preceding.of(visit.visit_occurrence_id);
            }
            self.omop_row(&mapped.row, &mapped.part, (resource_type, id), &version, shared);
        }
    }

    fn omop_row(&mut self, row: &Row<'_>, part: &str, name: (&str, &str), version: &Version<'_>, shared: &Shared<'_>) {
        let table = row.table();
        if let Row::Location(location) = row {
            // Coarse on purpose, so shared: it belongs to no single resource.
            let mut locations = shared.locations.lock().unwrap_or_else(PoisonError::into_inner);
            if locations.insert(location.location_id) {
                self.sink.omop_row(row);
            }
            return;
        }
        if let Some(person_id) = row.person_id() {
            if shared.existing.is_some() {
                self.persons.insert(person_id);
            } else {
                self.spans.see(row);
            }
        }
        if let Row::Person(person) = row {
            self.spans.name(person.person_id, name.1);
        }
        if let Some(key) = row.key() {
            self.failure = self.keys.push([key as u64, row.table_index() as u64]).err().or(self.failure.take());
        }
        let id = row.key().or(row.person_id()).unwrap_or_default();
        self.sink.omop_row(row);
        self.sink.trace(table.name, id, version.resource_key, name, version.version_id, part);
    }

    fn delete(&mut self, record: &Record<'_>, name: &str, origin: quality::Origin<'_>, shared: &Shared<'_>) {
        let (resource_type, id) = name.split_once('/').unwrap_or((name, ""));
        self.account.accounting.of(resource_type).read += 1;
        if shared.survey.losers.contains_key(&record.position) {
            let detail = "another version counts".into();
            return self.exclude(origin, resource_type, Some(id), "superseded_version", detail);
        }
        let key = omop_key(shared.policy.source_id, name, "fhir", "");
        let last_updated = column::micros_of(record.last_modified);
        if shared.existing.is_some_and(|existing| existing.is_newer(key, last_updated)) {
            let detail = "the lake has a newer version".into();
            return self.exclude(origin, resource_type, Some(id), "superseded_version", detail);
        }
        let version = RawVersion {
            origin,
            resource_type,
            resource_id: id,
            version_id: None,
            last_updated,
            content_hash: 0,
            op: "delete",
            json: None,
        };
        self.keep(&version, key, shared);
        if shared.existing.is_some_and(|existing| existing.mapping_hashes.contains_key(&key)) {
            self.changed.insert(key);
        }
        self.exclude(origin, resource_type, Some(id), "deleted", "the source deleted it".into());
    }

    /// Keeps a version as it came, unless it is the one that is kept already.
    fn keep(&mut self, version: &RawVersion<'_>, key: i64, shared: &Shared<'_>) {
        let kept = shared.existing.and_then(|existing| existing.raw_hashes.get(&key));
        if self.sink.keeps_raw() && kept != Some(&version.content_hash) {
            self.sink.raw(version);
        }
    }

    fn unreadable(
        &mut self,
        origin: quality::Origin<'_>,
        resource_type: &str,
        field: Option<String>,
        reason: &'static str,
        detail: String,
    ) {
        // The same name in the account and in the list, so that the two can be compared.
        let resource_type = if is_type(resource_type) { resource_type } else { "" };
        let counted = if resource_type.is_empty() { UNREADABLE } else { resource_type };
        self.account.accounting.of(counted).read += 1;
        self.account.reject(counted, reason);
        let (field, detail) = (field.as_deref(), detail.as_str());
        self.sink.reject(&Reject { origin, resource_type, resource_id: None, field, reason, detail });
    }

    fn reject(
        &mut self,
        origin: quality::Origin<'_>,
        resource_type: &str,
        id: Option<&str>,
        field: Option<String>,
        reason: &'static str,
        detail: String,
    ) {
        self.account.reject(resource_type, reason);
        let (field, detail) = (field.as_deref(), detail.as_str());
        self.sink.reject(&Reject { origin, resource_type, resource_id: id, field, reason, detail });
    }

    fn exclude(
        &mut self,
        origin: quality::Origin<'_>,
        resource_type: &str,
        id: Option<&str>,
        reason: &'static str,
        detail: String,
    ) {
        self.account.exclude(resource_type, reason);
        self.sink.exclude(&Exclusion { origin, resource_type, resource_id: id, reason, detail: &detail });
    }
}

/// The resource type, when it looks like one.
fn resource_type(element: Element<'_>) -> Option<&str> {
    element.get("resourceType")?.as_str().filter(|name| is_type(name))
}

fn is_type(name: &str) -> bool {
    let sound = name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_uppercase());
    sound && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_id(id: &str) -> bool {
    (1..=256).contains(&id.len()) && !id.contains('/')
}
