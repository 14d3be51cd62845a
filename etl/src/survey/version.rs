//! Which of several versions of a resource counts.

use std::collections::HashMap;

use crate::error::Result;
use crate::extract::record::Position;
use crate::spill::Spill;

/// Why a version of a resource does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loser {
    /// The same content stands elsewhere in the input.
    Duplicate,
    /// The input has a newer version.
    Superseded,
}

/// One version of a resource in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The [`name_key`](crate::reference::name_key) of the resource.
    pub name: u64,
    /// `meta.lastUpdated` in microseconds since 1970-01-01; the least number when it is not told.
    pub last_updated: i64,
    /// `meta.versionId` where it is a number, else 0.
    pub version: u64,
    /// Where it stands.
    pub position: Position,
    /// A hash of its text.
    pub text_hash: u64,
    /// False when the version takes the resource's rows away.
    pub has_rows: bool,
    /// A deletion that does not tell its day, as those of a bulk export.
    pub is_undated_deletion: bool,
}

impl Version {
    /// The version as an entry of a [`Spill`].
    pub fn words(self) -> [u64; 6] {
        let [place, line] = words_of(self.position);
        let order = (self.last_updated as u64) ^ (1 << 63);
        let flags = (u64::from(self.is_undated_deletion) << 1) | u64::from(self.has_rows);
        let version = (self.version.min(u64::MAX >> 2) << 2) | flags;
        [self.name, order, version, place, line, self.text_hash]
    }

    fn from_words([name, order, version, place, line, text_hash]: [u64; 6]) -> Version {
        Version {
            name,
            last_updated: (order ^ (1 << 63)) as i64,
            version: version >> 2,
            position: position_of([place, line]),
            text_hash,
            has_rows: version & 1 == 1,
            is_undated_deletion: version & 2 == 2,
        }
    }
}

/// A position as a part of an entry of a [`Spill`].
pub fn words_of(Position { file, line, entry }: Position) -> [u64; 2] {
    [(u64::from(file) << 32) | u64::from(entry), line]
}

/// The position of [`words_of`].
pub fn position_of([place, line]: [u64; 2]) -> Position {
    Position { file: (place >> 32) as u32, line, entry: place as u32 }
}

/// Versions that do not count, and for each resource with several whether the one that counts has rows.
pub type Judged = (HashMap<Position, Loser>, HashMap<u64, bool>);

/// Finds of each resource the version that counts: the newest.
///
/// # Errors
/// What did not fit into memory cannot be read again.
pub fn judge(versions: Vec<Spill<6>>) -> Result<Judged> {
    let (mut losers, mut winners) = (HashMap::new(), HashMap::new());
    Spill::shared(versions, |same| {
        let mut same: Vec<_> = same.iter().map(|words| Version::from_words(*words)).collect();
        same.sort_unstable();
        // Without a day a deletion takes away what stands before it, and nothing that comes after.
        let newest = same.iter().rev().find(|version| !version.is_undated_deletion).map(|newest| newest.position);
        same.sort_by_key(|version| version.is_undated_deletion && newest.is_none_or(|at| version.position > at));
        let Some((winner, others)) = same.split_last() else { return };
        winners.insert(winner.name, winner.has_rows);
        for version in others {
            let loser = if version.text_hash == winner.text_hash { Loser::Duplicate } else { Loser::Superseded };
            losers.insert(version.position, loser);
        }
    })?;
    Ok((losers, winners))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(last_updated: i64, version: u64, line: u64, text_hash: u64) -> Version {
        let position = Position { file: 0, line, entry: 0 };
        Version { name: 1, last_updated, version, position, text_hash, has_rows: true, is_undated_deletion: false }
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

    #[test]
    fn a_deletion_without_a_day_takes_what_stands_before_it() {
        let deletion = |line| Version { has_rows: false, is_undated_deletion: true, ..version(i64::MIN, 0, line, 0) };
        assert_eq!(loser(&[version(5, 2, 1, 1), deletion(2)]), [(1, Loser::Superseded)]);
        assert_eq!(loser(&[deletion(1), version(5, 2, 2, 1)]), [(1, Loser::Superseded)]);
        let again = [version(5, 2, 1, 1), deletion(2), version(6, 3, 3, 2)];
        assert_eq!(loser(&again), [(1, Loser::Superseded), (2, Loser::Superseded)]);
        let twice = [version(5, 2, 1, 1), deletion(2), deletion(3)];
        assert_eq!(loser(&twice), [(1, Loser::Superseded), (2, Loser::Duplicate)]);
    }
}
