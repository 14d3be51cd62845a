//! The parts of a literal reference: relative, absolute, with or without a version.

/// `Type/id` at the end of a relative or absolute reference, without version, query and fragment.
pub fn type_and_id(reference: &str) -> Option<&str> {
    let reference = unversioned(reference.split(['?', '#']).next().unwrap_or(reference));
    let (rest, id) = reference.rsplit_once('/')?;
    let start = rest.rfind('/').map_or(0, |slash| slash + 1);
    let resource_type = &rest[start..];
    let is_type = resource_type.starts_with(|first: char| first.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    (is_type && !id.is_empty()).then(|| &reference[start..])
}

/// The reference without its version.
pub fn unversioned(reference: &str) -> &str {
    reference.split("/_history/").next().unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_id_end_a_reference() {
        for reference in ["Patient/1", "http://server/fhir/Patient/1", "Patient/1/_history/2", "Patient/1?x=y#z"] {
            assert_eq!(type_and_id(reference), Some("Patient/1"), "{reference}");
        }
        for reference in ["1", "urn:uuid:1", "patient/1", "Patient/", "#1"] {
            assert_eq!(type_and_id(reference), None, "{reference}");
        }
    }
}
