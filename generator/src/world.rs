//! Everything that is the same for all people of a run: tables, modules, facilities, constraints.

use serde::Deserialize;

use crate::constraint::Constraints;
use crate::data_table::data_table;
use crate::dirt::{OtherUnits, Rates};
#[cfg(test)]
use crate::engine::Value;
use crate::facility::Facilities;
use crate::host::{HostAttributes, HostCodes, Risks, VitalSigns};
use crate::module::{Id, Library, Source};
use crate::population::Population;
use crate::{Error, Options};

/// What a life is run in.
#[derive(Debug)]
pub struct World {
    /// The caller's choices.
    pub options: Options,
    /// Demographics.
    pub population: Population,
    /// Clinics, hospitals, doctors.
    pub facilities: Facilities,
    /// Modules.
    pub library: Library,
    /// Vital signs and laboratory values.
    pub vital_signs: VitalSigns,
    /// Yearly risks.
    pub risks: Risks,
    /// Attributes that the host sets.
    pub host_attributes: HostAttributes,
    /// Codes of the host's own visits.
    pub host_codes: HostCodes,
    /// Domain constraints.
    pub constraints: Constraints,
    /// How much of what is spoiled, and what a day that follows brings.
    pub rates: Rates,
    /// Units that stand where others should.
    pub other_units: OtherUnits,
    /// Discharged home.
    pub discharge_home: Id,
    /// Died during the stay.
    pub discharge_expired: Id,
    /// By code: reference ranges of men and women.
    ranges: Vec<[Option<Range>; 2]>,
}

type Range = (Option<f64>, Option<f64>);

#[derive(Debug, Deserialize)]
struct ReferenceRange {
    code: String,
    sex: Option<String>,
    low: Option<f64>,
    high: Option<f64>,
}

impl World {
    /// Reads tables and modules.
    ///
    /// # Errors
    /// When an option, a module or a table is not what it should be.
    pub fn new(options: &Options, modules: &Source) -> Result<World, Error> {
        let population = Population::new(options)?;
        let mut library = Library::compile(modules)?;
        let vital_signs = VitalSigns::new(&mut library)?;
        let risks = Risks::new(&mut library, &vital_signs)?;
        let host_attributes = HostAttributes::new(&mut library);
        let host_codes = HostCodes::new(&mut library);
        let discharge_home = library.codes.intern(crate::engine::discharge_code("home", "Home"));
        let discharge_expired = library.codes.intern(crate::engine::discharge_code("exp", "Expired"));
        Ok(World {
            facilities: Facilities::new(&population, options.seed),
            constraints: Constraints::new(&library.codes),
            ranges: reference_ranges(&library)?,
            options: options.clone(),
            rates: options.dirt.clone().map_or_else(Rates::clean, Ok)?,
            other_units: OtherUnits::new()?,
            population,
            library,
            vital_signs,
            risks,
            host_attributes,
            host_codes,
            discharge_home,
            discharge_expired,
        })
    }

    /// The laboratory's reference range of an observation.
    pub fn reference_range(&self, codes: Id, female: bool) -> Option<Range> {
        let first = self.library.codes.lists()[codes as usize][0];
        self.ranges[first as usize][usize::from(female)]
    }

    /// The attribute of that name.
    #[cfg(test)]
    pub fn attribute<'a>(&self, values: &'a [Value], name: &str) -> &'a Value {
        self.library.attributes.get(name).map_or(&Value::Nil, |id| &values[id as usize])
    }
}

fn reference_ranges(library: &Library) -> Result<Vec<[Option<Range>; 2]>, Error> {
    let rows: Vec<ReferenceRange> = data_table!("reference_range")?;
    let of = |code: &str, sex: &str| {
        rows.iter()
            .find(|row| row.code == code && row.sex.as_deref().is_none_or(|only| only == sex))
            .map(|row| (row.low, row.high))
    };
    Ok(library
        .codes
        .all()
        .iter()
        .map(|code| match code.system.as_str() {
            "http://loinc.org" => [of(&code.code, "M"), of(&code.code, "F")],
            _ => [None, None],
        })
        .collect())
}
