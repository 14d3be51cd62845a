//! Reads transitions.

use super::bind::Binder;
use super::field::Fields;
use super::logic::Condition;
use super::state::*;
use crate::Error;

/// The transitions of the format; a state has one of them.
const TRANSITIONS: [&str; 6] = [
    "direct_transition",
    "distributed_transition",
    "conditional_transition",
    "complex_transition",
    "lookup_table_transition",
    "type_of_care_transition",
];

impl Binder<'_> {
    pub(super) fn read_transition(&mut self, fields: &Fields<'_>) -> Result<Transition, Error> {
        let given: Vec<&str> = TRANSITIONS.iter().copied().filter(|name| fields.has(name)).collect();
        if let [first, second, ..] = given[..] {
            return Err(fields.error(second, format!("stands beside `{first}`, expected one transition")));
        }
        if fields.has("lookup_table_transition") {
            return Ok(Transition::Lookup(self.read_lookup(fields)?));
        }
        if let Some(kinds) = fields.object("type_of_care_transition")? {
            let target = |field: &str| -> Result<usize, Error> {
                let name = kinds.need(field, kinds.text(field)?)?;
                self.target(&kinds, field, name)
            };
            let (ambulatory, emergency) = (target("ambulatory")?, target("emergency")?);
            let telemedicine = target("telemedicine")?;
            kinds.finish()?;
            return Ok(Transition::TypeOfCare { ambulatory, emergency, telemedicine });
        }
        if let Some(name) = fields.text("direct_transition")? {
            return Ok(Transition::Direct(self.target(fields, "direct_transition", name)?));
        }
        if fields.has("distributed_transition") {
            let options = fields.objects("distributed_transition")?;
            return Ok(Transition::Distributed(self.read_shares(fields, options)?));
        }
        if fields.has("conditional_transition") {
            let options = fields.objects("conditional_transition")?;
            let mut branches = Vec::with_capacity(options.len());
            for option in options {
                let condition = option.object("condition")?;
                let condition = condition.map(|condition| Condition::read(&condition, self)).transpose()?;
                let name = option.need("transition", option.text("transition")?)?;
                branches.push((condition, self.target(&option, "transition", name)?));
                option.finish()?;
            }
            return self.non_empty(fields, branches.is_empty(), Transition::Conditional(branches));
        }
        if fields.has("complex_transition") {
            let options = fields.objects("complex_transition")?;
            let mut branches = Vec::with_capacity(options.len());
            for option in options {
                let condition = option.object("condition")?;
                let condition = condition.map(|condition| Condition::read(&condition, self)).transpose()?;
                let shares = option.objects("distributions")?;
                let shares = match option.text("transition")? {
                    Some(_) if !shares.is_empty() => {
                        return Err(option.error("distributions", "stand beside `transition`, expected one of the two"));
                    }
                    Some(name) => vec![(Share::Fixed(1.0), self.target(&option, "transition", name)?)],
                    None => self.read_shares(&option, shares)?,
                };
                branches.push((condition, shares));
                option.finish()?;
            }
            return self.non_empty(fields, branches.is_empty(), Transition::Complex(branches));
        }
        Ok(Transition::None)
    }

    fn non_empty(&self, fields: &Fields<'_>, empty: bool, transition: Transition) -> Result<Transition, Error> {
        if empty { Err(fields.error("transition", "has no option")) } else { Ok(transition) }
    }

    fn read_shares(&mut self, parent: &Fields<'_>, options: Vec<Fields<'_>>) -> Result<Vec<(Share, usize)>, Error> {
        if options.is_empty() {
            return Err(parent.error("distributions", "expected at least one option"));
        }
        let mut shares = Vec::with_capacity(options.len());
        for option in options {
            let share = match option.raw("distribution") {
                Some(serde_json::Value::Number(_)) => {
                    Share::Fixed(option.need("distribution", option.probability("distribution")?)?)
                }
                _ => {
                    let named = option.need("distribution", option.object("distribution")?)?;
                    let attribute = self.read_attribute(named.need("attribute", named.text("attribute")?)?);
                    let default = named.probability("default")?;
                    if default.is_some() {
                        self.needs.with_default.insert(attribute);
                    }
                    let default = default.unwrap_or(0.0);
                    named.finish()?;
                    Share::Named(attribute, default)
                }
            };
            let name = option.need("transition", option.text("transition")?)?;
            shares.push((share, self.target(&option, "transition", name)?));
            option.finish()?;
        }
        Ok(shares)
    }
}
