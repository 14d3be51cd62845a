use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The arrows of the house: what is not drawn here is forbidden.
const ARROWS: [(&str, &[&str]); 7] = [
    ("model", &[]),
    ("lake", &[]),
    ("generator", &["model"]),
    ("etl", &["model", "lake"]),
    ("sql", &["model", "lake"]),
    ("validator", &["model", "lake"]),
    ("cli", &["model", "lake", "generator", "etl", "sql", "validator"]),
];

#[test]
fn crates_depend_downwards_only() {
    let names: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let mut arrows = BTreeSet::new();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            arrows.extend(dependencies.into_iter().flat_map(toml::Table::keys).map(String::as_str));
        }
        let arrows: BTreeSet<_> = arrows.intersection(&names).copied().collect();
        assert!(arrows.is_subset(&allowed.iter().copied().collect()), "{name} depends on {arrows:?}");
    }
}

#[test]
fn no_room_has_a_name_that_says_nothing() {
    let forbidden = ["utils", "util", "common", "core", "shared", "helpers", "types", "misc", "mod"];
    for file in sources(&root()) {
        let stem = file.file_stem().unwrap().to_str().unwrap();
        assert!(!forbidden.contains(&stem), "{} says nothing", file.display());
    }
}

#[test]
fn the_readme_names_what_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("cargo run --release -- run"));
    assert!(readme.contains("scripts/check"));
    for link in readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(link.starts_with("http") || root().join(link).exists(), "README.md links to {link}");
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules", "lake"].contains(&name.as_str())
            || path.ends_with("lake") && path.join("src").exists()
        {
            files.extend(sources(&path));
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    files
}
