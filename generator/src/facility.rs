//! Where people are seen and by whom: a clinic and a hospital per town, the same for every shard.

use fake::Fake;
use fake::faker::address::raw::{BuildingNumber, StreetName};
use fake::faker::name::raw::LastName;
use fake::faker::number::raw::NumberWithFormat;
use fake::locales::EN;

use crate::population::Population;
use crate::random::Stream;

/// A clinic and a hospital per town, and who works there.
#[derive(Debug)]
pub struct Facilities {
    /// Seed of the run.
    pub seed: u64,
    /// Organizations: two per town, the clinic first.
    pub organizations: Vec<Organization>,
    /// Practitioners: four per town.
    pub practitioners: Vec<Practitioner>,
}

/// A clinic or hospital.
#[derive(Debug)]
pub struct Organization {
    /// Its name.
    pub name: String,
    /// Row of the town table.
    pub town: usize,
    /// House and street.
    pub street: String,
    /// Telephone number.
    pub phone: String,
}

/// A doctor.
#[derive(Debug)]
pub struct Practitioner {
    /// Sex.
    pub female: bool,
    /// Given name.
    pub given: String,
    /// Family name.
    pub family: String,
    /// NPI-shaped number.
    pub npi: String,
}

/// Practitioners per town: two of the clinic, then one of the emergency room, then one of the wards.
pub const PRACTITIONERS_PER_TOWN: usize = 4;

impl Facilities {
    /// The set that belongs to these towns and this seed.
    pub fn new(population: &Population, seed: u64) -> Facilities {
        let mut facilities = Facilities { seed, organizations: Vec::new(), practitioners: Vec::new() };
        for (index, town) in population.towns.iter().enumerate() {
            let mut stream = Stream::new(seed, index as u64, &format!("facility/{}/{}", town.state, town.city));
            for kind in ["Family Health Center", "General Hospital"] {
                let building: String = BuildingNumber(EN).fake_with_rng(&mut stream);
                let street: String = StreetName(EN).fake_with_rng(&mut stream);
                facilities.organizations.push(Organization {
                    name: format!("{} {kind}", town.city),
                    town: index,
                    street: format!("{building} {street}"),
                    phone: NumberWithFormat(EN, "555-^##-####").fake_with_rng(&mut stream),
                });
            }
            for _ in 0..PRACTITIONERS_PER_TOWN {
                let female = stream.chance(0.5);
                let names = if female { &population.female_names } else { &population.male_names };
                facilities.practitioners.push(Practitioner {
                    female,
                    given: names[stream.below(names.len() as u64) as usize].clone(),
                    family: LastName(EN).fake_with_rng(&mut stream),
                    npi: NumberWithFormat(EN, "99########").fake_with_rng(&mut stream),
                });
            }
        }
        facilities
    }

    /// Id of one of them.
    pub fn id(&self, kind: &str, n: usize) -> uuid::Uuid {
        crate::random::uuid(self.seed, u64::MAX, kind, n as u64)
    }
}
