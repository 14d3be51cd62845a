//! From files to checked models: who reads whom is taken from the parsed SQL, and every model is planned against the
//! columns of what it reads before any data is touched. All problems are found in one pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::TableReference;

use crate::definition::{Definition, Materialization};
use crate::error::{Error, Problem, message_of};
use crate::file::{self, Files, yaml_file};
use crate::lineage::{self, Lineage};
use crate::planner::{Planner, Query};
use crate::project::{Model, Project};
use crate::rule::{check_columns, check_definition, check_header, check_tests, check_watermarks, forbidden};
use crate::source::{SOURCES, SourceTable, read_sources};

const FOLDERS: [(&str, &str, Materialization); 4] = [
    ("staging", "staging", Materialization::View),
    ("marts", "marts", Materialization::Table),
    ("metrics", "metrics", Materialization::Table),
    ("seeds", "staging", Materialization::Seed),
];

impl Project {
    /// The models that come with the program.
    ///
    /// # Errors
    /// A model breaks a rule.
    pub fn embedded() -> crate::Result<Project> {
        Project::from_files(file::embedded())
    }

    /// The models of a folder.
    ///
    /// # Errors
    /// The folder cannot be read, or a model breaks a rule.
    pub fn open(dir: &Path) -> crate::Result<Project> {
        Project::from_files(file::of_folder(dir)?)
    }

    pub(crate) fn from_files(files: Files) -> crate::Result<Project> {
        compile(files).map_err(Error::Invalid)
    }
}

struct Draft {
    model: Model,
    query: Option<Query>,
}

/// Checks all files and orders the models.
fn compile(mut files: Files) -> Result<Project, Vec<Problem>> {
    let mut problems = Vec::new();
    let sources = match files.remove(SOURCES).as_deref().map(read_sources) {
        Some(Ok(sources)) => sources,
        Some(Err(found)) => return Err(found),
        None => BTreeMap::new(),
    };
    let planner = Planner::new();
    let mut drafts = read_models(files, &planner, &mut problems);
    check_references(&mut drafts, &sources, &mut problems);
    let order = match order(&drafts) {
        Ok(order) => order,
        Err(cycle) => {
            let file = drafts[&cycle[0]].model.file.clone();
            problems.push(Problem::new(file, format!("models read each other in a circle: {}", cycle.join(" -> "))));
            return Err(problems);
        }
    };

    for (name, source) in &sources {
        planner.register_empty(name, source.schema.clone()).expect("each source is registered once");
    }
    for name in &order {
        let draft = drafts.get_mut(name).expect("ordered models are drafts");
        let planned = plan(&planner, draft, &sources, &mut problems);
        // What reads a broken model is planned against the columns that its YAML promises.
        planner.register_empty(name, draft.model.schema()).expect("each model is registered once");
        if let Some(plan) = planned {
            draft.model.lineage = lineage::of(&plan, &draft.model.schema());
        }
    }
    let models = drafts.into_iter().map(|(name, draft)| (name, draft.model)).collect::<BTreeMap<_, _>>();
    for model in models.values() {
        check_watermarks(model, &models, &sources, &mut problems);
        check_tests(&planner, model, &mut problems);
    }
    if problems.is_empty() { Ok(Project { models, order, sources }) } else { Err(problems) }
}

fn read_models(mut files: Files, planner: &Planner, problems: &mut Vec<Problem>) -> BTreeMap<String, Draft> {
    let mut drafts: BTreeMap<String, Draft> = BTreeMap::new();
    let bodies = files.keys().filter(|file| !file.ends_with(".yml")).cloned().collect::<Vec<_>>();
    for file in bodies {
        let text = files.remove(&file).expect("listed above");
        let yaml_file = yaml_file(&file);
        let Some(yaml) = files.remove(&yaml_file) else {
            problems.push(Problem::new(&file, format!("there is no `{yaml_file}` beside it")));
            continue;
        };
        match read_model(&file, text, yaml, planner, problems) {
            Some(draft) => {
                let twin = drafts.values().find(|other| other.model.table() == draft.model.table());
                if let Some(twin) = twin {
                    let message = format!("the name `{}` is taken by `{}`", draft.model.table(), twin.model.file);
                    problems.push(Problem::new(&file, message));
                } else {
                    drafts.insert(draft.model.name.clone(), draft);
                }
            }
            None => debug_assert!(!problems.is_empty(), "a model is left out for a reason"),
        }
    }
    for orphan in files.keys() {
        let wanted = format!("{}.sql", orphan.trim_end_matches(".yml"));
        problems.push(Problem::new(orphan, format!("there is no `{wanted}` beside it")));
    }
    drafts
}

fn read_model(file: &str, text: String, yaml: String, planner: &Planner, problems: &mut Vec<Problem>) -> Option<Draft> {
    let yaml_file = yaml_file(file);
    let (folder, base) = file.rsplit_once('/').unwrap_or(("", file));
    let (stem, ending) = base.rsplit_once('.').unwrap_or((base, ""));
    let Some((_, namespace, default)) = FOLDERS.iter().find(|(known, _, _)| folder.split('/').next() == Some(known))
    else {
        problems.push(
            Problem::new(file, format!("folder `{folder}` is not one of staging, marts, metrics, seeds"))
                .hint("the folder is the model's namespace"),
        );
        return None;
    };
    let definition = match serde_yaml_ng::from_str::<Definition>(&yaml) {
        Ok(definition) => definition,
        Err(error) => {
            problems.push(Problem::new(&yaml_file, error.to_string()));
            return None;
        }
    };
    if (ending == "csv") != (*default == Materialization::Seed) {
        problems.push(Problem::new(file, "the folder `seeds` holds CSV files, the other folders SQL files"));
        return None;
    }
    let before = problems.len();
    if definition.name != stem {
        let message = format!("name `{}` is not the file's name `{stem}`", definition.name);
        problems.push(Problem::new(&yaml_file, message));
    }
    let materialization = definition.materialization.unwrap_or(*default);
    check_definition(&yaml_file, &definition, materialization, *default, problems);
    let query = match materialization {
        Materialization::Seed => {
            check_header(file, &text, &definition, problems);
            None
        }
        _ => match planner.parse(&text) {
            Ok(query) => Some(query),
            Err(error) => {
                problems.push(Problem::new(file, message_of(&error).0));
                None
            }
        },
    };
    if problems.len() > before {
        return None;
    }
    let model = Model {
        name: format!("{namespace}.{stem}"),
        file: file.to_owned(),
        text,
        yaml,
        definition,
        materialization,
        reads: BTreeSet::new(),
        lineage: Lineage::default(),
    };
    Some(Draft { model, query })
}

fn check_references(
    drafts: &mut BTreeMap<String, Draft>,
    sources: &BTreeMap<String, SourceTable>,
    problems: &mut Vec<Problem>,
) {
    let known = drafts.keys().chain(sources.keys()).cloned().collect::<Vec<_>>();
    for draft in drafts.values_mut() {
        let Some(query) = &draft.query else { continue };
        let file = draft.model.file.clone();
        for reference in &query.references {
            let name = match reference {
                TableReference::Bare { table } => table.to_string(),
                TableReference::Partial { schema, table } => format!("{schema}.{table}"),
                TableReference::Full { catalog, schema, table } => format!("{catalog}.{schema}.{table}"),
            };
            if !known.contains(&name) {
                let problem = Problem::new(&file, format!("there is no table `{name}`"));
                let words = known.iter().map(String::as_str);
                let by_table =
                    || known.iter().find(|known| known.split_once('.').is_some_and(|(_, table)| table == name));
                problems.push(match by_table() {
                    Some(full) => problem.hint(format!("did you mean `{full}`?")),
                    None => problem.hint_nearest(&name, words),
                });
                continue;
            }
            if let Some(rule) = forbidden(&draft.model, &name, sources.contains_key(&name)) {
                problems.push(Problem::new(&file, format!("reads `{name}`: {rule}")));
            }
            draft.model.reads.insert(name);
        }
    }
}

/// Each model after the ones it reads, or the names on a circle.
fn order(drafts: &BTreeMap<String, Draft>) -> Result<Vec<String>, Vec<String>> {
    fn visit(
        name: &str,
        drafts: &BTreeMap<String, Draft>,
        path: &mut Vec<String>,
        done: &mut Vec<String>,
    ) -> Result<(), Vec<String>> {
        let Some(draft) = drafts.get(name) else { return Ok(()) };
        if done.iter().any(|other| other == name) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|other| other == name) {
            let mut cycle = path[start..].to_vec();
            cycle.push(name.to_owned());
            return Err(cycle);
        }
        path.push(name.to_owned());
        for read in &draft.model.reads {
            visit(read, drafts, path, done)?;
        }
        path.pop();
        done.push(name.to_owned());
        Ok(())
    }
    let mut done = Vec::new();
    for name in drafts.keys() {
        visit(name, drafts, &mut Vec::new(), &mut done)?;
    }
    Ok(done)
}

fn plan(
    planner: &Planner,
    draft: &Draft,
    sources: &BTreeMap<String, SourceTable>,
    problems: &mut Vec<Problem>,
) -> Option<LogicalPlan> {
    let query = draft.query.as_ref()?;
    let model = &draft.model;
    if query.references.len() != model.reads.len() {
        return None; // an unknown table was reported already
    }
    let plan = match planner.plan_now(query) {
        Ok(plan) => plan,
        Err(error) => {
            let (message, hint) = message_of(&error);
            let mut problem = Problem::new(&model.file, message);
            if problem.message.contains("no column")
                && hint.is_none()
                && model.reads.iter().any(|read| sources.contains_key(read))
            {
                problem = problem.hint("sources.yml lists the columns that models may read");
            }
            problem.hint = problem.hint.or(hint);
            problems.push(problem);
            return None;
        }
    };
    check_columns(model, &plan, problems);
    Some(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embedded, files, project};

    fn message(result: Result<Project, Error>) -> String {
        result.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn the_models_of_the_program_are_those_of_the_folder() {
        let texts = |project: &Project| {
            project.models().map(|model| (model.text.clone(), model.yaml.clone())).collect::<Vec<_>>()
        };
        assert!(
            texts(&Project::embedded().unwrap()) == texts(&embedded()),
            "the crate was built before a model changed"
        );
    }

    #[test]
    fn the_embedded_models_keep_the_rules() {
        let project = embedded();
        assert!(project.models().count() > 40);
        for model in project.models() {
            assert_eq!(model.lineage.note, None, "{}", model.name);
            assert!(model.definition.description.trim().len() > 15, "{}", model.name);
        }
    }

    #[test]
    fn models_come_after_what_they_read() {
        let project = project(&[
            ("metrics/a", "select id from marts.b"),
            ("marts/b", "with omop as (select * from staging.c) select id from omop"),
            ("staging/c", "select id from omop.t -- a comment\n;"),
        ]);
        assert_eq!(project.unwrap().order, ["staging.c", "marts.b", "metrics.a"]);
    }

    /// Each wrong model with the message that it must cause.
    #[test]
    fn a_broken_rule_names_the_file_and_what_was_expected() {
        let id = "columns: [{name: id, description: d, data_type: bigint}]";
        let incremental = |more: &str| format!("{id}\nmaterialization: incremental\n{more}");
        let cases = [
            (
                "staging/a",
                "select id from omop.t; select 1",
                id.to_owned(),
                "staging/a.sql: a model is one `select`, here are 2 statements",
            ),
            (
                "staging/a",
                "create table x (id int)",
                id.to_owned(),
                "staging/a.sql: a model is one `select`, here is a statement `create`",
            ),
            ("staging/a", "", id.to_owned(), "here are 0 statements"),
            ("staging/a", "selec id from omop.t", id.to_owned(), "staging/a.sql: SQL error"),
            (
                "staging/a",
                "select id from omop.tt",
                id.to_owned(),
                "staging/a.sql: there is no table `omop.tt`\n  hint: did you mean `omop.t`?",
            ),
            ("staging/a", "select id from t", id.to_owned(), "there is no table `t`\n  hint: did you mean `omop.t`?"),
            (
                "staging/a",
                "select idd as id from omop.t",
                id.to_owned(),
                "staging/a.sql: there is no column `idd`\n  hint: did you mean `id`?",
            ),
            (
                "staging/a",
                "select t.wrd as id from omop.t as t",
                id.to_owned(),
                "there is no column `t.wrd`\n  hint: did you mean `t.word`?",
            ),
            (
                "staging/a",
                "select word as id from omop.t",
                id.to_owned(),
                "staging/a.sql: column `id` is varchar, the YAML says bigint\n  hint: write `cast(.. as bigint)`",
            ),
            (
                "staging/a",
                "select row_number() over () as id from omop.t",
                id.to_owned(),
                "column `id` is UInt64, the YAML says bigint",
            ),
            (
                "staging/a",
                "select id, word from omop.t",
                id.to_owned(),
                "staging/a.sql: the YAML lacks the column `word` of the query",
            ),
            (
                "staging/a",
                "select id as idd from omop.t",
                id.to_owned(),
                "staging/a.sql: the query lacks the column `id` of the YAML\n  hint: did you mean `idd`?",
            ),
            (
                "staging/a",
                "select id from omop.t",
                format!("{id}\ngrain: [i]"),
                "staging/a.yml: grain column `i` is not among the columns\n  hint: did you mean `id`?",
            ),
            ("staging/a", "select id from omop.t", format!("{id}\ngrain: []"), "staging/a.yml: the grain is empty"),
            ("staging/a", "select id from omop.t", format!("{id}\nowner: me"), "staging/a.yml: unknown field `owner`"),
            (
                "staging/a",
                "select id from omop.t",
                "columns: [{name: id, description: d, data_type: int64}]".to_owned(),
                "unknown variant `int64`",
            ),
            (
                "staging/a",
                "select id from omop.t",
                format!("{id}\nunique_key: id"),
                "belong to incremental models only",
            ),
            (
                "marts/a",
                "select id from omop.t",
                id.to_owned(),
                "marts/a.sql: reads `omop.t`: marts read staging and marts, not the sources",
            ),
            (
                "metrics/a",
                "select id from omop.t",
                id.to_owned(),
                "metrics/a.sql: reads `omop.t`: metrics read marts only",
            ),
            (
                "other/a",
                "select id from omop.t",
                id.to_owned(),
                "other/a.sql: folder `other` is not one of staging, marts, metrics, seeds",
            ),
            (
                "staging/a",
                "select id from omop.t",
                incremental(""),
                "staging/a.yml: an incremental model needs a `unique_key`",
            ),
            (
                "staging/a",
                "select id from omop.t",
                incremental("unique_key: id"),
                "staging/a.yml: an incremental model needs a `watermark`",
            ),
            (
                "staging/a",
                "select id from omop.t",
                incremental("unique_key: ip\nwatermark: [{table: omop.t, column: at}]"),
                "unique_key `ip` is not among the columns",
            ),
            (
                "staging/a",
                "select id from omop.t",
                incremental("unique_key: id\nwatermark: [{table: omop.u, column: at}]"),
                "watermark table `omop.u` is not read by the model\n  hint: did you mean `omop.t`?",
            ),
            (
                "staging/a",
                "select id from omop.t",
                incremental("unique_key: id\nwatermark: [{table: omop.t, column: att}]"),
                "watermark column `att` is not in `omop.t`\n  hint: did you mean `at`?",
            ),
            (
                "staging/a",
                "select id from omop.t",
                format!("{id}\ntests: [expression: idd > 0]"),
                "staging/a.yml: test `expression/staging.a`: there is no column `idd`",
            ),
            (
                "staging/a",
                "select id from omop.t",
                format!("{id}\ntests: [not_null]"),
                "staging/a.yml: test `not_null` stands under a column",
            ),
        ];
        for (path, sql, yaml, expected) in cases {
            let found = message(Project::from_files(files(&[(path, sql, &yaml)])));
            assert!(found.contains(expected), "{sql}\n{yaml}\nfound    {found}\nexpected {expected}");
        }
    }

    #[test]
    fn files_come_in_pairs_with_one_name() {
        let mut lonely = files(&[("staging/a", "select id from omop.t", "columns: []")]);
        lonely.remove("staging/a.yml");
        assert!(message(Project::from_files(lonely)).contains("staging/a.sql: there is no `staging/a.yml` beside it"));
        let mut orphan = files(&[]);
        orphan.insert("marts/b.yml".to_owned(), String::new());
        assert!(message(Project::from_files(orphan)).contains("marts/b.yml: there is no `marts/b.sql` beside it"));
        let mut renamed = files(&[("staging/a", "select id from omop.t", "columns: []")]);
        renamed.get_mut("staging/a.yml").unwrap().insert(6, 'x');
        assert!(message(Project::from_files(renamed)).contains("staging/a.yml: name `xa` is not the file's name `a`"));
        let twins = project(&[("staging/a", "select id from omop.t"), ("marts/a", "select id from staging.a")]);
        assert!(message(twins).contains("the name `a` is taken by `marts/a.sql`"));
    }

    #[test]
    fn layers_and_circles_are_refused() {
        let upward = project(&[
            ("staging/a", "select id from marts.b"),
            ("marts/b", "select id from staging.c"),
            ("staging/c", "select id from omop.t"),
            ("metrics/d", "select id from staging.c"),
        ]);
        let found = message(upward);
        assert!(
            found.contains("staging/a.sql: reads `marts.b`: staging reads only the tables of sources.yml"),
            "{found}"
        );
        assert!(found.contains("metrics/d.sql: reads `staging.c`: metrics never read staging"), "{found}");
        let circle = project(&[
            ("marts/a", "select id from marts.b"),
            ("marts/b", "select id from marts.c"),
            ("marts/c", "select id from marts.a"),
        ]);
        let expected = "models read each other in a circle: marts.a -> marts.b -> marts.c -> marts.a";
        assert!(message(circle).contains(expected));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let two = project(&[("staging/a", "select x from omop.t"), ("staging/b", "select id from omop.x")]);
        assert_eq!(message(two).matches(".sql: ").count(), 2);
    }
}
