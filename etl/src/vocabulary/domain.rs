//! Domains as the mapping sees them: the ones that decide a table, and the rest.

/// What kind of fact a concept is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// `condition_occurrence`
    Condition,
    /// `observation`
    Observation,
    /// `measurement`
    Measurement,
    /// `procedure_occurrence`
    Procedure,
    /// `drug_exposure`
    Drug,
    /// `device_exposure`
    Device,
    /// `specimen`
    Specimen,
    /// A kind of visit: no event.
    Visit,
    /// A unit: no event.
    Unit,
    /// A value of a measurement: no event.
    MeasValue,
    /// A way into the body: no event.
    Route,
    /// Anything else: no event.
    Other,
}

impl Domain {
    /// The domain of that name; of a mixed one such as `Condition/Device` the first part.
    pub fn of(domain_id: &str) -> Domain {
        match domain_id.split('/').next().unwrap_or_default() {
            "Condition" => Domain::Condition,
            "Observation" | "Obs" => Domain::Observation,
            "Measurement" | "Meas" => Domain::Measurement,
            "Procedure" => Domain::Procedure,
            "Drug" => Domain::Drug,
            "Device" => Domain::Device,
            "Specimen" => Domain::Specimen,
            "Visit" => Domain::Visit,
            "Unit" => Domain::Unit,
            "Meas Value" => Domain::MeasValue,
            "Route" => Domain::Route,
            _ => Domain::Other,
        }
    }

    /// The name of a domain that is an event; of all others that of observations.
    pub fn domain_id(self) -> &'static str {
        match self {
            Domain::Condition => "Condition",
            Domain::Measurement => "Measurement",
            Domain::Procedure => "Procedure",
            Domain::Drug => "Drug",
            Domain::Device => "Device",
            Domain::Specimen => "Specimen",
            _ => "Observation",
        }
    }

    /// The domains that are events.
    pub const EVENTS: [Domain; 7] = [
        Domain::Condition,
        Domain::Observation,
        Domain::Measurement,
        Domain::Procedure,
        Domain::Drug,
        Domain::Device,
        Domain::Specimen,
    ];

    /// The table of its events; `observation` for what is no event.
    pub fn table(self) -> &'static str {
        match self {
            Domain::Condition => "condition_occurrence",
            Domain::Measurement => "measurement",
            Domain::Procedure => "procedure_occurrence",
            Domain::Drug => "drug_exposure",
            Domain::Device => "device_exposure",
            Domain::Specimen => "specimen",
            _ => "observation",
        }
    }

    /// True when a record of the concept is an event with a table of its own.
    pub fn is_event(self) -> bool {
        self <= Domain::Specimen
    }
}

#[cfg(test)]
mod tests {
    use super::Domain;

    #[test]
    fn domains_with_a_table_are_events() {
        assert!(Domain::of("Condition").is_event());
        assert!(Domain::of("Specimen").is_event());
        assert_eq!(Domain::of("Condition/Device"), Domain::Condition);
        for domain in Domain::EVENTS {
            assert_eq!(Domain::of(domain.domain_id()), domain);
        }
        for other in ["Visit", "Unit", "Meas Value", "Race", "Spec Anatomic Site", "Route", ""] {
            assert!(!Domain::of(other).is_event(), "{other}");
        }
    }
}
