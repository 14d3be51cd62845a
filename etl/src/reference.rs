//! References between resources: which resource a reference names, and which OMOP row that resource makes.

mod recent;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use model::document::mix;
use model::omop::key::omop_key;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::extract::bundle::Bundle;
use crate::id_set::IdSet;
use crate::literal_reference::{plain, type_and_id, unversioned};
pub use recent::Recent;

/// A record may be merged into one that is merged later, and so on.
const MOST_MERGES: usize = 16;

/// What the input, and the lake before it, has to offer to references.
#[derive(Default)]
pub struct Directory {
    /// Ids of persons, providers, care sites, visits, visit details, coverages and costs of claims that exist when the run is done.
    pub rows: IdSet,
    /// The visit around each visit detail.
    pub visit_of_detail: HashMap<i64, i64>,
    /// The day on which the last visit of each person began.
    pub last_visits: HashMap<i64, NaiveDate>,
    /// Logical ids by [`identifier_key`].
    pub identifiers: HashMap<u64, Box<str>>,
    /// The day on which each person was born; the first day of the month or year where only that is known.
    pub births: HashMap<i64, NaiveDate>,
    /// The person that took the place of another, whose record was merged into his: see [`Directory::heir`].
    pub merged: HashMap<i64, i64>,
    /// The Practitioner reference of each PractitionerRole, by [`name_key`].
    pub practitioner_of_role: HashMap<u64, Box<str>>,
    /// What others say of a resource, as JSON text, by the [`name_key`] of what it defines: the `code` of a Medication,
    /// excerpts of a Device, for a Practitioner of its PractitionerRole, and for a Condition the use that an Encounter has
    /// for it as a diagnosis, as a bare code.
    pub definitions: HashMap<u64, Arc<str>>,
}

impl Directory {
    /// Who has the records of a person: somebody else when his own was merged into that one's.
    pub fn heir(&self, person_id: i64) -> i64 {
        let mut heir = person_id;
        // Records that replace each other in a circle lead to none that exists.
        for _ in 0..MOST_MERGES {
            match self.merged.get(&heir) {
                Some(next) => heir = *next,
                None => break,
            }
        }
        heir
    }
}

/// The key of a resource's `Type/id`.
pub fn name_key(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

/// The key of a business identifier of a resource type.
pub fn identifier_key(resource_type: &str, system: &str, value: &str) -> u64 {
    mix(mix(xxh3_64(resource_type.as_bytes()), xxh3_64(system.as_bytes())), xxh3_64(value.as_bytes()))
}

/// Answers for one resource what its references lead to. Every form is understood: relative, absolute, `urn:uuid:`,
/// versioned, conditional; contained resources (`#id`) have no identity of their own and lead nowhere.
pub struct References<'r> {
    directory: Option<&'r Directory>,
    source_id: &'r str,
    bundle: Option<&'r Bundle>,
    full_url: Option<&'r str>,
    recent: Option<&'r Recent>,
    answers: Cell<u64>,
}

/// A kind of row that references lead to.
#[derive(Clone, Copy, Debug)]
enum Target {
    Person,
    VisitOccurrence,
    VisitDetail,
    Provider,
    CareSite,
    PayerPlanPeriod,
    Cost,
}

impl Target {
    /// The table of the rows, and the types of the resources that make them.
    fn table(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Target::Person => ("person", &["Patient"]),
            Target::VisitOccurrence => ("visit_occurrence", &["Encounter"]),
            Target::VisitDetail => ("visit_detail", &["Encounter"]),
            Target::Provider => ("provider", &["Practitioner", "PractitionerRole"]),
            Target::CareSite => ("care_site", &["Organization", "Location"]),
            Target::PayerPlanPeriod => ("payer_plan_period", &["Coverage"]),
            Target::Cost => ("cost", &["Claim"]),
        }
    }
}

impl<'r> References<'r> {
    /// Answers from the directory.
    pub fn new(
        directory: &'r Directory,
        source_id: &'r str,
        bundle: Option<&'r Bundle>,
        full_url: Option<&'r str>,
    ) -> Self {
        References { directory: Some(directory), source_id, bundle, full_url, recent: None, answers: Cell::new(0) }
    }

    /// The same, with a memory of what the same directory answered before. Within a Bundle references mean something
    /// else than outside of it, and nothing is remembered.
    pub fn remembering(self, recent: &'r Recent) -> Self {
        References { recent: Some(recent).filter(|_| self.bundle.is_none()), ..self }
    }

    /// Believes that whatever a reference names exists: for the survey, which finds out what does.
    pub fn credulous(source_id: &'r str, bundle: Option<&'r Bundle>, full_url: Option<&'r str>) -> Self {
        References { directory: None, source_id, bundle, full_url, recent: None, answers: Cell::new(0) }
    }

    /// A hash of all answers given: other answers may mean other rows.
    pub fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// The `person_id` of the Patient that the reference names, when that Patient makes a person.
    pub fn person(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::Person)
    }

    /// The `visit_occurrence_id` of the Encounter that the reference names, when that Encounter makes a visit. For an
    /// Encounter that makes a visit detail it is the visit around it.
    pub fn visit_occurrence(&self, reference: &str) -> Option<i64> {
        let visit = self.row(reference, Target::VisitOccurrence);
        visit.or_else(|| {
            let detail = self.row(reference, Target::VisitDetail)?;
            self.directory?.visit_of_detail.get(&detail).copied()
        })
    }

    /// The visit that an Encounter is a detail of, given its own `Type/id` and its `partOf`; none when it is a visit of
    /// its own, since the other does not exist or is a part of this one.
    pub fn visit_around(&self, name: &str, whole: &str) -> Option<i64> {
        let Some(directory) = self.directory else {
            return self.visit_occurrence(whole);
        };
        let detail = omop_key(self.source_id, name, "visit_detail", "");
        let visit = directory.visit_of_detail.get(&detail).copied();
        self.answers.set(mix(self.answers.get(), visit.unwrap_or_default() as u64));
        visit
    }

    /// The `visit_detail_id` of the Encounter that the reference names, when that Encounter makes a visit detail.
    pub fn visit_detail(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::VisitDetail)
    }

    /// The `provider_id` of the Practitioner that the reference names, or of the PractitionerRole: its Practitioner's, or
    /// its own where there is no such Practitioner.
    pub fn provider(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::Provider)
    }

    /// The `care_site_id` of the Organization or Location that the reference names.
    pub fn care_site(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::CareSite)
    }

    /// The day on which the person's last visit began.
    pub fn last_visit_date(&self, person_id: i64) -> Option<NaiveDate> {
        let date = self.directory?.last_visits.get(&person_id).copied();
        self.answers.set(mix(self.answers.get(), date.map_or(0, |date| date.to_epoch_days() as u64)));
        date
    }

    /// The day on which the person was born.
    pub fn birth_date(&self, person_id: i64) -> Option<NaiveDate> {
        let date = self.directory?.births.get(&person_id).copied();
        self.answers.set(mix(self.answers.get(), date.map_or(0, |date| date.to_epoch_days() as u64)));
        date
    }

    /// What the resource of that type that the reference names is, as JSON text: see [`Directory::definitions`].
    pub fn definition(&self, reference: &str, resource_type: &str) -> Option<&'r str> {
        let directory = self.directory?;
        let types = [resource_type];
        let name = self.names(reference, &types).next()?;
        let definition = directory.definitions.get(&name_key(&name))?;
        self.answers.set(mix(self.answers.get(), xxh3_64(definition.as_bytes())));
        Some(definition)
    }

    /// The resource key of what the reference names, where others are told by what it is.
    pub fn described<'n>(&'n self, reference: &'n str) -> impl Iterator<Item = i64> + 'n {
        let names = self.names(reference, &["Medication", "Device", "PractitionerRole"]);
        names.map(|name| omop_key(self.source_id, &name, "fhir", ""))
    }

    /// The `payer_plan_period_id` of the Coverage that the reference names.
    pub fn payer_plan_period(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::PayerPlanPeriod)
    }

    /// The logical id of the resource of that type that the reference names, whether or not it exists; any type when
    /// none is given.
    pub fn id<'n>(&'n self, reference: &'n str, resource_type: Option<&str>) -> Option<Cow<'n, str>> {
        if self.bundle.is_none()
            && let Some((of, id)) = plain(reference)
        {
            return resource_type.is_none_or(|wanted| of == wanted).then_some(Cow::Borrowed(id));
        }
        let is_wanted = |name: &str| resource_type.is_none_or(|wanted| name.split('/').next() == Some(wanted));
        match self.name(reference).filter(|name| is_wanted(name)) {
            Some(Cow::Borrowed(name)) => name.split_once('/').map(|(_, id)| Cow::Borrowed(id)),
            Some(Cow::Owned(name)) => name.split_once('/').map(|(_, id)| Cow::Owned(id.to_owned())),
            // Outside of a Bundle nobody knows what a `urn:` names; a wanted type is believed.
            None if resource_type.is_some() && reference.starts_with("urn:") => {
                reference.rsplit_once(':').map(|(_, id)| Cow::Borrowed(id))
            }
            None => None,
        }
    }

    /// The `cost_id` of the Claim that the reference names, when that Claim tells a cost.
    pub fn cost(&self, reference: &str) -> Option<i64> {
        self.row(reference, Target::Cost)
    }

    fn row(&self, reference: &str, target: Target) -> Option<i64> {
        let (table, types) = target.table();
        let look_up = || self.names(reference, types).find_map(|name| self.row_of(&name, table));
        let found = match self.recent {
            Some(recent) => recent.answer(xxh3_64_with_seed(reference.as_bytes(), target as u64), look_up),
            None => look_up(),
        };
        self.answers.set(mix(self.answers.get(), found.unwrap_or_default() as u64));
        found
    }

    fn row_of(&self, name: &str, table: &str) -> Option<i64> {
        if name.starts_with("PractitionerRole/")
            && let Some(practitioner) =
                self.directory.and_then(|directory| directory.practitioner_of_role.get(&name_key(name)))
            && let Some(name) = type_and_id(practitioner).filter(|name| name.starts_with("Practitioner/"))
            && let Some(id) = self.row_of(name, table)
        {
            return Some(id);
        }
        let id = omop_key(self.source_id, name, table, "");
        match self.directory {
            Some(directory) => Some(directory.heir(id)).filter(|id| directory.rows.contains(*id)),
            None => Some(id),
        }
    }

    /// The resources of the given types that the reference may name: one, except for a `urn:` outside of a Bundle.
    fn names<'n>(&'n self, reference: &'n str, types: &'n [&'n str]) -> impl Iterator<Item = Cow<'n, str>> {
        let name = self.name(reference).filter(|name| {
            let resource_type = name.split('/').next().unwrap_or_default();
            types.contains(&resource_type)
        });
        let urn = if name.is_none() && reference.starts_with("urn:") { reference.rsplit_once(':') } else { None };
        let guesses = urn.into_iter().flat_map(|(_, id)| types.iter().map(move |of| Cow::Owned(format!("{of}/{id}"))));
        name.into_iter().chain(guesses)
    }

    /// `Type/id` of the resource that the reference names.
    fn name<'n>(&'n self, reference: &'n str) -> Option<Cow<'n, str>> {
        if reference.starts_with('#') {
            return None;
        }
        if let Some(bundle) = self.bundle {
            let reference = unversioned(reference);
            if let Some(name) = bundle.resolve(reference) {
                return Some(Cow::Borrowed(name));
            }
            if let Some(base) = self.full_url.and_then(base)
                && !reference.contains(':')
                && let Some(name) = bundle.resolve(&format!("{base}/{reference}"))
            {
                return Some(Cow::Borrowed(name));
            }
        }
        if plain(reference).is_some() {
            return Some(Cow::Borrowed(reference));
        }
        if let Some((resource_type, system, value)) = conditional(reference) {
            let key = identifier_key(resource_type, system.unwrap_or_default(), value);
            let id = self.directory?.identifiers.get(&key)?;
            return Some(Cow::Owned(format!("{resource_type}/{id}")));
        }
        type_and_id(reference).map(Cow::Borrowed)
    }
}

/// `Type`, system and value of `Type?identifier=system|value`; no system when none is given.
pub fn conditional(reference: &str) -> Option<(&str, Option<&str>, &str)> {
    let (resource_type, query) = reference.split_once('?')?;
    let resource_type = resource_type.rsplit('/').next().unwrap_or(resource_type);
    let identifier = query.split('&').find_map(|term| term.strip_prefix("identifier="))?;
    Some(match identifier.split_once('|') {
        Some((system, value)) => (resource_type, Some(system).filter(|system| !system.is_empty()), value),
        None => (resource_type, None, identifier),
    })
}

/// The server's address in a `fullUrl` such as `http://server/fhir/Patient/1`.
fn base(full_url: &str) -> Option<&str> {
    let name = type_and_id(full_url)?;
    full_url.strip_suffix(name)?.strip_suffix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(ids: &[i64]) -> Directory {
        Directory { rows: IdSet::new(ids.to_vec()), ..Directory::default() }
    }

    fn person(id: &str) -> i64 {
        omop_key("s", &format!("Patient/{id}"), "person", "")
    }

    #[test]
    fn every_form_of_reference_leads_to_the_row() {
        let mut directory = directory(&[person("1")]);
        directory.identifiers.insert(identifier_key("Patient", "urn:mrn", "77"), "1".into());
        directory.identifiers.insert(identifier_key("Patient", "", "77"), "1".into());
        let references = References::new(&directory, "s", None, None);
        for reference in [
            "Patient/1",
            "Patient/1/_history/3",
            "http://server/fhir/Patient/1",
            "https://server/Patient/1/_history/2",
            "urn:uuid:1",
            "Patient?identifier=urn:mrn|77",
            "Patient?identifier=77",
        ] {
            assert_eq!(references.person(reference), Some(person("1")), "{reference}");
        }
        for reference in [
            "#1",
            "Patient/2",
            "Group/1",
            "",
            "/",
            "Patient/",
            "1",
            "urn:uuid:2",
            "Patient?identifier=x|77",
            "patient/1",
        ] {
            assert_eq!(references.person(reference), None, "{reference}");
        }
    }

    #[test]
    fn entries_of_a_bundle_know_each_other_by_full_url() {
        let text = r#"{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:x","resource":{"resourceType":"Patient","id":"1"}},
            {"fullUrl":"http://server/Patient/other","resource":{"resourceType":"Patient","id":"1"}}]}"#;
        let (bundle, _) = Bundle::open(text.as_bytes(), 0..text.len());
        let directory = directory(&[person("1")]);
        let references = References::new(&directory, "s", Some(&bundle), Some("http://server/Encounter/9"));
        for reference in ["urn:uuid:x", "Patient/other", "http://server/Patient/other/_history/1", "Patient/1"] {
            assert_eq!(references.person(reference), Some(person("1")), "{reference}");
        }
        assert_eq!(references.id("urn:uuid:x", Some("Patient")).as_deref(), Some("1"));
        assert_eq!(references.id("urn:uuid:x", Some("Group")).as_deref(), Some("x"));
        assert_eq!(references.id("Device/7", Some("Patient")), None);
    }

    #[test]
    fn a_role_leads_to_its_practitioner() {
        let provider = omop_key("s", "Practitioner/p", "provider", "");
        let mut directory = directory(&[provider]);
        directory.practitioner_of_role.insert(name_key("PractitionerRole/r"), "Practitioner/p".into());
        let references = References::new(&directory, "s", None, None);
        assert_eq!(references.provider("PractitionerRole/r"), Some(provider));
        assert_eq!(references.provider("PractitionerRole/q"), None);
    }

    #[test]
    fn who_was_merged_into_another_is_that_one() {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(person);
        let mut directory = directory(&[c]);
        directory.merged.extend([(a, b), (b, c), (d, person("e")), (person("e"), d)]);
        let references = References::new(&directory, "s", None, None);
        assert_eq!(["Patient/a", "Patient/b", "Patient/c"].map(|name| references.person(name)), [Some(c); 3]);
        assert_eq!(["Patient/d", "Patient/e", "Patient/f"].map(|name| references.person(name)), [None; 3]);
    }

    #[test]
    fn other_answers_have_another_hash() {
        let (full, empty) = (directory(&[person("1")]), directory(&[]));
        let (a, b) = (References::new(&full, "s", None, None), References::new(&empty, "s", None, None));
        a.person("Patient/1");
        b.person("Patient/1");
        assert_ne!(a.answers(), b.answers());
    }
}
