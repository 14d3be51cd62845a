//! Address to `location`: coarse by default, so that no row points at a house.

use std::borrow::Cow;

use model::fhir::Address;
use model::omop::Location;
use model::omop::key::omop_key;

use super::draft::{Draft, SOURCE_VALUE};

/// Writes the row of an address and returns its key; `None` when nothing of the address is kept.
///
/// Rows of the same place have the same key and are equal: the loader keeps one.
pub fn from_address<'d>(draft: &mut Draft<'d, '_>, address: &Address<'d>) -> Option<i64> {
    let state = address.state.as_ref().and_then(|state| state_code(draft, state.to_cow()));
    let county = address.district.as_ref().map(|district| draft.cut("Address.district", district.to_cow(), 20));
    let country = address.country.as_ref().map(|country| draft.cut("Address.country", country.to_cow(), 80));
    let postal_code = address.postal_code.as_ref().map(|code| code.to_cow());
    let mut row = Location { state, county, country_source_value: country, ..Location::default() };
    if draft.context.keep_address {
        row.zip = postal_code.map(|code| draft.cut("Address.postalCode", code, 9));
        row.city = address.city.as_ref().map(|city| draft.cut("Address.city", city.to_cow(), 50));
        let mut lines = address.line.iter().flatten();
        row.address_1 = lines.next().map(|line| draft.cut("Address.line", line.to_cow(), 50));
        row.address_2 = lines.next().map(|line| draft.cut("Address.line", line.to_cow(), 50));
    } else {
        row.zip = postal_code.map(zip3);
    }
    let mut kept = vec![
        row.state.as_deref().unwrap_or_default(),
        row.zip.as_deref().unwrap_or_default(),
        address.district.as_deref().unwrap_or_default(),
        address.country.as_deref().unwrap_or_default(),
    ];
    if draft.context.keep_address {
        kept.push(address.city.as_deref().unwrap_or_default());
        kept.extend(address.line.iter().flatten().map(|line| &**line));
    }
    if kept.iter().all(|field| field.is_empty()) {
        return None;
    }
    let kept = kept.join("|");
    row.location_id = omop_key(draft.context.source_id, &kept, "location", "");
    if !draft.context.keep_address {
        row.location_source_value = Some(draft.cut("Address", kept.into(), SOURCE_VALUE));
    }
    let location_id = row.location_id;
    draft.push(row, "".into());
    Some(location_id)
}

/// The home address, or the first.
pub fn home<'k, 'd>(addresses: &'k [Address<'d>]) -> Option<&'k Address<'d>> {
    let is_home = |address: &&Address<'_>| address.address_use.as_deref() == Some("home");
    addresses.iter().find(is_home).or(addresses.first())
}

fn zip3(code: Cow<'_, str>) -> Cow<'_, str> {
    let end = code.char_indices().nth(3).map_or(code.len(), |(end, _)| end);
    match code {
        Cow::Borrowed(code) => Cow::Borrowed(&code[..end]),
        Cow::Owned(code) => Cow::Owned(code[..end].to_owned()),
    }
}

/// The two letters of a state; a name that is not a state of the US does not fit the column and is counted.
fn state_code<'d>(draft: &mut Draft<'d, '_>, state: Cow<'d, str>) -> Option<Cow<'d, str>> {
    if state.chars().count() <= 2 {
        return Some(state);
    }
    let code = US_STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(state.trim())).map(|(_, code)| *code);
    if code.is_none() {
        draft.lose("Address.state", "no_target");
    }
    code.map(Cow::Borrowed)
}

const US_STATES: [(&str, &str); 56] = [
    ("Alabama", "AL"),
    ("Alaska", "AK"),
    ("American Samoa", "AS"),
    ("Arizona", "AZ"),
    ("Arkansas", "AR"),
    ("California", "CA"),
    ("Colorado", "CO"),
    ("Connecticut", "CT"),
    ("Delaware", "DE"),
    ("District of Columbia", "DC"),
    ("Florida", "FL"),
    ("Georgia", "GA"),
    ("Guam", "GU"),
    ("Hawaii", "HI"),
    ("Idaho", "ID"),
    ("Illinois", "IL"),
    ("Indiana", "IN"),
    ("Iowa", "IA"),
    ("Kansas", "KS"),
    ("Kentucky", "KY"),
    ("Louisiana", "LA"),
    ("Maine", "ME"),
    ("Maryland", "MD"),
    ("Massachusetts", "MA"),
    ("Michigan", "MI"),
    ("Minnesota", "MN"),
    ("Mississippi", "MS"),
    ("Missouri", "MO"),
    ("Montana", "MT"),
    ("Nebraska", "NE"),
    ("Nevada", "NV"),
    ("New Hampshire", "NH"),
    ("New Jersey", "NJ"),
    ("New Mexico", "NM"),
    ("New York", "NY"),
    ("North Carolina", "NC"),
    ("North Dakota", "ND"),
    ("Northern Mariana Islands", "MP"),
    ("Ohio", "OH"),
    ("Oklahoma", "OK"),
    ("Oregon", "OR"),
    ("Pennsylvania", "PA"),
    ("Puerto Rico", "PR"),
    ("Rhode Island", "RI"),
    ("South Carolina", "SC"),
    ("South Dakota", "SD"),
    ("Tennessee", "TN"),
    ("Texas", "TX"),
    ("Utah", "UT"),
    ("Vermont", "VT"),
    ("Virgin Islands", "VI"),
    ("Virginia", "VA"),
    ("Washington", "WA"),
    ("West Virginia", "WV"),
    ("Wisconsin", "WI"),
    ("Wyoming", "WY"),
];
