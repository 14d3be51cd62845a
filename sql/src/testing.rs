//! Small projects for the tests.

use crate::error::Error;
use crate::file::Files;
use crate::project::Project;
use crate::source::SOURCES;

const SOURCE: &str = "sources: [{name: omop.t, columns: {id: bigint, word: varchar, at: timestamp}}, \
                      {name: omop.u, columns: {id: bigint, t_id: bigint}}]";

/// A project of queries that yield one column `id`, each as its folder has it.
pub(crate) fn project(models: &[(&str, &str)]) -> Result<Project, Error> {
    let column = "columns: [{name: id, description: d, data_type: bigint}]\ntags: [fast]";
    Project::from_files(files(&models.iter().map(|(path, sql)| (*path, *sql, column)).collect::<Vec<_>>()))
}

/// A project of one model with further lines of YAML.
pub(crate) fn project_with(path: &str, sql: &str, yaml: &str) -> Result<Project, Error> {
    Project::from_files(files(&[(path, sql, yaml)]))
}

/// Files of models that stand for themselves: the name and, where it is not given, the grain are added.
pub(crate) fn files(models: &[(&str, &str, &str)]) -> Files {
    let mut files = Files::from([(SOURCES.to_owned(), SOURCE.to_owned())]);
    for (path, sql, yaml) in models {
        let name = path.rsplit('/').next().unwrap();
        let grain = if yaml.contains("grain:") { "" } else { "grain: [id]\n" };
        files.insert(format!("{path}.sql"), (*sql).to_owned());
        files.insert(format!("{path}.yml"), format!("name: {name}\ndescription: d\n{grain}{yaml}"));
    }
    files
}

/// The embedded models, read from their folder.
pub(crate) fn embedded() -> Project {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    Project::open(folder).unwrap_or_else(|error| panic!("{error}"))
}
