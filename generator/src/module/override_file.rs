//! Changes single numbers of modules without changing their files: lines of the form `file.json::JSONPath=value`.
//!
//! The path is the plain part of JSONPath: names in brackets or after dots, and indexes. Colons may be escaped by a
//! backslash, as properties files do.

use serde_json::Value;

use super::load::Source;
use crate::Error;

/// One number that takes the place of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Path of the module, without `.json`.
    pub module: String,
    /// Where the number stands, as the line says it.
    pub path: String,
    steps: Vec<Step>,
    value: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    Index(usize),
}

/// Reads the lines of an override file.
///
/// # Errors
/// When a line has another form, naming its number.
pub fn read_overrides(text: &str) -> Result<Vec<Override>, Error> {
    let mut overrides = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let wrong = |message: &str| Error::Option {
            option: "module_overrides",
            message: format!("line {}: {message}, expected `file.json::$['states']['Name']…=number`", index + 1),
        };
        let plain = line.replace("\\:", ":").replace("\\ ", " ");
        let (module, rest) = plain.split_once("::").ok_or_else(|| wrong("there is no `::`"))?;
        let (path, value) = rest.rsplit_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let (module, path) = (module.trim(), path.trim());
        let module = module.strip_suffix(".json").ok_or_else(|| wrong("the file does not end in `.json`"))?;
        let value = value.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        overrides.push(Override {
            module: module.into(),
            path: path.into(),
            steps: steps(path).ok_or_else(|| wrong("the path is not one of names and indexes"))?,
            value: value.ok_or_else(|| wrong("the value is no number"))?,
        });
    }
    Ok(overrides)
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("['") {
            let (name, after) = inner.split_once("']")?;
            steps.push(Step::Name(name.into()));
            rest = after;
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = after;
        } else {
            let inner = rest.strip_prefix('.')?;
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            if end == 0 {
                return None;
            }
            steps.push(Step::Name(inner[..end].into()));
            rest = &inner[end..];
        }
    }
    (!steps.is_empty()).then_some(steps)
}

impl Override {
    /// Puts the number in its place.
    ///
    /// # Errors
    /// When there is no number in that place.
    pub(super) fn apply(&self, module: &mut Value) -> Result<(), Error> {
        let mut place = Some(module);
        for step in &self.steps {
            place = place.and_then(|value| match step {
                Step::Name(name) => value.get_mut(name),
                Step::Index(index) => value.get_mut(index),
            });
        }
        match place.filter(|value| value.is_number()) {
            Some(value) => {
                *value = Value::from(self.value);
                Ok(())
            }
            None => {
                let message = "there is no number in this place for an override to replace".into();
                Err(Error::Module { file: self.module.clone(), state: "-".into(), field: self.path.clone(), message })
            }
        }
    }
}

impl Source {
    /// Every override must have its module.
    pub(super) fn check_overrides(&self) -> Result<(), Error> {
        match self.overrides.iter().find(|one| !self.modules.contains_key(&one.module)) {
            Some(one) => Err(Error::Option {
                option: "module_overrides",
                message: format!("there is no module `{}` to override", one.module),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_put_in_their_place() {
        let text = "# comment\n\nm.json\\:\\:$['states']['A B']['distributed_transition'][1]['distribution'] = 0.25\n\
                    sub/n.json::$.states.X.exact.quantity=3";
        let overrides = read_overrides(text).unwrap();
        assert_eq!((overrides.len(), overrides[1].module.as_str()), (2, "sub/n"));
        let mut module =
            json!({"states": {"A B": {"distributed_transition": [{"distribution": 1}, {"distribution": 0}]}}});
        overrides[0].apply(&mut module).unwrap();
        assert_eq!(module["states"]["A B"]["distributed_transition"][1]["distribution"], json!(0.25));
        let message = overrides[1].apply(&mut module).unwrap_err().to_string();
        assert!(message.contains("module `sub/n`") && message.contains("$.states.X.exact.quantity"), "{message}");
    }

    #[test]
    fn lines_of_another_form_are_named() {
        for line in
            ["m.json=1", "m.json::$['a']", "m::$['a']=1", "m.json::$['a']=x", "m.json::states=1", "m.json::$..a=1"]
        {
            let message = read_overrides(&format!("\n{line}")).unwrap_err().to_string();
            assert!(message.contains("line 2"), "{line}: {message}");
        }
    }
}
