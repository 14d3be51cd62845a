//! Organization and Location to `care_site`, each with the `location` of its address.

use std::borrow::Cow;

use model::fhir::{Address, CodeableConcept, Location, Organization, Str};
use model::omop::{CareSite, NO_MATCHING_CONCEPT};

use super::draft::{Draft, SOURCE_VALUE};
use super::{Judgement, location};
use crate::vocabulary::{Domain, Priority};

/// Maps an Organization.
pub fn from_organization(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let organization: Organization<'_> = draft.read()?;
    draft.gate_modifiers(&organization.modifier_extension, organization.implicit_rules.as_ref())?;
    let address = location::home(&organization.address);
    let elements = ["Organization.id", "Organization.name", "Organization.type"];
    care_site(draft, elements, organization.name.as_ref(), &organization.organization_type, address);
    Ok(())
}

/// Maps a Location.
pub fn from_location(draft: &mut Draft<'_, '_>) -> Result<(), Judgement> {
    let place: Location<'_> = draft.read()?;
    draft.gate_modifiers(&place.modifier_extension, place.implicit_rules.as_ref())?;
    let elements = ["Location.id", "Location.name", "Location.type"];
    care_site(draft, elements, place.name.as_ref(), &place.location_type, place.address.as_ref());
    Ok(())
}

fn care_site<'d>(
    draft: &mut Draft<'d, '_>,
    [id, title, kind_element]: [&'static str; 3],
    name: Option<&Str<'d>>,
    kinds: &[CodeableConcept<'d>],
    address: Option<&Address<'d>>,
) {
    let mut row = CareSite {
        care_site_id: draft.key("care_site", ""),
        care_site_name: name.map(|name| draft.cut(title, name.to_cow(), 255)),
        care_site_source_value: Some(draft.cut(id, Cow::Borrowed(draft.id()), SOURCE_VALUE)),
        ..CareSite::default()
    };
    for (index, kind) in kinds.iter().filter(|kind| !kind.coding.is_empty()).enumerate() {
        let resolved = draft.resolve(kind_element, kind, Priority::Clinical);
        let place = resolved.targets.iter().find(|target| target.domain == Domain::Visit);
        if index == 0 || place.is_some() {
            row.place_of_service_source_value = resolved.source_value;
            row.place_of_service_concept_id = Some(place.map_or(NO_MATCHING_CONCEPT, |place| place.concept_id));
        }
        if place.is_some() {
            break;
        }
    }
    row.location_id = address.and_then(|address| location::from_address(draft, address));
    draft.push(row, "".into());
}

#[cfg(test)]
mod tests {
    use crate::map::sample::rows;

    #[test]
    fn an_organization_is_a_care_site_at_a_coarse_place() {
        let json = r#"{"resourceType":"Organization","id":"o","name":"Clinic",
            "type":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/organization-type","code":"prov"}]}],
            "address":[{"line":["1 Main St"],"city":"Boston","state":"MA","postalCode":"01915","country":"US"}]}"#;
        let site = &rows(json, "care_site")[0];
        for expected in [
            r#"care_site_name: Some("Clinic")"#,
            "place_of_service_concept_id: Some(0)",
            r#"place_of_service_source_value: Some("prov")"#,
            r#"care_site_source_value: Some("o")"#,
        ] {
            assert!(site.contains(expected), "{expected} in {site}");
        }
        let location = &rows(json, "location")[0];
        assert!(location.contains(r#"state: Some("MA"), zip: Some("019")"#), "{location}");
        assert!(!location.contains("Main") && !location.contains("Boston"), "{location}");
    }

    #[test]
    fn a_place_without_type_or_address_is_a_bare_care_site() {
        let json = r#"{"resourceType":"Location","id":"l"}"#;
        assert!(rows(json, "care_site")[0].contains("place_of_service_concept_id: None"));
        assert!(rows(json, "location").is_empty());
    }
}
