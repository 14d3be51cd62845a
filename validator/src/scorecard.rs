//! The scorecard: what the HL7 guide from FHIR to OMOP states, and whether it holds here. The statements are data
//! (`conformance/statement.csv`), each with the tests and checks that show it. What a check shows is read from the lake's
//! latest results, so a check that fails turns its statements to fail.

mod statement;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lake::{AsOf, Lake, TableName};
use minijinja::{Environment, context, value::Serde};
use serde::{Deserialize, Serialize};

use crate::check::quoted;
use crate::error::Result;
use crate::folder;
use crate::row::rows;

pub use statement::{Departure, Standing, Statement, departures, statements};

/// What a check shows for a statement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// The check's name, with the part of its id where only some count.
    pub check: String,
    /// Passed, or with nothing to look at.
    pub passed: u64,
    /// With nothing to look at.
    pub empty: u64,
    /// Failed or not answered.
    pub failed: u64,
    /// The first that failed.
    pub first_failed: Option<String>,
}

/// A statement and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// `f2o-030`
    pub id: String,
    /// `SHALL`, `SHOULD` or `MAY`.
    pub level: String,
    /// Whom it binds.
    pub actor: String,
    /// What it asks for.
    pub requirement: String,
    /// How it stands.
    pub status: Standing,
    /// The tests that show it.
    pub tests: Vec<String>,
    /// The checks that show it, as they ended in this lake; empty without a lake.
    pub checks: Vec<Tally>,
    /// Keys of the manifest and of the settings that declare it.
    pub declared_in: Vec<String>,
    /// What a reader should know.
    pub note: String,
}

/// What only the keeper of the data can declare; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governance {
    /// The legal ground of the access to the source, with its limits.
    pub source_access: String,
    /// Where the privacy assessment of the source's identifiers is.
    pub privacy_assessment: String,
}

impl Governance {
    fn declares(&self, key: &str) -> bool {
        let text = match key {
            "source_access" => &self.source_access,
            "privacy_assessment" => &self.privacy_assessment,
            _ => return false,
        };
        !text.trim().is_empty()
    }
}

/// All statements and how they stand.
#[derive(Clone, Debug, Serialize)]
pub struct Scorecard {
    /// The guide and its version.
    pub guide: String,
    /// Version of this program.
    pub software_version: String,
    /// Version of the Common Data Model.
    pub cdm_version: String,
    /// The run whose checks were read; none without a lake.
    pub pipeline_run_id: Option<String>,
    /// The release of the vocabulary that it used.
    pub vocabulary_version: Option<String>,
    /// How many statements stand how.
    pub counts: BTreeMap<Standing, usize>,
    /// Every statement.
    pub statements: Vec<Verdict>,
}

/// One result of the latest run.
struct Answered {
    id: String,
    name: String,
    status: String,
}

/// What the lake tells of its latest validated run.
#[derive(Default)]
struct Latest {
    run_id: Option<String>,
    vocabulary_version: Option<String>,
    /// True when every source of the lake is one that was generated.
    is_synthetic: bool,
    answers: Vec<Answered>,
}

/// Judges every statement; with a lake also by its latest results. `synthetic` is the name of the generated source.
///
/// # Errors
/// The lake cannot be read.
pub async fn scorecard(lake: Option<&Lake>, governance: &Governance, synthetic: &str) -> Result<Scorecard> {
    let latest = match lake {
        Some(lake) => Latest::of(lake, synthetic).await?,
        None => Latest::default(),
    };
    Ok(judge(governance, latest))
}

impl Latest {
    async fn of(lake: &Lake, synthetic: &str) -> Result<Latest> {
        let tables = lake.tables().await?;
        let has = |table: &str| tables.contains(&TableName::new("quality", table));
        let session = lake.session(&AsOf::Latest).await?;
        let mut latest = Latest::default();
        if has("accounting") {
            let sql = "select distinct source_id from quality.accounting";
            let sources = rows(&session, "the sources", sql).await?;
            latest.is_synthetic = sources.iter().all(|row| row.text(0).as_deref() == Some(synthetic));
        }
        if !has("run") || !has("check_result") {
            return Ok(latest);
        }
        let sql = "select pipeline_run_id, vocabulary_version from quality.run order by ended_at desc limit 1";
        let Some(run) = rows(&session, "the runs", sql).await?.pop() else { return Ok(latest) };
        latest.run_id = run.text(0);
        latest.vocabulary_version = run.text(1);
        let sql = format!(
            "select check_id, check_name, status from quality.check_result where pipeline_run_id = {} order by check_id",
            quoted(&run.text(0).unwrap_or_default())
        );
        for row in rows(&session, "the results", &sql).await? {
            let text = |column| row.text(column).unwrap_or_default();
            latest.answers.push(Answered { id: text(0), name: text(1), status: text(2) });
        }
        Ok(latest)
    }

    fn tally(&self, evidence: &str) -> Tally {
        let (name, part) = evidence.split_once('/').unwrap_or((evidence, ""));
        let mut tally = Tally { check: evidence.to_owned(), ..Tally::default() };
        for answer in self.answers.iter().filter(|answer| answer.name == name && answer.id.contains(part)) {
            match answer.status.as_str() {
                "passed" => tally.passed += 1,
                "not_applicable" => tally.empty += 1,
                _ => {
                    tally.failed += 1;
                    tally.first_failed.get_or_insert_with(|| answer.id.clone());
                }
            }
        }
        tally
    }
}

fn judge(governance: &Governance, latest: Latest) -> Scorecard {
    let mut counts = BTreeMap::new();
    let mut verdicts = Vec::new();
    for statement in statements() {
        let verdict = verdict(statement, governance, &latest);
        *counts.entry(verdict.status).or_default() += 1;
        verdicts.push(verdict);
    }
    Scorecard {
        guide: model::quality::GUIDE.into(),
        software_version: env!("CARGO_PKG_VERSION").into(),
        cdm_version: model::omop::CDM_VERSION.into(),
        pipeline_run_id: latest.run_id,
        vocabulary_version: latest.vocabulary_version,
        counts,
        statements: verdicts,
    }
}

fn verdict(statement: Statement, governance: &Governance, latest: &Latest) -> Verdict {
    let Statement { id, level, actor, requirement, mut status, evidence, mut note } = statement;
    let (mut tests, mut checks, mut declared_in) = (Vec::new(), Vec::new(), Vec::new());
    for part in evidence.split_whitespace() {
        match part.split_once(':') {
            Some(("test", test)) => tests.push(test.to_owned()),
            Some(("check", check)) if !latest.answers.is_empty() => checks.push(latest.tally(check)),
            Some(("check", _)) => {}
            Some(("setting", key)) => {
                declared_in.push(format!("[governance] {key}"));
                if !governance.declares(key) && status == Standing::Declared {
                    (status, note) = if latest.is_synthetic {
                        (Standing::NotApplicable, "there are only generated people here".into())
                    } else {
                        (Standing::Fail, format!("set `{key}` in [governance]: only the keeper of the data can tell"))
                    };
                }
            }
            _ => declared_in.push(part.trim_start_matches("manifest:").to_owned()),
        }
    }
    if let Some(failed) = checks.iter().find(|tally| tally.failed > 0) {
        status = Standing::Fail;
        let first = failed.first_failed.clone().unwrap_or_default();
        note = format!("{} of the checks `{}` failed, first {first}", failed.failed, failed.check);
    }
    Verdict { id, level, actor, requirement, status, tests, checks, declared_in, note }
}

impl Scorecard {
    /// How many statements stand like that.
    pub fn count(&self, standing: Standing) -> usize {
        self.counts.get(&standing).copied().unwrap_or(0)
    }

    /// Statements with SHALL that fail.
    pub fn failed_musts(&self) -> usize {
        let fails = |verdict: &&Verdict| verdict.status == Standing::Fail && verdict.level == "SHALL";
        self.statements.iter().filter(fails).count()
    }

    /// Writes `scorecard.json` and `scorecard.html` into a folder, which is created; returns the page.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        Ok(folder::write(folder, ("scorecard.json", self), ("scorecard.html", &self.html()?))?.1)
    }

    fn html(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.add_template("style.css", include_str!("../templates/style.css"))?;
        environment.add_template("scorecard.html", include_str!("../templates/scorecard.html"))?;
        Ok(environment
            .get_template("scorecard.html")?
            .render(context! { card => minijinja::Value::from(Serde(self)) })?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn answered(name: &str, id: &str, status: &str) -> Answered {
        Answered { id: format!("{name}/{id}"), name: name.into(), status: status.into() }
    }

    fn of<'c>(card: &'c Scorecard, id: &str) -> &'c Verdict {
        card.statements.iter().find(|verdict| verdict.id == id).unwrap()
    }

    /// The ids of the guide: 1 to 132 with gaps.
    #[test]
    fn all_56_statements_are_there_once() {
        let ranges = [
            1..=4,
            10..=14,
            20..=26,
            30..=40,
            50..=53,
            60..=63,
            70..=73,
            80..=82,
            90..=93,
            100..=100,
            102..=103,
            110..=112,
            120..=122,
            132..=132,
        ];
        let expected: Vec<String> = ranges.into_iter().flatten().map(|number| format!("f2o-{number:03}")).collect();
        assert_eq!(expected.len(), 56);
        let found: Vec<String> = statements().into_iter().map(|statement| statement.id).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_statement_says_why_it_stands_as_it_does() {
        for statement in statements() {
            assert!(["SHALL", "SHOULD", "MAY"].contains(&statement.level.as_str()), "{statement:?}");
            assert!(!statement.requirement.is_empty() && !statement.actor.is_empty(), "{statement:?}");
            let is_shown = |kind: &str| statement.evidence.split_whitespace().any(|part| part.starts_with(kind));
            match statement.status {
                Standing::Pass => assert!(is_shown("test:") || is_shown("check:"), "{statement:?}"),
                Standing::Declared => assert!(is_shown("manifest:") || is_shown("setting:"), "{statement:?}"),
                Standing::Fail | Standing::NotApplicable => assert!(!statement.note.is_empty(), "{statement:?}"),
            }
        }
    }

    /// A renamed test or check must not leave a statement without what shows it.
    #[test]
    fn every_named_test_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for statement in statements() {
            for test in statement.evidence.split_whitespace().filter_map(|part| part.strip_prefix("test:")) {
                let (file, name) = test.split_once("::").unwrap();
                let text =
                    std::fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{}: no {file}", statement.id));
                assert!(text.contains(&format!("fn {name}(")), "{}: no test {name} in {file}", statement.id);
            }
        }
    }

    #[tokio::test]
    async fn every_named_check_is_asked() {
        let session = crate::testing::sound_lake().await;
        let options = crate::Options {
            run_id: crate::testing::RUN.into(),
            started_at: crate::testing::moment("2026-01-02T00:00:00"),
            source_id: "test".into(),
            policy: String::new(),
            oracle: None,
            manifests: None,
            model_checks: Vec::new(),
            threads: 2,
        };
        let report =
            crate::examine(&session, crate::testing::row_counts(&session).await, &options, &|_, _| {}).await.unwrap();
        let known: BTreeSet<(&str, &str)> =
            report.results.iter().map(|result| (result.check.name.as_str(), result.check.id.as_str())).collect();
        for statement in statements() {
            for check in statement.evidence.split_whitespace().filter_map(|part| part.strip_prefix("check:")) {
                let (name, part) = check.split_once('/').unwrap_or((check, ""));
                let found = known.iter().any(|(known, id)| *known == name && id.contains(part));
                assert!(found, "{}: no check {check}", statement.id);
            }
        }
    }

    #[test]
    fn a_failing_check_turns_its_statements() {
        let answers = vec![
            answered("noPersonalData", "omop.person.person_source_value", "passed"),
            answered("isRequired", "omop.measurement.measurement_date", "failed"),
        ];
        let latest = Latest { run_id: Some("r".into()), answers, ..Latest::default() };
        let card = judge(&Governance::default(), latest);
        assert_eq!(of(&card, "f2o-022").status, Standing::Pass);
        let dates = of(&card, "f2o-070");
        assert_eq!(dates.status, Standing::Fail);
        assert_eq!(
            dates.note,
            "1 of the checks `isRequired/_date` failed, first isRequired/omop.measurement.measurement_date"
        );
        assert_eq!(of(&card, "f2o-032").status, Standing::Pass, "another column's check is no evidence");
        assert_eq!(card.counts.values().sum::<usize>(), 56);
    }

    #[test]
    fn what_only_the_keeper_can_tell_is_told_or_fails() {
        let standing = |source_access: &str, is_synthetic| {
            let governance = Governance { source_access: source_access.into(), ..Governance::default() };
            of(&judge(&governance, Latest { is_synthetic, ..Latest::default() }), "f2o-132").status
        };
        assert_eq!(standing("", false), Standing::Fail);
        assert_eq!(standing("", true), Standing::NotApplicable);
        assert_eq!(standing("contract 7", false), Standing::Declared);
    }

    #[test]
    fn departures_have_reasons() {
        let departures = departures();
        assert!(departures.len() > 10);
        assert!(departures.iter().all(|departure| !departure.what.is_empty() && !departure.why.is_empty()));
    }

    #[test]
    fn the_page_is_whole_and_escaped() {
        let mut card = judge(&Governance::default(), Latest::default());
        card.statements[0].note = "<script>".into();
        let html = card.html().unwrap();
        assert!(html.contains("f2o-132") && html.contains("&lt;script&gt;") && html.trim_end().ends_with("</html>"));
    }
}
