//! Public samples of FHIR, where they are at hand: taken whole, repeated, and the same in every form.

use std::fs;
use std::path::Path;

use super::{assert_same, content, lake_in, load, query};
use crate::testing::shared;

#[tokio::test]
async fn a_public_sample_is_taken_whole() {
    let Some(input) = shared("a_public_sample_is_taken_whole", "fhir/synthea-smart-r4/ndjson") else { return };
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_in(&folder.path().join("lake")).await;
    let outcome = load(&lake, "r1", &[&input]).await;
    let total = outcome.accounting.total();
    assert_eq!((total.read, total.rejected), (45_123, 0), "{outcome:#?}");
    assert_eq!(query(&lake, "select count(*) from omop.person").await, ["150"]);
    assert_eq!(query(&lake, "select count(*) from fhir.observation").await, ["21495"]);
    let orphans = "select count(*) from omop.measurement m left join omop.visit_occurrence v \
                   on v.visit_occurrence_id = m.visit_occurrence_id where v.visit_occurrence_id is null";
    assert_eq!(query(&lake, orphans).await, ["0"]);
    let before = content(&lake).await;
    let again = load(&lake, "r2", &[&input]).await;
    assert_eq!(again.accounting, outcome.accounting);
    assert_same(&content(&lake).await, &before);
}

/// Everything that public examples throw at it: nothing panics, nothing is lost.
#[tokio::test]
async fn odd_samples_are_accounted_for() {
    for name in ["smart-bulk-10-patients", "us-core-examples/ndjson", "hl7-r4-examples/ndjson"] {
        let Some(input) = shared("odd_samples_are_accounted_for", &format!("fhir/{name}")) else { return };
        let folder = tempfile::tempdir().unwrap();
        let lake = lake_in(&folder.path().join("lake")).await;
        let outcome = load(&lake, "r1", &[&input]).await;
        assert!(outcome.accounting.total().mapped > 0, "{outcome:#?}");
        assert_eq!(outcome.rejections.get("(unreadable) invalid_json"), None, "{outcome:#?}");
        let before = content(&lake).await;
        let again = load(&lake, "r2", &[&input]).await;
        assert_eq!(again.accounting, outcome.accounting);
        assert_same(&content(&lake).await, &before);
    }
}

#[tokio::test]
async fn a_bundle_and_the_lines_of_the_same_patient_give_the_same_rows() {
    let test = "a_bundle_and_the_lines_of_the_same_patient_give_the_same_rows";
    let Some(archive) = shared(test, "fhir/synthea-smart-r4/bundles-20.tar.gz") else { return };
    let Some(lines) = shared(test, "fhir/synthea-smart-r4/ndjson") else { return };
    let folder = tempfile::tempdir().unwrap();
    let bundles = folder.path().join("bundles");
    fs::create_dir(&bundles).unwrap();
    unpack(&archive, &bundles);
    let (some, all) = (lake_in(&folder.path().join("some")).await, lake_in(&folder.path().join("all")).await);
    let outcome = load(&some, "r", &[&bundles]).await;
    assert_eq!(outcome.accounting.by_type["Patient"].mapped, 20);
    assert_eq!(outcome.accounting.total().rejected, 0, "{outcome:#?}");
    load(&all, "r", &[&lines]).await;
    let persons = query(&some, "select person_id from omop.person").await.join(", ");
    for table in crate::load::cdm_tables().filter(|table| table.column("person_id").is_some()) {
        let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
        let (columns, name) = (columns.join(", "), table.name);
        let sql = format!("select {columns} from omop.{name} where person_id in ({persons})");
        let (mut one, mut other) = (query(&some, &sql).await, query(&all, &sql).await);
        one.sort();
        other.sort();
        let differing = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(one == other, "{name}: {} rows and {}, first {differing:#?}", one.len(), other.len());
    }
}

/// Unpacks the files of a tar archive.
fn unpack(archive: &Path, folder: &Path) {
    let mut bytes = Vec::new();
    let mut input = flate2::read::MultiGzDecoder::new(fs::File::open(archive).unwrap());
    std::io::Read::read_to_end(&mut input, &mut bytes).unwrap();
    let mut at = 0;
    while bytes[at] != 0 {
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&bytes[at..][range]).replace('\0', "");
        let size = usize::from_str_radix(text(124..135).trim(), 8).unwrap();
        if bytes[at + 156] == b'0' {
            let name = text(0..100).replace('/', "_");
            fs::write(folder.join(name), &bytes[at + 512..at + 512 + size]).unwrap();
        }
        at += 512 + size.div_ceil(512) * 512;
    }
}
