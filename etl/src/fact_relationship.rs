//! Pairs of facts that belong together: an Observation and its members, and the Observations that another one was derived
//! from. Whichever came first, and in whichever run, the pair is there as soon as both have rows, and goes with either.
//!
//! The links of this source are held in memory, some hundred bytes each.

use std::collections::{BTreeMap, HashMap, HashSet};

use datafusion::prelude::SessionContext;
use model::omop::{FactRelationship, NO_MATCHING_CONCEPT};
use model::vocabulary::rule;

use crate::error::Result;
use crate::query::{for_each, numbers, quoted, texts};
use crate::vocabulary::Domain;

/// What of `fact_relationship` must change.
#[derive(Debug, Default, PartialEq)]
pub struct Change {
    /// Rows to write.
    pub written: Vec<FactRelationship>,
    /// The first facts of the rows to take away before.
    pub gone: HashSet<i64>,
    /// Links of this run to Observations without rows, by element.
    pub unresolved: BTreeMap<&'static str, u64>,
}

impl Change {
    /// True when the table is as it should be.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.gone.is_empty()
    }
}

/// A row of an Observation: its domain and its id.
type Fact = (Domain, i64);

/// What one resource says of another.
struct Link {
    observation: String,
    related: String,
    is_member: bool,
    is_new: bool,
}

/// A row of the table, comparable.
type Pair = [i64; 5];

/// Compares the links of a source, as the staged tables have them, with the rows that there are.
///
/// # Errors
/// The tables cannot be read.
pub async fn change(session: &SessionContext, source_id: &str, run_id: &str) -> Result<Change> {
    let links = links(session, source_id, run_id).await?;
    let facts = facts(session, source_id, &links).await?;
    let (wanted, unresolved) = pairs(&links, &facts);
    let held = held(session, source_id).await?;
    // A row has no key: what differs is replaced together with all that has the same first fact.
    let gone: HashSet<i64> = wanted.symmetric_difference(&held).map(|pair| pair[1]).collect();
    let mut written: Vec<_> = wanted.into_iter().filter(|pair| gone.contains(&pair[1])).collect();
    written.sort_unstable();
    Ok(Change { written: written.into_iter().map(row).collect(), gone, unresolved })
}

/// The relationship that an Observation may have with others is read from its flat table.
async fn links(session: &SessionContext, source_id: &str, run_id: &str) -> Result<Vec<Link>> {
    let sql = format!(
        "select observation_id, related_observation_id, relation, pipeline_run_id from fhir.observation_relation \
         where source_id = '{}' and related_observation_id is not null",
        quoted(source_id)
    );
    let mut links = Vec::new();
    for_each(session, &sql, |batch| {
        let columns = [0, 1, 2, 3].map(|column| texts(batch, column).into_iter());
        let [observations, related, relations, runs] = columns;
        for (((observation, related), relation), run) in observations.zip(related).zip(relations).zip(runs) {
            let (is_member, is_new) = (relation == "hasMember", run == run_id);
            links.push(Link { observation, related, is_member, is_new });
        }
    })
    .await?;
    Ok(links)
}

/// The rows of the Observations that links name: those of the Observation's own result, or else of its components.
async fn facts(session: &SessionContext, source_id: &str, links: &[Link]) -> Result<HashMap<String, Vec<Fact>>> {
    let mut facts: HashMap<String, Vec<(bool, Fact)>> = HashMap::new();
    if links.is_empty() {
        return Ok(HashMap::new());
    }
    let source_id = quoted(source_id);
    let sql = format!(
        "select resource_id, omop_table, omop_id, part from quality.crosswalk \
         where source_id = '{source_id}' and resource_type = 'Observation' and resource_id in \
         (select observation_id from fhir.observation_relation where source_id = '{source_id}' union all \
         select related_observation_id from fhir.observation_relation where source_id = '{source_id}')"
    );
    for_each(session, &sql, |batch| {
        let rows = texts(batch, 0).into_iter().zip(texts(batch, 1)).zip(numbers(batch, 2)).zip(texts(batch, 3));
        for (((observation, table), id), part) in rows {
            if let Some(domain) = Domain::EVENTS.into_iter().find(|domain| domain.table() == table) {
                facts.entry(observation).or_default().push((!part.is_empty(), (domain, id)));
            }
        }
    })
    .await?;
    let own = facts.into_iter().map(|(observation, rows)| {
        let is_part = rows.iter().all(|(is_part, _)| *is_part);
        (observation, rows.into_iter().filter(|row| row.0 == is_part).map(|(_, fact)| fact).collect())
    });
    Ok(own.collect())
}

/// Both directions of every link whose two sides have rows, and how many of this run's lead to none.
fn pairs(links: &[Link], facts: &HashMap<String, Vec<Fact>>) -> (HashSet<Pair>, BTreeMap<&'static str, u64>) {
    let (mut pairs, mut unresolved) = (HashSet::new(), BTreeMap::new());
    for link in links {
        let Some(own) = facts.get(&link.observation) else { continue };
        let Some(related) = facts.get(&link.related).filter(|_| link.related != link.observation) else {
            let element = if link.is_member { "Observation.hasMember" } else { "Observation.derivedFrom" };
            *unresolved.entry(element).or_default() += u64::from(link.is_new);
            continue;
        };
        let (parents, children) = if link.is_member { (own, related) } else { (related, own) };
        for parent in parents {
            for child in children {
                // The vocabulary has a standard concept for pairs of measurements, and for no others.
                let is_measured = parent.0 == Domain::Measurement && child.0 == Domain::Measurement;
                let kind = |concept_id: i32| if is_measured { concept_id } else { NO_MATCHING_CONCEPT };
                pairs.insert(pair(parent, child, kind(rule::RELATIONSHIP_PARENT_TO_CHILD)));
                pairs.insert(pair(child, parent, kind(rule::RELATIONSHIP_CHILD_TO_PARENT)));
            }
        }
    }
    (pairs, unresolved)
}

async fn held(session: &SessionContext, source_id: &str) -> Result<HashSet<Pair>> {
    let mut held = HashSet::new();
    let sql = format!(
        "select cast(domain_concept_id_1 as bigint), fact_id_1, cast(domain_concept_id_2 as bigint), fact_id_2, \
         cast(relationship_concept_id as bigint) from omop.fact_relationship where source_id = '{}'",
        quoted(source_id)
    );
    for_each(session, &sql, |batch| {
        let columns = [0, 1, 2, 3, 4].map(|column| numbers(batch, column));
        held.extend((0..batch.num_rows()).map(|row| [0, 1, 2, 3, 4].map(|column| columns[column][row])));
    })
    .await?;
    Ok(held)
}

fn pair(one: &Fact, other: &Fact, relationship_concept_id: i32) -> Pair {
    [domain_concept(one.0), one.1, domain_concept(other.0), other.1, i64::from(relationship_concept_id)]
}

fn domain_concept(domain: Domain) -> i64 {
    let known = model::vocabulary::domains().find(|row| row.domain_id == domain.domain_id());
    known.map_or(NO_MATCHING_CONCEPT, |row| row.domain_concept_id).into()
}

fn row(pair: Pair) -> FactRelationship {
    FactRelationship {
        domain_concept_id_1: pair[0] as i32,
        fact_id_1: pair[1],
        domain_concept_id_2: pair[2] as i32,
        fact_id_2: pair[3],
        relationship_concept_id: pair[4] as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(observation: &str, related: &str, is_member: bool) -> Link {
        Link { observation: observation.into(), related: related.into(), is_member, is_new: true }
    }

    fn facts() -> HashMap<String, Vec<Fact>> {
        HashMap::from([
            ("panel".to_owned(), vec![(Domain::Measurement, 1)]),
            ("member".to_owned(), vec![(Domain::Measurement, 2)]),
            ("survey".to_owned(), vec![(Domain::Observation, 3), (Domain::Condition, 4)]),
        ])
    }

    #[test]
    fn a_member_is_a_child_and_what_is_derived_is_one_too() {
        let both = [[21, 1, 21, 2, 581436], [21, 2, 21, 1, 581437]].into();
        assert_eq!(pairs(&[link("panel", "member", true)], &facts()), (both, BTreeMap::new()));
        let both = [[21, 2, 21, 1, 581436], [21, 1, 21, 2, 581437]].into();
        assert_eq!(pairs(&[link("panel", "member", false)], &facts()).0, both);
    }

    #[test]
    fn other_pairs_have_no_concept_and_every_row_of_a_side_counts() {
        let (found, _) = pairs(&[link("survey", "member", true)], &facts());
        assert_eq!(found, [[27, 3, 21, 2, 0], [21, 2, 27, 3, 0], [19, 4, 21, 2, 0], [21, 2, 19, 4, 0]].into());
        assert!(Domain::EVENTS.into_iter().all(|domain| domain_concept(domain) != 0));
    }

    #[test]
    fn links_to_nothing_are_counted_where_they_come_from() {
        let links = [link("panel", "lost", true), link("panel", "panel", false), link("lost", "panel", true)];
        let expected = BTreeMap::from([("Observation.hasMember", 1), ("Observation.derivedFrom", 1)]);
        assert_eq!(pairs(&links, &facts()), (HashSet::new(), expected));
        let old = Link { is_new: false, ..link("panel", "lost", true) };
        assert_eq!(pairs(&[old], &facts()).1.values().sum::<u64>(), 0);
    }
}
