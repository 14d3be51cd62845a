//! States and transitions of a module.

use super::Id;
use super::distribution::{Distribution, Duration};
use super::logic::{By, Condition, ConstantValue};
use super::lookup::Lookup;

/// One state.
#[derive(Debug)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Set when some PriorState condition asks for a state of that name.
    pub tracked: Option<Id>,
    /// What it does.
    pub kind: Kind,
    /// Where it leads.
    pub transition: Transition,
}

/// What a state does.
#[derive(Debug)]
pub enum Kind {
    /// The entry.
    Initial,
    /// The end of the module.
    Terminal,
    /// Nothing but its transition.
    Simple,
    /// Waits for a span of time.
    Delay(Duration),
    /// Waits for a condition.
    Guard(Condition),
    /// Sets an attribute; clears it when there is no source.
    SetAttribute(Id, Option<ValueSource>),
    /// Adds to an attribute.
    Counter(Id, f64),
    /// Runs another module.
    CallSubmodule(usize),
    /// Opens an encounter, or waits for the next wellness visit.
    Encounter(Encounter),
    /// Ends the encounter that the module opened.
    EncounterEnd(Option<Id>),
    /// A condition begins.
    ConditionOnset(Onset),
    /// A condition ends.
    ConditionEnd(By),
    /// An allergy begins.
    AllergyOnset(Onset, Allergy),
    /// An allergy ends.
    AllergyEnd(By),
    /// A medication is ordered.
    MedicationOrder(MedicationOrder),
    /// A medication ends.
    MedicationEnd(By),
    /// A care plan begins.
    CarePlanStart(CarePlan),
    /// A care plan ends.
    CarePlanEnd(By),
    /// A procedure is done.
    Procedure {
        /// What is done.
        codes: Id,
        /// How long it takes.
        duration: Option<Duration>,
        /// Why.
        reason: Option<Reason>,
        /// The attribute that holds it afterwards.
        assign: Option<Id>,
    },
    /// One observation.
    Observation(Observation),
    /// An observation with components.
    MultiObservation {
        /// What is observed.
        codes: Id,
        /// Its category.
        category: String,
        /// The components.
        components: Vec<Observation>,
    },
    /// A report over observations.
    DiagnosticReport {
        /// What is reported.
        codes: Id,
        /// The observations, in order.
        observations: Vec<Observation>,
    },
    /// A vaccine is given.
    Vaccine(Id),
    /// Pictures are taken.
    ImagingStudy(ImagingStudy),
    /// A device is put in or handed out.
    Device {
        /// Which.
        codes: Id,
        /// The attribute that holds it.
        assign: Option<Id>,
    },
    /// A device is taken out or given back.
    DeviceEnd(By),
    /// Supplies are handed out: what, and how many.
    SupplyList(Vec<(Id, u32)>),
    /// A symptom gets a strength.
    Symptom {
        /// The symptom.
        symptom: Id,
        /// What causes it, where that is not the module.
        cause: Option<Id>,
        /// Chance that it does.
        probability: f64,
        /// How strong, 0 to 100.
        strength: Distribution,
    },
    /// A vital sign is taken over from the host.
    VitalSign(Id, Distribution),
    /// The person dies, at once or after a while, of something or other.
    Death(Option<Duration>, Option<Cause>),
}

/// What somebody dies of.
#[derive(Debug)]
pub enum Cause {
    /// A code.
    Codes(Id),
    /// What an attribute holds.
    Attribute(Id),
    /// The condition that began in a state of the same module.
    State(usize),
}

/// Where the value of an attribute comes from.
#[derive(Debug)]
pub enum ValueSource {
    /// A literal.
    Constant(ConstantValue),
    /// A draw.
    Drawn(Distribution),
    /// Another attribute.
    Attribute(Id),
}

/// An Encounter state.
#[derive(Debug)]
pub struct Encounter {
    /// Waits for the scheduler's wellness visit instead of opening an encounter.
    pub wellness: bool,
    /// Class, such as `ambulatory`.
    pub class: EncounterClass,
    /// Its type.
    pub codes: Option<Id>,
    /// Why.
    pub reason: Option<Reason>,
}

/// Encounter classes of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncounterClass {
    /// A visit by appointment.
    Ambulatory,
    /// The scheduled wellness visit.
    Wellness,
    /// A visit to a hospital's clinic.
    Outpatient,
    /// A visit without appointment.
    UrgentCare,
    /// The emergency department.
    Emergency,
    /// A hospital stay.
    Inpatient,
    /// By telephone or video.
    Virtual,
    /// At the patient's home.
    Home,
    /// A hospice.
    Hospice,
    /// A skilled nursing facility.
    SkilledNursing,
}

/// The start of a condition, an allergy or a care plan.
#[derive(Debug)]
pub struct Onset {
    /// What begins.
    pub codes: Id,
    /// The name of the Encounter state at which it is diagnosed; at once when absent.
    pub target: Option<Id>,
    /// The attribute that holds it.
    pub assign: Option<Id>,
}

/// What is special about an allergy.
#[derive(Debug)]
pub struct Allergy {
    /// `allergy` or `intolerance`.
    pub intolerance: bool,
    /// `food`, `medication`, `environment` or `biologic`.
    pub category: String,
    /// Possible reactions with the chance of each severity; the rest is the chance of none.
    pub reactions: Vec<(Id, Vec<(String, f64)>)>,
}

/// A CarePlanStart state.
#[derive(Debug)]
pub struct CarePlan {
    /// The plan itself.
    pub onset: Onset,
    /// What is to be done.
    pub activities: Option<Id>,
    /// Why.
    pub reason: Option<Reason>,
}

/// An ImagingStudy state.
#[derive(Debug)]
pub struct ImagingStudy {
    /// The procedure that takes the pictures.
    pub procedure: Id,
    /// Its series.
    pub series: Vec<Series>,
    /// How many series there are, where that is left to chance; the first one is then repeated.
    pub count: Option<(u32, u32)>,
}

/// One series of an imaging study.
#[derive(Debug)]
pub struct Series {
    /// What is shown.
    pub body_site: Id,
    /// How it is shown.
    pub modality: Id,
    /// The SOP class of each instance.
    pub instances: Vec<Id>,
    /// How many instances there are, where that is left to chance; the first one is then repeated.
    pub count: Option<(u32, u32)>,
}

impl ImagingStudy {
    /// How many images there may be at most.
    pub fn most_images(&self) -> u64 {
        let most = |count: Option<(u32, u32)>, given: usize| count.map_or(given as u64, |(_, high)| u64::from(high));
        let images = |series: &Series| most(series.count, series.instances.len());
        match self.count {
            Some((_, high)) => u64::from(high) * self.series.first().map_or(0, images),
            None => self.series.iter().map(images).sum(),
        }
    }
}

/// Why something is done: an attribute or a state that holds a condition.
#[derive(Debug)]
pub struct Reason {
    /// The attribute of that name.
    pub attribute: Id,
    /// The state of that name in the same module.
    pub state: Option<usize>,
    /// The name, where only another module can have a state of it: a caller or a submodule.
    pub elsewhere: Option<Box<str>>,
}

/// A MedicationOrder state.
#[derive(Debug)]
pub struct MedicationOrder {
    /// The drug.
    pub codes: Id,
    /// Renewed at every wellness visit.
    pub chronic: bool,
    /// Given on the spot.
    pub administration: bool,
    /// Why.
    pub reason: Option<Reason>,
    /// The attribute that holds it.
    pub assign: Option<Id>,
    /// How it is taken.
    pub prescription: Prescription,
}

/// How a drug is taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prescription {
    /// Taken when needed.
    pub as_needed: bool,
    /// Amount per dose.
    pub dose: Option<f64>,
    /// Doses per period.
    pub frequency: Option<u32>,
    /// Length of the period, with the UCUM code of its unit.
    pub period: Option<(f64, &'static str)>,
    /// How long it is prescribed for, in days.
    pub supply_days: Option<u32>,
    /// Renewals allowed.
    pub refills: Option<u32>,
    /// What the label says besides.
    pub instructions: Vec<Id>,
}

/// An Observation state, or one inside a report or panel.
#[derive(Debug)]
pub struct Observation {
    /// What is observed.
    pub codes: Id,
    /// Its category, such as `laboratory`.
    pub category: String,
    /// UCUM unit.
    pub unit: Option<String>,
    /// Where the value comes from.
    pub value: ObservationValue,
}

/// Where the value of an observation comes from.
#[derive(Debug)]
pub enum ObservationValue {
    /// A draw.
    Drawn(Distribution),
    /// A code.
    Code(Id),
    /// A text.
    Text(String),
    /// A vital sign now.
    VitalSign(Id),
    /// An attribute.
    Attribute(Id),
    /// A series of samples or an attachment, which no record holds: nothing is observed.
    Unsupported,
}

/// Where a state leads.
#[derive(Debug)]
pub enum Transition {
    /// Nowhere: only a Terminal.
    None,
    /// To a state.
    Direct(usize),
    /// To one of several states by chance.
    Distributed(Shares),
    /// To the first state whose condition holds.
    Conditional(Vec<(Option<Condition>, usize)>),
    /// Through the first branch whose condition holds.
    Complex(Vec<(Option<Condition>, Shares)>),
    /// To one of several states by the chances of a table.
    Lookup(Lookup),
    /// By where care is sought.
    TypeOfCare {
        /// In an office.
        ambulatory: usize,
        /// In the emergency department.
        emergency: usize,
        /// By telephone or video.
        telemedicine: usize,
    },
}

/// Options with their chances.
pub type Shares = Vec<(Share, usize)>;

/// The chance of an option.
#[derive(Debug)]
pub enum Share {
    /// A number.
    Fixed(f64),
    /// The value of an attribute, or the default when it has none.
    Named(Id, f64),
}
