//! The members of a record's outermost object by name. They are asked for again and again, and most of them are not
//! there: without an index every such question goes over all members.

/// Twice as many as the members that the index takes, so that a place is found quickly.
const PLACES: usize = 128;
const MOST_MEMBERS: u32 = 64;

/// Where the names of the outermost members stand among the nodes.
pub struct Index {
    /// The node of a name, 0 for none: what is outermost has node 0, and it is no name.
    places: [u32; PLACES],
    members: u32,
}

impl Default for Index {
    fn default() -> Self {
        Index { places: [0; PLACES], members: 0 }
    }
}

impl Index {
    /// Forgets all names.
    #[inline]
    pub fn clear(&mut self) {
        if self.members > 0 {
            *self = Index::default();
        }
    }

    /// Adds the name at the node `key`.
    #[inline]
    pub fn add(&mut self, fingerprint: u32, key: usize) {
        self.members += 1;
        if self.members <= MOST_MEMBERS {
            let mut place = place(fingerprint);
            while self.places[place] != 0 {
                place = (place + 1) % PLACES;
            }
            self.places[place] = key as u32;
        }
    }

    /// The nodes of the names that may have that fingerprint; none when there are too many names for the index.
    #[inline]
    pub fn candidates(&self, fingerprint: u32) -> Option<impl Iterator<Item = u32>> {
        let mut at = place(fingerprint);
        (self.members <= MOST_MEMBERS).then(|| {
            std::iter::from_fn(move || {
                let key = self.places[at];
                at = (at + 1) % PLACES;
                (key != 0).then_some(key)
            })
        })
    }
}

#[inline]
fn place(fingerprint: u32) -> usize {
    (fingerprint.wrapping_mul(0x9e37_79b1) >> 25) as usize
}
