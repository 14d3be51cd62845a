//! The built program in a temporary folder, and the content of its lake in a form that can be compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use arrow::util::display::array_value_to_string;
use serde_json::Value;
use tempfile::TempDir;

/// Columns that say when and by which run a row was written, not what it says.
const LINEAGE: [&str; 8] = [
    "pipeline_run_id",
    "persisted_at",
    "ingested_at",
    "file",
    "lineage_first_seen_ts",
    "lineage_last_updated_ts",
    "started_at",
    "ended_at",
];

/// A temporary folder with a lake in it.
pub struct Healthlake {
    folder: TempDir,
}

/// How a call of the program ended.
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Healthlake {
    pub fn new() -> Self {
        Healthlake { folder: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    /// A call that has not been started; the run id is the caller's.
    pub fn command(&self, run_id: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_healthlake"));
        command.args(arguments).current_dir(self.folder.path()).env("PIPELINE_RUN_ID", run_id);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn call(&self, run_id: &str, arguments: &[&str]) -> Ended {
        Ended::from(self.command(run_id, arguments).output().unwrap())
    }

    /// Calls the program, which must end with 0 or 1, and returns its JSON.
    pub fn json(&self, run_id: &str, arguments: &[&str]) -> Value {
        let ended = self.call(run_id, &[arguments, &["--format", "json"]].concat());
        assert!(ended.code == 0 || ended.code == 1, "{arguments:?}: {}", ended.stderr);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stdout))
    }

    pub fn start(&self, run_id: &str, arguments: &[&str]) -> Child {
        self.command(run_id, arguments).spawn().unwrap()
    }

    /// Writes a file into the folder and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// One value of one row.
    pub fn value(&self, sql: &str) -> String {
        let ended = self.call("query", &["query", sql, "--format", "csv"]);
        assert_eq!(ended.code, 0, "{sql}: {}", ended.stderr);
        ended.stdout.lines().nth(1).unwrap_or_default().to_owned()
    }

    /// Every table of the given namespaces as sorted lines, without lineage.
    pub fn tables(&self, namespaces: &[&str]) -> BTreeMap<String, Vec<String>> {
        tables_of(&self.lake(), namespaces)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Every table of the given namespaces of a lake as sorted lines, without lineage.
pub fn tables_of(folder: &Path, namespaces: &[&str]) -> BTreeMap<String, Vec<String>> {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let lake = lake::Lake::open(&lake::Config::folder(folder)).await.unwrap();
        let session = lake.session(&lake::AsOf::Latest).await.unwrap();
        let mut content = BTreeMap::new();
        for table in lake.tables().await.unwrap() {
            let table = table.to_string();
            if !namespaces.iter().any(|namespace| table.starts_with(&format!("{namespace}."))) {
                continue;
            }
            let batches = session.sql(&format!("select * from {table}")).await.unwrap().collect().await.unwrap();
            let mut lines = Vec::new();
            for batch in &batches {
                let schema = batch.schema();
                let columns: Vec<_> = (0..batch.num_columns())
                    .filter(|&index| !LINEAGE.contains(&schema.field(index).name().as_str()))
                    .collect();
                for row in 0..batch.num_rows() {
                    let cells = columns.iter().map(|&index| array_value_to_string(batch.column(index), row).unwrap());
                    lines.push(cells.collect::<Vec<_>>().join("|"));
                }
            }
            lines.sort();
            content.insert(table, lines);
        }
        content
    })
}

/// Fails with the first line that differs, not with all of both.
pub fn assert_equal_tables(one: &BTreeMap<String, Vec<String>>, other: &BTreeMap<String, Vec<String>>) {
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (table, lines) in one {
        let others = &other[table];
        let difference = lines.iter().zip(others).find(|(line, other)| line != other);
        assert!(difference.is_none(), "{table}: {difference:#?}");
        assert_eq!(lines.len(), others.len(), "rows of {table}");
    }
}

/// A file or folder of the reference data beside the project, or `None`, said aloud, when it is not at hand.
pub fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{test} needs {}", path.display());
    eprintln!("SKIPPED {test}: {} is missing", path.display());
    None
}

/// The folder into which scripts/install-synthea-modules has put modules of others, or `None`, said aloud.
pub fn other_modules(test: &str) -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/install-synthea-modules");
    let installed = Command::new(script).env("HEALTHLAKE_INSTALL", "no").output().unwrap();
    if installed.status.success() {
        return Some(String::from_utf8(installed.stdout).unwrap().trim_end().into());
    }
    let why = String::from_utf8_lossy(&installed.stderr);
    assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "{test}: {why}");
    eprintln!("SKIPPED {test}: {why}run scripts/install-synthea-modules");
    None
}
