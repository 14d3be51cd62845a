//! Who the people are: age, sex, race, language, place, name, and when they die of old age. All shares come from the
//! tables in `generator/data`.

mod table;

use chrono::{Days, NaiveDate};
use fake::Fake;
use fake::faker::address::raw::{BuildingNumber, StreetName};
use fake::faker::name::raw::LastName;
use fake::faker::number::raw::NumberWithFormat;
use fake::locales::EN;

use crate::data_table::data_table;
use crate::moment::{DAY, Moment, Zone, age_exact, age_years, midnight};
use crate::random::{Stream, ln, power};
use crate::record::Patient;
use crate::{Error, Options};

use table::{AgeSex, GivenName, MaritalStatus, Mortality, RaceEthnicity, Smoking};
pub use table::{Language, Race, State, Town};

/// Years before the end date in which people of the population may die: everybody is alive when they begin.
const MORTALITY_YEARS: i32 = 10;

/// The tables of people and places.
#[derive(Debug)]
pub struct Population {
    age_sex: Vec<AgeSex>,
    races_of: Vec<RaceEthnicity>,
    /// Races by CDC code.
    pub races: Vec<Race>,
    /// Languages.
    pub languages: Vec<Language>,
    marital_status: Vec<MaritalStatus>,
    smoking: Vec<Smoking>,
    mortality: Vec<Mortality>,
    pub(crate) male_names: Vec<String>,
    pub(crate) female_names: Vec<String>,
    /// States lived in.
    pub states: Vec<State>,
    /// Towns of those states.
    pub towns: Vec<Town>,
    /// Chance of each (age, sex), before mortality is taken into account.
    ages: Vec<(i32, bool, f64)>,
}

/// What one person is like besides the demographics that are written.
#[derive(Clone, Debug)]
pub struct Life {
    /// Moment of death by the life table.
    pub death: Option<Moment>,
    /// Ages at which smoking begins and ends.
    pub smoking: Option<(f64, f64)>,
    /// Years of schooling in a word.
    pub education: &'static str,
    /// Income of the household in dollars.
    pub income: f64,
    /// Where 0..100 of the marital distribution this person stands.
    pub marital_rank: f64,
}

impl Population {
    /// Reads the tables and keeps the state asked for.
    ///
    /// # Errors
    /// When the state is not known.
    pub fn new(options: &Options) -> Result<Population, Error> {
        let names: Vec<GivenName> = data_table!("given_name")?;
        let of = |sex: &str| names.iter().filter(|row| row.sex == sex).map(|row| row.name.clone()).collect();
        let mut population = Population {
            age_sex: data_table!("age_sex")?,
            races_of: data_table!("race_ethnicity")?,
            races: data_table!("race")?,
            languages: data_table!("language")?,
            marital_status: data_table!("marital_status")?,
            smoking: data_table!("smoking")?,
            mortality: data_table!("mortality")?,
            male_names: of("M"),
            female_names: of("F"),
            states: data_table!("state")?,
            towns: data_table!("town")?,
            ages: Vec::new(),
        };
        if let Some(wanted) = &options.state {
            population
                .states
                .retain(|state| state.code.eq_ignore_ascii_case(wanted) || state.name.eq_ignore_ascii_case(wanted));
            if population.states.is_empty() {
                let message = format!("there is no state `{wanted}`, expected a name or two letters, such as MA");
                return Err(Error::Option { option: "state", message });
            }
            let code = population.states[0].code.clone();
            population.towns.retain(|town| town.state == code);
        }
        population.ages = population.age_weights();
        Ok(population)
    }

    /// The name of the state that a town lies in.
    pub fn state_name(&self, town: usize) -> &str {
        let code = &self.towns[town].state;
        self.states.iter().find(|state| state.code == *code).map_or(code, |state| &state.name)
    }

    /// The word of a patient's first race.
    pub fn first_race(&self, patient: &Patient) -> &str {
        patient.races.first().map_or("", |row| &self.races[*row].word)
    }

    /// `hispanic`, or the word of the first race.
    pub fn group(&self, patient: &Patient) -> &str {
        if patient.hispanic { "hispanic" } else { self.first_race(patient) }
    }

    /// Chance to die between two birthdays: log-linear between the ages of the table.
    pub fn yearly_death(&self, age: i32, female: bool) -> f64 {
        let age = f64::from(age);
        let value = |row: &Mortality| if female { row.female } else { row.male };
        let above = self.mortality.partition_point(|row| row.age <= age);
        if above == self.mortality.len() {
            return value(&self.mortality[above - 1]);
        }
        let (low, high) = (&self.mortality[above - 1], &self.mortality[above]);
        let share = (age - low.age) / (high.age - low.age);
        value(low) * power(value(high) / value(low), share)
    }

    /// The living have the ages of the census; those who die within the last years come on top.
    fn age_weights(&self) -> Vec<(i32, bool, f64)> {
        let mut weights = Vec::new();
        for band in &self.age_sex {
            for age in band.age_from..=band.age_to {
                for (female, people) in [(false, band.male), (true, band.female)] {
                    let survival: f64 =
                        ((age - MORTALITY_YEARS).max(0)..age).map(|age| 1.0 - self.yearly_death(age, female)).product();
                    weights.push((age, female, people / f64::from(band.age_to - band.age_from + 1) / survival));
                }
            }
        }
        weights
    }

    /// One person of the population.
    pub fn person(&self, options: &Options, index: u64) -> (Patient, Life) {
        let mut stream = Stream::new(options.seed, index, "demographics");
        let (age, female, _) = self.ages[stream.weighted(self.ages.iter().map(|row| row.2))];
        let days = (f64::from(age) * 365.25) as u64 + 1 + stream.below(365);
        let birth = options.end_date.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN);
        let place = self.place(&mut stream);
        let row = &self.races_of[stream.weighted(self.races_of.iter().map(|row| row.share))];
        let races = [Some(&row.race), row.second_race.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|code| self.races.iter().position(|race| race.code == *code))
            .collect();
        let hispanic = row.ethnicity == "2135-2";
        let group = if hispanic {
            "hispanic"
        } else if row.race == "2028-9" {
            "asian"
        } else {
            "other"
        };
        let of_group = |language: &Language| if language.group == group { language.share } else { 0.0 };
        let language = stream.weighted(self.languages.iter().map(of_group));
        let life = self.life(&mut stream, options, birth, female);
        let patient = Patient {
            seed: options.seed,
            index,
            female,
            birth,
            zone: self.zone(place),
            races,
            hispanic,
            language,
            town: place,
            marital_status: self.marital_status(age_years(birth, midnight(options.end_date)), life.marital_rank),
            ..self.names(options, index, female)
        };
        (patient, life)
    }

    /// Code of the marital status at an age, for a person of that rank.
    pub fn marital_status(&self, age: i32, rank: f64) -> &'static str {
        let above = self.marital_status.partition_point(|row| row.age_from <= age);
        let row = &self.marital_status[above.max(1) - 1];
        let mut rest = rank;
        for (code, share) in [("S", row.single), ("M", row.married), ("D", row.divorced), ("W", row.widowed)] {
            if rest < share {
                return code;
            }
            rest -= share;
        }
        "M"
    }

    /// The zone of a town.
    pub fn zone(&self, town: usize) -> Zone {
        let code = &self.towns[town].state;
        let state = self.states.iter().find(|state| state.code == *code).unwrap_or(&self.states[0]);
        Zone { standard_minutes: state.offset_minutes, daylight_saving: state.daylight_saving == "y" }
    }

    fn place(&self, stream: &mut Stream) -> usize {
        let state = &self.states[stream.weighted(self.states.iter().map(|state| state.population))];
        let here = |town: &Town| if town.state == state.code { town.weight } else { 0.0 };
        stream.weighted(self.towns.iter().map(here))
    }

    fn life(&self, stream: &mut Stream, options: &Options, birth: NaiveDate, female: bool) -> Life {
        let cohort = self.smoking.partition_point(|row| f64::from(row.born_from) <= year_of(birth));
        let cohort = &self.smoking[cohort.max(1) - 1];
        let begin = stream.between(15.0, 22.0);
        let quit = begin + 1.0 + stream.exponential(1.0 / cohort.quit_per_year);
        let smokes = stream.chance(if female { cohort.ever_female } else { cohort.ever_male });
        let schooling = stream.unit();
        let education = match schooling {
            share if share < 0.11 => "less_than_hs",
            share if share < 0.39 => "hs_degree",
            share if share < 0.66 => "some_college",
            _ => "bs_degree",
        };
        // Median about 75,000 dollars; schooling explains a part.
        let income = 75_000.0 * crate::random::exp(0.65 * stream.normal() + 0.7 * (schooling - 0.5));
        Life {
            death: self.natural_death(stream, options, birth, female),
            smoking: smokes.then_some((begin, quit)),
            education,
            income: (income / 100.0).round() * 100.0,
            marital_rank: stream.between(0.0, 100.0),
        }
    }

    /// Inverts the life table's hazard with one draw.
    fn natural_death(&self, stream: &mut Stream, options: &Options, birth: NaiveDate, female: bool) -> Option<Moment> {
        let mut rest = stream.exponential(1.0);
        let end = midnight(options.end_date);
        let from = (end - i64::from(MORTALITY_YEARS) * 365 * DAY).max(midnight(birth));
        let mut time = from;
        while time < end {
            let age = age_exact(birth, time);
            let hazard = -ln(1.0 - self.yearly_death(age as i32, female));
            let span = (((age + 1e-9).floor() + 1.0 - age) * 365.25).max(0.01);
            if rest < hazard * span / 365.25 {
                let death = time + (rest / hazard * 365.25 * DAY as f64) as i64;
                return (death < end).then_some(death);
            }
            rest -= hazard * span / 365.25;
            time += (span * DAY as f64) as i64 + 1;
        }
        None
    }

    fn names(&self, options: &Options, index: u64, female: bool) -> Patient {
        let mut stream = Stream::new(options.seed, index, "names");
        let names = if female { &self.female_names } else { &self.male_names };
        let mut given = || names[stream.below(names.len() as u64) as usize].clone();
        let given = [given(), given()];
        let number: String = BuildingNumber(EN).fake_with_rng(&mut stream);
        let street: String = StreetName(EN).fake_with_rng(&mut stream);
        Patient {
            given,
            family: LastName(EN).fake_with_rng(&mut stream),
            street: format!("{number} {street}"),
            // Exchange 555: no telephone rings.
            phone: NumberWithFormat(EN, "555-^##-####").fake_with_rng(&mut stream),
            // Area 999 was never given out.
            ssn: NumberWithFormat(EN, "999-^#-^###").fake_with_rng(&mut stream),
            mrn: format!("MRN{:012}", stream.below(1_000_000_000_000)),
            ..Patient::default()
        }
    }
}

fn year_of(birth: NaiveDate) -> f64 {
    f64::from(chrono::Datelike::year(&birth))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population() -> Population {
        Population::new(&Options::default()).unwrap()
    }

    #[test]
    fn life_expectancy_is_the_published_one() {
        let population = population();
        for (female, published) in [(false, 76.23), (true, 81.28)] {
            let (mut alive, mut years) = (1.0, 0.0);
            for age in 0..120 {
                let dies = population.yearly_death(age, female);
                years += alive * (1.0 - dies / 2.0);
                alive *= 1.0 - dies;
            }
            assert!((years - published).abs() < 1.0_f64, "{years} instead of {published}");
        }
    }

    #[test]
    fn the_population_looks_like_the_census() {
        let population = population();
        let options = Options::default();
        let end = midnight(options.end_date);
        let people: Vec<_> = (0..8000).map(|index| population.person(&options, index)).collect();
        let living: Vec<_> = people.iter().filter(|(_, life)| life.death.is_none()).collect();
        let share = |count: usize| count as f64 / living.len() as f64;
        let of_age = |low, high| {
            share(living.iter().filter(|(patient, _)| (low..high).contains(&age_years(patient.birth, end))).count())
        };
        assert!((of_age(0, 18) - 0.22).abs() < 0.02, "{}", of_age(0, 18));
        assert!((of_age(65, 120) - 0.175).abs() < 0.02, "{}", of_age(65, 120));
        assert!((share(living.iter().filter(|(patient, _)| patient.female).count()) - 0.505).abs() < 0.02);
        assert!((share(living.iter().filter(|(patient, _)| patient.hispanic).count()) - 0.19).abs() < 0.02);
        let smokers = living.iter().filter(|(patient, life)| {
            let age = age_exact(patient.birth, end);
            age >= 18.0 && life.smoking.is_some_and(|(from, to)| (from..to).contains(&age))
        });
        let smoking = smokers.count() as f64 / (living.len() as f64 * (1.0 - of_age(0, 18)));
        assert!((smoking - 0.125).abs() < 0.025, "{smoking}");
    }

    #[test]
    fn names_are_functions_of_seed_and_index() {
        let population = population();
        let options = Options::default();
        let of = |index| population.person(&options, index).0;
        assert_eq!(format!("{:?}", of(5)), format!("{:?}", of(5)));
        assert_ne!(of(5).family.clone() + &of(5).street, of(6).family.clone() + &of(6).street);
        assert!(of(5).ssn.starts_with("999-"));
    }

    #[test]
    fn one_state_only() {
        let options = Options { state: Some("massachusetts".into()), ..Options::default() };
        let population = Population::new(&options).unwrap();
        assert!(population.towns.iter().all(|town| town.state == "MA"));
        let options = Options { state: Some("Atlantis".into()), ..Options::default() };
        assert!(Population::new(&options).unwrap_err().to_string().contains("Atlantis"));
    }
}
