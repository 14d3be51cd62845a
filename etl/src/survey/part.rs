//! Encounters that are parts of others.

use std::collections::HashMap;

use super::Candidate;
use crate::id_set::IdSet;

/// An Encounter that is part of another, by the ids of rows.
pub(super) struct Part {
    /// The visit that it would be alone.
    pub(super) visit_id: i64,
    /// The detail that it is.
    pub(super) detail_id: i64,
    /// The visit around it.
    pub(super) whole_id: i64,
    /// Its row.
    pub(super) candidate: Candidate,
}

/// A part of a visit is a detail of the outermost visit that exists; a part of nothing is a visit of its own. Adds the
/// rows of both to `rows`; returns the visit around each detail.
pub(super) fn place_parts(parts: &[Part], rows: &mut Vec<i64>) -> HashMap<i64, i64> {
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
