//! What a run of the state machine is given, judged as its first states do, so that a wrong input is told before anything
//! is started.

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

const MAX_PATIENTS: u64 = 100_000_000;
const MAX_SHARDS: u64 = 10_000;
/// JSONata writes a longer number with an exponent.
const MAX_SEED: u64 = 999_999_999_999_999;
const IMPORT: &str = "/area/import/";
const MAX_SOURCE_ID: usize = 64;
/// Step Functions names no longer execution.
const MAX_RUN_ID: usize = 80;

/// Where the models are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// On Fargate, by the program itself
    Datafusion,
    /// By Athena
    Athena,
}

/// What a run is given; what is absent is the state machine's choice.
#[derive(Args, Debug, Default, Serialize)]
pub struct Input {
    /// Synthetic patients [default: 1000]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    patients: Option<u64>,
    /// Tasks that generate them [default: 4]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<u64>,
    /// The same seed gives the same patients [default: 42]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// FHIR of yours instead: a folder below /area/import of the work area
    #[arg(long, value_name = "PATH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// Name of the source in keys and lineage [default: synthetic, or fhir with --source]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
    /// The source is complete: what it lacks leaves the lake
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    complete: bool,
    /// Where the models are built [default: datafusion]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
}

impl Input {
    /// Judges the input together with the name of the run.
    ///
    /// # Errors
    /// Everything that is wrong, as the state machine would say it.
    pub fn check(&self, run_id: &str) -> Result<()> {
        let wrong: Vec<_> = self.judged(run_id).into_iter().filter(|(sound, _)| !sound).map(|(_, why)| why).collect();
        ensure!(wrong.is_empty(), "wrong input: {}", wrong.join("; "));
        Ok(())
    }

    /// Conditions of a sound input, each with what was expected.
    fn judged(&self, run_id: &str) -> [(bool, &'static str); 7] {
        let within = |value: Option<u64>, low, high| value.is_none_or(|value| (low..=high).contains(&value));
        let is_word = |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
        let is_name = |text: &str, length| {
            text.len() <= length && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && is_word(text, "_.-")
        };
        let is_below = |path: &str| {
            let rest = path.strip_prefix(IMPORT).unwrap_or_default();
            !rest.is_empty() && is_word(rest, "._/-") && !path.contains("..")
        };
        let makes = self.patients.is_some() || self.shards.is_some() || self.seed.is_some();
        [
            (is_name(run_id, MAX_RUN_ID), "the name of the execution, expected letters, digits, -, _ or ."),
            (within(self.patients, 1, MAX_PATIENTS), "patients, expected a whole number from 1 to 100000000"),
            (within(self.shards, 1, MAX_SHARDS), "shards, expected a whole number from 1 to 10000"),
            (within(self.seed, 0, MAX_SEED), "seed, expected a whole number from 0 to 999999999999999"),
            (self.source.as_deref().is_none_or(is_below), "source, expected a path below /area/import"),
            (
                self.source.is_none() || !makes,
                "source together with patients, shards or seed: the one reads patients, the others make them",
            ),
            (
                self.source_id.as_deref().is_none_or(|name| is_name(name, MAX_SOURCE_ID)),
                "source_id, expected up to 64 letters, digits, -, _ or .",
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(run_id: &str, input: Input) -> String {
        input.check(run_id).unwrap_err().to_string()
    }

    #[test]
    fn what_the_state_machine_would_refuse_is_not_started() {
        let sound = Input { patients: Some(1), shards: Some(10_000), seed: Some(0), ..Input::default() };
        sound.check("first").unwrap();
        let ours = |source: &str| Input { source: Some(source.into()), ..Input::default() };
        ours("/area/import/hospital/2026").check("first").unwrap();

        assert_eq!(
            wrong("first", Input { patients: Some(0), shards: Some(10_001), ..Input::default() }),
            "wrong input: patients, expected a whole number from 1 to 100000000; shards, expected a whole number from 1 to 10000"
        );
        for path in ["/area/import/", "/area/import/../run", "/area/run/x", "/area/import/a b"] {
            assert_eq!(wrong("first", ours(path)), "wrong input: source, expected a path below /area/import", "{path}");
        }
        assert!(wrong("first", Input { seed: Some(1), ..ours("/area/import/a") }).contains("source together with"));
        assert!(wrong("first", Input { source_id: Some("-a".into()), ..Input::default() }).contains("source_id, "));
        for name in ["a:b", "", ".a", &"a".repeat(81)] {
            assert!(wrong(name, Input::default()).contains("the name of the execution"), "{name}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_state_machine() {
        let definition = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/lib/state-machine.ts");
        let definition = std::fs::read_to_string(definition).unwrap();
        let definition = definition.replace("${MAX_SEED}", &MAX_SEED.to_string()).replace("${WORK}", "/area");
        for (_, why) in Input::default().judged("first") {
            assert!(definition.contains(why), "{why}");
        }
        let engines = Engine::value_variants().iter().map(|engine| serde_json::to_string(engine).unwrap());
        let engines = engines.collect::<Vec<_>>().join(", ").replace('"', "'");
        assert!(definition.contains(&format!("$engine in [{engines}]")), "{engines}");
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let input = Input { patients: Some(7), engine: Some(Engine::Datafusion), ..Input::default() };
        assert_eq!(serde_json::to_string(&input).unwrap(), r#"{"patients":7,"engine":"datafusion"}"#);
    }
}
