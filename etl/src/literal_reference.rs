//! The parts of a literal reference: relative, absolute, with or without a version.

/// The type and the id of a reference that is nothing but `Type/id`, as nearly all are.
pub fn plain(reference: &str) -> Option<(&str, &str)> {
    let slash = reference.bytes().position(|byte| byte == b'/')?;
    let (resource_type, id) = (&reference[..slash], &reference[slash + 1..]);
    // All bytes are looked at, several at a time.
    let is_sound = |sound, byte: u8| sound & (byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'.'));
    (is_type(resource_type) && !id.is_empty() && id.bytes().fold(true, is_sound)).then_some((resource_type, id))
}

/// `Type/id` at the end of a relative or absolute reference, without version, query and fragment.
pub fn type_and_id(reference: &str) -> Option<&str> {
    if plain(reference).is_some() {
        return Some(reference);
    }
    let reference = unversioned(reference.split(['?', '#']).next().unwrap_or(reference));
    let (rest, id) = reference.rsplit_once('/')?;
    let start = rest.rfind('/').map_or(0, |slash| slash + 1);
    (is_type(&rest[start..]) && !id.is_empty()).then(|| &reference[start..])
}

fn is_type(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// The reference without its version.
pub fn unversioned(reference: &str) -> &str {
    reference.split("/_history/").next().unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_reference_is_type_and_id_and_no_more() {
        assert_eq!(plain("Patient/a-1.b"), Some(("Patient", "a-1.b")));
        for reference in ["", "/", "Patient", "Patient/", "/1", "patient/1", "Patient/1/2", "Patient/1?x", "Patient/ä"]
        {
            assert_eq!(plain(reference), None, "{reference}");
        }
    }

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
