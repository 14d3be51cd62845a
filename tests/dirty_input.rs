use std::io::Write;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::healthlake::{Ended, Healthlake};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"sound","gender":"female","birthDate":"1980-02-03"}"#;

/// One bad record among two sound ones: it is rejected with the reason, and the sound ones are taken.
#[track_caller]
fn assert_rejected(record: &[u8], reason: &str, detail: &str) {
    let lake = Healthlake::new();
    let other = PATIENT.replace("sound", "other");
    let content = [PATIENT.as_bytes(), record, other.as_bytes()].join(&b"\n"[..]);
    lake.file("in.ndjson", content);
    let ended = lake.call("run", &["etl", "in.ndjson"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(lake.value("select count(*) from omop.person"), "2");
    let found =
        lake.call("query", &["query", "select file, line, reason, detail from quality.rejected", "--format", "csv"]);
    let lines: Vec<_> = found.stdout.lines().skip(1).collect();
    assert_eq!(lines.len(), 1, "{}", found.stdout);
    assert!(lines[0].contains(&format!("in.ndjson,2,{reason}")), "{}", lines[0]);
    assert!(lines[0].contains(detail), "`{detail}` is not in {}", lines[0]);
    let differing = "select count(*) from (select resource_type, sum(rejected_count) as n from quality.accounting group by 1) a \
                     full join (select case resource_type when '' then '(unreadable)' else resource_type end as resource_type, \
                     count(*) as n from quality.rejected group by 1) r on a.resource_type = r.resource_type \
                     where coalesce(a.n, 0) <> coalesce(r.n, 0)";
    assert_eq!(lake.value(differing), "0", "the account and the list of rejects differ by type");
}

#[test]
fn a_line_that_is_no_json_is_rejected() {
    assert_rejected(br#"{"resourceType":"Patient","id":"#, "invalid_json", "");
}

#[test]
fn invalid_utf8_is_rejected() {
    assert_rejected(b"{\"resourceType\":\"Patient\",\"id\":\"\xff\xfe\"}", "invalid_utf8", "UTF-8");
}

#[test]
fn a_missing_resource_type_is_rejected() {
    assert_rejected(br#"{"id":"1","gender":"male"}"#, "missing_resource_type", "resource type");
}

#[test]
fn a_wrong_type_names_the_element() {
    let record = br#"{"resourceType":"Patient","id":"1","birthDate":1980}"#;
    assert_rejected(record, "wrong_type", "string");
}

#[test]
fn a_repeated_key_is_rejected() {
    let record = br#"{"resourceType":"Patient","id":"1","birthDate":"1980-01-01","birthDate":"1990-01-01"}"#;
    assert_rejected(record, "duplicate_member", "birthDate");
}

#[test]
fn deep_nesting_is_rejected() {
    let depth = 100_000;
    let record = format!(
        r#"{{"resourceType":"Patient","id":"1","birthDate":"1980-01-01","extension":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert_rejected(record.as_bytes(), "nested_too_deep", "128");
}

#[test]
fn a_line_of_a_hundred_megabytes_is_rejected() {
    let record = format!(r#"{{"resourceType":"Patient","id":"1","x":"{}"}}"#, "a".repeat(100 << 20));
    assert_rejected(record.as_bytes(), "record_too_large", "");
}

#[test]
fn an_impossible_date_is_rejected() {
    assert_rejected(
        br#"{"resourceType":"Patient","id":"1","birthDate":"1980-13-01"}"#,
        "wrong_type",
        "a day that exists in the calendar",
    );
}

#[test]
fn a_cut_off_gzip_file_keeps_what_could_be_read() {
    let lake = Healthlake::new();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    for id in 0..5000 {
        writeln!(encoder, "{}", PATIENT.replace("sound", &id.to_string())).unwrap();
    }
    let bytes = encoder.finish().unwrap();
    lake.file("in.ndjson.gz", &bytes[..bytes.len() / 2]);
    let ended = lake.call("run", &["etl", "in.ndjson.gz"]);
    assert_eq!(ended.code, 1, "{}{}", ended.stdout, ended.stderr);
    let persons: u32 = lake.value("select count(*) from omop.person").parse().unwrap();
    assert!((1000..5000).contains(&persons), "{persons}");
    assert_eq!(lake.value("select distinct reason from quality.rejected"), "damaged_gzip");
}

#[test]
fn an_empty_file_is_no_error() {
    let lake = Healthlake::new();
    lake.file("in/empty.ndjson", "");
    lake.file("in/sound.ndjson", PATIENT);
    let ended = lake.call("run", &["etl", "in"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(lake.value("select count(*) from omop.person"), "1");
}

#[test]
fn standard_input_is_read() {
    let lake = Healthlake::new();
    let mut process = lake.command("run", &["etl", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(PATIENT.as_bytes()).unwrap();
    let ended = Ended::from(process.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(lake.value("select count(*) from omop.person"), "1");
}

#[track_caller]
fn assert_impossible(lake: &Healthlake, arguments: &[&str], messages: &[&str]) {
    let ended = lake.call("run", arguments);
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    for message in messages {
        assert!(ended.stderr.contains(message), "`{message}` is not in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn a_missing_file_is_one_clear_error() {
    assert_impossible(&Healthlake::new(), &["etl", "nowhere.ndjson"], &["nowhere.ndjson"]);
    assert_impossible(&Healthlake::new(), &["run", "--fhir", "nowhere/*.json"], &["nowhere"]);
}

#[cfg(unix)]
#[test]
fn an_unreadable_folder_is_one_clear_error() {
    use std::fs::{Permissions, copy, metadata, set_permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;

    let lake = Healthlake::new();
    lake.file("in/sound.ndjson", PATIENT);
    lake.file("in/closed/other.ndjson", PATIENT);
    let closed = lake.folder().join("in/closed");
    set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let mut command = lake.command("run", &["etl", "in"]);
    if metadata(lake.folder()).unwrap().uid() == 0 {
        // Root reads everything, so another user has to try, with a copy of the program that he can reach.
        const NOBODY: u32 = 65534;
        let program = lake.folder().join("healthlake");
        copy(command.get_program(), &program).unwrap();
        chown(lake.folder(), Some(NOBODY), Some(NOBODY)).unwrap();
        command = std::process::Command::new(program);
        command.args(["etl", "in"]).current_dir(lake.folder()).uid(NOBODY).gid(NOBODY);
    }
    let ended = Ended::from(command.output().unwrap());
    set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ended.code, 2, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("cannot read `in/closed`"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{}", ended.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_lake_as_it_was() {
    use crate::healthlake::tables_of;
    use std::process::Command;

    let lake = Healthlake::new();
    let mount = lake.folder().join("small");
    std::fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(&mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("HEALTHLAKE_REQUIRE_SHARED").is_none(), "this test needs to mount a tmpfs");
        eprintln!("SKIPPED a_full_disk_leaves_the_lake_as_it_was: no right to mount a tmpfs");
        return;
    }
    lake.file("few.ndjson", PATIENT);
    let many: String =
        (0..300_000).map(|id| PATIENT.replace("sound", &format!("{:x}", id * 2_654_435_761_u64)) + "\n").collect();
    lake.file("many.ndjson", many);
    let first = lake.call("first", &["etl", "few.ndjson", "--lake", "small/lake"]);
    let before = tables_of(&mount.join("lake"), &["fhir", "omop", "quality"]);
    let second = lake.call("second", &["etl", "many.ndjson", "--lake", "small/lake"]);
    let after = tables_of(&mount.join("lake"), &["fhir", "omop", "quality"]);
    let unmounted = Command::new("umount").arg("-l").arg(&mount).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(second.code, 2, "{}{}", second.stdout, second.stderr);
    assert!(second.stderr.contains("No space left"), "{}", second.stderr);
    assert!(before == after, "a failed run has changed the tables");
}
